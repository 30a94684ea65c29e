//! Messages between those who share no mailbox: other systems, other processes, other machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::BoxFuture;
use crate::message::{Headers, Pattern, Subject};

/// How many messages an inbox holds when nothing else was said.
pub const DEFAULT_INBOX: usize = 256;
/// Within which time a delivery is to be acknowledged when nothing else was said.
pub const DEFAULT_ACK_WITHIN: Duration = Duration::from_secs(30);

/// Carries messages from whoever publishes to whoever subscribed.
///
/// | promise | |
/// |---|---|
/// | who gets a message | every subscriber without a group whose pattern matches, and of each group one |
/// | what arrives | is what was published: subject, headers and payload |
/// | order | what one publisher sent arrives in that order at each subscriber; what is delivered again, after what it overtook |
/// | acknowledged in time | is not delivered again |
/// | given back, dropped, or not acknowledged in time | is delivered again, of a group to any member, and [says so](Delivery::deliveries) |
/// | a member that is gone | what it did not acknowledge goes to another of its group |
/// | an inbox that is full | takes nothing more: [`Durability`] says what becomes of it |
/// | how often | at least once where it arrives at all: receivers must bear a message that comes twice |
///
/// How often it is delivered again has no limit: whoever fails at a message looks at [`Delivery::deliveries`], and
/// acknowledges it when it has tried enough.
///
/// `testing::conformance::transport` holds an implementation to it.
///
/// ```
/// use steadfast::seam::{Interest, Message, Transport};
/// use steadfast::LocalTransport;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let transport = LocalTransport::new();
/// let mut inbox = transport.subscribe(Interest::new("orders.>".parse()?).in_group("billing")).await?;
///
/// transport.publish(Message::new("orders.eu.placed".parse()?, *b"7 apples")).await?;
///
/// let delivery = inbox.next().await.expect("the transport is there");
/// assert_eq!((delivery.message().payload(), delivery.deliveries()), (&b"7 apples"[..], 1));
/// delivery.ack().await?;
/// # Ok(())
/// # }
/// ```
pub trait Transport: Send + Sync {
    /// Sends a message to all who subscribed until now. `Ok` means as much as [`durability`](Self::durability) says, also
    /// where nobody listens.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the message was sent or not.
    fn publish(&self, message: Message) -> BoxFuture<'_, Result<(), TransportError>>;

    /// Listens from when it returns until the inbox is dropped.
    fn subscribe(&self, interest: Interest) -> BoxFuture<'_, Result<Box<dyn Inbox>, TransportError>>;

    /// Returns what becomes of a message after `Ok`.
    fn durability(&self) -> Durability;
}

/// What a transport promises of a message that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// It may be lost on its way, and with whoever carries it. An inbox that is full misses it, and
    /// [counts](Inbox::missed) that; of a group, a member with room gets it where there is one.
    AtMostOnce,
    /// It is kept until each group that there was when it was sent has acknowledged it, also while a group has no member.
    /// What finds no room in an inbox waits until there is.
    AtLeastOnce,
}

/// Bytes on their way, with what they are about.
///
/// Of an [`Envelope`](crate::message::Envelope), the payload is the frame that
/// [`Boundary::write`](crate::message::Boundary::write) makes: its headers are in there. The headers here are for whoever
/// carries it and does not read the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    subject: Subject,
    headers: Headers,
    payload: Arc<[u8]>,
}

impl Message {
    /// A message without headers.
    #[must_use]
    pub fn new(subject: Subject, payload: impl Into<Arc<[u8]>>) -> Self {
        Self { subject, headers: Headers::new(), payload: payload.into() }
    }

    /// Gives it these headers, in place of all that it had.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Its headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// What it says.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

// The payload may be secret, and long.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, headers, payload } = self;
        f.debug_struct("Message")
            .field("subject", subject)
            .field("headers", headers)
            .field("bytes", &payload.len())
            .finish()
    }
}

/// What somebody wants to hear, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interest {
    /// Which subjects.
    pub pattern: Pattern,
    /// With whom the messages are shared; `None` to get each.
    pub group: Option<String>,
    /// How many messages wait or are unacknowledged at most. What is delivered again finds room above it.
    pub bound: usize,
    /// After which time a delivery that was neither acknowledged nor given back is delivered again.
    pub ack_within: Duration,
}

impl Interest {
    /// All messages of a pattern: [`DEFAULT_INBOX`] at once, each for [`DEFAULT_ACK_WITHIN`].
    #[must_use]
    pub const fn new(pattern: Pattern) -> Self {
        Self { pattern, group: None, bound: DEFAULT_INBOX, ack_within: DEFAULT_ACK_WITHIN }
    }

    /// Shares the messages with the other members of a group. Its name is one token of a subject.
    #[must_use]
    pub fn in_group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Sets how many messages wait or are unacknowledged at most; at least 1.
    #[must_use]
    pub const fn bound(mut self, messages: usize) -> Self {
        self.bound = messages;
        self
    }

