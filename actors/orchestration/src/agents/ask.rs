//! Asking until there is an answer.

use std::future::Future;
use std::time::Duration;

use steadfast::registry::capability::Wire;
use steadfast::{Capability, RequestError, System};

/// How long one try may take. Longer than a hung agent is left alone, and it needs to come back.
pub(crate) const TRY: Duration = Duration::from_secs(1);

/// How long to wait before the next try, where the last one ended at once.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Asks any provider of a capability, again and again until there is an answer.
///
/// For questions that may be asked twice. Whoever is asked may die; when nobody is left who could answer, its supervisor
/// has given up, and the caller ends with the tree.
pub(crate) async fn ask_any<Q: Wire + Clone, R: Wire>(system: &System, capability: &Capability<Q, R>, request: Q) -> R {
    loop {
        match system.ask_within(capability, request.clone(), TRY).await {
            Ok(reply) => return reply,
            Err(error) => again(capability.name(), &error).await,
        }
    }
}

/// Tells of a try that failed, and waits for the next one.
pub(crate) fn again(what: &str, error: &RequestError) -> impl Future<Output = ()> + use<> {
    tracing::debug!(what, %error, "asking again");
    // An agent that died is waited for in its slot, so there is no need to wait here.
    let pause = if matches!(error, RequestError::Exited { .. }) { Duration::ZERO } else { PAUSE };
    tokio::time::sleep(pause)
}
