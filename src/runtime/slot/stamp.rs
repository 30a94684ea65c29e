//! What is said of most messages of which something is said: until when, of which kind, how urgent.
//!
//! A stamp travels beside the letter as far as the inbox. Lanes keep it there, in two words, as a mark; a plain queue,
//! which is there for messages of which nothing is said, keeps it on a ticket.

use std::time::Instant;

use crate::flow::{End, Moment};
use crate::message::{Envelope, Kind, Priority};

/// What is said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Until when its sender waits.
    pub(crate) deadline: Option<Instant>,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
}

/// A stamp as lanes have it.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(super) end: End,
    pub(super) kind: Kind,
    pub(super) priority: Priority,
}

impl Stamp {
    pub(crate) const BLANK: Self = Self { deadline: None, kind: Kind::Plain, priority: Priority::MEDIUM };

    #[inline]
    pub(crate) fn of<M>(envelope: &Envelope<M>) -> Self {
        Self { deadline: envelope.deadline(), kind: envelope.kind(), priority: envelope.priority() }
    }

    /// An envelope that says the same, around nothing.
    pub(crate) fn envelope(self) -> Envelope<()> {
        let envelope = Envelope::new(0, ()).with_kind(self.kind).with_priority(self.priority);
        self.deadline.into_iter().fold(envelope, Envelope::with_deadline)
    }
}

impl Mark {
    pub(super) const BLANK: Self = Self { end: End::NEVER, kind: Kind::Plain, priority: Priority::MEDIUM };

    /// A deadline from before the system began is over since then; one that is too far off for lanes to count is none.
    #[inline]
    pub(super) fn of(stamp: Stamp, epoch: Instant) -> Self {
        let end = stamp.deadline.map_or(End::NEVER, |deadline| End::deadline(moment(deadline, epoch)));
        Self { end, kind: stamp.kind, priority: stamp.priority }
    }

    pub(crate) fn stamp(self, epoch: Instant) -> Stamp {
        Stamp { deadline: self.end.at().map(|at| epoch + at), kind: self.kind, priority: self.priority }
    }
}

/// A time as the time of lanes.
#[inline]
pub(super) fn moment(at: Instant, epoch: Instant) -> Moment {
    at.saturating_duration_since(epoch)
}
