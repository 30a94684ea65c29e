//! Waiting to be asked to end by the operating system.

/// Resolves at the first Ctrl-C or SIGTERM. Where a handler cannot be installed, waits for the other one alone.
#[cfg(unix)]
pub(crate) async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be listened to");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        biased;
        () = interrupted() => {}
        () = terminated => {}
    }
}

/// Resolves at the first Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn asked_to_end() {
    interrupted().await;
}

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C cannot be listened to");
        std::future::pending::<()>().await;
    }
}
