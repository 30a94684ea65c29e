//! Each rule broken by hand, in what was seen of a run of one task.

use std::sync::Arc;
use std::time::Duration;

use steadfast::RunId;
use steadfast_orchestration::agents::protocol::ReportReply;
use steadfast_orchestration::run::{
    Class, Facts, Leased, Lookups, Millis, Outcome, Outline, Record, Report, RunState, Status, TaskId, UndoSummary,
};

use super::oracles::{ALL, Run};
use super::witness::{Seen, What};

const WALL: Millis = Millis(0);

fn task() -> TaskId {
    TaskId::single("first")
}

fn leased_to(agent: &str, attempt: u32) -> What {
    let (task, agent) = (task(), agent.parse().expect("a path"));
    let (key, input_digest) = ("key".to_owned(), String::new());
    let context = Lookups::default();
    What::Kept(Record::Leased(Leased { task, attempt, agent, incarnation: 1, key, input_digest, context, wall: WALL }))
}

fn leased(attempt: u32) -> What {
    leased_to("root/e", attempt)
}

fn result(attempt: u32) -> Record {
    let outcome = Outcome::Succeeded { value: "1".to_owned(), digest: String::new() };
    Record::Recorded { task: task(), attempt, outcome, wall: WALL }
}

fn failed(attempt: u32) -> What {
    What::Kept(Record::Failed { task: task(), attempt, class: Class::Exit, message: String::new(), wall: WALL })
}

fn lost(attempt: u32) -> What {
    What::Kept(Record::Lost { task: task(), attempt, why: String::new(), wall: WALL })
}

fn started(command: usize, attempt: u32) -> What {
    What::Started { command, key: "key".to_owned(), attempt }
}

fn ended(command: usize, well: bool) -> What {
    What::Ended { command, well }
}

fn end() -> What {
    What::Kept(reached())
}

fn reached() -> Record {
    Record::Ended { status: Status::Reached, undone: UndoSummary::default(), wall: WALL }
}

fn report() -> What {
    let mut state = RunState::new(Arc::new(Outline::default()));
    let start = Record::RunStarted {
        run: RunId::new(uuid::Uuid::nil()),
        goal: String::new(),
        params: String::new(),
        input: String::new(),
        parent: None,
        wall: WALL,
    };
    for record in [start, reached()] {
        state.apply(&record).expect("it is of no task");
    }
    What::Reported(Arc::new(Report::of(&state, Facts::default(), WALL)))
}

/// Who finds something in what was seen, with room for one lease.
fn finders(whats: Vec<What>, calm: Option<&str>) -> Vec<&'static str> {
    let seen: Vec<_> = whats.into_iter().map(|what| Seen { at: Duration::ZERO, what }).collect();
    let run = Run { seen: &seen, room: 1, calm };
    ALL.iter().filter(|oracle| (oracle.look)(&run).is_some()).map(|oracle| oracle.name).collect()
}

/// A run without a fault but for what is put in at a place.
fn with(place: usize, extra: impl IntoIterator<Item = What>) -> Vec<What> {
    let kept = What::Kept(result(1));
    let mut whats = vec![What::Booted(1), leased(1), started(1, 1), ended(1, true), kept, end(), report()];
    whats.splice(place..place, extra);
    whats
}

#[track_caller]
fn check(whats: Vec<What>, found: &[&str]) {
    assert_eq!(finders(whats, None), found);
}

#[test]
fn each_rule_that_is_broken_is_found_and_no_other() {
    check(with(0, []), &[]);
    check(with(4, [What::Told(Arc::new(result(1)))]), &["told-is-kept"]);
    check(with(1, [started(2, 2), ended(2, true)]), &["begun-is-kept"]);
    check(with(2, [What::Unsaid(String::new())]), &["kept-stays"]);
    check(with(2, [lost(1), leased(1)]), &["one-lease"]);
    check(with(2, [lost(1), leased(3)]), &["one-lease"]);
    check(with(2, [leased_to("root/f", 2)]), &["one-lease"]);
    check(with(5, [What::Kept(result(1))]), &["one-result"]);
    check(with(5, [end()]), &["one-result"]);
    check(with(2, [failed(1), leased(2)]), &["holder"]);
    check(with(3, [What::Kept(result(1)), What::BrokenOff { command: 1 }]), &["one-result", "holder"]);
    let heard = |reply| with(2, [What::Stranger { lease: String::new(), reply }]);
    check(heard(ReportReply::Settled), &["stranger"]);
    check(heard(ReportReply::Refused), &[]);
    check(with(3, [lost(1), leased(2), started(2, 2), ended(2, true)]), &["no-overlap"]);
    check(with(4, [started(2, 1), ended(2, true)]), &["no-overlap"]);
    check(with(4, [What::Booted(2), started(2, 1), ended(2, true)]), &[]);
    check(with(7, [What::Booted(2), started(2, 1), ended(2, true)]), &["over-is-over"]);
    let mut silent = with(0, []);
    silent.truncate(6);
    check(silent, &["ends"]);
    assert_eq!(finders(with(0, []), Some("another")), ["same-result"]);
}
