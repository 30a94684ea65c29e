//! What a journal promises of snapshots, of pruning, and of its list.

use super::journal::{Desk, promise, stream};
use crate::id::StreamId;
use crate::seam::{AtMost, Epoch, JournalError, Seq, Snapshot, StreamInfo, Upto};

fn snapshot(seq: Seq, byte: u8) -> Snapshot {
    Snapshot { seq, bytes: vec![byte; 10] }
}

fn info(stream: &StreamId, (first, last): (Seq, Seq), epoch: Epoch, owner: &str) -> StreamInfo {
    StreamInfo { stream: stream.clone(), first, last, epoch, owner: owner.to_owned() }
}

pub(super) async fn all(desk: &Desk) {
    the_last_snapshot_is_kept(desk).await;
    what_the_snapshot_holds_can_be_pruned(desk).await;
    a_stream_can_be_pruned_as_a_whole(desk).await;
    what_holds_something_is_listed(desk).await;
}

async fn the_last_snapshot_is_kept(desk: &Desk) {
    let run = stream(20);
    let clause = promise("the snapshot that was saved last is kept, and one that is older than it is not");
    clause.is("before the first", desk.0.snapshot(&run).await, Ok(None));
    let old = desk.fence(&run, "old").await;
    let epoch = desk.fence(&run, "me").await;
    desk.append(&run, epoch, (0, &[b"1", b"2", b"3"])).await;
    for (seq, byte, kept) in [(1, 1, 1), (3, 3, 3), (2, 2, 3), (3, 4, 4)] {
        clause.is("the answer", desk.0.save_snapshot(&run, epoch, snapshot(seq, byte)).await, Ok(()));
        let found = Desk::ok("a snapshot", desk.0.snapshot(&run).await);
        clause.is("what is kept", found.map(|found| found.bytes), Some(vec![kept; 10]));
    }
    let clause = promise("a snapshot behind the last record, or without the right, is refused");
    let moved = Err(JournalError::Moved { expected: 4, actual: 3 });
    clause.is("behind", desk.0.save_snapshot(&run, epoch, snapshot(4, 9)).await, moved);
    let fenced = || Err(JournalError::Fenced { owner: "me".to_owned() });
    clause.is("without the right", desk.0.save_snapshot(&run, old, snapshot(3, 9)).await, fenced());
    clause.is("pruning without the right", desk.0.prune(&run, old, Upto::All).await, fenced());
    clause.is("what is kept", desk.0.snapshot(&run).await, Ok(Some(snapshot(3, 4))));
    clause.is("records", desk.read(&run, 0).await.len(), 3);
}

async fn what_the_snapshot_holds_can_be_pruned(desk: &Desk) {
    let run = stream(21);
    let clause = promise("the records that the snapshot holds can be pruned, and no others");
    let epoch = desk.fence(&run, "me").await;
    desk.append(&run, epoch, (0, &[b"1", b"2", b"3"])).await;
    clause.is("without a snapshot", desk.0.prune(&run, epoch, Upto::Snapshot).await, Ok(()));
    clause.is("records", desk.read(&run, 0).await.len(), 3);
    clause.is("a snapshot", desk.0.save_snapshot(&run, epoch, snapshot(2, 2)).await, Ok(()));
    for _ in 0..2 {
        clause.is("the answer", desk.0.prune(&run, epoch, Upto::Snapshot).await, Ok(()));
        clause.is("from the snapshot on", desk.read(&run, 2).await, vec![b"3".to_vec()]);
        clause.is("the snapshot", desk.0.snapshot(&run).await, Ok(Some(snapshot(2, 2))));
    }
    let clause = promise("a read of what was pruned is refused, and told where to begin");
    for after in [0, 1] {
        clause.is("the read", desk.0.read(&run, after).await, Err(JournalError::Pruned { first: 3 }));
        let part = desk.0.read_some(&run, after, AtMost::default()).await;
        clause.is("a read of some", part, Err(JournalError::Pruned { first: 3 }));
    }
    let clause = promise("numbers go on after what was pruned");
    clause.is("the next", desk.append(&run, epoch, (3, &[b"4"])).await, 4);
    clause.is("from the snapshot on", desk.read(&run, 2).await, vec![b"3".to_vec(), b"4".to_vec()]);
    let moved = Err(JournalError::Moved { expected: 0, actual: 4 });
    clause.is("an append to what was pruned", desk.try_append(&run, epoch, (0, &[b"1"])).await, moved);
}

async fn a_stream_can_be_pruned_as_a_whole(desk: &Desk) {
    let run = stream(22);
    let clause = promise("a stream that was pruned as a whole holds nothing, and gives no number or epoch again");
    let epoch = desk.fence(&run, "me").await;
    desk.append(&run, epoch, (0, &[b"1", b"2"])).await;
    clause.is("a snapshot", desk.0.save_snapshot(&run, epoch, snapshot(1, 1)).await, Ok(()));
    clause.is("the answer", desk.0.prune(&run, epoch, Upto::All).await, Ok(()));
    clause.is("the snapshot", desk.0.snapshot(&run).await, Ok(None));
    clause.is("a read", desk.0.read(&run, 0).await, Err(JournalError::Pruned { first: 3 }));
    clause.is("a read from its end", desk.read(&run, 2).await, Vec::new());
    let later = desk.fence(&run, "me").await;
    clause.holds(later > epoch, || format!("{later:?} after {epoch:?}"));
    clause.is("the next", desk.append(&run, later, (2, &[b"3"])).await, 3);
    clause.is("its record", desk.read(&run, 2).await, vec![b"3".to_vec()]);
}

async fn what_holds_something_is_listed(desk: &Desk) {
    let clause = promise("streams that hold a record or a snapshot are listed by name, and no others");
    let names = ["list/b", "list/a", "list/empty", "list/pruned", "list/short", "lists/x"];
    let streams = names.map(|name| name.parse::<StreamId>().expect("a name"));
    let mut epochs = Vec::new();
    for stream in &streams {
        let epoch = desk.fence(stream, "me").await;
        if stream.as_str() != "list/empty" {
            desk.append(stream, epoch, (0, &[b"1", b"2"])).await;
        }
        epochs.push(epoch);
    }
    clause.is("pruning", desk.0.prune(&streams[3], epochs[3], Upto::All).await, Ok(()));
    clause.is("a snapshot", desk.0.save_snapshot(&streams[4], epochs[4], snapshot(2, 2)).await, Ok(()));
    clause.is("pruning", desk.0.prune(&streams[4], epochs[4], Upto::Snapshot).await, Ok(()));
    let listed = Desk::ok("a list", desk.0.list("list/").await);
    let expected = vec![
        info(&streams[1], (1, 2), epochs[1], "me"),
        info(&streams[0], (1, 2), epochs[0], "me"),
        info(&streams[4], (3, 2), epochs[4], "me"),
    ];
    clause.is("the list", listed, expected);
    clause.is("a snapshot without records", desk.0.snapshot(&streams[4]).await, Ok(Some(snapshot(2, 2))));
    clause.is("of one", Desk::ok("a list", desk.0.list("list/a").await).len(), 1);
    clause.is("of nothing", Desk::ok("a list", desk.0.list("nowhere").await), Vec::new());
}
