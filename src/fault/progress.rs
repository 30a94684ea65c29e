//! How far a plan has come.
//!
//! # Invariants
//!
//! * A fault that is for the n-th time comes at most once; of two that are for the same moment the first comes.
//! * What a fault counts does not depend on what other faults there are: taking one out shifts no other.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Action, FaultPoint, Plan, Planned, Point, Trigger, When};
use crate::id::{Incarnation, Path};

/// A plan that is being carried out. A function of what it is told: it has no clock, and does nothing itself.
#[derive(Clone, Debug)]
pub struct Progress {
    faults: Vec<Watched>,
    fired: Vec<Fired>,
    /// How often who came to which point: what is told of a fault that never came.
    seen: BTreeMap<(Path, Point), u64>,
}

#[derive(Clone, Debug)]
struct Watched {
    fault: Planned,
    /// How often somebody came to its point.
    met: u64,
    fired: u64,
}

/// A fault that came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fired {
    /// Which of the plan.
    pub fault: Planned,
    /// When, since the beginning.
    pub at: Duration,
    /// At whose life it came; `None` of one that came at a time.
    pub who: Option<(Path, Incarnation)>,
}

/// A fault that never came, and what came nearest to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unfired {
    /// Which of the plan.
    pub fault: Planned,
    /// What came nearest to it.
    pub nearest: String,
}

