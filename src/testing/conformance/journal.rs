//! What a journal promises.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Clause;
use crate::id::{RunId, StreamId};
use crate::runtime::guard::at_once;
use crate::runtime::wait;
use crate::seam::{AppendAt, Epoch, Journal, JournalError, Seq, Write, Written};

/// A stream that nobody has used.
pub(super) fn stream(number: u128) -> StreamId {
    RunId::new(Uuid::from_u128(number)).into()
}

pub(super) const fn promise(promise: &'static str) -> Clause {
    Clause::new("journal", promise)
}

/// A journal with what every clause does on it.
pub(super) struct Desk(pub(super) Arc<dyn Journal>);

impl Desk {
    #[track_caller]
    pub(super) fn ok<T>(what: &str, outcome: Result<T, JournalError>) -> T {
        outcome.unwrap_or_else(|error| promise("it does as it is told").broken(&format!("{what}: {error}")))
    }

    pub(super) async fn fence(&self, stream: &StreamId, owner: &str) -> Epoch {
        Self::ok("a fence", self.0.fence(stream, owner).await)
    }

    pub(super) async fn try_append(
        &self,
        run: &StreamId,
        epoch: Epoch,
        place: (Seq, &[&[u8]]),
    ) -> Result<Seq, JournalError> {
        let (expected, records) = place;
        self.0.append(run, AppendAt { epoch, expected }, records.iter().map(|record| record.to_vec()).collect()).await
    }

    pub(super) async fn append(&self, run: &StreamId, epoch: Epoch, place: (Seq, &[&[u8]])) -> Seq {
        Self::ok("an append by the owner, at the end", self.try_append(run, epoch, place).await)
    }

    pub(super) async fn read(&self, run: &StreamId, after: Seq) -> Vec<Vec<u8>> {
        Self::ok("a read", self.0.read(run, after).await)
    }
}

/// Holds a journal to what [`Journal`] promises. `make` gives an empty one each time.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn journal<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn Journal>>,
{
    let fresh = async || Desk(make().await);
    what_was_appended_is_read(&fresh().await).await;
    numbers_are_of_the_stream(&fresh().await).await;
    a_wrong_place_is_refused(&fresh().await).await;
    a_wrong_right_is_refused(&fresh().await).await;
    a_fence_holds_against_what_is_in_flight(&fresh().await).await;
    of_two_at_one_place_one_is_kept(&fresh().await).await;
    a_dropped_append_is_there_or_not(&fresh().await).await;
    an_append_once_more_keeps_nothing_twice(&fresh().await).await;
    writes_that_come_together_are_answered_each(&fresh().await).await;
    super::parts::all(&fresh().await).await;
    super::snapshots::all(&fresh().await).await;
}

async fn what_was_appended_is_read(desk: &Desk) {
    let (run, long) = (stream(1), vec![7; 100_000]);
    let clause = promise("a stream that was never written is empty");
    clause.is("a read", desk.read(&run, 0).await, Vec::new());
    clause.is("a read behind its end", desk.read(&run, 9).await, Vec::new());

    let clause = promise("what was appended is read, in order, byte for byte");
    let epoch = desk.fence(&run, "me").await;
    clause.is("a read after the fence", desk.read(&run, 0).await, Vec::new());
    let records: [&[u8]; 4] = [b"one", b"", &long, &[0, 255]];
    desk.append(&run, epoch, (0, &records[..1])).await;
    desk.append(&run, epoch, (1, &records[1..])).await;
    clause.holds(desk.read(&run, 0).await == records, || "other records than were appended".to_owned());

    let clause = promise("a read gives the records after a number, and none behind the end");
    clause.is("after 3", desk.read(&run, 3).await, vec![records[3].to_vec()]);
    clause.is("after the last", desk.read(&run, 4).await, Vec::new());
    clause.is("after more than there are", desk.read(&run, Seq::MAX).await, Vec::new());
}

async fn numbers_are_of_the_stream(desk: &Desk) {
    let (run, other) = (stream(2), stream(3));
    let clause = promise("an append returns the number of its last record, from 1 on, for each stream by itself");
    let (epoch, of_other) = (desk.fence(&run, "me").await, desk.fence(&other, "somebody").await);
    clause.is("the first", desk.append(&run, epoch, (0, &[b"1"])).await, 1);
    clause.is("three more", desk.append(&run, epoch, (1, &[b"2", b"3", b"4"])).await, 4);
    clause.is("the first of another", desk.append(&other, of_other, (0, &[b"x"])).await, 1);
    clause.is("the next of the first", desk.append(&run, epoch, (4, &[b"5"])).await, 5);
    clause.is("records of the other", desk.read(&other, 0).await.len(), 1);

    let clause = promise("an append without records returns where the stream ends, and keeps nothing");
    clause.is("its number", desk.append(&run, epoch, (5, &[])).await, 5);
    clause.is("records", desk.read(&run, 0).await.len(), 5);
}

