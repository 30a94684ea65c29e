//! How agents are, found out without asking them.

use std::time::{Duration, Instant};

use super::Domain;
use crate::id::{Incarnation, Path};
use crate::lifecycle::{AgentState, StateName};
use crate::runtime::slot::{AnySlot, Presence};
use crate::runtime::system::System;

/// How an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It runs, and nothing waits for it.
    Idle,
    /// It is at work: its handler is within its deadline, or it got on while it was looked at.
    Busy {
        /// How many messages wait for it or are being handled.
        queued: usize,
    },
    /// It has something to do and did not get on: its handler is over its deadline, or, where it has none, nothing moved
    /// while it was looked at.
    Hung {
        /// How many messages wait for it or are being handled.
        queued: usize,
        /// For how long it has not got on, as far as is known.
        silent: Duration,
    },
    /// It was suspended: it handles nothing, and what comes waits.
    Suspended,
    /// It drains: it takes nothing new and will end, and what waits does so for its next life or for nobody.
    Draining,
    /// It is being started, or will be.
    Starting,
    /// It does not run and will not come back by itself.
    Down,
}

impl Health {
    /// Whether it runs and gets on.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self, Self::Idle | Self::Busy { .. })
    }
}

impl Domain {
    /// How all agents of the domain are; see [`System::health_check_all`].
    ///
    /// # Cancel safety
    ///
    /// It only looks; dropped before it returns, nothing has changed.
    pub async fn health_check_all(&self, limit: Duration) -> Vec<(Path, Health)> {
        check_all(&self.system, self.agents(), limit).await
    }
}

/// Looks at all agents, and once more at those that could be hung, after the limit.
///
/// No message is sent: it would wait behind honest work, and in a hung agent for ever. So one agent costs as little as
/// another, and all together take no longer than the limit.
pub(crate) async fn check_all(system: &System, paths: Vec<Path>, limit: Duration) -> Vec<(Path, Health)> {
    let now = system.clock().now();
    let looks: Vec<_> = paths.into_iter().map(|path| (Look::at(system, &path, now), path)).collect();
    let in_doubt = looks.iter().any(|(look, _)| look.verdict().is_none());
    if in_doubt {
        tokio::time::sleep(limit).await;
    }
    let judge = |(look, path): (Look, Path)| {
        let health = look.verdict().unwrap_or_else(|| look.compared(&Look::at(system, &path, now), limit));
        (path, health)
    };
    looks.into_iter().map(judge).collect()
}

/// What is seen of an agent at one moment.
struct Look {
    presence: Presence,
    state: StateName,
    incarnation: Option<Incarnation>,
    queued: usize,
    handled: u64,
    /// Since when its handler runs, or when it said that it is alive, where that is noted.
    since: Option<Instant>,
    /// How long it has been so, and how long it may.
    running: Option<(Duration, Duration)>,
}

impl Look {
    fn at(system: &System, path: &Path, now: Instant) -> Self {
        let Some(slot) = system.slot(path) else { return Self::nobody() };
        let core = slot.core();
        let state = core.state();
        let handled = match &state {
            AgentState::Active { message_count, .. } => *message_count,
            _ => 0,
        };
        let life = core.life();
        let since = life.as_ref().and_then(|life| life.handler_since());
        let limit = life.as_ref().and_then(|life| life.handler_limit());
        let running = since.zip(limit).map(|(since, limit)| (now.saturating_duration_since(since), limit));
        Self {
            presence: core.presence(),
            state: state.name(),
            incarnation: core.incarnation(),
            queued: AnySlot::queued(&*slot),
            handled,
            since,
            running,
        }
    }

    const fn nobody() -> Self {
        Self {
            presence: Presence::Closed,
            state: StateName::Unregistered,
            incarnation: None,
            queued: 0,
            handled: 0,
            since: None,
            running: None,
        }
    }

    /// What is clear at the first look.
    fn verdict(&self) -> Option<Health> {
        let queued = self.queued;
        match (self.presence, self.running) {
            (Presence::Resting | Presence::Closed, _) => Some(Health::Down),
            (Presence::Dozing, _) => Some(Health::Idle),
            (Presence::Awaited, _) => Some(Health::Starting),
            (Presence::Live, _) if self.state == StateName::Suspended => Some(Health::Suspended),
            (Presence::Live, _) if self.state == StateName::Draining => Some(Health::Draining),
            (Presence::Live, Some((silent, limit))) if silent > limit => Some(Health::Hung { queued, silent }),
            (Presence::Live, Some(_)) => Some(Health::Busy { queued }),
            (Presence::Live, None) if queued == 0 => Some(Health::Idle),
            (Presence::Live, None) => None,
        }
    }

    /// What is clear at the second.
    fn compared(&self, later: &Self, limit: Duration) -> Health {
        let got_on = later.incarnation != self.incarnation
            || later.handled != self.handled
            || later.since != self.since
            || later.queued < self.queued;
        let queued = later.queued;
        match later.verdict() {
            Some(health) => health,
            // In no time at all nobody gets on.
            None if got_on || limit.is_zero() => Health::Busy { queued },
            None => Health::Hung { queued, silent: limit },
        }
    }
}
