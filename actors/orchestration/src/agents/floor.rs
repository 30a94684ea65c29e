//! Who works for which run, and whose turn it is: so that many runs share the agents of one tree.
//!
//! # Invariants
//!
//! * An agent works for one run at a time: it is not given to another one while a lease of it is out. The run itself may
//!   have it again with the record that ends its lease, if it is its turn.
//! * Where several runs wait for somebody, whatever for, the one for which the fewest work is first; of equals the one that
//!   has waited longest. So a run with thousands of tasks that could begin does not keep the others waiting until it is done.
//! * Nobody is kept from an agent by a run that may not have it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use steadfast::{Incarnation, Path, RunId};
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
pub(crate) struct Wanted<'w> {
    /// For what.
    pub(crate) capability: &'w str,
    /// The one that was chosen, in this life; nobody where nobody is free.
    pub(crate) agent: Option<(&'w Path, Incarnation)>,
    /// What else that one can do, of what others wait for.
    pub(crate) also: &'w BTreeSet<String>,
    /// Whom it may have.
    pub(crate) may: May,
}

/// Whom a run may have, of those who can do what it wants.
#[derive(Clone, Debug, Default)]
pub(crate) struct May {
    /// The only ones, each in this life, where it may use no others.
    pub(crate) only: Option<BTreeSet<(Path, Incarnation)>>,
    /// Those who hold a lease of it already.
    pub(crate) busy: Vec<Path>,
}

impl May {
    /// Whether it may have this agent; in any of its lives where none is said.
    pub(crate) fn have(&self, agent: &Path, life: Option<Incarnation>) -> bool {
        let is_it = |(path, of): &(Path, Incarnation)| path == agent && life.is_none_or(|life| life == *of);
        !self.busy.contains(agent) && self.only.as_ref().is_none_or(|only| only.iter().any(is_it))
    }
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
    /// By what it waits for.
    waits: BTreeMap<String, Wait>,
    turn: Arc<Notify>,
}

/// A run waits for somebody.
struct Wait {
    /// The number of the question that it began with.
    since: u64,
    /// When it asked last, and whom it might have then.
    asked: Instant,
    may: May,
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