async fn a_wrong_place_is_refused(desk: &Desk) {
    let run = stream(4);
    let clause = promise("an append at a place that is not the end is refused as moved, and nothing of it is kept");
    let epoch = desk.fence(&run, "me").await;
    desk.append(&run, epoch, (0, &[b"1", b"2"])).await;
    for expected in [0, 1, 3, Seq::MAX] {
        let outcome = desk.try_append(&run, epoch, (expected, &[b"a", b"b"])).await;
        clause.is("the outcome", outcome, Err(JournalError::Moved { expected, actual: 2 }));
        clause.is("records", desk.read(&run, 0).await, vec![b"1".to_vec(), b"2".to_vec()]);
    }
}

async fn a_wrong_right_is_refused(desk: &Desk) {
    let (run, other) = (stream(5), stream(6));
    let clause = promise("where nobody fenced, nothing is appended");
    for epoch in [Epoch(0), Epoch(1)] {
        let outcome = desk.try_append(&run, epoch, (0, &[b"x"])).await;
        let refused = matches!(outcome, Err(JournalError::Fenced { .. }));
        clause.holds(refused, || format!("with {epoch:?}: {outcome:?}"));
    }
    clause.is("records", desk.read(&run, 0).await, Vec::new());

    let clause = promise("a later fence has a later epoch");
    let old = desk.fence(&run, "old").await;
    let elsewhere = desk.fence(&other, "old").await;
    desk.append(&run, old, (0, &[b"1"])).await;
    let new = desk.fence(&run, "new").await;
    clause.holds(new > old, || format!("{new:?} after {old:?}"));

    let clause = promise("who was fenced off is told by whom and appends nothing, wherever");
    let fenced = || Err(JournalError::Fenced { owner: "new".to_owned() });
    clause.is("at the end", desk.try_append(&run, old, (1, &[b"x"])).await, fenced());
    clause.is("not at the end", desk.try_append(&run, old, (0, &[b"x"])).await, fenced());
    clause.is("without records", desk.try_append(&run, old, (1, &[])).await, fenced());
    clause.is("records", desk.read(&run, 0).await, vec![b"1".to_vec()]);
    let later = Epoch(new.0 + 1);
    clause.is("with an epoch that nobody was given", desk.try_append(&run, later, (1, &[b"x"])).await, fenced());

    let clause = promise("a fence keeps the records, and is one of its stream alone");
    clause.is("the next number", desk.append(&run, new, (1, &[b"2"])).await, 2);
    clause.is("in the other stream", desk.append(&other, elsewhere, (0, &[b"1"])).await, 1);
    let again = desk.fence(&run, "new").await;
    let clause = promise("the same owner fences anew, and its own old epoch is over");
    clause.holds(again > new, || format!("{again:?} after {new:?}"));
    clause.is("with the old one", desk.try_append(&run, new, (2, &[b"x"])).await, fenced());
}

async fn a_fence_holds_against_what_is_in_flight(desk: &Desk) {
    let clause = promise("an old incarnation can change nothing once the new one has fenced and read");
    for number in 0..20 {
        let run = stream(100 + number);
        let old = desk.fence(&run, "old").await;
        let take_over = async {
            // Sooner and later, so that it meets the append at another point each time.
            wait::sleep(Duration::from_micros(300) * u32::try_from(number).unwrap_or_default()).await;
            let epoch = desk.fence(&run, "new").await;
            (epoch, desk.read(&run, 0).await)
        };
        let (outcome, (epoch, seen)) = wait::both(desk.try_append(&run, old, (0, &[b"late"])), take_over).await;
        clause.is("what it reads later", desk.read(&run, 0).await, seen.clone());
        if outcome.is_ok() {
            clause.is("records after an append that was `Ok`", seen.len(), 1);
        }
        let end = seen.len() as Seq;
        clause.is("its own append after that", desk.append(&run, epoch, (end, &[b"mine"])).await, end + 1);
    }
}

async fn of_two_at_one_place_one_is_kept(desk: &Desk) {
    let run = stream(7);
    let clause = promise("of two appends at one place one is kept, and the other is told that the stream has moved");
    let epoch = desk.fence(&run, "me").await;
    for expected in 0..20 {
        let (one, other) =
            (desk.try_append(&run, epoch, (expected, &[b"a"])), desk.try_append(&run, epoch, (expected, &[b"b"])));
        let (one, other) = wait::both(one, other).await;
        let moved = || Err(JournalError::Moved { expected, actual: expected + 1 });
        let (kept, expected_outcomes) = match one {
            Ok(_) => (b"a", (Ok(expected + 1), moved())),
            Err(_) => (b"b", (moved(), Ok(expected + 1))),
        };
        clause.is("the outcomes", (one, other), expected_outcomes);
        clause.is("what was kept", desk.read(&run, expected).await, vec![kept.to_vec()]);
    }
}

