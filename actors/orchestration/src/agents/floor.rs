//! Who works for which run, and whose turn it is: so that many runs share the agents of one tree.
//!
//! # Invariants
//!
//! * An agent works for one run at a time: it is not given to another one while a lease of it is out. The run itself may
//!   have it again with the record that ends its lease, if it is its turn.
//! * Where several runs wait for somebody, whatever for, the one for which the fewest work is first; of equals the one that
//!   has waited longest. So a run with thousands of tasks that could begin does not keep the others waiting until it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use steadfast::{Path, RunId};
use tokio::sync::Notify;

/// For how long a run counts as waiting after it asked last; it asks again well before, for as long as it waits.
const WAITS: Duration = Duration::from_millis(200);

/// For how long an agent is kept for a run whose orchestrator has not said yet that it has the lease.
const CLAIM: Duration = Duration::from_secs(5);

/// Who works for which run. A clone is the same floor.
#[derive(Clone, Default)]
pub struct Floor(Arc<Mutex<Seats>>);

impl fmt::Debug for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Floor").field(&self.seats().runs.keys()).finish()
    }
}

impl Floor {
    /// Those who work, and cannot have another lease of this run now.
    #[must_use]
    pub fn taken(&self, run: RunId, now: Instant) -> BTreeSet<Path> {
        self.seats().taken(run, now)
    }

    /// What else than this runs wait for.
    pub(crate) fn waited_for(&self, capability: &str, now: Instant) -> BTreeSet<String> {
        let seats = self.seats();
        let waited = seats.runs.values().flat_map(|seat| seat.waited(now)).map(|(other, _)| other);
        waited.filter(|other| *other != capability).cloned().collect()
    }

    /// Has an agent work for a run, unless it works for another one or it is another run's turn, which may wait for
    /// something else that the agent can do as well; whoever is told so should wait for [`turn`](Self::turn).
    #[must_use]
    pub(crate) fn claim(&self, run: RunId, wanted: Wanted<'_>, now: Instant) -> bool {
        let (granted, first) = self.seats().claim(run, wanted, now);
        if let Some(first) = first {
            first.notify_one();
        }
        granted
    }

    /// Says who works for a run now. Where it has just asked for somebody, that one is still kept for it.
    pub(crate) fn hold(&self, run: RunId, agents: BTreeSet<Path>, asks: Asks, now: Instant) {
        for first in self.seats().hold(run, agents, asks, now) {
            first.notify_one();
        }
    }

    /// Says who goes on working for a run once what it is about to record is recorded. The others may have another lease of
    /// this run, and none of others yet.
    pub(crate) fn frees(&self, run: RunId, staying: &BTreeSet<Path>) {
        self.seats().frees(run, staying);
    }

    /// Waits until it may be this run's turn.
    pub(crate) fn turn(&self, run: RunId) -> impl Future<Output = ()> + Send + use<> {
        let turn = Arc::clone(&self.seats().runs.entry(run).or_default().turn);
        async move { turn.notified().await }
    }

    /// Nobody works for this run any more.
    pub(crate) fn leave(&self, run: RunId) {
        let mut seats = self.seats();
        seats.runs.remove(&run);
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        // Nothing that can panic happens under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a run has asked for somebody and has not heard yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// It has.
    Yes,
    /// It has not.
    No,
}

/// Whom a run wants.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'w> {
    /// For what.
    pub(crate) capability: &'w str,
    /// The one that was chosen; nobody where nobody is free.
    pub(crate) agent: Option<&'w Path>,
    /// What else that one can do, of what others wait for.
    pub(crate) also: &'w BTreeSet<String>,
}

#[derive(Default)]
struct Seats {
    runs: BTreeMap<RunId, Seat>,
    asked: u64,
}

/// One run on the floor.
#[derive(Default)]
struct Seat {
    held: BTreeSet<Path>,
    /// Those of them whose lease ends with what is recorded next.
    ending: BTreeSet<Path>,
    claimed: Option<(Path, Instant)>,
    /// Since when it waits for which capability, by number, and when it asked last.
    waits: BTreeMap<String, (u64, Instant)>,
    turn: Arc<Notify>,
}

impl Seat {
    fn claimed(&self, now: Instant) -> Option<&Path> {
        self.claimed.as_ref().filter(|(_, at)| now.saturating_duration_since(*at) < CLAIM).map(|(path, _)| path)
    }

    /// Those who can have no other lease: of this run itself, or of another one.
    fn kept(&self, from_itself: bool, now: Instant) -> impl Iterator<Item = &Path> {
        let is_kept = move |agent: &&Path| !(from_itself && self.ending.contains(*agent));
        self.held.iter().filter(is_kept).chain(self.claimed(now))
    }

    /// What it waits for now, and since when, by number.
    fn waited(&self, now: Instant) -> impl Iterator<Item = (&String, u64)> {
        let waits = self.waits.iter();
        let fresh = waits.filter(move |(_, (_, at))| now.saturating_duration_since(*at) < WAITS);
        fresh.map(|(capability, (number, _))| (capability, *number))
    }

