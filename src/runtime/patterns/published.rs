//! What became of something that was sent to several.

/// What became of a payload at one of those who were to get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is in the mailbox.
    Taken,
    /// The mailbox is full, the agent is gone, or the sender is fenced.
    Refused,
    /// It takes payloads of another type.
    Stranger,
    /// The payload's copy, or its conversion, panicked.
    Failed,
    /// Of a group, nobody took it.
    Untaken,
}

/// What became of something that was published, or told to a group. Every receiver is counted once; a queue group is one
/// receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// In whose mailbox it is.
    pub delivered: usize,
    /// Who refused it: a mailbox that is full, or an agent that is at rest or gone. Each is an event, and a dead letter.
    pub refused: usize,
    /// Who listens to the subject, but for payloads of another type.
    pub strangers: usize,
    /// For whom the copy of the payload, or its conversion to a message, panicked. The panic went no further; each is an
    /// event, and a dead letter.
    pub failed: usize,
    /// Queue groups of which no member took it: all are away, or full. Each is one dead letter.
    pub untaken: usize,
}

impl Published {
    /// Whether all who listen to the subject got it, and at least one does.
    ///
    /// ```
    /// use steadfast::Published;
    ///
    /// assert!(!Published::default().is_complete()); // Nobody listens.
    /// ```
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let Self { delivered, refused, strangers, failed, untaken } = *self;
        delivered > 0 && refused + strangers + failed + untaken == 0
    }

    /// Whether nobody was there to get it: nobody listens to the subject, or only for payloads of another type.
    #[must_use]
    pub fn had_no_receiver(&self) -> bool {
        self.delivered + self.refused + self.failed + self.untaken == 0
    }

    pub(crate) fn count(&mut self, delivery: Delivery) {
        let counter = match delivery {
            Delivery::Taken => &mut self.delivered,
            Delivery::Refused => &mut self.refused,
            Delivery::Stranger => &mut self.strangers,
            Delivery::Failed => &mut self.failed,
            Delivery::Untaken => &mut self.untaken,
        };
        *counter += 1;
    }
}
