//! What waits to be written to the journal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::runtime::guard::lock;
use crate::seam::{JournalError, Write, Written};

/// How many writes may wait. Whoever comes then waits for room.
const BOUND: usize = 16_384;

pub(super) type Answer = Result<Written, JournalError>;

/// A write, and who waits for its answer.
pub(super) struct Waiting {
    pub(super) write: Write,
    answer: oneshot::Sender<Answer>,
    number: u64,
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    pub(super) fn apart(self) -> (Write, oneshot::Sender<Answer>) {
        (self.write, self.answer)
    }
}

/// Writes in the order in which they came.
pub(super) struct Queue {
    room: Arc<Semaphore>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// The number of the last one that came.
    last: u64,
    /// Somebody is told that something waits, and has not looked since: no one else needs to tell.
    told: bool,
}

/// A write that waits, as whoever asked for it sees it.
pub(super) struct Ticket {
    number: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(BOUND)), line: Mutex::default() }
    }
}

impl Queue {
    /// Puts a write into the line once there is room; also says whether somebody is to be told.
    pub(super) async fn enter(&self, write: Write) -> Option<(Ticket, bool)> {
        // It is closed by nobody.
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        let (answer, answered) = oneshot::channel();
        let mut line = lock(&self.line);
        line.last += 1;
        let number = line.last;
        line.waiting.push_back(Waiting { write, answer, number, _room: room });
        let is_first = !std::mem::replace(&mut line.told, true);
        Some((Ticket { number, answer: answered }, is_first))
    }

    /// Takes a write out of the line again; `false` where it is not in it any more.
    pub(super) fn leave(&self, ticket: &Ticket) -> bool {
        let mut line = lock(&self.line);
        // Numbers grow along the line.
        let place = line.waiting.binary_search_by_key(&ticket.number, |waiting| waiting.number);
        place.ok().and_then(|place| line.waiting.remove(place)).is_some()
    }

    /// Nobody could be told.
    pub(super) fn untold(&self) {
        lock(&self.line).told = false;
    }

    /// Takes the first ones, with so many records in all, or a single one with more. Also says whether any are left, of
    /// which whoever takes has to tell.
    pub(super) fn take(&self, records: usize) -> (Vec<Waiting>, bool) {
        let mut line = lock(&self.line);
        let (mut count, mut sum) = (0, 0);
        for waiting in &line.waiting {
            // A fence costs as much as a record.
            sum += waiting.write.records().max(1);
            if count > 0 && sum > records {
                break;
            }
            count += 1;
        }
        let is_more = count < line.waiting.len();
        line.told = is_more;
        (line.waiting.drain(..count).collect(), is_more)
    }

    /// Whoever was told may be gone. Says whether anything waits, of which the caller has to tell.
    pub(super) fn begin_anew(&self) -> bool {
        let mut line = lock(&self.line);
        line.told = !line.waiting.is_empty();
        line.told
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::{RunId, StreamId};
    use crate::seam::{AppendAt, Epoch};

    fn append(records: usize) -> Write {
        let at = AppendAt { epoch: Epoch(1), expected: 0 };
        Write::Append { stream: StreamId::from(RunId::new(Uuid::nil())), at, records: vec![Vec::new(); records] }
    }

    #[tokio::test]
    async fn so_many_records_are_taken_at_once_or_a_single_write_with_more() {
        let queue = Queue::default();
        let mut tickets = Vec::new();
        for records in [3, 0, 4, 1, 20, 1] {
            tickets.push(queue.enter(append(records)).await.expect("there is room"));
        }
        let told: Vec<_> = tickets.iter().map(|(_, told)| *told).collect();
        assert_eq!(told, [true, false, false, false, false, false], "one is told for all");
        let taken = || {
            let (taken, is_more) = queue.take(8);
            (taken.iter().map(|waiting| waiting.write.records()).collect::<Vec<_>>(), is_more)
        };
        assert_eq!(taken(), (vec![3, 0, 4], true));
        assert!(!queue.enter(append(1)).await.expect("there is room").1, "of what is left whoever takes tells");
        assert_eq!(taken(), (vec![1], true));
        assert_eq!(taken(), (vec![20], true));
        assert_eq!(taken(), (vec![1, 1], false));
        assert_eq!(taken(), (vec![], false));
        assert!(queue.enter(append(1)).await.expect("there is room").1, "the next one is told of again");
    }

    #[tokio::test]
    async fn who_leaves_before_it_was_taken_is_not_written_and_afterwards_cannot_leave() {
        let queue = Queue::default();
        let (first, _) = queue.enter(append(1)).await.expect("there is room");
        let (second, _) = queue.enter(append(2)).await.expect("there is room");
        assert!(queue.leave(&first) && !queue.leave(&first));
        assert_eq!(queue.take(9).0.len(), 1);
        assert!(!queue.leave(&second));
    }

    #[tokio::test]
    async fn who_was_told_and_is_gone_is_followed_by_somebody_who_is_told_or_by_the_next_write() {
        let queue = Queue::default();
        let (ticket, told) = queue.enter(append(1)).await.expect("there is room");
        assert!(told && queue.begin_anew(), "something waits");
        assert!(queue.leave(&ticket) && !queue.begin_anew(), "nothing waits");
        assert!(queue.enter(append(1)).await.expect("there is room").1, "and the next one is told of");
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_for_it() {
        let queue = Queue::default();
        for _ in 0..BOUND {
            queue.enter(append(0)).await.expect("there is room");
        }
        let limit = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(limit, queue.enter(append(0))).await.is_err());
        drop(queue.take(1));
        assert!(tokio::time::timeout(limit, queue.enter(append(0))).await.is_ok());
    }
}
