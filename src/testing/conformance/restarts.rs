//! What a journal promises that outlives its process.

use std::future::Future;
use std::sync::Arc;

use super::Clause;
use super::journal::{Desk, stream};
use crate::seam::{Epoch, Journal, Snapshot, Upto};

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
        let found = desk.read(&run, 0).await;
        clause("what was said to be kept is there after a restart").is("the records", found, written.clone());
        let epoch = desk.fence(&run, "a life").await;
        clause("epochs grow over restarts").holds(epoch > last, || format!("{epoch:?} after {last:?}"));
        last = epoch;
        for record in [vec![life; 3], Vec::new(), vec![life; 5000]] {
            let end = desk.append(&run, epoch, (written.len() as u64, &[&record])).await;
            written.push(record);
            clause("numbers go on after a restart").is("the number", end, written.len() as u64);
        }
        let saved = desk.0.snapshot(&run).await;
        let of_before = (life > 0).then(|| Snapshot { seq: written.len() as u64 - 3, bytes: vec![life - 1; 9] });
        clause("the snapshot that was saved is there after a restart").is("the snapshot", saved, Ok(of_before));
        let snapshot = Snapshot { seq: written.len() as u64, bytes: vec![life; 9] };
        clause("a snapshot is saved").is("the answer", desk.0.save_snapshot(&run, epoch, snapshot).await, Ok(()));
    }
    let gone = stream(2);
    let desk = Desk(open().await);
    let epoch = desk.fence(&gone, "a life").await;
    desk.append(&gone, epoch, (0, &[b"1", b"2"])).await;
    clause("it prunes").is("the answer", desk.0.prune(&gone, epoch, Upto::All).await, Ok(()));
    let desk = Desk(open().await);
    let named: Vec<_> = Desk::ok("a list", desk.0.list("").await).into_iter().map(|info| info.stream).collect();
    clause("what was pruned is gone after a restart").is("streams", named, vec![run]);
    let again = desk.fence(&gone, "a life").await;
    clause("epochs grow over restarts, also of a stream that was pruned").holds(again > epoch, || format!("{again:?}"));
    clause("numbers are given once").is("the next", desk.append(&gone, again, (2, &[b"3"])).await, 3);
}
