//! When, and where, something goes wrong.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::words::{Quotable, Time, Words};
use super::{FaultPoint, Hop, Link, NodePattern, PathPattern, PlanError, Point, Way};
use crate::message::Pattern;

/// When a fault comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// So long after the beginning.
    Time(Duration),
    /// When somebody, or a message, comes to a place.
    At {
        /// Where.
        place: Place,
        /// Which of the times.
        #[serde(default)]
        when: When,
    },
}

/// Where a plan is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// Somebody comes to a point.
    Point {
        /// The point.
        point: Point,
        /// Who.
        path: PathPattern,
        /// What the message is about: `about`, or `about.attempt`. Anything where nothing is said.
        #[serde(default)]
        about: Option<String>,
    },
    /// A message is on its way from one node to another.
    Link {
        /// Which way.
        link: Link,
        /// What it was published under, or a pattern of that. Anything where nothing is said.
        #[serde(default)]
        about: Option<String>,
    },
}

/// Which of the times that somebody comes to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum When {
    /// The n-th of all times, from 1 on; of all that the pattern means together.
    Nth(u64),
    /// Each time between these two moments after the beginning, the first one included.
    Between(Duration, Duration),
    /// Each time.
    Always,
}

impl Default for When {
    fn default() -> Self {
        Self::Nth(1)
    }
}

/// Who has come to a place.
#[derive(Clone, Copy)]
pub(super) enum Coming<'a> {
    Life(&'a FaultPoint<'a>),
    Message(&'a Hop<'a>),
}

impl Coming<'_> {
    /// The place of exactly this one.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Life(at) => {
                Place::Point { point: at.point.clone(), path: PathPattern::at(at.node, at.path), about: None }
            }
            Self::Message(Hop { from, to, .. }) => {
                let link = Link { from: NodePattern::of(from), to: NodePattern::of(to), way: Way::To };
                Place::Link { link, about: None }
            }
        }
    }

    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Life(at) => at.node,
            Self::Message(_) => None,
        }
    }
}

impl Place {
    /// Whether somebody is there, whatever it is about.
    pub(super) fn is_of(&self, coming: Coming<'_>) -> bool {
        match (self, coming) {
            (Self::Point { point, path, .. }, Coming::Life(at)) => {
                point == at.point && path.matches_on(at.node, at.path)
            }
            (Self::Link { link, .. }, Coming::Message(hop)) => link.has(hop.from, hop.to),
            _ => false,
        }
    }

    /// Whether what brings it there is what this is about.
    pub(super) fn is_about(&self, coming: Coming<'_>) -> bool {
        let (Self::Point { about, .. } | Self::Link { about, .. }) = self;
        let Some(wanted) = about else { return true };
        match coming {
            Coming::Life(at) => {
                at.subject.is_some_and(|subject| subject.about == *wanted || subject.to_string() == *wanted)
            }
            Coming::Message(hop) if hop.subject == wanted => true,
            Coming::Message(hop) => match (wanted.parse::<Pattern>(), hop.subject.parse()) {
                (Ok(pattern), Ok(subject)) => pattern.matches(&subject),
                _ => false,
            },
        }
    }

    /// Reads what stands behind `at`, and leaves the words behind it.
    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, PlanError> {
        if words.takes("link") {
            let from = words.expect("a node")?.parse()?;
            let way = match words.next() {
                Some("to") => Way::To,
                Some("with") => Way::With,
                _ => return Err(words.wrong("`to` or `with` is missing between the nodes of a link")),
            };
            let link = Link { from, to: words.expect("a node")?.parse()?, way };
            return Ok(Self::Link { link, about: read_about(words)? });
        }
        let point = words.expect("a point or a time")?.parse()?;
        words.need("of", "`of` is missing behind the point, with a path")?;
        let path = words.expect("a path")?.parse()?;
        Ok(Self::Point { point, path, about: read_about(words)? })
    }
}

fn read_about(words: &mut Words<'_>) -> Result<Option<String>, PlanError> {
    if words.takes("about") { words.quotable().map(Some) } else { Ok(None) }
}

/// Reads `from TIME to TIME`, if that is what comes.
pub(super) fn read_window(words: &mut Words<'_>) -> Result<Option<(Duration, Duration)>, PlanError> {
    if !words.takes("from") {
        return Ok(None);
    }
    let from = words.time()?;
    words.need("to", "`to` is missing behind `from`")?;
    Ok(Some((from, words.time()?)))
}

impl When {
    fn read(words: &mut Words<'_>) -> Result<Self, PlanError> {
        if let Some((from, to)) = read_window(words)? {
            return Ok(Self::Between(from, to));
        }
        let Some(word) = words.peek() else { return Ok(Self::default()) };
        if words.takes("always") {
            return Ok(Self::Always);
        }
        let number = word.strip_prefix('#').and_then(|number| number.parse().ok()).filter(|number| *number > 0);
        let problem = "which of the times is `#2` (from 1 on), `from 1s to 2s`, or `always`";
        let number = number.ok_or_else(|| PlanError::new(word, problem))?;
        words.next();
        Ok(Self::Nth(number))
    }
}

impl Trigger {
    /// Reads what stands behind `at`, and leaves the words behind it.
    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, PlanError> {
        if words.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
            return Ok(Self::Time(words.time()?));
        }
        Ok(Self::At { place: Place::read(words)?, when: When::read(words)? })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => Time(*at).fmt(f),
            Self::At { place, when } => {
                place.fmt(f)?;
                match when {
                    When::Nth(1) => Ok(()),
                    When::Nth(number) => write!(f, " #{number}"),
                    When::Between(from, to) => write!(f, " from {} to {}", Time(*from), Time(*to)),
                    When::Always => f.write_str(" always"),
                }
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = match self {
            Self::Point { point, path, about } => {
                write!(f, "{point} of {path}")?;
                about
            }
            Self::Link { link, about } => {
                link.fmt(f)?;
                about
            }
        };
        about.as_ref().map_or(Ok(()), |about| write!(f, " about {}", Quotable(about)))
    }
}
