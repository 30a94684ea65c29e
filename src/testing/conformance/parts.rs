//! What a journal promises to whoever reads a stream part by part.

use super::journal::{Desk, promise, stream};
use crate::id::StreamId;
use crate::seam::{AtMost, Part, Seq};

pub(super) async fn all(desk: &Desk) {
    let (run, long) = (stream(40), vec![7; 100_000]);
    let clause = promise("a stream that was never written has one part, which is empty");
    clause.is("the part", part(desk, &run, 0, AtMost::default()).await, Part::default());

    let epoch = desk.fence(&run, "me").await;
    let records: [&[u8]; 7] = [b"one", b"", &long, b"four", &[0, 255], b"", b"seven"];
    desk.append(&run, epoch, (0, &records[..3])).await;
    desk.append(&run, epoch, (3, &records[3..])).await;
    for records in [0, 1, 3, 7, usize::MAX] {
        for bytes in [0, 5, 100_007, usize::MAX] {
            for after in [0, 1, 6] {
                is_read_whole(desk, &run, after, AtMost { records, bytes }).await;
            }
        }
    }
    let clause = promise("behind the end of a stream there is no part that holds something");
    for after in [7, 8, Seq::MAX] {
        clause.is("the part", part(desk, &run, after, AtMost::default()).await, Part::default());
    }
}

async fn part(desk: &Desk, run: &StreamId, after: Seq, most: AtMost) -> Part {
    Desk::ok("a read of some", desk.0.read_some(run, after, most).await)
}

/// Reads part by part, and holds each part and all of them together to what is promised.
async fn is_read_whole(desk: &Desk, run: &StreamId, after: Seq, most: AtMost) {
    let expected = desk.read(run, after).await;
    let mut found = Vec::new();
    loop {
        let Part { records, more } = part(desk, run, after + found.len() as Seq, most).await;
        let clause = promise("a part holds no more than was asked for, and one record at least where there is one");
        clause.holds(most.fits(records.iter().map(Vec::len)) == records.len(), || format!("{} records", records.len()));
        clause.holds(!more || !records.is_empty(), || "nothing, and there is more".to_owned());
        found.extend(records);
        let clause = promise("the parts of a stream are what is read at once, each record once, in order");
        clause.holds(expected.starts_with(&found), || format!("something else with {most:?} after {after}"));
        if !more {
            clause.is("records", found.len(), expected.len());
            return;
        }
    }
}
