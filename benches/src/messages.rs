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

/// How many send at once, where several do.
pub(crate) const SEVERAL: usize = 4;

/// As [`tell`], by several producers, each a task.
pub(crate) async fn tell_by_several(
    n: usize,
    done: Arc<Notify>,
    send: impl Fn(u64) + Clone + Send + 'static,
) -> Vec<f64> {
    let began = Instant::now();
    for _ in 0..SEVERAL {
        let send = send.clone();
        tokio::spawn(async move { (0..(n / SEVERAL) as u64).for_each(send) });
    }
    done.notified().await;
    each(began.elapsed(), n)
}

/// As [`ask`], by several askers at once, each a task. Per question.
pub(crate) async fn ask_by_several<F>(n: usize, ask: impl Fn(u64) -> F + Clone + Send + 'static) -> Vec<f64>
where
    F: Future<Output = u64> + Send,
{
    let began = Instant::now();
    let asker = |_| {
        let ask = ask.clone();
        tokio::spawn(async move {
            for question in 0..(n / SEVERAL) as u64 {
                assert_eq!(ask(question).await, question);
            }
        })
    };
    let askers: Vec<_> = (0..SEVERAL).map(asker).collect();
    for asker in askers {
        asker.await.expect("it is answered");
    }
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
