//! What a journal promises that outlives its process.

use std::future::Future;
use std::sync::Arc;

use super::Clause;
use super::journal::{Desk, stream};
use crate::seam::{Epoch, Journal};

/// Holds a journal that outlives its process to that: what was said to be kept is there when it is opened again, and
/// epochs go on.
///
/// `open` opens the same storage each time, empty at first, after whatever the journal is to outlive: the end of its
/// process, a crash of its machine.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn journal_over_restarts<F, Fut>(open: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Journal>>,
{
    let clause = |promise| Clause::new("journal", promise);
    let run = stream(1);
    let mut written: Vec<Vec<u8>> = Vec::new();
    let mut last = Epoch(0);
    for life in 0..5_u8 {
        let desk = Desk(open().await);
        let found = desk.read(run, 0).await;
        clause("what was said to be kept is there after a restart").is("the records", found, written.clone());
        let epoch = desk.fence(run, "a life").await;
        clause("epochs grow over restarts").holds(epoch > last, || format!("{epoch:?} after {last:?}"));
        last = epoch;
        for record in [vec![life; 3], Vec::new(), vec![life; 5000]] {
            let end = desk.append(run, epoch, (written.len() as u64, &[&record])).await;
            written.push(record);
            clause("numbers go on after a restart").is("the number", end, written.len() as u64);
        }
    }
}
