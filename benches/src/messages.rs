//! How long messages take, whoever carries them.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::harness::Unit;

/// The deadline of every question.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn each(took: Duration, n: usize) -> Vec<f64> {
    vec![Unit::Nanoseconds.of_seconds(took.as_secs_f64()) / n as f64]
}

/// One producer sends `n` messages without waiting; until the last one was handled. Per message.
pub(crate) async fn tell(n: usize, done: Arc<Notify>, send: impl Fn(u64)) -> Vec<f64> {
    let began = Instant::now();
    (0..n as u64).for_each(send);
    done.notified().await;
    each(began.elapsed(), n)
}

/// `n` questions, one after another, each until its answer is there. Per question.
pub(crate) async fn ask<F: Future<Output = u64>>(n: usize, ask: impl Fn(u64) -> F) -> Vec<f64> {
    let began = Instant::now();
    for question in 0..n as u64 {
        assert_eq!(ask(question).await, question);
    }
    each(began.elapsed(), n)
}
