//! How far a plan has come.
//!
//! # Invariants
//!
//! * A fault that is for the n-th time comes at most once; of two that are for the same moment the first comes. What chaos
//!   draws for that moment comes where the plan has nothing, and else not at all.
//! * What a fault counts does not depend on what other faults there are: taking one out shifts no other.
//! * What came under chaos is told as faults that need none, and that come the same in the same run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::chaos::Draws;
use super::trigger::Coming;
use super::{Action, Chaos, FaultPoint, Hop, MessageFault, Place, Plan, Planned, Trigger, When};
use crate::id::{Incarnation, Path};

/// A plan that is being carried out. A function of what it is told: it has no clock, and does nothing itself.
#[derive(Clone, Debug)]
pub struct Progress {
    faults: Vec<Watched>,
    draws: Draws,
    came: Vec<Came>,
    /// How often who came to which place: what is told of a fault that never came, and how one of chaos is numbered.
    seen: BTreeMap<Place, u64>,
}

#[derive(Clone, Debug)]
struct Watched {
    fault: Planned,
    /// How often somebody came to its place.
    met: u64,
    fired: u64,
    /// How often it could not be carried out, and why not the last time.
    refused: (u64, String),
}

/// A fault that came, and which of the plan it is.
#[derive(Clone, Debug)]
struct Came {
    fired: Fired,
    of: Option<usize>,
    is_refused: bool,
}

/// What is to go wrong now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Due {
    /// Its number, for who cannot carry it out.
    pub number: usize,
    /// What goes wrong.
    pub action: Action,
}

/// A fault that came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fired {
    /// Which of the plan; of chaos, the one that does the same without it.
    pub fault: Planned,
    /// When, since the beginning.
    pub at: Duration,
    /// At whose life it came; `None` of one that came at a time, or to a message.
    pub who: Option<Who>,
    /// Which line of the chaos it is of, from 0 on; `None` where it is of the plan.
    pub line: Option<usize>,
}

/// A life, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who {
    /// Its node; `None` where nodes have no names.
    pub node: Option<String>,
    /// The agent.
    pub path: Path,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

/// A fault that never came, and what came nearest to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfired {
    /// Which of the plan.
    pub fault: Planned,
    /// What came nearest to it, or why it could not be carried out.
    pub nearest: String,
}

