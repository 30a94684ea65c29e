//! Event-sourced state: what happened is what is kept, and the state follows from it.
//!
//! This module is pure. A state *decides* on a command, which gives events or a refusal, and *applies* events; replaying is
//! a function of the events. The agent around it ([`ChildSpec::sourced`](crate::ChildSpec::sourced)) writes them to the
//! journal before they count. The other way round, a [`Projection`] makes something to be read of the events of a stream.
//!
//! # Invariants
//!
//! * A state is what its events make of the initial one; a snapshot and the events after it make the same one.
//! * A projection takes each event once, in order, however often it is given.

mod decision;
mod pace;
mod projection;
mod recorded;
mod replay;

use crate::message::record::Record;

pub use decision::Decision;
pub(crate) use pace::{Keeping, again_after};
pub(crate) use projection::{Following, Standing};
pub use projection::{Lag, Projection};
pub use recorded::{Recorded, StreamError, events_since};
pub(crate) use recorded::{frame_of, recorded_at};
pub use replay::{Replay, ReplayError};

/// A state that is kept as the events that led to it.
///
/// [`decide`](Self::decide) looks and changes nothing; [`apply`](Self::apply) changes and asks nothing. So whoever has
/// the events has the state.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::message::codec::Schema;
/// use steadfast::message::record::Record;
/// use steadfast::sourcing::{Decision, EventSourced, Replay};
///
/// struct Account { balance: u64 }
///
/// enum Order { Deposit(u64), Withdraw(u64) }
///
/// #[derive(Serialize, Deserialize)]
/// enum Booked { Deposited(u64), Withdrawn(u64) }
///
/// impl Record for Booked {
///     const LAYOUT: Schema = Schema(1);
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct NotEnough { missing: u64 }
///
/// impl EventSourced for Account {
///     type Args = ();
///     type Command = Order;
///     type Event = Booked;
///     type Reply = u64;
///     type Rejection = NotEnough;
///
///     fn initial((): &()) -> Self {
///         Self { balance: 0 }
///     }
///
///     fn decide(&self, order: Order) -> Result<Decision<Booked, u64>, NotEnough> {
///         match order {
///             Order::Deposit(sum) => Ok(Decision::event(Booked::Deposited(sum), self.balance + sum)),
///             Order::Withdraw(sum) => match self.balance.checked_sub(sum) {
///                 Some(rest) => Ok(Decision::event(Booked::Withdrawn(sum), rest)),
///                 None => Err(NotEnough { missing: sum - self.balance }),
///             },
///         }
///     }
///
///     fn apply(&mut self, booked: &Booked) {
///         match booked {
///             Booked::Deposited(sum) => self.balance += sum,
///             Booked::Withdrawn(sum) => self.balance -= sum,
///         }
///     }
/// }
///
/// let mut account = Replay::<Account>::new(&());
/// for booked in [Booked::Deposited(7), Booked::Withdrawn(2)] {
///     account.apply(&booked);
/// }
/// assert_eq!((account.state().balance, account.seq()), (5, 2));
/// let refused = account.state().decide(Order::Withdraw(6)).map(|_| ());
/// assert_eq!(refused, Err(NotEnough { missing: 1 }));
/// ```
pub trait EventSourced: Sized + Send + 'static {
    /// What the initial state is made from.
    type Args: Clone + Send + Sync + 'static;
    /// What it is asked to do.
    type Command: Send + 'static;
    /// What happened. Written to journals, and read by every later version: see [`Record`].
    type Event: Record + Send + 'static;
    /// What comes of a command that was accepted.
    type Reply: Send + 'static;
    /// Why a command was not.
    type Rejection: Send + 'static;

    /// The state before the first event.
    fn initial(args: &Self::Args) -> Self;

    /// Decides on a command: what happens by it, and what whoever gave it is told. A decision without events is an answer to
    /// a question.
    ///
    /// # Errors
    ///
    /// The refusal, which is an answer too: nothing happened.
    fn decide(&self, command: Self::Command) -> Result<Decision<Self::Event, Self::Reply>, Self::Rejection>;

    /// Applies what happened. It asks nobody: no clock, no chance. It takes every event that was ever decided on, and must
    /// not panic: that event is kept, and every next life would panic at it too.
    fn apply(&mut self, event: &Self::Event);

    /// The kind of an event, for those who read the stream without knowing its type. Kept with each event.
    #[must_use]
    fn event_type(event: &Self::Event) -> &'static str {
        let _ = event;
        "event"
    }
}

/// A state that can be written down as a whole and read back: an [`EventSourced`] one, or a [`Projection`].
///
/// What it is made of needs no serde; the record that is written is a type of its own, with its layout.
/// `testing::replays_alike` shows whether nothing is forgotten.
pub trait Snapshotted: Sized {
    /// What is written.
    type Snapshot: Record + Send + 'static;

    /// Writes the state down.
    fn to_snapshot(&self) -> Self::Snapshot;

    /// Becomes what was written down. It is the initial state until then.
    fn restore(&mut self, snapshot: Self::Snapshot);
}
