//! The states of one incarnation of an agent, and which may follow which.
//!
//! The table is declared once, in this file. From it come [`AgentState`], which everyone sees, and the types of
//! [`state`], which only the owner of the incarnation's [`Life`] holds: an illegal transition of a `Life` does not
//! compile, one of an `AgentState` is an [`IllegalTransition`].
//!
//! | from | to |
//! |---|---|
//! | unregistered | registering, terminated |
//! | registering | registered, terminated |
//! | registered | active, draining, terminated |
//! | active | suspended, draining, terminated |
//! | suspended | active, draining, terminated |
//! | draining | terminated |
//! | terminated | |
//!
//! # Invariants
//!
//! * The states belong to one incarnation: the next one starts at unregistered, with a `Life` of its own.
//! * A `Life` has one owner and cannot be cloned, since a crash can end it at any time. Whoever shares an agent asks for
//!   its `AgentState`, which may be another one a moment later.

mod diagram;
pub mod hook;

use std::fmt;
use std::time::Instant;

use uuid::Uuid;

/// Makes both forms of the states from one declaration.
macro_rules! lifecycle {
    ($(
        $(#[$doc:meta])*
        $state:ident $({ $( $(#[$field_doc:meta])* $field:ident: $type:ty ),+ })? = $number:literal $word:literal
            => [$($next:ident),*];
    )+) => {
        /// Where an incarnation stands, with what is known there.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum AgentState {
            $( $(#[$doc])* $state $({ $( $(#[$field_doc])* $field: $type ),+ })?, )+
        }

        impl AgentState {
            /// The name of the state.
            #[must_use]
            pub const fn name(&self) -> StateName {
                match self { $( Self::$state { .. } => StateName::$state, )+ }
            }
        }

        /// The name of a state. One byte, for atomics and tables.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum StateName {
            $( $(#[$doc])* $state = $number, )+
        }

        impl StateName {
            /// All states, in the order of their numbers.
            pub const ALL: [Self; [$($number),+].len()] = [$( Self::$state ),+];

            /// The states that may follow this one.
            #[must_use]
            pub const fn next(self) -> &'static [Self] {
                match self { $( Self::$state => &[$( Self::$next ),*], )+ }
            }

            /// The word for it, in logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$state => $word, )+ }
            }
        }

        /// The states as types, for [`Life`].
        pub mod state {
            use super::{AgentState, Instant, MayBecome, State, StateName, Uuid};

            $(
                lifecycle!(@type $(#[$doc])* $state $({ $( $(#[$field_doc])* $field: $type ),+ })?);

                impl super::Sealed for $state {}

                impl State for $state {
                    const NAME: StateName = StateName::$state;
                }

                impl From<$state> for AgentState {
                    fn from(state: $state) -> Self {
                        let $state { $( $( $field ),+ )? } = state;
                        Self::$state { $( $( $field ),+ )? }
                    }
                }

                $( impl MayBecome<$next> for $state {} )*
            )+
        }
    };
    (@type $(#[$doc:meta])* $state:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $state;
    };
    (@type $(#[$doc:meta])* $state:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty ),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $state { $( $(#[$field_doc])* pub $field: $type ),+ }
    };
}

lifecycle! {
    /// Nobody knows of it yet.
    Unregistered = 0 "unregistered" => [Registering, Terminated];
    /// It asked to be registered.
    Registering {
        /// Since when it waits for that.
        started_at: Instant
    } = 1 "registering" => [Registered, Terminated];
    /// It is known, and does not take work yet.
    Registered {
        /// Under which id it is known.
        registry_id: Uuid
    } = 2 "registered" => [Active, Draining, Terminated];
    /// It takes work.
    Active {
        /// Since when.
        since: Instant,
        /// How many messages it has handled since then.
        message_count: u64
    } = 3 "active" => [Suspended, Draining, Terminated];
    /// It takes no work for a while; its messages wait.
    Suspended {
        /// Why.
        reason: String
    } = 4 "suspended" => [Active, Draining, Terminated];
    /// It finishes what it holds, and takes nothing new.
    Draining {
        /// Why.
        reason: String,
        /// When it is stopped, finished or not.
        deadline: Instant
    } = 5 "draining" => [Terminated];
    /// It ended. Nothing follows; a restart is a new incarnation.
    Terminated {
        /// Why.
        reason: String
    } = 6 "terminated" => [];
}

impl AgentState {
    /// Whether `to` may follow this state.
    #[must_use]
    pub fn can_transition(&self, to: &Self) -> bool {
        self.name().may_become(to.name())
    }

    /// Returns `to`, if it may follow this state.
    ///
    /// ```
    /// use steadfast::lifecycle::AgentState;
    ///
    /// let ended = AgentState::Unregistered.transition(AgentState::Terminated { reason: "not needed".into() })?;
    /// let error = ended.transition(AgentState::Unregistered).unwrap_err();
    /// assert_eq!(error.to_string(), "an agent that is terminated may not become unregistered; nothing may follow");
    /// # Ok::<(), steadfast::lifecycle::IllegalTransition>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when it may not.
    pub fn transition(&self, to: Self) -> Result<Self, IllegalTransition> {
        let (from, next) = (self.name(), to.name());
        if from.may_become(next) { Ok(to) } else { Err(IllegalTransition { from, to: next }) }
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspended { reason } | Self::Draining { reason, .. } | Self::Terminated { reason } => {
                write!(f, "{}: {reason}", self.name())
            }
            _ => self.name().fmt(f),
        }
    }
}

impl StateName {
    /// Whether `next` may follow this state.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        self.next().contains(&next)
    }

    /// What becomes of work in this state.
    ///
    /// ```
    /// use steadfast::StateName;
    /// use steadfast::lifecycle::Work;
    ///
    /// assert_eq!(StateName::Suspended.work(), Work::Waits);
    /// assert_eq!(StateName::Draining.work(), Work::Finishes);
    /// ```
    #[must_use]
    pub const fn work(self) -> Work {
        match self {
            Self::Unregistered | Self::Registering | Self::Registered | Self::Suspended => Work::Waits,
            Self::Active => Work::Begins,
            Self::Draining => Work::Finishes,
            Self::Terminated => Work::Over,
        }
    }

    /// Its number, to be kept in an atomic.
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of the messages of an agent, by the state of its incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// New messages are taken into the mailbox and wait there, in order. None is handled.
    Waits,
    /// New messages are taken, and handled in their turn. In no other state does the handling of one begin.
    Begins,
    /// No new message is taken. What is being handled may finish, until the deadline; what waits is handed over.
    Finishes,
    /// This incarnation has nothing to do with messages any more. What waits is for the next, if one is coming.
    Over,
}

/// A change of state that the lifecycle does not allow. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an agent that is {from} may not become {to}; {}", may_follow(*.from))]
pub struct IllegalTransition {
    /// The state it is in.
    pub from: StateName,
    /// The state it was to be in.
    pub to: StateName,
}

fn may_follow(from: StateName) -> String {
    let words: Vec<&str> = from.next().iter().map(|next| next.as_str()).collect();
    if words.is_empty() { "nothing may follow".to_owned() } else { format!("{} may follow", words.join(", ")) }
}

/// Keeps the set of states closed: a name that other crates cannot reach.
trait Sealed {}

/// One of the types of [`state`].
#[expect(private_bounds, reason = "the set of states is closed")]
pub trait State: Into<AgentState> + Clone + Sealed {
    /// The name of the state.
    const NAME: StateName;
}

/// `Next` may follow this state. Implemented for exactly the transitions of the table.
#[diagnostic::on_unimplemented(
    message = "an agent that is `{Self}` may not become `{Next}`",
    note = "the table of transitions is in the documentation of `steadfast::lifecycle`"
)]
pub trait MayBecome<Next: State>: State {}

/// The lifecycle of one incarnation, in the hands of its owner.
///
/// ```
/// use std::time::Duration;
/// use steadfast::lifecycle::{AgentState, Life, state};
/// use uuid::Uuid;
///
/// # let now = steadfast_now();
/// let life = Life::new().enter(state::Registering { started_at: now });
/// let life = life.enter(state::Registered { registry_id: Uuid::nil() });
/// let life = life.enter(state::Active { since: now, message_count: 0 });
/// let life = life.enter(state::Draining { reason: "rollout".into(), deadline: now + Duration::from_secs(5) });
/// let end = life.enter(state::Terminated { reason: "drained".into() });
/// assert_eq!(AgentState::from(end).to_string(), "terminated: drained");
/// # fn steadfast_now() -> std::time::Instant { std::time::Instant::now() }
/// ```
///
/// What the table does not allow does not compile:
///
/// ```compile_fail,E0277
/// use steadfast::lifecycle::{Life, state};
///
/// // Nobody takes work before it is registered.
/// let life = Life::new().enter(state::Suspended { reason: "too early".into() });
/// ```
///
/// A state that was left cannot be used again:
///
/// ```compile_fail,E0382
/// use steadfast::lifecycle::{Life, state};
///
/// let life = Life::new();
/// let ended = life.enter(state::Terminated { reason: "done".into() });
/// let again = life.enter(state::Terminated { reason: "done again".into() });
/// ```
#[derive(Debug)]
#[must_use]
pub struct Life<S: State>(S);

impl Life<state::Unregistered> {
    /// The life of a new incarnation.
    pub const fn new() -> Self {
        Self(state::Unregistered)
    }
}

impl Default for Life<state::Unregistered> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: State> Life<S> {
    /// Leaves this state for the next.
    pub fn enter<Next: State>(self, next: Next) -> Life<Next>
    where
        S: MayBecome<Next>,
    {
        Life(next)
    }

    /// What is known in this state.
    #[must_use]
    pub const fn state(&self) -> &S {
        &self.0
    }

    /// What is known in this state, to be changed within it.
    pub const fn state_mut(&mut self) -> &mut S {
        &mut self.0
    }

    /// What everyone else may see of it.
    #[must_use]
    pub fn snapshot(&self) -> AgentState {
        self.0.clone().into()
    }
}

impl<S: State> From<Life<S>> for AgentState {
    fn from(life: Life<S>) -> Self {
        life.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "the lifecycle reads no clock, and an `Instant` comes only from one")]
    fn some_state(name: StateName) -> AgentState {
        let now = Instant::now();
        let reason = "because".to_owned();
        match name {
            StateName::Unregistered => AgentState::Unregistered,
            StateName::Registering => AgentState::Registering { started_at: now },
            StateName::Registered => AgentState::Registered { registry_id: Uuid::nil() },
            StateName::Active => AgentState::Active { since: now, message_count: 0 },
            StateName::Suspended => AgentState::Suspended { reason },
            StateName::Draining => AgentState::Draining { reason, deadline: now },
            StateName::Terminated => AgentState::Terminated { reason },
        }
    }

    #[test]
    fn every_state_answers_every_other_as_the_table_says() {
        let row = |from: StateName| -> String {
            let legal = |to: &StateName| some_state(from).transition(some_state(*to)).is_ok();
            StateName::ALL.iter().map(|to| if legal(to) { 'x' } else { '.' }).collect()
        };
        let table = StateName::ALL.map(row);
        // To:  unregistered, registering, registered, active, suspended, draining, terminated.
        assert_eq!(
            table,
            [
                ".x....x", // unregistered
                "..x...x", // registering
                "...x.xx", // registered
                "....xxx", // active
                "...x.xx", // suspended
                "......x", // draining
                ".......", // terminated
            ]
        );
    }

    #[test]
    fn asking_and_trying_agree_and_a_refusal_names_both_states() {
        for from in StateName::ALL {
            for to in StateName::ALL {
                let (state, next) = (some_state(from), some_state(to));
                let can = state.can_transition(&next);
                match state.transition(next) {
                    Ok(state) => assert!(can && state.name() == to),
                    Err(error) => assert!(!can && error == IllegalTransition { from, to }),
                }
            }
        }
    }

    #[test]
    fn a_refusal_says_what_may_follow() {
        let error = IllegalTransition { from: StateName::Registering, to: StateName::Active };
        assert_eq!(
            error.to_string(),
            "an agent that is registering may not become active; registered, terminated may follow"
        );
    }

    #[test]
    fn work_begins_in_the_active_state_alone_and_no_new_work_is_taken_on_the_way_out() {
        use Work::{Begins, Finishes, Over, Waits};
        let work = StateName::ALL.map(StateName::work);
        assert_eq!(work, [Waits, Waits, Waits, Begins, Waits, Finishes, Over]);
    }

    #[test]
    fn a_state_survives_its_number() {
        for name in StateName::ALL {
            assert_eq!(StateName::from_u8(name.as_u8()), Some(name));
        }
        assert_eq!(StateName::from_u8(7), None);
    }

    #[test]
    fn the_types_and_the_names_are_the_same_states() {
        let life = Life::new();
        assert_eq!(life.snapshot().name(), state::Unregistered::NAME);
        let ended = life.enter(state::Terminated { reason: "done".to_owned() });
        assert_eq!(AgentState::from(ended), AgentState::Terminated { reason: "done".to_owned() });
    }
}
