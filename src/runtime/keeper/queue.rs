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
    /// Somebody was told that something waits, and has not looked since.
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
        let before = line.waiting.len();
        line.waiting.retain(|waiting| waiting.number != ticket.number);
        line.waiting.len() < before
    }

    /// Nobody could be told.
    pub(super) fn untold(&self) {
        lock(&self.line).told = false;
    }

    /// Takes the first ones, with so many records in all, or a single one with more.
    pub(super) fn take(&self, records: usize) -> Vec<Waiting> {
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
        // What is left is told of by whoever takes.
        line.told = count < line.waiting.len();
        line.waiting.drain(..count).collect()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !lock(&self.line).waiting.is_empty()
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
        let taken = || queue.take(8).iter().map(|waiting| waiting.write.records()).collect::<Vec<_>>();
        assert_eq!(taken(), [3, 0, 4]);
        assert!(queue.is_waiting());
        assert_eq!(taken(), [1]);
        assert_eq!(taken(), [20]);
        assert_eq!(taken(), [1]);
        assert!(!queue.is_waiting() && taken().is_empty());
        assert!(queue.enter(append(1)).await.expect("there is room").1, "the next one is told of again");
    }

    #[tokio::test]
    async fn who_leaves_before_it_was_taken_is_not_written_and_afterwards_cannot_leave() {
        let queue = Queue::default();
        let (first, _) = queue.enter(append(1)).await.expect("there is room");
        let (second, _) = queue.enter(append(2)).await.expect("there is room");
        assert!(queue.leave(&first) && !queue.leave(&first));
        assert_eq!(queue.take(9).len(), 1);
        assert!(!queue.leave(&second));
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
