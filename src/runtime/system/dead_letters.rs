//! The messages that nobody handled.

use super::System;
use crate::message::{DeadLetter, DeadLetterCounts, Filter, LetterId};
use crate::runtime::current;
use crate::runtime::office::SendAgainError;

impl System {
    /// The dead letters that are meant, the oldest first: messages that were dropped without being handled. Of each message
    /// the name of its type is given.
    ///
    /// | a message is a dead letter when | reason |
    /// |---|---|
    /// | its deadline or time to live was over before its turn, or its asker gave up | expired |
    /// | an asker was refused, or what a route told, for a full or draining mailbox, or for the rate or the bulkhead of a domain | refused |
    /// | a receiver of what was published or broadcast refused it, or all of a queue group did | refused |
    /// | it waited, and its agent came to rest or was forgotten; or an asker was refused for that | gone |
    /// | it made room for another | shed |
    /// | nobody listens to its subject, or offers what it asks for | no receiver |
    /// | it was published or broadcast, and a receiver's conversion of it panicked | unconverted |
    /// | it is JSON that its receiver does not take | decode error |
    ///
    /// A message that is refused and given back, as by [`AgentRef::tell`](crate::AgentRef::tell), is its sender's; one
    /// whose handler ended midway has been handled in part. Neither is here.
    ///
    /// ```
    /// # use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    /// use std::time::Duration;
    /// use steadfast::message::{DeadReason, Filter};
    /// # const ECHO: Capability<u8, u8> = Capability::new("echo", "1.0.0");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let echo = ChildSpec::serve("echo", ECHO, |_, n| async move { Ok(n) });
    /// # let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(echo)).await?;
    /// system.suspend("root/echo").await?;
    /// system.ask_within(&ECHO, 1, Duration::from_millis(1)).await.unwrap_err(); // Its asker gives up,
    /// system.resume("root/echo").await?; // and so its turn comes too late.
    /// system.ask(&ECHO, 2).await?;
    ///
    /// let late = system.dead_letters(&Filter::all().because(DeadReason::Expired));
    /// assert_eq!((late.len(), late[0].message), (1, "u8"));
    /// system.send_again(late[0].id)?;
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn dead_letters(&self, filter: &Filter) -> Vec<DeadLetter<&'static str>> {
        self.office().query(filter)
    }

    /// How many dead letters there were, by reason, those that made room for newer ones included.
    #[must_use]
    pub fn dead_letter_counts(&self) -> DeadLetterCounts {
        self.office().counts()
    }

    /// How many replies came when nobody waited for them any more. They were dropped.
    #[must_use]
    pub fn late_replies(&self) -> u64 {
        self.office().late_replies()
    }

    /// Takes a dead letter out, where its message is of this type.
    #[must_use]
    pub fn take_dead_letter<M: Send + 'static>(&self, id: LetterId) -> Option<DeadLetter<M>> {
        // The code of a life that was given up takes nothing away.
        if current::fenced().is_some() {
            return None;
        }
        self.office().take(id)
    }

    /// Tells a dead letter's message to whom it was for, with what its envelope says but without its deadline and its time to
    /// live. Nobody waits for the answer. What a route could not send goes the route's way.
    ///
    /// # Errors
    ///
    /// [`SendAgainError`]. A message that is refused again is a dead letter again.
    pub fn send_again(&self, id: LetterId) -> Result<(), SendAgainError> {
        if let Some(by) = current::fenced() {
            return Err(SendAgainError::Fenced { id, by: by.path, incarnation: by.incarnation });
        }
        self.office().send_again(self, id)
    }
}