async fn a_dropped_append_is_there_or_not(desk: &Desk) {
    let clause = promise("an append whose caller was dropped is there as a whole or not at all, and stays so");
    for number in 0..20 {
        let run = stream(200 + number);
        let epoch = desk.fence(&run, "me").await;
        let append = desk.try_append(&run, epoch, (0, &[b"1", b"2"]));
        let _: Option<_> = if number == 0 {
            at_once(append)
        } else {
            wait::at_most(Duration::from_micros(300) * u32::try_from(number).unwrap_or_default(), append).await
        };
        let epoch = desk.fence(&run, "me again").await;
        let seen = desk.read(&run, 0).await;
        clause.holds(seen.is_empty() || seen == [b"1", b"2"], || format!("{seen:?}"));
        let end = seen.len() as Seq;
        clause.is("the next append", desk.append(&run, epoch, (end, &[b"3"])).await, end + 1);
        clause.is("what is read then", desk.read(&run, 0).await[..seen.len()].to_vec(), seen);
    }
}

async fn an_append_once_more_keeps_nothing_twice(desk: &Desk) {
    let run = stream(8);
    let clause = promise("an append once more, at its place and by its epoch, is `Ok` and keeps nothing twice");
    let epoch = desk.fence(&run, "me").await;
    let records: [&[u8]; 3] = [b"1", b"2", b"3"];
    desk.append(&run, epoch, (0, &records)).await;
    for (from, to) in [(0, 3), (1, 3), (0, 1), (2, 3), (0, 2)] {
        let again = desk.try_append(&run, epoch, (from as Seq, &records[from..to])).await;
        clause.is("its number", again, Ok(to as Seq));
        clause.is("records", desk.read(&run, 0).await.len(), 3);
    }
    let clause = promise("an append at a place where other records stand is refused as moved");
    let more: [&[u8]; 4] = [b"1", b"2", b"3", b"4"];
    for (expected, records) in [(0, &more[..]), (0, &[b"2" as &[u8]]), (1, &[b"2", b"x"]), (2, &[b"3", b"4"]), (1, &[])]
    {
        let outcome = desk.try_append(&run, epoch, (expected, records)).await;
        clause.is("the outcome", outcome, Err(JournalError::Moved { expected, actual: 3 }));
    }
    let clause = promise("records that an earlier epoch wrote are no append of a later one");
    let later = desk.fence(&run, "me").await;
    let outcome = desk.try_append(&run, later, (0, &records)).await;
    clause.is("the outcome", outcome, Err(JournalError::Moved { expected: 0, actual: 3 }));
    clause.is("records", desk.read(&run, 0).await.len(), 3);
}

async fn writes_that_come_together_are_answered_each(desk: &Desk) {
    let (run, other) = (stream(9), stream(10));
    let clause =
        promise("writes that come together are answered in their order, each by itself, and each sees those before it");
    let (epoch, old) = (desk.fence(&run, "me").await, desk.fence(&other, "me").await);
    let append = |stream: &StreamId, epoch, expected, record: &[u8]| {
        let at = AppendAt { epoch, expected };
        Write::Append { stream: stream.clone(), at, records: vec![record.to_vec()] }
    };
    let batch = vec![
        append(&run, epoch, 0, b"1"),
        append(&run, epoch, 7, b"x"),
        append(&other, old, 0, b"a"),
        append(&run, epoch, 1, b"2"),
        Write::Fence { stream: other.clone(), owner: "you".to_owned() },
        append(&other, old, 1, b"x"),
        append(&run, epoch, 1, b"2"),
    ];
    let answers = desk.0.write(batch).await;
    clause.is("answers", answers.len(), 7);
    let new = match answers[4] {
        Ok(Written::Epoch(new)) if new > old => new,
        ref other => clause.broken(&format!("the fence: {other:?}")),
    };
    let expected = [
        Ok(Written::Seq(1)),
        Err(JournalError::Moved { expected: 7, actual: 1 }),
        Ok(Written::Seq(1)),
        Ok(Written::Seq(2)),
        Ok(Written::Epoch(new)),
        Err(JournalError::Fenced { owner: "you".to_owned() }),
        Ok(Written::Seq(2)),
    ];
    clause.is("the answers", answers, expected.to_vec());
    clause.is("of one stream", desk.read(&run, 0).await, vec![b"1".to_vec(), b"2".to_vec()]);
    clause.is("of the other", desk.read(&other, 0).await, vec![b"a".to_vec()]);
    clause.is("the next append by the new right", desk.append(&other, new, (1, &[b"b"])).await, 2);
    clause.is("nothing is answered with nothing", desk.0.write(Vec::new()).await, Vec::new());
}