    /// Sets after which time a delivery is delivered again; longer than nothing.
    #[must_use]
    pub const fn ack_within(mut self, time: Duration) -> Self {
        self.ack_within = time;
        self
    }

    /// Checks what a type cannot say. Every transport does so before it subscribes.
    ///
    /// # Errors
    ///
    /// [`TransportError::Interest`] with what was expected.
    pub fn check(&self) -> Result<(), TransportError> {
        let refused = |problem: String| Err(TransportError::Interest { problem });
        if let Some(group) = &self.group {
            // A name of one token travels in every protocol.
            match group.parse::<Subject>() {
                Ok(name) if name.tokens().count() == 1 => {}
                Ok(_) => return refused(format!("the group `{group}` has a dot in its name; a name is one token")),
                Err(error) => return refused(format!("a group is named by one token of a subject: {error}")),
            }
        }
        if self.bound == 0 {
            return refused("an inbox for 0 messages gets none; give it room for at least 1".to_owned());
        }
        if self.ack_within.is_zero() {
            return refused("the time to acknowledge is 0; give it as long as the work on a message takes".to_owned());
        }
        Ok(())
    }
}

/// Where the messages of one subscription arrive. Dropping it ends the subscription.
///
/// What was taken out of it can be acknowledged after that, within its time; what was not taken goes to the others of
/// its group.
pub trait Inbox: Send {
    /// Waits for the next delivery; `None` once the transport is closed or cut off, and nothing will come any more.
    ///
    /// # Cancel safety
    ///
    /// A message is taken only when the future is ready: nothing is lost by dropping it.
    fn next(&mut self) -> BoxFuture<'_, Option<Delivery>>;

    /// Returns how many messages found this inbox full and were not kept for it. Never goes back.
    fn missed(&self) -> u64;
}

/// A message that is to be acknowledged. Dropping it gives it back.
#[must_use = "a delivery that is dropped is delivered again"]
pub struct Delivery {
    message: Message,
    deliveries: u32,
    settle: Option<Box<dyn Settle>>,
}

/// How a transport hears what became of a delivery.
pub trait Settle: Send + Sync {
    /// It was handled.
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), TransportError>>;

    /// It was not, and is to be delivered again. This may get lost on its way: the time to acknowledge ends as well.
    fn nak(self: Box<Self>);
}

impl Delivery {
    /// A delivery, as implementations of [`Inbox`] make them: how often the message has been delivered, with this time.
    pub fn new(message: Message, deliveries: u32, settle: Box<dyn Settle>) -> Self {
        Self { message, deliveries, settle: Some(settle) }
    }

    /// What came.
    #[must_use]
    pub const fn message(&self) -> &Message {
        &self.message
    }

    /// How often it has been delivered, to whomever, with this time: 1 at first.
    #[must_use]
    pub const fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// Says that it was handled: it is not delivered again.
    ///
    /// # Errors
    ///
    /// [`TransportError::AckTooLate`] where it is known that it is delivered again all the same, and
    /// [`TransportError::Unavailable`] where the transport could not be told: then it will be.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, it was acknowledged or is delivered again.
    pub async fn ack(mut self) -> Result<(), TransportError> {
        match self.settle.take() {
            Some(settle) => settle.ack().await,
            None => Ok(()),
        }
    }

    /// Gives it back: it is delivered again, at once, to this subscription or another of its group.
    pub fn nak(self) {
        drop(self);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.nak();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, deliveries, .. } = self;
        f.debug_struct("Delivery").field("message", message).field("deliveries", deliveries).finish_non_exhaustive()
    }
}

/// A transport refused, or does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// What somebody wants to hear cannot be. Nobody subscribed.
    #[error("the subscription is refused: {problem}")]
    Interest {
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// The payload is longer than this transport carries. It was not sent.
    #[error("the payload has {length} bytes, and at most {limit} are carried; send a reference to it instead")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// There are as many subscriptions as there may be. Nobody subscribed.
    #[error(
        "there are {bound} subscriptions already, as many as there may be; end one, or subscribe with a wider pattern"
    )]
    Full {
        /// The most there may be.
        bound: usize,
    },
    /// The transport was closed, or this node was cut off from it. Nothing was sent.
    #[error("the transport is closed, or this node was cut off from it; get a new one")]
    Closed,
    /// The transport cannot be reached. Nothing was sent: try again.
    #[error("the transport is not available, nothing was sent: {0}")]
    Unavailable(String),
    /// Whether the message was taken is not known: send it again where its receivers know what they had already.
    #[error("it is not known whether the message was sent: {0}")]
    InDoubt(String),
    /// The time to acknowledge was over: the message has been, or will be, delivered again.
    #[error(
        "the time to acknowledge is over, and the message is delivered again; raise `ack_within`, or do less at once"
    )]
    AckTooLate,
}
