//! The journal of a system as everyone else reaches it.

use super::queue::{Answer, Ticket};
use super::{Desk, JOURNAL_DEADLINE, Wake};
use crate::error::fenced;
use crate::id::StreamId;
use crate::runtime::current;
use crate::runtime::system::System;
use crate::seam::{AtMost, BoxFuture, Journal, JournalError, Level, Part, Seq, Snapshot, StreamInfo, Write, Written};

pub(crate) struct JournalHandle(pub(crate) System);

impl JournalHandle {
    fn desk(&self) -> &Desk {
        self.0.desk()
    }

    /// Puts a write into the queue, and sees to it that somebody looks.
    async fn enter(&self, write: Write) -> Result<Ticket, JournalError> {
        if let Some(life) = current::fenced()
            && !bug_on_purpose!(self.0, FencedIsHeard)
        {
            let why = fenced(&life.path, life.incarnation);
            return Err(JournalError::Unavailable(format!("not written: {why}")));
        }
        let none = || JournalError::Unavailable("nobody takes writes any more".to_owned());
        let (ticket, is_first) = self.desk().queue.enter(write).await.ok_or_else(none)?;
        if is_first && let Err(error) = self.wake() {
            self.desk().queue.untold();
            if self.desk().queue.leave(&ticket) {
                return Err(JournalError::Unavailable(error));
            }
        }
        Ok(ticket)
    }

    fn wake(&self) -> Result<(), String> {
        let keeper = self.0.keeper().map_err(|error| error.to_string())?;
        keeper.tell(Wake).map_err(|error| error.to_string())
    }

    async fn answer(&self, mut ticket: Ticket) -> Answer {
        match tokio::time::timeout(JOURNAL_DEADLINE, &mut ticket.answer).await {
            Ok(Ok(answer)) => answer,
            // Taken and not answered: it may have been kept.
            Ok(Err(_)) => Err(JournalError::InDoubt("the journal's agent ended before it answered".to_owned())),
            Err(_) if self.desk().queue.leave(&ticket) => {
                Err(JournalError::Unavailable(format!("the journal had no time for it within {JOURNAL_DEADLINE:?}")))
            }
            Err(_) => Err(JournalError::InDoubt(format!("the journal did not answer within {JOURNAL_DEADLINE:?}"))),
        }
    }
}

impl Journal for JournalHandle {
    fn level(&self) -> Level {
        self.desk().journal.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        #[cfg(any(test, feature = "testing"))]
        let again = bug_on_purpose!(self.0, DoubtfulRepeated).then(|| batch.clone());
        Box::pin(async move {
            let mut tickets = Vec::with_capacity(batch.len());
            for write in batch {
                tickets.push(self.enter(write).await);
            }
            let mut answers = Vec::with_capacity(tickets.len());
            for ticket in tickets {
                answers.push(match ticket {
                    Ok(ticket) => self.answer(ticket).await,
                    Err(error) => Err(error),
                });
            }
            #[cfg(any(test, feature = "testing"))]
            if let (Some(again), [Err(JournalError::InDoubt(_))]) = (again, answers.as_slice())
                && let Some(Write::Append { stream, mut at, records }) = again.into_iter().next()
            {
                // On purpose: it may not have been kept, so it is sent again, behind what was.
                at.expected += records.len() as Seq;
                return self.write(vec![Write::Append { stream, at, records }]).await;
            }
            answers
        })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.desk().journal.read(stream, after)
    }

    fn read_some(&self, stream: &StreamId, after: Seq, most: AtMost) -> BoxFuture<'_, Result<Part, JournalError>> {
        self.desk().journal.read_some(stream, after, most)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.desk().journal.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.desk().journal.list(prefix)
    }
}
