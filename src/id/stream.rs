//! Names of the streams of a journal.

use std::str::FromStr;
use std::sync::Arc;

use super::place::{Place, Shown};
use super::{Path, RunId};
use crate::text::prints_its_text;

/// The longest name of a stream, in bytes.
const LONGEST: usize = 200;

/// The name of a stream of a [`Journal`](crate::seam::Journal): `run/0198c1f2-…`, `agent/root/cart`.
///
/// It has 1 to 200 bytes of ASCII letters, digits and `-_./#`. Names sort by their bytes, so those with one prefix stand
/// together. A clone copies nothing.
///
/// ```
/// use steadfast::{RunId, StreamId};
///
/// let cart: StreamId = "agent/root/cart".parse()?;
/// assert_eq!(cart.as_str(), "agent/root/cart");
/// assert!("a stream".parse::<StreamId>().is_err());
/// let run = RunId::new(uuid::Uuid::from_u128(1));
/// assert_eq!(StreamId::from(run).to_string(), "run/00000000-0000-0000-0000-000000000001");
/// # Ok::<(), steadfast::InvalidStreamId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// With what the names of all streams of runs begin.
    pub const RUNS: &'static str = "run/";

    /// With what the names of all streams of event-sourced agents begin.
    pub const AGENTS: &'static str = "agent/";

    /// The stream of the event-sourced agent at a path, where its spec names no other. A `:` in a path is a `#` here.
    ///
    /// # Errors
    ///
    /// [`InvalidStreamId`] where the path is too long for the name of a stream.
    pub fn of_agent(path: &Path) -> Result<Self, InvalidStreamId> {
        Self::of_path(Self::AGENTS, path)
    }

    /// The stream with the path of a child in its name. No two paths have the same: none holds a `#`.
    pub(crate) fn of_path(prefix: &str, path: &Path) -> Result<Self, InvalidStreamId> {
        format!("{prefix}{}", path.as_str().replace(':', "#")).parse()
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The run whose stream this is, or `None` where it is another kind of stream.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        self.0.strip_prefix(Self::RUNS)?.parse().ok().map(RunId::new)
    }
}

impl From<RunId> for StreamId {
    fn from(run: RunId) -> Self {
        Self(format!("{}{run}", Self::RUNS).into())
    }
}

prints_its_text!(StreamId);

/// A text that names no stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is no name of a stream, see {}; expected 1 to {LONGEST} bytes of letters, digits and `-_./#`",
    Shown(.text), Place(.text, *.at)
)]
pub struct InvalidStreamId {
    /// The refused text.
    pub text: String,
    /// The byte at which it stops being a name.
    pub at: usize,
}

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, InvalidStreamId> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./#".contains(&byte);
        let end = text.bytes().take(LONGEST).take_while(|byte| known(*byte)).count();
        if text.is_empty() || end < text.len() {
            return Err(InvalidStreamId { text: text.to_owned(), at: end });
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_strange_ones_are_refused_at_their_place() {
        for text in ["a", "run/x", "agent/root/a-1_2.3#4", &"x".repeat(LONGEST)] {
            let stream = text.parse::<StreamId>().expect("a name");
            assert_eq!((stream.to_string(), format!("{stream:?}")), (text.to_owned(), text.to_owned()));
            assert_eq!(format!("{stream:>201}"), format!("{text:>201}"), "in a column");
        }
        for (text, at) in [("", 0), ("a b", 1), ("run/ä", 4), ("a\n", 1), (&"x".repeat(LONGEST + 1), LONGEST)] {
            assert_eq!(text.parse::<StreamId>().expect_err("no name").at, at, "{text:?}");
        }
    }

    #[test]
    fn the_stream_of_a_run_names_its_run_and_no_other_stream_does() {
        let run = RunId::new(Uuid::from_u128(7));
        assert_eq!(StreamId::from(run).run(), Some(run));
        for text in ["run/x", "runs/00000000-0000-0000-0000-000000000001", "agent/a"] {
            assert_eq!(text.parse::<StreamId>().expect("a name").run(), None);
        }
    }
}
