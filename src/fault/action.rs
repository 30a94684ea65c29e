//! What goes wrong.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::{Time, Words};
use super::{Fault, MessageFault, NodePattern, PathPattern, PlanError};

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// The code of the agent panics.
    Panic,
    /// It fails with an error.
    Error,
    /// It never goes on; in the stop hook, it ignores that it is asked to end.
    Hang,
    /// It goes on so much later.
    Slow(Duration),
    /// Its thread is blocked for so long, `None` for ever: it neither goes on nor hears a kill meanwhile.
    Block(Option<Duration>),
    /// The life at the point is killed.
    Kill,
    /// The agent or supervisor at this path is killed.
    KillOther(PathPattern),
    /// A node goes down, and comes back.
    Crash {
        /// Which. At a point, `*` is the node of whoever is there.
        node: NodePattern,
        /// What is lost with it.
        how: Crash,
        /// How long it stays down; `None` for ever.
        down: Option<Duration>,
    },
    /// The clock of a node is wrong from then on.
    Skew {
        /// Which. At a point, `*` is the node of whoever is there.
        node: NodePattern,
        /// By how much.
        by: Skew,
    },
    /// A message to another node never arrives.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the next one on its way.
    Reorder,
    /// It arrives so much later.
    Delay(Duration),
    /// For as long as this lasts, nothing arrives that goes this way.
    Partition,
}

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Crash {
    /// Its process ends: what it has written is still there.
    Process,
    /// Its power is cut: what its disk had not synced is gone.
    Power,
    /// Its power is cut in the middle of a write: the last record that was not synced is half there.
    Torn,
}

/// By how much a clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skew {
    /// It is fast.
    Ahead(Duration),
    /// It is slow.
    Behind(Duration),
}

/// Whom an action needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// A life that has come to a point.
    ALife,
    /// A message on its way to another node.
    AMessage,
    /// Nobody: it names whom it is about.
    Nobody,
}

const BEGINS: &str = "it begins with panic, error, hang, slow, block, kill, crash, power-cut, tear, skew, drop, \
                      duplicate, reorder, delay, or partition";

impl Action {
    pub(super) fn needs(&self) -> Needs {
        match self {
            Self::Panic | Self::Error | Self::Hang | Self::Slow(_) | Self::Block(_) | Self::Kill => Needs::ALife,
            Self::KillOther(_) | Self::Crash { .. } | Self::Skew { .. } => Needs::Nobody,
            Self::Drop | Self::Duplicate | Self::Reorder | Self::Delay(_) | Self::Partition => Needs::AMessage,
        }
    }

    /// What happens to the life at a point; `None` where it is for somebody else.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        Some(match self {
            Self::Panic => Fault::Panic,
            Self::Error => Fault::Error,
            Self::Hang => Fault::Hang,
            Self::Slow(by) => Fault::Slow(*by),
            Self::Block(time) => Fault::Block(*time),
            Self::Kill => Fault::Kill,
            _ => return None,
        })
    }

    /// What happens to a message on its way to another node; `None` where it is not for one.
    #[must_use]
    pub fn message_fault(&self) -> Option<MessageFault> {
        Some(match self {
            Self::Drop | Self::Partition => MessageFault::Drop,
            Self::Duplicate => MessageFault::Duplicate,
            Self::Reorder => MessageFault::Reorder,
            Self::Delay(by) => MessageFault::Delay(*by),
            _ => return None,
        })
    }

    /// The node that it names.
    pub(super) fn node(&self) -> Option<&NodePattern> {
        match self {
            Self::Crash { node, .. } | Self::Skew { node, .. } => Some(node),
            _ => None,
        }
    }

    /// The same for this node.
    pub(super) fn on(self, name: &str) -> Self {
        let node = NodePattern::of(name);
        match self {
            Self::Crash { how, down, .. } => Self::Crash { node, how, down },
            Self::Skew { by, .. } => Self::Skew { node, by },
            other => other,
        }
    }

    /// At a point, `*` is the node of whoever is there.
    pub(super) fn seen_from(self, node: Option<&str>) -> Self {
        match node {
            Some(name) if self.node().is_some_and(NodePattern::is_any) => self.on(name),
            _ => self,
        }
    }

    /// Reads one, and leaves the words behind it.
    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, PlanError> {
        Ok(match words.next() {
            Some("panic") => Self::Panic,
            Some("error") => Self::Error,
            Some("hang") => Self::Hang,
            Some("slow") => Self::Slow(words.time()?),
            Some("block") if is_over(words) => Self::Block(None),
            Some("block") => Self::Block(Some(words.time()?)),
            Some("kill") if is_over(words) => Self::Kill,
            Some("kill") => Self::KillOther(words.expect("a path, or `at`")?.parse()?),
            Some("crash") => Self::read_crash(Crash::Process, words)?,
            Some("power-cut") => Self::read_crash(Crash::Power, words)?,
            Some("tear") => Self::read_crash(Crash::Torn, words)?,
            Some("skew") => Self::read_skew(words)?,
            Some("drop") => Self::Drop,
            Some("duplicate") => Self::Duplicate,
            Some("reorder") => Self::Reorder,
            Some("delay") => Self::Delay(words.time()?),
            Some("partition") => Self::Partition,
            _ => return Err(words.wrong(BEGINS)),
        })
    }

    fn read_crash(how: Crash, words: &mut Words<'_>) -> Result<Self, PlanError> {
        let node = words.expect("a node")?.parse()?;
        let down = if !words.takes("for") {
            Some(Duration::ZERO)
        } else if words.takes("ever") {
            None
        } else {
            Some(words.time()?)
        };
        Ok(Self::Crash { node, how, down })
    }

    fn read_skew(words: &mut Words<'_>) -> Result<Self, PlanError> {
        let node = words.expect("a node")?.parse()?;
        let by = words.time()?;
        let by = match words.next() {
            Some("ahead") => Skew::Ahead(by),
            Some("behind") => Skew::Behind(by),
            _ => return Err(words.wrong("`ahead` or `behind` is missing behind the time of a skew")),
        };
        Ok(Self::Skew { node, by })
    }
}

/// Whether the action ends here: `at` follows, or how likely it is.
fn is_over(words: &Words<'_>) -> bool {
    words.peek().is_none_or(|word| word == "at" || word.ends_with('%'))
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Error => f.write_str("error"),
            Self::Hang => f.write_str("hang"),
            Self::Slow(by) => write!(f, "slow {}", Time(*by)),
            Self::Block(None) => f.write_str("block"),
            Self::Block(Some(time)) => write!(f, "block {}", Time(*time)),
            Self::Kill => f.write_str("kill"),
            Self::KillOther(path) => write!(f, "kill {path}"),
            Self::Crash { node, how, down } => {
                write!(f, "{how} {node}")?;
                match down {
                    Some(Duration::ZERO) => Ok(()),
                    Some(down) => write!(f, " for {}", Time(*down)),
                    None => f.write_str(" for ever"),
                }
            }
            Self::Skew { node, by: Skew::Ahead(by) } => write!(f, "skew {node} {} ahead", Time(*by)),
            Self::Skew { node, by: Skew::Behind(by) } => write!(f, "skew {node} {} behind", Time(*by)),
            Self::Drop => f.write_str("drop"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Reorder => f.write_str("reorder"),
            Self::Delay(by) => write!(f, "delay {}", Time(*by)),
            Self::Partition => f.write_str("partition"),
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process => "crash",
            Self::Power => "power-cut",
            Self::Torn => "tear",
        })
    }
}