    /// What it waits for now.
    fn waited(&self, now: Instant) -> impl Iterator<Item = (&String, &Wait)> {
        self.waits.iter().filter(move |(_, wait)| now.saturating_duration_since(wait.asked) < WAITS)
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

    /// The run whose turn it is to get this agent, which can do this, of those that wait and may have it.
    fn first(
        &self,
        (agent, life): (&Path, Option<Incarnation>),
        can: impl Fn(&str) -> bool,
        now: Instant,
    ) -> Option<RunId> {
        let waiting = self.runs.iter().filter_map(|(run, seat)| {
            let waited = seat.waited(now).filter(|(capability, wait)| can(capability) && wait.may.have(agent, life));
            Some((seat.count(now), waited.map(|(_, wait)| wait.since).min()?, *run))
        });
        waiting.min().map(|(_, _, run)| run)
    }

    fn claim(
        &mut self,
        run: RunId,
        Wanted { capability, agent, also, may }: Wanted<'_>,
        now: Instant,
    ) -> (bool, Option<Arc<Notify>>) {
        self.asked += 1;
        let waits = &mut self.runs.entry(run).or_default().waits;
        let since = waits.get(capability).map_or(self.asked, |wait| wait.since);
        waits.insert(capability.to_owned(), Wait { since, asked: now, may });
        let free = agent.filter(|(agent, _)| !self.is_taken(agent, run, now));
        let Some((agent, life)) = free else { return (false, None) };
        match self.first((agent, Some(life)), |other| other == capability || also.contains(other), now) {
            Some(first) if first != run => (false, self.runs.get(&first).map(|seat| Arc::clone(&seat.turn))),
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
        let before: BTreeSet<_> = seat.kept(false, now).cloned().collect();
        seat.held = agents;
        if asks == Asks::No {
            seat.claimed = None;
        }
        // Whoever held a lease of it when it asked, and holds none any more, is one that it may have.
        for wait in seat.waits.values_mut() {
            wait.may.busy.retain(|agent| seat.held.contains(agent));
        }
        let after: BTreeSet<_> = seat.kept(false, now).collect();
        let free: Vec<_> = before.iter().filter(|agent| !after.contains(agent)).collect();
        if free.is_empty() {
            return Vec::new();
        }
        // It is the turn of whoever waits first, for whatever they can do; in which life is not known here.
        let waiting: BTreeSet<_> = self.runs.values().flat_map(|seat| seat.waits.keys()).collect();
        let each = free.iter().flat_map(|agent| waiting.iter().map(move |capability| (*agent, *capability)));
        let firsts: BTreeSet<_> =
            each.filter_map(|(agent, waits)| self.first((agent, None), |other| other == waits, now)).collect();
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

    fn life(number: u64) -> Incarnation {
        Incarnation::new(number).expect("not 0")
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
            self.ask_of(number, capability, May::default())
        }

        /// The same, where the run may have only some.
        fn ask_of(&mut self, number: u128, capability: &str, may: May) -> Option<Path> {
            let is_free = |agent: &&Path| !self.seats.is_taken(agent, run(number), self.now);
            let mut free = self.agents.iter().filter(is_free);
            let chosen = free.find(|agent| may.have(agent, Some(life(1)))).cloned();
            let also = ["x", "y"].map(str::to_owned).into();
            let agent = chosen.as_ref().map(|agent| (agent, life(1)));
            let (granted, _) = self.seats.claim(run(number), Wanted { capability, agent, also: &also, may }, self.now);
            chosen.filter(|_| granted)
        }

        /// This one alone, in this life.
        fn only(&self, agent: usize, of: u64) -> May {
            May { only: Some([(self.agents[agent].clone(), life(of))].into()), busy: Vec::new() }
        }

        fn hold(&mut self, number: u128, agents: &[&Path]) -> usize {
            self.told(number, agents).len()
        }

        /// The same, and whose turn it is then.
        fn told(&mut self, number: u128, agents: &[&Path]) -> Vec<RunId> {
            let agents = agents.iter().map(|agent| (*agent).clone()).collect();
            let told = self.seats.hold(run(number), agents, Asks::No, self.now);
            let is_told = |seat: &Seat| told.iter().any(|turn| Arc::ptr_eq(turn, &seat.turn));
            self.seats.runs.iter().filter(|(_, seat)| is_told(seat)).map(|(run, _)| *run).collect()
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
    fn whoever_waits_for_somebody_it_may_not_have_keeps_nobody_from_that_one() {
        let mut stage = Stage::new(4);
        let first = stage.ask(1).expect("it is free");
        stage.hold(1, &[&first]);
        let (alone, next) = (stage.only(0, 1), stage.only(1, 2));
        assert_eq!(stage.ask_of(2, "x", alone), None, "that one works");
        assert_eq!(stage.ask_of(3, "y", next), None, "that life has not begun");
        let holds = May { only: None, busy: stage.agents[1..].to_vec() };
        assert_eq!(stage.ask_of(4, "x", holds), None, "all others hold a lease of it");
        let second = stage.ask(5).expect("it is free");
        stage.hold(5, &[&second]);
        assert!(stage.ask(5).is_some(), "also to a run that has somebody");
        assert_eq!(stage.told(1, &[]), [run(2)], "it is the first that may have the one that is free");
        assert_eq!(stage.ask(5), None, "another one waits for that one");
    }

    #[test]
    fn of_those_that_wait_the_first_that_may_have_whoever_is_free_is_told() {
        let mut stage = Stage::new(2);
        let both = stage.agents.clone();
        stage.hold(1, &both.iter().collect::<Vec<_>>());
        let alone = stage.only(0, 1);
        assert_eq!((stage.ask_of(2, "x", alone), stage.ask(3)), (None, None));
        assert_eq!(stage.told(1, &[&both[0]]), [run(3)]);
        assert_eq!(stage.told(1, &[]), [run(2)]);
    }

    #[test]
    fn a_run_has_its_turn_for_somebody_who_worked_for_it_when_it_asked() {
        let mut stage = Stage::new(1);
        let agent = stage.ask(1).expect("it is free");
        stage.hold(1, &[&agent]);
        let holds = May { only: None, busy: vec![agent.clone()] };
        assert_eq!((stage.ask_of(1, "x", holds), stage.ask(2)), (None, None));
        assert_eq!(stage.told(1, &[]), [run(1)], "of equals it has waited longest");
        assert_eq!(stage.ask(2), None);
        assert_eq!(stage.ask(1), Some(agent));
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
