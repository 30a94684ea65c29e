//! How much survives.

use std::fmt;
use std::str::FromStr;

use crate::id::place::Shown;

/// What outlives what, once a journal has said `Ok`.
///
/// ```
/// use steadfast::seam::Level;
///
/// assert_eq!(Level::default(), Level::Durable);
/// assert_eq!("process-crash-safe".parse(), Ok(Level::ProcessCrashSafe));
/// assert!(Level::Volatile < Level::Durable);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Nothing: it is kept for as long as the process lives.
    Volatile,
    /// It outlives a crash of the process, `kill -9` included, and not one of the machine.
    ProcessCrashSafe,
    /// It outlives a crash of the machine and the loss of its power.
    #[default]
    Durable,
}

impl Level {
    /// All levels, from the weakest to the strongest.
    pub const ALL: [Self; 3] = [Self::Volatile, Self::ProcessCrashSafe, Self::Durable];

    /// The word for people and settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Volatile => "volatile",
            Self::ProcessCrashSafe => "process-crash-safe",
            Self::Durable => "durable",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is no level of durability; expected `volatile`, `process-crash-safe` or `durable`", Shown(.text))]
pub struct InvalidLevel {
    /// The refused text.
    pub text: String,
}

impl FromStr for Level {
    type Err = InvalidLevel;

    fn from_str(text: &str) -> Result<Self, InvalidLevel> {
        let named = Self::ALL.into_iter().find(|level| level.as_str() == text);
        named.ok_or_else(|| InvalidLevel { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_read_as_it_is_written_and_nothing_else_is_one() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        for text in ["", "Durable", "durable ", "safe"] {
            assert!(text.parse::<Level>().is_err(), "{text:?}");
        }
    }
}