impl fmt::Display for Unfired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` never came: {}", self.fault, self.nearest)
    }
}

/// Who is there at a moment: among these chaos draws its victims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Present {
    /// The nodes that are up, in the order of their names; none where nodes have no names.
    pub nodes: Vec<String>,
    /// The agents and supervisors that live, with their nodes, in order.
    pub lives: Vec<(Option<String>, Path)>,
}

impl Present {
    /// These, in order.
    #[must_use]
    pub fn new(mut nodes: Vec<String>, mut lives: Vec<(Option<String>, Path)>) -> Self {
        nodes.sort_unstable();
        lives.sort_unstable();
        Self { nodes, lives }
    }
}

impl Progress {
    /// At the beginning of a plan.
    #[must_use]
    pub fn of(plan: Plan) -> Self {
        let watched = |fault| Watched { fault, met: 0, fired: 0, refused: (0, String::new()) };
        let faults = plan.faults.into_iter().map(watched).collect();
        Self { faults, draws: Draws::default(), came: Vec::new(), seen: BTreeMap::new() }
    }

    /// The same, and this chaos beside it, drawn from this seed.
    #[must_use]
    pub fn with_chaos(mut self, chaos: &Chaos, seed: u64) -> Self {
        self.draws = Draws::of(chaos, seed);
        self
    }

    /// Somebody comes to a point, so long after the beginning. Returns what is to go wrong.
    pub fn at(&mut self, point: &FaultPoint<'_>, now: Duration) -> Option<Due> {
        let who = Who { node: point.node.map(str::to_owned), path: point.path.clone(), incarnation: point.incarnation };
        self.come(Coming::Life(point), Some(who), now)
    }

    /// A message is on its way to another node. Returns what is to go wrong with it.
    pub fn on_hop(&mut self, hop: &Hop<'_>, now: Duration) -> Option<MessageFault> {
        self.come(Coming::Message(hop), None, now)?.action.message_fault()
    }

    fn come(&mut self, coming: Coming<'_>, who: Option<Who>, now: Duration) -> Option<Due> {
        let place = coming.place();
        // Drawn also where a fault of the plan comes in its place: what is drawn later does not depend on that.
        let drawn = self.draws.draw(&place, coming, now);
        let times = self.seen.entry(place.clone()).or_default();
        *times += 1;
        let times = *times;
        let mut chosen = None;
        for (number, watched) in self.faults.iter_mut().enumerate() {
            if !watched.meets(coming) {
                continue;
            }
            watched.met += 1;
            if chosen.is_none() && watched.is_due(now) {
                watched.fired += 1;
                chosen = Some((Some(number), None, watched.fault.clone()));
            }
        }
        let concrete = |(line, action): (usize, Action)| {
            let action = action.seen_from(coming.node());
            (None, Some(line), Planned { action, trigger: Trigger::At { place, when: When::Nth(times) } })
        };
        let (of, line, fault) = chosen.or_else(|| drawn.map(concrete))?;
        let action = fault.action.clone().seen_from(coming.node());
        Some(self.note(of, Fired { fault, at: now, who, line }, action))
    }

    fn note(&mut self, of: Option<usize>, fired: Fired, action: Action) -> Due {
        self.came.push(Came { fired, of, is_refused: false });
        Due { number: self.came.len() - 1, action }
    }

    /// The earliest moment that a fault waits for.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let planned = self.faults.iter().filter(|watched| watched.fired == 0).filter_map(Watched::time);
        planned.chain(self.draws.next()).min()
    }

    /// What is to go wrong by this moment, the earliest first. `present` are those among whom chaos draws its victims.
    pub fn by(&mut self, now: Duration, present: &Present) -> Vec<Due> {
        let mut due = Vec::new();
        for (number, watched) in self.faults.iter_mut().enumerate() {
            let time = watched.time().filter(|at| watched.fired == 0 && *at <= now);
            if let Some(at) = time {
                watched.fired += 1;
                due.push((at, Some(number), None, watched.fault.clone()));
            }
        }
        let drawn = self.draws.by(now, present).into_iter();
        due.extend(
            drawn.map(|(at, line, action)| (at, None, Some(line), Planned { action, trigger: Trigger::Time(at) })),
        );
        due.sort_by_key(|(at, ..)| *at);
        let mut dues = Vec::new();
        for (_, of, line, fault) in due {
            let action = fault.action.clone();
            dues.push(self.note(of, Fired { fault, at: now, who: None, line }, action));
        }
        dues
    }

    /// What was due could not be carried out, and why: it has not come.
    pub fn refused(&mut self, number: usize, why: impl Into<String>) {
        let Some(came) = self.came.get_mut(number).filter(|came| !came.is_refused) else { return };
        came.is_refused = true;
        if let Some(watched) = came.of.and_then(|of| self.faults.get_mut(of)) {
            watched.refused = (watched.refused.0 + 1, why.into());
        }
    }

    /// The faults that came, in order.
    pub fn fired(&self) -> impl Iterator<Item = &Fired> {
        self.came.iter().filter(|came| !came.is_refused).map(|came| &came.fired)
    }

    /// Those that came after so many had come; also what could not be carried out in the end.
    pub fn came_after(&self, number: usize) -> impl Iterator<Item = &Fired> {
        self.came.iter().skip(number).map(|came| &came.fired)
    }

    /// The plan that does the same again without chaos: the faults of the plan that came, and after them what chaos did.
    #[must_use]
    pub fn fired_plan(&self) -> Plan {
        let planned = self.faults.iter().filter(|watched| watched.has_come()).map(|watched| &watched.fault);
        let drawn = self.fired().filter(|fired| fired.line.is_some()).map(|fired| &fired.fault);
        Plan { faults: planned.chain(drawn).cloned().collect() }
    }

    /// The faults of the plan that did not come, with what came nearest to them. What chaos may do and did not is none.
    #[must_use]
    pub fn unfired(&self) -> Vec<Unfired> {
        let unfired = self.faults.iter().filter(|watched| !watched.has_come());
        unfired.map(|watched| Unfired { fault: watched.fault.clone(), nearest: self.nearest(watched) }).collect()
    }

    fn nearest(&self, watched: &Watched) -> String {
        if watched.refused.0 > 0 {
            return watched.refused.1.clone();
        }
        let Trigger::At { place, when } = &watched.fault.trigger else {
            return "it ended before that".to_owned();
        };
        if watched.met > 0 {
            return match when {
                When::Between(..) => format!("that happened {} times, at other moments", watched.met),
                _ => format!("that happened {} times", watched.met),
            };
        }
        match place {
            Place::Point { .. } => self.nearest_point(place),
            Place::Link { .. } => self.nearest_link(place),
        }
    }

    /// Up to five of the places that were seen, with how often.
    fn near(&self, is_near: impl Fn(&Place) -> bool) -> Option<String> {
        let near = self.seen.iter().filter(|(place, _)| is_near(place));
        let near: Vec<_> = near.map(|(place, times)| format!("`{place}` ({times} times)")).take(5).collect();
        (!near.is_empty()).then(|| near.join(", "))
    }

    fn nearest_point(&self, wanted: &Place) -> String {
        let Place::Point { point, path, about } = wanted else { return String::new() };
        let is_of = |place: &Place| matches!(place, Place::Point { path: who, .. } if path.covers(who));
        let is_at = |place: &Place| matches!(place, Place::Point { point: what, .. } if what == point);
        if let (Some(about), Some(near)) = (about, self.near(|place| is_of(place) && is_at(place))) {
            return format!("nothing of {near} was about `{about}`");
        }
        if let Some(near) = self.near(is_of) {
            return format!("of `{path}` there was {near}");
        }
        match self.near(is_at) {
            Some(near) => format!("nobody at `{path}` came to any point; others did: {near}"),
            None => format!("nobody came to `{point}`, and nobody at `{path}` to any point"),
        }
    }

    fn nearest_link(&self, wanted: &Place) -> String {
        let Place::Link { link, about } = wanted else { return String::new() };
        let is_on = |place: &Place| matches!(place, Place::Link { link: way, .. } if link.has(way.from.as_str(), way.to.as_str()));
        if let (Some(about), Some(near)) = (about, self.near(is_on)) {
            return format!("nothing of {near} was about `{about}`");
        }
        match self.near(|place| matches!(place, Place::Link { .. })) {
            Some(near) => format!("nothing went over `{link}`; elsewhere there was {near}"),
            None => "no message went from one node to another".to_owned(),
        }
    }
}

impl Watched {
    fn time(&self) -> Option<Duration> {
        match self.fault.trigger {
            Trigger::Time(at) => Some(at),
            Trigger::At { .. } => None,
        }
    }

    /// Whether somebody comes to its place.
    fn meets(&self, coming: Coming<'_>) -> bool {
        matches!(&self.fault.trigger, Trigger::At { place, .. } if place.is_of(coming) && place.is_about(coming))
    }

    fn is_due(&self, now: Duration) -> bool {
        let Trigger::At { when, .. } = &self.fault.trigger else { return false };
        match when {
            // Later than the n-th time, where another fault came in its place then.
            When::Nth(number) => self.fired == 0 && self.met >= *number,
            When::Between(from, to) => (*from..*to).contains(&now),
            When::Always => true,
        }
    }

    /// Whether it came, and could be carried out.
    fn has_come(&self) -> bool {
        self.fired > self.refused.0
    }
}

#[cfg(test)]
mod tests;
