//! A suite on a wrong implementation.

use std::future::Future;

use tokio::runtime::Builder;

/// Runs a suite, in paused time, that must panic with these words of a promise.
#[track_caller]
pub(crate) fn is_noticed(what: &str, promise: &str, suite: impl Future<Output = ()> + Send + 'static) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let Err(error) = runtime.block_on(async { tokio::spawn(suite).await }) else {
        panic!("{what}: the suite noticed nothing");
    };
    let payload = error.into_panic();
    let text = payload.downcast_ref::<String>().expect("a suite panics with a sentence");
    assert!(text.contains("breaks its contract. Promised: ") && text.contains(promise), "{what}: noticed was {text}");
}
