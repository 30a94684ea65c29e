//! Looking at the lives below a supervisor.

use steadfast::supervision::{ChildState, Progress, Start};

use super::{ActorId, World};

impl World {
    /// A child that lives, and whether it is a supervisor.
    pub(super) fn life(&self, supervisor: ActorId, start: Start) -> Option<(ActorId, bool)> {
        let (child, _) = *self.actors.get(&supervisor)?.supervisor.as_ref()?.lives.get(&start)?;
        Some((child, self.actors.get(&child)?.supervisor.is_some()))
    }

    /// What a supervisor waits for, or one below it. Here all have one clock.
    pub(super) fn progress(&self, id: ActorId) -> Progress {
        let Some(supervisor) = self.actors.get(&id).and_then(|actor| actor.supervisor.as_ref()) else {
            return Progress::Unknown;
        };
        let leaving = supervisor.machine.children().filter(|(_, child)| child.state == ChildState::Stopping);
        let lives = leaving.filter_map(|(_, child)| supervisor.lives.get(&child.start?));
        let below = lives.map(|(child, _)| self.progress(*child));
        below.fold(supervisor.machine.progress(), Progress::max)
    }
}
