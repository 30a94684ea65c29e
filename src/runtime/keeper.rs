//! The system's journal, as an agent: one writer, through which everyone writes.
//!
//! Whoever wants to write puts that into a queue and wakes the agent. The agent takes everything that waits, up to
//! [`MOST_RECORDS`] records, and has the journal write it at once: while one batch is on its way to the disk the next one
//! gathers, so that one sync serves everybody (group commit). Reads go past the agent; they wait for no write.
//!
//! What is kept belongs to the journal behind the seam, not to an incarnation of this agent. What an incarnation took and
//! did not answer is in doubt; what still waits is for the next one.

mod feeds;
mod handle;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use crate::exit::BoxError;
use crate::fault::Point;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::faults::Visitor;
use crate::runtime::patience::showing_progress;
use crate::seam::{AppendAt, Journal, JournalError, Seq, Write, Written};

use feeds::Feeds;
pub(crate) use handle::JournalHandle;
use queue::{Queue, Waiting};

/// How long the journal may take for one batch, and whoever wrote waits for the answer.
const JOURNAL_DEADLINE: Duration = Duration::from_secs(30);

/// How many records are written at once.
const MOST_RECORDS: usize = 1024;

/// The journal of a system, and what waits to be written to it.
pub(crate) struct Desk {
    journal: Arc<dyn Journal>,
    queue: Queue,
    feeds: Feeds,
}

impl Desk {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, queue: Queue::default(), feeds: Feeds::default() }
    }

    /// Who is told that something was appended.
    pub(crate) fn feeds(&self) -> &Feeds {
        &self.feeds
    }
}

pub(crate) struct Keeper(Arc<Desk>);

/// There is something to write.
pub(crate) struct Wake;

impl Agent for Keeper {
    type Args = Arc<Desk>;
    type Message = Wake;
    type Reply = ();

    async fn start(desk: Arc<Desk>, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        // The life before this one may have heard of what waits, and ended before it looked.
        if desk.queue.begin_anew() {
            ctx.myself().tell(Wake)?;
        }
        Ok(Self(desk))
    }

    async fn handle(&mut self, _: Wake, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let (taken, is_more) = self.0.queue.take(MOST_RECORDS);
        if is_more {
            // At once: whoever comes later tells of nothing while somebody is told, and what is left may leave meanwhile.
            ctx.myself().tell(Wake)?;
        }
        if taken.is_empty() {
            return Ok(());
        }
        let appends = taken.iter().filter(|waiting| matches!(waiting.write, Write::Append { .. })).count();
        come_to(ctx, &Point::BeforeAppend, appends).await?;
        let (writes, answers): (Vec<_>, Vec<_>) = taken.into_iter().map(Waiting::apart).unzip();
        let streams: Vec<_> = writes.iter().map(|write| write.stream().clone()).collect();
        let written = self.write(writes, ctx).await?;
        // Before who wrote has the answer, who then asks for it elsewhere.
        self.0.feeds.tell(&streams, &written);
        come_to(ctx, &Point::AfterAppend, appends).await?;
        for (answer, written) in answers.into_iter().zip(written) {
            // Nobody waits for it any more when this fails.
            let _ = answer.send(written);
        }
        Ok(())
    }
}

/// Comes to a point once for each append.
async fn come_to(ctx: &Context<Keeper>, point: &Point, appends: usize) -> Result<(), BoxError> {
    if let Some(visitor) = Visitor::of(ctx) {
        for _ in 0..appends {
            visitor.come_to(point, None).await?;
        }
    }
    Ok(())
}

impl Keeper {
    /// Writes, and says all the while that this is no hang, up to a limit.
    async fn write(
        &self,
        writes: Vec<Write>,
        ctx: &mut Context<Self>,
    ) -> Result<Vec<Result<Written, JournalError>>, BoxError> {
        let (count, journal) = (writes.len(), Arc::clone(&self.0.journal));
        if bug_on_purpose!(ctx.system(), AcknowledgedFirst) && writes.iter().all(|write| write.records() > 0) {
            // On purpose: it will be kept, so that can be said already.
            let answers = writes.iter().map(|write| Ok(end_of(write))).collect();
            ctx.spawn(async move { drop(journal.write(writes).await) });
            return Ok(answers);
        }
        let lets_in = bug_on_purpose!(ctx.system(), FencedWriterLetIn);
        let writing =
            async { if lets_in { write_and_let_in(&*journal, writes).await } else { journal.write(writes).await } };
        let written = showing_progress(ctx, JOURNAL_DEADLINE, writing).await;
        let written =
            written.ok_or_else(|| format!("the journal took longer than {JOURNAL_DEADLINE:?} for {count} writes"))?;
        if written.len() != count {
            return Err(format!("the journal answered {} of {count} writes", written.len()).into());
        }
        Ok(written)
    }
}

/// On purpose: where an append ends that is taken for granted.
fn end_of(write: &Write) -> Written {
    let expected = if let Write::Append { at, .. } = write { at.expected } else { 0 };
    Written::Seq(expected + write.records() as Seq)
}

/// On purpose: whoever is refused is fenced in.
async fn write_and_let_in(journal: &dyn Journal, writes: Vec<Write>) -> Vec<Result<Written, JournalError>> {
    let mut written = Vec::new();
    for write in writes {
        let mut outcome = journal.write_one(write.clone()).await;
        if let (Err(JournalError::Fenced { .. }), Write::Append { stream, at, records }) = (&outcome, write)
            && let Ok(epoch) = journal.fence(&stream, "the same again").await
        {
            let append = Write::Append { stream, at: AppendAt { epoch, ..at }, records };
            outcome = journal.write_one(append).await;
        }
        written.push(outcome);
    }
    written
}