impl fmt::Display for Unfired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` never came: {}", self.fault, self.nearest)
    }
}

impl Progress {
    /// At the beginning of a plan.
    #[must_use]
    pub fn of(plan: Plan) -> Self {
        let faults = plan.faults.into_iter().map(|fault| Watched { fault, met: 0, fired: 0 }).collect();
        Self { faults, fired: Vec::new(), seen: BTreeMap::new() }
    }

    /// Somebody comes to a point, so long after the beginning. Returns what is to go wrong.
    pub fn at(&mut self, point: &FaultPoint<'_>, now: Duration) -> Option<Action> {
        *self.seen.entry((point.path.clone(), point.point.clone())).or_default() += 1;
        let mut chosen = None;
        for watched in &mut self.faults {
            if !watched.meets(point) {
                continue;
            }
            watched.met += 1;
            if chosen.is_none() && watched.is_due(now) {
                watched.fired += 1;
                chosen = Some(watched.fault.clone());
            }
        }
        let fault = chosen?;
        let action = fault.action.clone();
        self.fired.push(Fired { fault, at: now, who: Some((point.path.clone(), point.incarnation)) });
        Some(action)
    }

    /// The earliest moment that a fault waits for.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.faults.iter().filter(|watched| watched.fired == 0).filter_map(Watched::time).min()
    }

    /// What is to go wrong by this moment, the earliest first.
    pub fn by(&mut self, now: Duration) -> Vec<Action> {
        let due = |watched: &&mut Watched| watched.fired == 0 && watched.time().is_some_and(|at| at <= now);
        let mut faults: Vec<_> = self.faults.iter_mut().filter(due).collect();
        faults.sort_by_key(|watched| watched.time());
        let mut actions = Vec::new();
        for watched in faults {
            watched.fired += 1;
            actions.push(watched.fault.action.clone());
            self.fired.push(Fired { fault: watched.fault.clone(), at: now, who: None });
        }
        actions
    }

    /// The faults that came, in order.
    #[must_use]
    pub fn fired(&self) -> &[Fired] {
        &self.fired
    }

    /// The faults that did not come, with what came nearest to them.
    #[must_use]
    pub fn unfired(&self) -> Vec<Unfired> {
        let unfired = self.faults.iter().filter(|watched| watched.fired == 0);
        unfired.map(|watched| Unfired { fault: watched.fault.clone(), nearest: self.nearest(watched) }).collect()
    }

    fn nearest(&self, watched: &Watched) -> String {
        let Trigger::Point { point, path, about, when } = &watched.fault.trigger else {
            return "it ended before that".to_owned();
        };
        if watched.met > 0 {
            return match when {
                When::Between(..) => format!("that happened {} times, at other moments", watched.met),
                _ => format!("that happened {} times", watched.met),
            };
        }
        let of = |is_near: &dyn Fn(&Path, &Point) -> bool| {
            let near = self.seen.iter().filter(|((path, point), _)| is_near(path, point));
            let near: Vec<_> =
                near.map(|((path, point), times)| format!("`{point} of {path}` ({times} times)")).take(5).collect();
            (!near.is_empty()).then(|| near.join(", "))
        };
        if let (Some(about), Some(near)) = (about, of(&|who, what| path.matches(who) && what == point)) {
            return format!("nothing of {near} was about `{about}`");
        }
        if let Some(near) = of(&|who, _| path.matches(who)) {
            return format!("of `{path}` there was {near}");
        }
        match of(&|_, what| what == point) {
            Some(near) => format!("nobody at `{path}` came to any point; others did: {near}"),
            None => format!("nobody came to `{point}`, and nobody at `{path}` to any point"),
        }
    }
}

impl Watched {
    fn time(&self) -> Option<Duration> {
        match self.fault.trigger {
            Trigger::Time(at) => Some(at),
            Trigger::Point { .. } => None,
        }
    }

    /// Whether somebody comes to its point.
    fn meets(&self, at: &FaultPoint<'_>) -> bool {
        let Trigger::Point { point, path, about, .. } = &self.fault.trigger else { return false };
        let is_about = |wanted: &String| {
            at.subject.is_some_and(|subject| subject.about == *wanted || subject.to_string() == *wanted)
        };
        point == at.point && path.matches(at.path) && about.as_ref().is_none_or(is_about)
    }

    fn is_due(&self, now: Duration) -> bool {
        let Trigger::Point { when, .. } = &self.fault.trigger else { return false };
        match when {
            // Later than the n-th time, where another fault came in its place then.
            When::Nth(number) => self.fired == 0 && self.met >= *number,
            When::Between(from, to) => (*from..*to).contains(&now),
            When::Always => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Subject;

    const SECOND: Duration = Duration::from_secs(1);

    /// Carries out a plan: at each second the next of these comes to a point. Returns what went wrong, by number.
    fn carried_out(plan: &str, meetings: &[(&str, Point, &str)]) -> (Vec<(usize, String)>, Progress) {
        let mut progress = Progress::of(plan.parse().expect("a plan"));
        let mut came = Vec::new();
        for (number, (path, point, about)) in (0_u32..).zip(meetings) {
            let path = path.parse().expect("a path");
            let subject =
                about.split_once('.').map(|(about, attempt)| Subject::new(about, attempt.parse().expect("1")));
            let at = FaultPoint::new(&path, Incarnation::FIRST, point, subject.as_ref());
            came.extend(progress.at(&at, number * SECOND).map(|action| (number as usize, action.to_string())));
        }
        (came, progress)
    }

    fn message(path: &str) -> (&str, Point, &'static str) {
        (path, Point::BeforeMessage, "")
    }

    #[test]
    fn a_fault_comes_at_the_time_that_its_trigger_names_and_at_no_other() {
        let meetings = [message("root/a"), message("root/b"), message("root/a"), message("root/a"), message("root/a")];
        let cases: [(&str, &[usize]); 6] = [
            ("panic at before-message of root/a", &[0]),
            ("panic at before-message of root/a #2", &[2]),
            ("panic at before-message of root/* #2", &[1]),
            ("panic at before-message of root/a from 2s to 4s", &[2, 3]),
            ("panic at before-message of ** always", &[0, 1, 2, 3, 4]),
            ("panic at after-message of root/a", &[]),
        ];
        for (plan, numbers) in cases {
            let (came, progress) = carried_out(plan, &meetings);
            assert_eq!(came.iter().map(|(number, _)| *number).collect::<Vec<_>>(), numbers, "{plan}");
            assert_eq!(progress.fired().len(), numbers.len());
            assert_eq!(progress.unfired().len(), usize::from(numbers.is_empty()));
        }
    }

    #[test]
    fn of_two_faults_for_one_moment_the_first_comes_and_the_other_waits_for_the_next_and_counts_as_alone() {
        let meetings = [message("root/a"), message("root/a"), message("root/a")];
        let plan =
            "panic at before-message of root/a; error at before-message of root/a; hang at before-message of root/a #3";
        let (came, _) = carried_out(plan, &meetings);
        assert_eq!(came, [(0, "panic".into()), (1, "error".into()), (2, "hang".into())]);
        let alone = plan.split_once("; ").expect("several").1;
        assert_eq!(carried_out(alone, &meetings).0.last(), Some(&(2, "hang".to_owned())));
    }

    #[test]
    fn a_fault_for_a_subject_comes_at_that_subject_or_at_one_attempt_of_it() {
        let about = |about| ("root/a", Point::BeforeMessage, about);
        let meetings = [about("build.1"), about(""), about("test.1"), about("build.2")];
        let at = |plan: &str| carried_out(plan, &meetings).0.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        assert_eq!(at("panic at before-message of root/a about build always"), [0, 3]);
        assert_eq!(at("panic at before-message of root/a about build.2"), [3]);
    }

    #[test]
    fn a_fault_for_a_time_is_due_from_then_on_once_and_the_earliest_first() {
        let mut progress = Progress::of("kill root/b at 2s; kill root/a at 1s".parse().expect("a plan"));
        assert_eq!((progress.next(), progress.by(SECOND / 2)), (Some(SECOND), vec![]));
        let names: Vec<_> = progress.by(3 * SECOND).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["kill root/a", "kill root/b"]);
        assert_eq!((progress.next(), progress.by(9 * SECOND), progress.unfired()), (None, vec![], vec![]));
    }

    #[test]
    fn what_never_came_is_told_with_what_came_nearest() {
        let meetings = [message("root/a"), ("root/a", Point::BeforeMessage, "build.1"), ("root/b", Point::InStop, "")];
        let nearest = |plan: &str| carried_out(plan, &meetings).1.unfired()[0].to_string();
        let cases = [
            ("panic at before-message of root/a #3", "that happened 2 times"),
            ("panic at before-message of root/a from 5s to 6s", "that happened 2 times, at other moments"),
            (
                "panic at before-message of root/a about test",
                "nothing of `before-message of root/a` (2 times) was about `test`",
            ),
            ("panic at after-message of root/a", "of `root/a` there was `before-message of root/a` (2 times)"),
            (
                "panic at in-stop of root/c",
                "nobody at `root/c` came to any point; others did: `in-stop of root/b` (1 times)",
            ),
            ("panic at back-off of root/c", "nobody came to `back-off`, and nobody at `root/c` to any point"),
            ("kill root/a at 9s", "it ended before that"),
        ];
        for (plan, told) in cases {
            assert_eq!(nearest(plan), format!("`{plan}` never came: {told}"));
        }
    }
}
