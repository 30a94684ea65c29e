//! How many restarts are too many.

use std::time::Duration;

/// The most restarts that a supervisor does within a sliding window (rules 21 to 23).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intensity {
    /// The most restarts.
    pub max: u32,
    /// The length of the window.
    pub period: Duration,
}
