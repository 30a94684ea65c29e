//! What a clock promises.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::Clause;
use crate::runtime::wait;
use crate::seam::Clock;

/// 2020-01-01 00:00 UTC: no clock that is right shows an earlier day.
const LONG_AGO: Duration = Duration::from_hours(438_288);

/// Holds a clock to what [`Clock`] promises.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn clock<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Clock>>,
{
    let clock = make().await;
    let clause = Clause::new("clock", "the present moment never goes back");
    let mut last = clock.now();
    for _ in 0..1000 {
        let now = clock.now();
        clause.holds(now >= last, || format!("{:?} earlier than before", last - now));
        last = now;
    }

    let clause = Clause::new("clock", "the present moment moves on as tokio's timers do");
    let wait = Duration::from_millis(20);
    let before = clock.now();
    wait::sleep(wait).await;
    let went = clock.now().saturating_duration_since(before);
    clause.holds(went >= wait, || format!("{went:?} after a wait of {wait:?}"));

    let clause = Clause::new("clock", "the time of day is one that people would read");
    let wall = clock.wall();
    clause.holds(wall >= UNIX_EPOCH + LONG_AGO, || format!("{wall:?}"));
}
