//! A network between the nodes of a simulation: seeded latencies, and faults on purpose.

mod links;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use self::links::Links;
use crate::fault::FaultPlan;
use crate::message::Subject;
use crate::runtime::transport::{At, Open};
use crate::seam::Transport;

/// How long a message is on its way when nothing else was said.
pub const DEFAULT_LATENCY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(5);

/// A simulated network. Each node has its own view of it, a [`Transport`] at most once.
///
/// | | |
/// |---|---|
/// | between two nodes | a message takes a time drawn from the seed, for each way and direction by itself; none overtakes another |
/// | within a node | it is there at once, and no fault hits it |
/// | faults | the plan is asked at each hop; what it does to one message changes the times of no other, but for what waits for it |
/// | a message for several of one node | crosses once |
/// | acknowledged, given back | is known at once, everywhere: that takes no way |
/// | to another member of a group | it goes from where it was published, as a message of its own |
///
/// Time is tokio's. Its task ends when the network is dropped: then all inboxes end, and nothing can be published.
///
/// ```
/// use steadfast::seam::{Interest, Message};
/// use steadfast::testing::Network;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let network = Network::new(7, None);
/// let (a, b) = (network.node("a"), network.node("b"));
/// let mut inbox = b.subscribe(Interest::new("jobs.>".parse()?)).await?;
///
/// a.publish(Message::new("jobs.build".parse()?, *b"steadfast")).await?;
/// inbox.next().await.expect("it is on its way").ack().await?;
///
/// network.disconnect("a");
/// assert!(a.publish(Message::new("jobs.build".parse()?, *b"again")).await.is_err());
/// # Ok(())
/// # }
/// ```
pub struct Network {
    links: Arc<Links>,
    open: Open,
}

impl Network {
    /// A network whose latencies follow from the seed, on which this plan says what goes wrong.
    #[must_use]
    pub fn new(seed: u64, faults: Option<Arc<dyn FaultPlan>>) -> Self {
        let links = Arc::new(Links::new(seed, faults));
        let open = Open::new(Box::new(Arc::clone(&links)));
        open.hub().run();
        Self { links, open }
    }

    /// Sets how long a message that is sent from now on is on its way; [`DEFAULT_LATENCY`] when not set. Where the end is
    /// before the beginning, the beginning counts.
    #[must_use]
    pub fn latency(self, range: RangeInclusive<Duration>) -> Self {
        self.links.set_latency(range);
        self
    }

    /// Returns the transport as this node sees it, from now until the node is [disconnected](Self::disconnect). A node
    /// needs no other introduction.
    #[must_use]
    pub fn node(&self, name: &str) -> Arc<dyn Transport> {
        Arc::new(At::new(self.open.hub(), name))
    }

    /// Cuts a node off, as a crash of its machine does.
    ///
    /// Its inboxes end, and what is on its way to it is lost; but what was published for a group, and not acknowledged by
    /// a member that was there, goes to another member. The transports that it had refuse everything; what it had sent
    /// still arrives. [`node`](Self::node) gives it a new beginning.
    pub fn disconnect(&self, name: &str) {
        self.open.hub().disconnect(name);
    }

    /// Calls this for everything that happens to a message between two nodes, from now on. Must not block.
    pub fn on_message(&self, observer: impl Fn(&Passed) + Send + Sync + 'static) {
        self.links.observe(Arc::new(observer));
    }

    /// Returns how many messages are on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.links.in_flight()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// What happened to a message between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// The number of the message, in the order in which all were published, from 0 on.
    pub number: u64,
    /// The node that published it.
    pub from: Arc<str>,
    /// The node that is to have it.
    pub to: Arc<str>,
    /// What it is about.
    pub subject: Subject,
    /// What happened.
    pub what: Passage,
}

/// One thing that happens to a message on its way. It begins with `Sent`, and what a fault did follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passage {
    /// It left its node.
    Sent,
    /// A fault: it will not arrive.
    Dropped,
    /// A fault: it will arrive twice.
    Duplicated,
    /// A fault: it will arrive so much later.
    Delayed(Duration),
    /// A fault: it waits for the next one to overtake it.
    Reordered,
    /// It is in an inbox; told for each inbox of the node that it is for.
    Arrived,
    /// The inbox is full, and missed it. Where that was a member of a group in which another has room, it is sent again.
    Missed,
    /// Whom it was for is not there any more. Where that was a member of a group that has others, it is sent again.
    Lost,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, from, to, subject, what } = self;
        write!(f, "{what} {from} -> {to} {subject} #{number}")
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent => f.write_str("sent"),
            Self::Dropped => f.write_str("dropped"),
            Self::Duplicated => f.write_str("duplicated"),
            Self::Delayed(time) => write!(f, "delayed {}us", time.as_micros()),
            Self::Reordered => f.write_str("reordered"),
            Self::Arrived => f.write_str("arrived"),
            Self::Missed => f.write_str("missed"),
            Self::Lost => f.write_str("lost"),
        }
    }
}
