//! How urgent a message is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How urgent a message is, from 1, which can wait, to 10.
///
/// The name of a level is a number like any other: a message between high and critical has 9.
///
/// ```
/// use steadfast::flow::Priority;
///
/// assert_eq!(Priority::default(), Priority::MEDIUM);
/// assert!(Priority::CRITICAL > Priority::HIGH);
/// assert_eq!(Priority::new(9).expect("from 1 to 10").to_string(), "9");
/// assert_eq!(Priority::HIGH.to_string(), "8 (high)");
/// assert_eq!(Priority::new(11).unwrap_err().to_string(), "11 is no priority; expected a number from 1 to 10");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

impl Priority {
    /// The lowest: 1.
    pub const LOWEST: Self = Self(1);
    /// 2.
    pub const LOW: Self = Self(2);
    /// 5, the default.
    pub const MEDIUM: Self = Self(5);
    /// 8.
    pub const HIGH: Self = Self(8);
    /// The highest: 10.
    pub const CRITICAL: Self = Self(10);

    /// The priority of a number from 1 to 10.
    ///
    /// # Errors
    ///
    /// [`InvalidPriority`] for any other number.
    pub const fn new(number: u8) -> Result<Self, InvalidPriority> {
        if 1 <= number && number <= 10 { Ok(Self(number)) } else { Err(InvalidPriority(number)) }
    }

    /// The number, from 1 to 10.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The place of its lane, from 0 on.
    pub(super) const fn lane(self) -> usize {
        self.0 as usize - 1
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::MEDIUM
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;

    fn try_from(number: u8) -> Result<Self, InvalidPriority> {
        Self::new(number)
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::LOW => "low",
            Self::MEDIUM => "medium",
            Self::HIGH => "high",
            Self::CRITICAL => "critical",
            Self(number) => return write!(f, "{number}"),
        };
        write!(f, "{} ({name})", self.0)
    }
}

/// A number is no priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no priority; expected a number from 1 to 10")]
pub struct InvalidPriority(pub u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_from_1_to_10_are_priorities_and_no_others() {
        let valid: Vec<u8> = (0..=u8::MAX).filter(|number| Priority::new(*number).is_ok()).collect();
        assert_eq!(valid, (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn a_priority_is_written_as_its_number_and_read_only_from_one() {
        assert_eq!(serde_json::to_string(&Priority::HIGH).expect("a number"), "8");
        assert_eq!(serde_json::from_str::<Priority>("10").expect("a priority"), Priority::CRITICAL);
        let error = serde_json::from_str::<Priority>("0").expect_err("no priority");
        assert_eq!(error.to_string(), "0 is no priority; expected a number from 1 to 10");
    }
}
