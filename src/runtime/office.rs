//! What the slots of a system share: the clock, the timers of those who ask, and the messages that nobody handled.
//!
//! # Invariants
//!
//! * No code of a user runs under the lock: not the drop of a message, nor what sends one again.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::event::{DropReason, EventKind};
use crate::id::{Incarnation, Path};
use crate::message::{DeadLetter, DeadLetterCounts, DeadLetters, DeadReason, Death, Filter, LetterId};
use crate::runtime::agent_ref::DEFAULT_ASK;
use crate::runtime::bus::Bus;
use crate::runtime::deadline::Timers;
use crate::runtime::guard::{after, drop_caught, lock};
use crate::runtime::system::System;
use crate::seam::Clock;

/// A message whose type is not known here.
pub(crate) trait AnyLetter: Any + Send {
    /// The name of its type.
    fn payload_type(&self) -> &'static str;
    /// Who refused it, where somebody did.
    fn receiver(&self) -> Option<&Path> {
        None
    }

    /// Sends it again to whom it was for. It comes back where that fails.
    fn send_again(self: Box<Self>, system: &System) -> Result<(), (Box<dyn AnyLetter>, String)>;
    /// The message alone.
    fn into_payload(self: Box<Self>) -> Box<dyn Any + Send>;
    /// Whether the message alone is of that type.
    fn is_of(&self, payload: std::any::TypeId) -> bool;
}

/// Two readings one after the other of the same clock are apart by less.
const APART: Duration = Duration::from_millis(10);

pub(crate) struct Office {
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    /// The moment that times are counted from.
    pub(crate) epoch: Instant,
    pub(crate) timers: Timers,
    /// How long a question that does not say may take.
    pub(crate) default_ask: Duration,
    /// By how much the clock is ahead of tokio's, or behind it.
    ahead: Result<Duration, Duration>,
    dead: Mutex<DeadLetters<Box<dyn AnyLetter>>>,
    late_replies: AtomicU64,
    #[cfg(any(test, feature = "testing"))]
    bug: Option<crate::testing::Bug>,
}

impl Office {
    pub(crate) fn new(bus: Bus, clock: Arc<dyn Clock>, dead_letters: usize, default_ask: Option<Duration>) -> Self {
        let epoch = clock.now();
        let timers = after(Duration::ZERO).into_std();
        let ahead = epoch.checked_duration_since(timers).filter(|ahead| *ahead > APART);
        let behind = timers.checked_duration_since(epoch).filter(|behind| *behind > APART);
        let ahead = behind.map_or(Ok(ahead.unwrap_or_default()), Err);
        Self {
            bus,
            clock,
            epoch,
            ahead,
            timers: Timers::default(),
            default_ask: default_ask.unwrap_or(DEFAULT_ASK),
            dead: Mutex::new(DeadLetters::new(dead_letters)),
            late_replies: AtomicU64::new(0),
            #[cfg(any(test, feature = "testing"))]
            bug: None,
        }
    }

    /// What slots ask, which do not know their system.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn with_bug(self, bug: Option<crate::testing::Bug>) -> Self {
        Self { bug, ..self }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn has_bug(&self, bug: crate::testing::Bug) -> bool {
        self.bug == Some(bug)
    }

    /// A moment of tokio's clock, by which timers go, on the system's: they are apart by what they were at the beginning.
    pub(crate) fn moment_of(&self, at: tokio::time::Instant) -> Option<Instant> {
        let at = at.into_std();
        match self.ahead {
            Ok(ahead) => at.checked_add(ahead),
            Err(behind) => at.checked_sub(behind),
        }
    }

    /// A message will not be handled.
    pub(crate) fn bury(&self, bus: &Bus, receiver: &Path, letter: Box<dyn AnyLetter>, why: DropReason) {
        match dead_reason(why) {
            Some(reason) => self.lay(letter, Death::new(reason, self.clock.now()).to(receiver.clone())),
            None => drop_caught(letter),
        }
        bus.publish(receiver, EventKind::Dropped { why });
    }

    fn lay(&self, letter: Box<dyn AnyLetter>, death: Death) {
        let (_, gone) = lock(&self.dead).put(letter, death);
        drop_caught(gone);
    }

    /// A message had no receiver. The event is that of the whole tree.
    pub(crate) fn bury_for_nobody(&self, bus: &Bus, root: &Path, letter: Box<dyn AnyLetter>, why: DropReason) {
        match dead_reason(why) {
            Some(reason) => self.lay(letter, Death::new(reason, self.clock.now())),
            None => drop_caught(letter),
        }
        bus.publish(root, EventKind::Dropped { why });
    }

