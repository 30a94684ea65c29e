//! The system's journal, as an agent: one writer, through which everyone appends and reads.
//!
//! What is kept belongs to the journal behind the seam, not to an incarnation of this agent.

use std::sync::Arc;
use std::time::Duration;

use crate::error::RequestError;
use crate::exit::BoxError;
use crate::fault::Point;
use crate::id::RunId;
use crate::runtime::agent::{Agent, Context};
use crate::runtime::faults::Visitor;
use crate::runtime::system::System;
use crate::seam::{AppendAt, BoxFuture, Epoch, Journal, JournalError, Seq};

/// How long the journal may take for one answer.
const JOURNAL_DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Keeper(Arc<dyn Journal>);

pub(crate) enum KeeperMessage {
    Fence { stream: RunId, owner: String },
    Append { stream: RunId, at: AppendAt, records: Vec<Vec<u8>> },
    Read { stream: RunId, after: Seq },
}

pub(crate) enum KeeperReply {
    Fenced(Result<Epoch, JournalError>),
    Appended(Result<Seq, JournalError>),
    Read(Result<Vec<Vec<u8>>, JournalError>),
}

impl Agent for Keeper {
    type Args = Arc<dyn Journal>;
    type Message = KeeperMessage;
    type Reply = KeeperReply;

    async fn start(journal: Arc<dyn Journal>, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(journal))
    }

    async fn handle(&mut self, message: KeeperMessage, ctx: &mut Context<Self>) -> Result<KeeperReply, BoxError> {
        let visitor = Visitor::of(ctx).filter(|_| matches!(message, KeeperMessage::Append { .. }));
        if let Some(visitor) = &visitor {
            visitor.come_to(&Point::BeforeAppend, None).await?;
        }
        #[cfg(any(test, feature = "testing"))]
        let reply = self.reply_or_mistake(message, ctx).await;
        #[cfg(not(any(test, feature = "testing")))]
        let reply = self.reply_to(message).await;
        if let Some(visitor) = &visitor {
            visitor.come_to(&Point::AfterAppend, None).await?;
        }
        Ok(reply)
    }
}

impl Keeper {
    async fn reply_to(&self, message: KeeperMessage) -> KeeperReply {
        match message {
            KeeperMessage::Fence { stream, owner } => KeeperReply::Fenced(self.0.fence(stream, &owner).await),
            KeeperMessage::Append { stream, at, records } => {
                KeeperReply::Appended(self.0.append(stream, at, records).await)
            }
            KeeperMessage::Read { stream, after } => KeeperReply::Read(self.0.read(stream, after).await),
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl Keeper {
    /// As [`reply_to`](Self::reply_to), but for the mistakes that are made on purpose.
    async fn reply_or_mistake(&self, message: KeeperMessage, ctx: &mut Context<Self>) -> KeeperReply {
        match message {
            KeeperMessage::Append { stream, at, records } if bug_on_purpose!(ctx.system(), AcknowledgedFirst) => {
                // On purpose: it will be kept, so that can be said already.
                let (journal, end) = (Arc::clone(&self.0), at.expected + records.len() as Seq);
                ctx.spawn(async move { drop(journal.append(stream, at, records).await) });
                KeeperReply::Appended(Ok(end))
            }
            KeeperMessage::Append { stream, at, records } if bug_on_purpose!(ctx.system(), FencedWriterLetIn) => {
                let mut outcome = self.0.append(stream, at, records.clone()).await;
                if matches!(outcome, Err(JournalError::Fenced { .. }))
                    && let Ok(epoch) = self.0.fence(stream, "the same again").await
                {
                    // On purpose: whoever is refused is fenced in.
                    outcome = self.0.append(stream, AppendAt { epoch, ..at }, records).await;
                }
                KeeperReply::Appended(outcome)
            }
            message => self.reply_to(message).await,
        }
    }
}

/// The journal as everyone else reaches it.
pub(crate) struct JournalHandle(pub(crate) System);

impl JournalHandle {
    async fn ask(&self, message: KeeperMessage) -> Result<KeeperReply, RequestError> {
        self.0.keeper()?.ask_within(message, JOURNAL_DEADLINE).await
    }
}

fn unavailable(error: &RequestError) -> JournalError {
    JournalError::Unavailable(error.to_string())
}

impl Journal for JournalHandle {
    fn fence(&self, stream: RunId, owner: &str) -> BoxFuture<'_, Result<Epoch, JournalError>> {
        let owner = owner.to_owned();
        Box::pin(async move {
            match self.ask(KeeperMessage::Fence { stream, owner }).await {
                Ok(KeeperReply::Fenced(outcome)) => outcome,
                Ok(_) => Err(JournalError::Unavailable("it answered another question".to_owned())),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn append(&self, stream: RunId, at: AppendAt, records: Vec<Vec<u8>>) -> BoxFuture<'_, Result<Seq, JournalError>> {
        #[cfg(any(test, feature = "testing"))]
        let again = bug_on_purpose!(self.0, DoubtfulRepeated).then(|| records.clone());
        Box::pin(async move {
            match self.ask(KeeperMessage::Append { stream, at, records }).await {
                Ok(KeeperReply::Appended(outcome)) => outcome,
                Ok(_) => Err(JournalError::InDoubt("the journal answered another question".to_owned())),
                // Sent and not answered: it may have been kept.
                Err(error @ (RequestError::Exited { .. } | RequestError::Timeout { .. })) => {
                    #[cfg(any(test, feature = "testing"))]
                    if let Some(records) = again {
                        // On purpose: it may not have been kept, so it is sent again, behind what was.
                        let expected = at.expected + records.len() as Seq;
                        return self.append(stream, AppendAt { expected, ..at }, records).await;
                    }
                    Err(JournalError::InDoubt(error.to_string()))
                }
                Err(error) => Err(unavailable(&error)),
            }
        })
    }

    fn read(&self, stream: RunId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        Box::pin(async move {
            match self.ask(KeeperMessage::Read { stream, after }).await {
                Ok(KeeperReply::Read(outcome)) => outcome,
                Ok(_) => Err(JournalError::Unavailable("it answered another question".to_owned())),
                Err(error) => Err(unavailable(&error)),
            }
        })
    }
}
