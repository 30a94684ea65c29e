//! What came of a command.

/// What happens by a command, and what whoever gave it is told once that is kept.
///
/// All events of one decision are kept together or not at all.
///
/// ```
/// use steadfast::sourcing::Decision;
///
/// let moved = Decision::events(["left", "right"], "on the way");
/// assert_eq!(moved.parts(), (vec!["left", "right"], "on the way"));
/// let asked: Decision<&str, u8> = Decision::nothing(7);
/// assert_eq!(asked.parts(), (vec![], 7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision<E, R> {
    events: Vec<E>,
    reply: R,
}

impl<E, R> Decision<E, R> {
    /// Nothing happens: the command was a question, or there was nothing to do. Nothing is written for it.
    pub const fn nothing(reply: R) -> Self {
        Self { events: Vec::new(), reply }
    }

    /// This happens.
    pub fn event(event: E, reply: R) -> Self {
        Self { events: vec![event], reply }
    }

    /// These happen, one after the other.
    pub fn events(events: impl IntoIterator<Item = E>, reply: R) -> Self {
        Self { events: events.into_iter().collect(), reply }
    }

    /// The events and the reply.
    #[must_use]
    pub fn parts(self) -> (Vec<E>, R) {
        (self.events, self.reply)
    }
}
