//! The bounded queue of messages in front of an agent.
//!
//! It belongs to the agent's slot, not to one of its lives: what one life took and did not handle is given back, and
//! waits at the front for the next.
//!
//! # Invariants
//!
//! * Messages come out in the order in which they went in, also those that were given back.
//! * A push never makes it longer than its bound. Only what is given back can, and then there is no room until it has
//!   shrunk: a message that was accepted once is not refused later.
//! * Nothing is allocated before the first message.

use std::collections::VecDeque;
use std::fmt;
use std::mem;

/// How many messages wait in front of an agent unless told otherwise.
pub const DEFAULT_BOUND: usize = 10_000;

/// The bounded queue of messages in front of an agent.
///
/// ```
/// use std::collections::VecDeque;
/// use steadfast::flow::{Full, Mailbox};
///
/// let mut mailbox = Mailbox::new(2);
/// assert_eq!(mailbox.push("a"), Ok(()));
/// assert_eq!(mailbox.push("b"), Ok(()));
/// assert_eq!(mailbox.push("c"), Err(Full("c")));
///
/// let mut batch = VecDeque::new();
/// mailbox.take(64, &mut batch);
/// assert_eq!(batch, ["a", "b"]);
/// ```
#[derive(Debug)]
pub struct Mailbox<T> {
    messages: VecDeque<T>,
    bound: usize,
}

impl<T> Mailbox<T> {
    /// An empty mailbox that holds at most `bound` messages.
    #[must_use]
    pub const fn new(bound: usize) -> Self {
        Self { messages: VecDeque::new(), bound }
    }

    /// Adds a message at the end.
    ///
    /// # Errors
    ///
    /// [`Full`], with the message in it, when there is no room.
    pub fn push(&mut self, message: T) -> Result<(), Full<T>> {
        if self.room() == 0 {
            return Err(Full(message));
        }
        self.messages.push_back(message);
        Ok(())
    }

    /// Moves the first `most` messages to the end of `batch`.
    ///
    /// Into an empty batch a whole queue is moved at once, by exchange of the two buffers.
    pub fn take(&mut self, most: usize, batch: &mut VecDeque<T>) {
        if batch.is_empty() && self.messages.len() <= most {
            mem::swap(&mut self.messages, batch);
        } else {
            batch.extend(self.messages.drain(..most.min(self.messages.len())));
        }
    }

    /// Puts messages that were taken and not handled back at the front, in their order, also over the bound. Leaves
    /// `batch` empty.
    pub fn give_back(&mut self, batch: &mut VecDeque<T>) {
        if self.messages.is_empty() {
            mem::swap(&mut self.messages, batch);
            return;
        }
        self.messages.reserve(batch.len());
        while let Some(message) = batch.pop_back() {
            self.messages.push_front(message);
        }
    }

    /// Holds at most this many messages from now on. More that wait stay, and there is no room until they are fewer.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// Takes no message from now on, and returns those that waited.
    pub fn close(&mut self) -> VecDeque<T> {
        self.bound = 0;
        mem::take(&mut self.messages)
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages may be pushed before it is full. 0 when it is closed.
    #[must_use]
    pub fn room(&self) -> usize {
        self.bound.saturating_sub(self.messages.len())
    }

    /// The most messages that it holds. 0 when it is closed.
    #[must_use]
    pub fn bound(&self) -> usize {
        self.bound
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self::new(DEFAULT_BOUND)
    }
}

/// A mailbox had no room. Holds the message that was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mailbox is full; send again later, or wait for room")
    }
}

impl<T> std::error::Error for Full<T> {}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::*;

    fn filled(bound: usize, messages: impl IntoIterator<Item = u32>) -> Mailbox<u32> {
        let mut mailbox = Mailbox::new(bound);
        messages.into_iter().for_each(|message| mailbox.push(message).expect("there is room"));
        mailbox
    }

    fn batch_of(mailbox: &mut Mailbox<u32>, most: usize) -> VecDeque<u32> {
        let mut batch = VecDeque::new();
        mailbox.take(most, &mut batch);
        batch
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let mut mailbox = filled(2, [1, 2]);
        assert_eq!(mailbox.push(3), Err(Full(3)));
        assert_eq!((mailbox.len(), mailbox.room()), (2, 0));
    }

    #[test]
    fn a_batch_is_the_first_messages_in_order() {
        let mut mailbox = filled(9, 1..=5);
        assert_eq!(batch_of(&mut mailbox, 2), [1, 2]);
        assert_eq!(batch_of(&mut mailbox, 9), [3, 4, 5]);
        assert!(mailbox.is_empty());
    }

    #[test]
    fn a_batch_that_holds_messages_already_is_added_to() {
        let mut mailbox = filled(9, [1, 2]);
        let mut batch = VecDeque::from([0]);
        mailbox.take(9, &mut batch);
        assert_eq!(batch, [0, 1, 2]);
    }

    #[test]
    fn what_was_given_back_comes_first_in_its_order_and_may_exceed_the_bound() {
        let mut mailbox = filled(3, [1, 2, 3]);
        let mut batch = batch_of(&mut mailbox, 2);
        mailbox.push(4).and(mailbox.push(5)).expect("there is room");
        mailbox.give_back(&mut batch);
        assert_eq!((mailbox.len(), mailbox.room(), batch.len()), (5, 0, 0));
        assert_eq!(mailbox.push(6), Err(Full(6)));
        assert_eq!(batch_of(&mut mailbox, 9), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn closing_returns_what_waited_and_leaves_no_room() {
        let mut mailbox = filled(9, [1, 2]);
        assert_eq!(mailbox.close(), [1, 2]);
        assert_eq!((mailbox.len(), mailbox.push(3)), (0, Err(Full(3))));
    }

    #[test]
    fn nothing_is_allocated_before_the_first_message() {
        assert_eq!(Mailbox::<u32>::default().messages.capacity(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Take(usize),
        GiveBackAllBut(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let small = || any::<u8>().prop_map(|n| usize::from(n % 5));
        vec(
            prop_oneof![3 => Just(Step::Push), 1 => small().prop_map(Step::Take), 1 => small().prop_map(Step::GiveBackAllBut)],
            0..80,
        )
    }

    proptest! {
        #[test]
        fn accepted_messages_are_handled_once_and_in_order_over_any_number_of_lives(steps in steps()) {
            let mut mailbox = Mailbox::new(4);
            let (mut next, mut accepted, mut handled) = (0, Vec::new(), Vec::new());
            let mut batch = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push => {
                        if mailbox.push(next).is_ok() {
                            accepted.push(next);
                            assert!(mailbox.len() <= 4);
                        }
                        next += 1;
                    }
                    Step::Take(most) => mailbox.take(most, &mut batch),
                    // A life handles some of its batch, and ends.
                    Step::GiveBackAllBut(done) => {
                        handled.extend(batch.drain(..done.min(batch.len())));
                        mailbox.give_back(&mut batch);
                    }
                }
            }
            handled.extend(batch);
            handled.extend(mailbox.close());
            assert_eq!(handled, accepted);
        }
    }
}
