//! A time of day that stands still when tokio's clock does.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::runtime::world::TokioClock;
use crate::seam::Clock;

/// A clock whose time of day follows tokio's clock, so that both stand still and jump together when a test pauses it.
#[derive(Clone, Copy, Debug)]
pub struct VirtualClock {
    began: Instant,
    wall: SystemTime,
}

impl VirtualClock {
    /// A clock at 2026-01-01 00:00 UTC.
    #[must_use]
    pub fn new() -> Self {
        Self { began: TokioClock.now(), wall: UNIX_EPOCH + Duration::from_hours(490_896) }
    }

    /// How long ago this clock was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().saturating_duration_since(self.began)
    }

    /// How long after this clock was made a moment is.
    pub(in crate::testing) fn until(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.began)
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Instant {
        TokioClock.now()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.elapsed()
    }
}