    fn count(&self, now: Instant) -> usize {
        let claimed = self.claimed(now);
        let staying = self.held.difference(&self.ending).filter(|agent| Some(*agent) != claimed).count();
        staying + usize::from(claimed.is_some())
    }
}

impl Seats {
    fn taken(&self, run: RunId, now: Instant) -> BTreeSet<Path> {
        self.runs.iter().flat_map(|(of, seat)| seat.kept(*of == run, now)).cloned().collect()
    }

    /// The run whose turn it is to get somebody who can do this, of those that wait.
    fn first(&self, can: impl Fn(&str) -> bool, now: Instant) -> Option<(usize, u64, RunId)> {
        let waiting = self.runs.iter().filter_map(|(run, seat)| {
            let waited = seat.waited(now).filter(|(capability, _)| can(capability));
            Some((seat.count(now), waited.map(|(_, number)| number).min()?, *run))
        });
        waiting.min()
    }

    fn claim(
        &mut self,
        run: RunId,
        Wanted { capability, agent, also }: Wanted<'_>,
        now: Instant,
    ) -> (bool, Option<Arc<Notify>>) {
        self.asked += 1;
        let number = self.asked;
        let seat = self.runs.entry(run).or_default();
        let waits = seat.waits.entry(capability.to_owned()).or_insert((number, now));
        waits.1 = now;
        let Some(agent) = agent.filter(|agent| !self.is_taken(agent, run, now)) else { return (false, None) };
        match self.first(|other| other == capability || also.contains(other), now) {
            Some((_, _, first)) if first != run => (false, self.runs.get(&first).map(|seat| Arc::clone(&seat.turn))),
            _ => {
                let seat = self.runs.entry(run).or_default();
                seat.waits.remove(capability);
                seat.claimed = Some((agent.clone(), now));
                (true, None)
            }
        }
    }

    fn is_taken(&self, agent: &Path, run: RunId, now: Instant) -> bool {
        self.runs.iter().any(|(of, seat)| seat.kept(*of == run, now).any(|kept| kept == agent))
    }

    fn frees(&mut self, run: RunId, staying: &BTreeSet<Path>) {
        let seat = self.runs.entry(run).or_default();
        seat.ending = seat.held.difference(staying).cloned().collect();
    }

