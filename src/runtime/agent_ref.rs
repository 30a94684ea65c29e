//! A reference to an agent that stays good over its restarts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{RequestError, TellError};
use crate::id::{Incarnation, Path};
use crate::message::Envelope;
use crate::runtime::agent::Agent;
use crate::runtime::guard::after;
use crate::runtime::office::Office;
use crate::runtime::posting::{Asking, ask_by, bury_refused, push_wait, refused_tell};
use crate::runtime::slot::{AnySlot, Letter, Patience, Slot, Stamp};

/// How long an ask waits for its reply when neither it nor the system's limits say
/// ([`SystemBuilder::limits`](crate::SystemBuilder::limits)).
pub const DEFAULT_ASK: Duration = Duration::from_secs(5);

/// A reference to an agent. It points to the agent's slot, so restarts do not invalidate it. Cheap to clone.
///
/// While the agent is between two incarnations, messages wait in its slot, an ask at most to its deadline. They fail
/// at once when no restart is coming.
pub struct AgentRef<A: Agent> {
    slot: Arc<Slot<A::Message, A::Reply>>,
}

impl<A: Agent> Clone for AgentRef<A> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot) }
    }
}

impl<A: Agent> fmt::Debug for AgentRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentRef({})", self.slot.core().path)
    }
}

impl<A: Agent> AgentRef<A> {
    pub(crate) fn new(slot: Arc<Slot<A::Message, A::Reply>>) -> Self {
        Self { slot }
    }

    pub(crate) fn slot(&self) -> Arc<dyn AnySlot> {
        Arc::clone(&self.slot) as Arc<dyn AnySlot>
    }