    /// An answer came when nobody waited for it any more.
    pub(crate) fn reply_was_late(&self, bus: &Bus, from: &Path) {
        self.late_replies.fetch_add(1, Ordering::Relaxed);
        bus.publish(from, EventKind::Dropped { why: DropReason::LateReply });
    }

    pub(crate) fn late_replies(&self) -> u64 {
        self.late_replies.load(Ordering::Relaxed)
    }

    pub(crate) fn counts(&self) -> DeadLetterCounts {
        lock(&self.dead).counts()
    }

    /// The letters that are meant, with the names of their types.
    pub(crate) fn query(&self, filter: &Filter) -> Vec<DeadLetter<&'static str>> {
        let dead = lock(&self.dead);
        dead.query(filter).map(|letter| letter.with_message(letter.message.payload_type())).collect()
    }

    /// Takes a letter out, if its message is of that type.
    pub(crate) fn take<M: Send + 'static>(&self, id: LetterId) -> Option<DeadLetter<M>> {
        let taken = {
            let mut dead = lock(&self.dead);
            dead.get(id).filter(|letter| letter.message.is_of(std::any::TypeId::of::<M>()))?;
            dead.take(id)?
        };
        let (id, at, why, receiver) = (taken.id, taken.at, taken.why, taken.receiver.clone());
        let message = *taken.message.into_payload().downcast::<M>().ok()?;
        Some(DeadLetter { id, at, why, receiver, message })
    }

    /// Sends a letter again. One that is refused is a dead letter again, of a new number.
    pub(crate) fn send_again(&self, system: &System, id: LetterId) -> Result<(), SendAgainError> {
        let Some(letter) = lock(&self.dead).take(id) else { return Err(SendAgainError::Unknown { id }) };
        let before = letter.receiver;
        let Err((letter, problem)) = letter.message.send_again(system) else { return Ok(()) };
        if bug_on_purpose!(self, RefusedAgainIsLost) {
            // On purpose: it was taken out, and is not put back.
            let payload = letter.payload_type();
            drop_caught(letter);
            return Err(SendAgainError::Refused { id, again: id, payload, problem });
        }
        let mut death = Death::new(DeadReason::Refused, self.clock.now());
        if let Some(receiver) = letter.receiver().cloned().or(before) {
            death = death.to(receiver);
        }
        let payload = letter.payload_type();
        let (again, gone) = lock(&self.dead).put(letter, death);
        drop_caught(gone);
        Err(SendAgainError::Refused { id, again, payload, problem })
    }
}

/// A dead letter was not sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendAgainError {
    /// It was taken or sent before, or went because newer ones needed the room.
    #[error("there is no dead letter {id}; it was taken, sent again, or made room for newer ones")]
    Unknown {
        /// The letter.
        id: LetterId,
    },
    /// Whoever wants it is a life that has ended or was given up, and whose code runs on.
    #[error("the dead letter {id} was not sent again: `{by}`, incarnation {incarnation}, has ended or was given up")]
    Fenced {
        /// The letter.
        id: LetterId,
        /// Whose code it is.
        by: Path,
        /// The life.
        incarnation: Incarnation,
    },
    /// It was not taken this time either. It is a dead letter still, by another number.
    #[error("the dead letter {id} (a `{payload}`) was refused again: {problem}; it is kept as {again}")]
    Refused {
        /// The letter.
        id: LetterId,
        /// Its number now.
        again: LetterId,
        /// The name of its message's type.
        payload: &'static str,
        /// Why.
        problem: String,
    },
}

/// Under which reason a message is kept. `None` where there is nothing left to keep.
const fn dead_reason(why: DropReason) -> Option<DeadReason> {
    match why {
        DropReason::Expired => Some(DeadReason::Expired),
        DropReason::Closed => Some(DeadReason::Gone),
        DropReason::Shed => Some(DeadReason::Shed),
        DropReason::Refused => Some(DeadReason::Refused),
        DropReason::NoReceiver => Some(DeadReason::NoReceiver),
        DropReason::DecodeError => Some(DeadReason::DecodeError),
        DropReason::Unconverted => Some(DeadReason::Unconverted),
        DropReason::HandlerEnded | DropReason::LateReply => None,
    }
}