    fn hold(&mut self, run: RunId, agents: BTreeSet<Path>, asks: Asks, now: Instant) -> Vec<Arc<Notify>> {
        let seat = self.runs.entry(run).or_default();
        seat.ending.clear();
        let before = seat.count(now);
        seat.held = agents;
        if asks == Asks::No {
            seat.claimed = None;
        }
        if seat.count(now) >= before {
            return Vec::new();
        }
        // Somebody is free: it is the turn of whoever waits first, for whatever they can do.
        let waiting: BTreeSet<_> = self.runs.values().flat_map(|seat| seat.waits.keys().cloned()).collect();
        let firsts: BTreeSet<_> = waiting
            .iter()
            .filter_map(|capability| self.first(|other| other == capability, now))
            .map(|(_, _, run)| run)
            .collect();
        firsts.iter().filter_map(|run| self.runs.get(run)).map(|seat| Arc::clone(&seat.turn)).collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Stage {
        seats: Seats,
        now: Instant,
        agents: Vec<Path>,
    }

    fn run(number: u128) -> RunId {
        RunId::new(Uuid::from_u128(number))
    }

    impl Stage {
        fn new(agents: usize) -> Self {
            #[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
            let now = Instant::now();
            let agents = (1..=agents).map(|number| format!("root/{number}").parse().expect("a path")).collect();
            Self { seats: Seats::default(), now, agents }
        }

        /// A run asks for somebody, and says whom it got.
        fn ask(&mut self, number: u128) -> Option<Path> {
            self.ask_for(number, "x")
        }

        /// The same, where everybody can do `x` and `y`.
        fn ask_for(&mut self, number: u128, capability: &str) -> Option<Path> {
            let free = self.agents.iter().find(|agent| !self.seats.is_taken(agent, run(number), self.now)).cloned();
            let also = ["x", "y"].map(str::to_owned).into();
            let wanted = Wanted { capability, agent: free.as_ref(), also: &also };
            let (granted, _) = self.seats.claim(run(number), wanted, self.now);
            free.filter(|_| granted)
        }

        fn hold(&mut self, number: u128, agents: &[&Path]) -> usize {
            let agents = agents.iter().map(|agent| (*agent).clone()).collect();
            self.seats.hold(run(number), agents, Asks::No, self.now).len()
        }
    }

    #[test]
    fn nobody_works_for_two_runs_at_once() {
        let mut stage = Stage::new(1);
        let agent = stage.ask(1).expect("it is free");
        assert_eq!(stage.ask(2), None);
        stage.hold(1, &[&agent]);
        assert_eq!(stage.ask(2), None);
        assert_eq!(stage.hold(1, &[]), 1, "the other one is told");
        assert_eq!(stage.ask(2), Some(agent));
    }

    #[test]
    fn whoever_has_fewest_is_first_and_of_equals_who_waited_longest() {
        let mut stage = Stage::new(2);
        let (one, two) = (stage.ask(1).expect("free"), {
            let first = stage.agents[0].clone();
            stage.hold(1, &[&first]);
            stage.ask(1).expect("free")
        });
        stage.hold(1, &[&one, &two]);
        assert_eq!((stage.ask(3), stage.ask(2)), (None, None));
        stage.hold(1, &[&one]);
        // It has one, the others have none: they are first, in the order in which they asked.
        assert_eq!(stage.ask(1), None);
        assert_eq!(stage.ask(2), None);
        assert_eq!(stage.ask(3).as_ref(), Some(&two));
        stage.hold(1, &[]);
        assert_eq!(stage.ask(1), None);
        assert_eq!(stage.ask(2).as_ref(), Some(&one));
    }

    #[test]
    fn an_agent_whose_lease_is_about_to_end_may_go_on_for_its_run_and_for_no_other() {
        let mut stage = Stage::new(1);
        let agent = stage.ask(1).expect("it is free");
        stage.hold(1, &[&agent]);
        assert_eq!(stage.ask(1), None);
        stage.seats.frees(run(1), &[].into());
        assert_eq!(stage.ask(1).as_ref(), Some(&agent));
        assert_eq!(stage.ask(2), None);
        assert_eq!(stage.hold(1, &[&agent]), 0, "nobody is free");
        assert_eq!((stage.ask(1), stage.ask(2)), (None, None));
    }

    #[test]
    fn an_agent_whose_lease_is_about_to_end_is_left_to_a_run_that_has_waited() {
        let mut stage = Stage::new(1);
        let agent = stage.ask(1).expect("it is free");
        stage.hold(1, &[&agent]);
        assert_eq!(stage.ask(2), None);
        stage.seats.frees(run(1), &[].into());
        assert_eq!((stage.ask(1), stage.ask(2)), (None, None));
        assert_eq!(stage.hold(1, &[]), 1, "the other one is told");
        assert_eq!(stage.ask(2), Some(agent));
    }

    #[test]
    fn who_waits_for_something_else_that_the_same_agent_can_do_has_its_turn_as_well() {
        let mut stage = Stage::new(2);
        let both = [0, 1].map(|_| {
            let agent = stage.ask(1).expect("it is free");
            stage.hold(1, &[&agent]);
            agent
        });
        let both: Vec<_> = stage.agents.iter().filter(|agent| both.contains(agent)).cloned().collect();
        stage.hold(1, &both.iter().collect::<Vec<_>>());
        assert_eq!(stage.ask_for(2, "y"), None);
        stage.seats.frees(run(1), &[both[0].clone()].into());
        assert_eq!(stage.ask(1), None, "the other one has nobody");
        stage.hold(1, &[&both[0]]);
        assert_eq!(stage.ask(1), None, "the other one has nobody");
        assert_eq!(stage.ask_for(2, "y").as_ref(), Some(&both[1]));
    }

    #[test]
    fn a_run_that_does_not_ask_any_more_keeps_nobody_waiting() {
        let mut stage = Stage::new(1);
        let agent = stage.ask(1).expect("free");
        stage.hold(1, &[&agent]);
        assert_eq!(stage.ask(2), None);
        stage.hold(1, &[]);
        stage.now += 2 * WAITS;
        assert_eq!(stage.ask(1), Some(agent));
    }

    #[test]
    fn an_agent_that_was_kept_for_a_run_whose_orchestrator_died_is_free_again() {
        let mut stage = Stage::new(1);
        assert!(stage.ask(1).is_some());
        stage.now += CLAIM;
        assert!(stage.ask(2).is_some());
    }

    #[test]
    fn a_run_with_thousands_of_tasks_lets_another_one_in_and_they_take_turns() {
        let mut stage = Stage::new(1);
        let mut turns = Vec::new();
        for step in 0..20 {
            // The long one always asks, and first; the short one asks from the tenth step on.
            let asking: &[u128] = if step < 10 { &[1] } else { &[1, 2] };
            let got = asking.iter().chain(asking).find_map(|number| Some((*number, stage.ask(*number)?)));
            let (number, agent) = got.expect("somebody gets it");
            turns.push(number);
            stage.hold(number, &[&agent]);
            for waits in asking {
                let _ = stage.ask(*waits);
            }
            stage.now += MS;
            stage.hold(number, &[]);
        }
        // It had waited before the short one asked, and so gets one more.
        assert_eq!(turns[..12], [1; 12]);
        assert_eq!(turns[12..], [2, 1, 2, 1, 2, 1, 2, 1], "{turns:?}");
    }
}