    /// Where the agent stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.slot.core().path
    }

    /// The life that is running now, or `None` between two lives.
    #[must_use]
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.slot.core().incarnation()
    }

    /// Tells the agent something and never waits. At most once: a message that is being handled when the agent ends
    /// is not delivered again.
    ///
    /// # Errors
    ///
    /// [`TellError::Full`] when the mailbox holds as many messages as it may, [`TellError::RateLimited`] when its domain
    /// got as many as it may within a time, [`TellError::Gone`] when no incarnation will come, [`TellError::Fenced`] when
    /// the sender is a life that was given up; all give the message back.
    pub fn tell(&self, message: A::Message) -> Result<(), TellError<A::Message>> {
        self.slot
            .push(Letter::told(message))
            .map_err(|refused| refused_tell(&self.slot, refused).map(Letter::into_message))
    }

    /// As [`tell`](Self::tell), with what an envelope says: kind, priority, deadline, time to live, headers and the rest.
    ///
    /// Priorities matter to an agent whose mailbox has [lanes](crate::AgentSpec::order); a message whose deadline or time
    /// to live is over before its turn is not handled, and becomes a dead letter. The number of the envelope is given by
    /// the mailbox.
    ///
    /// ```
    /// # use steadfast::{ChildSpec, Strategy, SupervisorSpec, System, Served, Capability, BoxError};
    /// use std::time::Duration;
    /// use steadfast::message::{Envelope, Kind, Priority};
    /// # const LOG: Capability<String, ()> = Capability::new("log", "1.0.0");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let log = ChildSpec::serve("log", LOG, |_, _| async { Ok::<_, BoxError>(()) });
    /// # let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(log)).await?;
    /// # let log = system.agent::<Served<String, ()>>("root/log")?;
    /// let alarm = Envelope::new(0, "disk full".to_owned()).with_kind(Kind::ErrorNotification).with_priority(Priority::CRITICAL);
    /// let now = system.clock().now();
    /// log.send(alarm.with_deadline(now + Duration::from_secs(1)))?;
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell); all give the envelope back.
    pub fn send(&self, envelope: Envelope<A::Message>) -> Result<(), TellError<Envelope<A::Message>>> {
        let sequence = envelope.sequence();
        let returned = |letter: Letter<_, _>| letter.into_envelope().with_sequence(sequence);
        self.slot
            .push_stamped(Letter::enveloped(envelope), Patience::ThisLife)
            .map_err(|refused| refused_tell(&self.slot, refused).map(returned))
    }

    /// As [`tell`](Self::tell), but waits for room, and for the rate of its domain, at most for `limit`.
    ///
    /// # Errors
    ///
    /// As [`tell`](Self::tell); `Full` when there was no room within `limit`, `RateLimited` as soon as it is clear that
    /// its turn does not come within `limit`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message was not told.
    pub async fn tell_wait(&self, message: A::Message, limit: Duration) -> Result<(), TellError<A::Message>> {
        let by = after(limit);
        push_wait(&self.slot, Letter::told(message), Patience::ThisLife, Some(by))
            .await
            .map_err(|refused| refused_tell(&self.slot, refused).map(Letter::into_message))
    }

    /// As [`send`](Self::send), but waits as [`tell_wait`](Self::tell_wait) does.
    ///
    /// # Errors
    ///
    /// As [`tell_wait`](Self::tell_wait); all give the envelope back.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message was not sent.
    pub async fn send_wait(
        &self,
        envelope: Envelope<A::Message>,
        limit: Duration,
    ) -> Result<(), TellError<Envelope<A::Message>>> {
        let by = after(limit);
        let sequence = envelope.sequence();
        let (letter, stamp) = Letter::enveloped(envelope);
        let sent = push_wait(&self.slot, letter.stamped(stamp), Patience::ThisLife, Some(by)).await;
        let returned = |letter: Letter<_, _>| letter.into_envelope().with_sequence(sequence);
        sent.map_err(|refused| refused_tell(&self.slot, refused).map(returned))
    }

    /// Sends, and makes a dead letter of what is refused. Returns whether it was taken.
    pub(crate) fn post_or_bury(&self, letter: (Letter<A::Message, A::Reply>, Stamp)) -> bool {
        self.slot.push_stamped(letter, Patience::ThisLife).map_err(|refused| bury_refused(&self.slot, refused)).is_ok()
    }

    /// Sends, and gives back what is refused.
    pub(crate) fn post(
        &self,
        letter: (Letter<A::Message, A::Reply>, Stamp),
    ) -> Result<(), Letter<A::Message, A::Reply>> {
        self.slot
            .push_stamped(letter, Patience::ThisLife)
            .map_err(|refused| refused_tell(&self.slot, refused).into_message())
    }

    pub(crate) fn office(&self) -> Arc<Office> {
        Arc::clone(self.slot.office())
    }

    /// Tells without a limit of time; for an agent's own timers, which end with it.
    pub(crate) async fn tell_patiently(&self, message: A::Message) {
        if let Err(refused) = push_wait(&self.slot, Letter::told(message), Patience::ThisLife, None).await {
            bury_refused(&self.slot, refused);
        }
    }

    /// Asks the agent something and waits for the reply, at most for [`DEFAULT_ASK`], or for what the system's limits
    /// say.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the message may or may not be handled.
    pub async fn ask(&self, message: A::Message) -> Result<A::Reply, RequestError> {
        self.ask_within(message, self.slot.office().default_ask).await
    }

    /// As [`ask`](Self::ask), with a deadline of its own. Waiting for a permit and the rate of its domain, for room in
    /// the mailbox, for the next incarnation and for the reply all count towards it.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn ask_within(&self, message: A::Message, limit: Duration) -> Result<A::Reply, RequestError> {
        ask_by(&self.slot, Letter::told(message), Asking::within(limit)).await.map_err(|refusal| refusal.into_error())
    }

    /// As [`ask`](Self::ask), with what an envelope says. Its deadline is that of the question; without one,
    /// what [`ask`](Self::ask) waits from now on.
    ///
    /// # Errors
    ///
    /// See [`RequestError`]; [`RequestError::Expired`] where the deadline is over already, and nothing is sent.
    ///
    /// # Cancel safety
    ///
    /// As [`ask`](Self::ask).
    pub async fn request(&self, envelope: Envelope<A::Message>) -> Result<A::Reply, RequestError> {
        ask_by(&self.slot, Letter::ticketed(envelope), Asking::plainly()).await.map_err(|refusal| refusal.into_error())
    }
}
