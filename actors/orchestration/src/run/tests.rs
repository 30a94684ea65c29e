//! The rules of a run, shown on the pure core: any interleaving ends in the same results.

mod budgets;
mod ends;
mod estimates;
mod gather;
mod halts;
mod sagas;
mod sweep;
mod waits;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use steadfast::RunId;
use steadfast::seam::Rng;

use super::*;
use crate::goal::model::Retries;

const START: Millis = Millis(1_000_000);

/// The limits of a run that nobody keeps: it fails where another one would be paused.
fn volatile() -> RunLimits {
    RunLimits { kept: Kept::Volatile, ..RunLimits::default() }
}

fn entry(needs: &[&str]) -> Entry {
    Entry { needs: needs.iter().map(|need| (*need).to_owned()).collect(), ..Entry::default() }
}

fn for_each(needs: &[&str]) -> Entry {
    Entry { fan: Fan::ForEach, ..entry(needs) }
}

fn patient(entry: Entry) -> Entry {
    Entry { retries: Retries { attempts: 3, ..Retries::default() }, ..entry }
}

/// A run that is driven by hand.
struct Drive {
    outline: Arc<Outline>,
    records: Vec<Record>,
    state: RunState,
    now: Millis,
}

impl Drive {
    fn new(outline: Outline) -> Self {
        let outline = Arc::new(outline);
        let state = RunState::new(Arc::clone(&outline));
        let mut drive = Self { outline, records: Vec::new(), state, now: START };
        drive.append(vec![
            Record::RunStarted {
                run: RunId::new(uuid::Uuid::from_u128(7)),
                goal: "{}".to_owned(),
                params: "{}".to_owned(),
                input: String::new(),
                parent: None,
                wall: START,
            },
            Record::Planned { tasks: 0, critical_path: Vec::new(), at_least: 0 },
        ]);
        drive
    }

    fn append(&mut self, records: Vec<Record>) {
        for record in records {
            self.state.apply(&record).expect("a record of this plan");
            self.records.push(record);
        }
    }

    /// Appends what follows by itself and returns what is left to do.
    fn steps(&mut self) -> Vec<Step> {
        loop {
            let steps = next(&self.state, self.now);
            let mut records = Vec::new();
            for step in &steps {
                if let Step::Append(record) = step {
                    records.push(record.clone());
                }
            }
            if records.is_empty() {
                return steps;
            }
            self.append(records);
        }
    }

    fn lease(&mut self, task: &TaskId, agent: &str) {
        let attempt = self.state.task(task).expect("a task of this run").attempts + 1;
        self.append(vec![Record::Leased(Leased {
            task: task.clone(),
            attempt,
            agent: agent.parse().expect("a path"),
            incarnation: 1,
            key: format!("run:{task}"),
            input_digest: String::new(),
            context: Lookups { hits: 1, misses: 0 },
            wall: self.now,
        })]);
    }

    fn end(&mut self, task: &TaskId, end: AttemptEnd) {
        let records = attempt_ended(&self.state, task, end, self.now);
        assert!(!records.is_empty(), "{task} held no lease");
        self.append(records);
    }

    fn succeed(&mut self, task: &str, value: Value) {
        let task = task.parse().expect("a task");
        self.lease(&task, "root/executor-1");
        self.end(&task, AttemptEnd::Succeeded(value));
    }

    fn fail(&mut self, task: &str, class: Class) {
        let task = task.parse().expect("a task");
        self.lease(&task, "root/executor-1");
        self.end(&task, AttemptEnd::Failed { class, message: "no".to_owned() });
    }

    fn expand(&mut self, task: &str, items: u32) {
        self.append(vec![Record::Expanded { task: task.to_owned(), items }]);
    }

    /// What there is to do, as text: `a#1` for a first attempt, `b[]` for a list to expand.
    fn todo(&mut self) -> Vec<String> {
        let steps = self.steps();
        steps
            .iter()
            .filter_map(|step| match step {
                Step::Prepare { task, attempt } => Some(format!("{task}#{attempt}")),
                Step::Expand(task) => Some(format!("{task}[]")),
                Step::Undo { task, attempt } => Some(format!("undo {task}#{attempt}")),
                Step::Append(_) | Step::WakeAt(_) => None,
            })
            .collect()
    }

    fn outcome(&self, task: &str) -> String {
        let task = self.state.task(&task.parse().expect("a task")).expect("a task of this run");
        match task.settled.as_ref().map(|settled| &settled.outcome) {
            None => "open".to_owned(),
            Some(Outcome::Succeeded { value, .. }) => value.clone(),
            Some(Outcome::Stored { digest, .. }) => digest.clone(),
            Some(Outcome::Failed { class, message }) => format!("{}: {message}", class.as_str()),
            Some(Outcome::Skipped { reason, .. }) => format!("skipped: {reason}"),
        }
    }

    fn status(&self) -> Option<Status> {
        self.state.ended().map(|(status, _)| status)
    }
}

#[test]
fn a_task_is_due_when_all_it_needs_have_succeeded() {
    let outline = Outline::new(volatile());
    let mut drive = Drive::new(outline.task("a", entry(&[])).task("b", entry(&[])).task("c", entry(&["a", "b"])));
    assert_eq!(drive.todo(), ["a#1", "b#1"]);
    drive.succeed("b", json!(2));
    assert_eq!(drive.todo(), ["a#1"]);
    drive.succeed("a", json!(1));
    assert_eq!(drive.todo(), ["c#1"]);
    drive.succeed("c", json!(3));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn no_more_leases_are_out_than_the_limit_allows() {
    let limits = RunLimits { concurrency: 2, ..volatile() };
    let mut drive = Drive::new(Outline::new(limits).task("each", for_each(&[])));
    drive.expand("each", 5);
    assert_eq!(drive.todo(), ["each[0]#1", "each[1]#1"]);
    drive.lease(&TaskId::item("each", 0), "root/executor-1");
    assert_eq!(drive.todo(), ["each[1]#1"]);
    drive.end(&TaskId::item("each", 0), AttemptEnd::Succeeded(json!(0)));
    assert_eq!(drive.todo(), ["each[1]#1", "each[2]#1"]);
}

#[test]
fn the_result_of_a_for_each_is_the_list_of_its_items_results_in_order() {
    let outline = Outline::new(volatile());
    let mut drive = Drive::new(outline.task("each", for_each(&[])).task("sum", entry(&["each"])));
    assert_eq!(drive.todo(), ["each[]"]);
    drive.expand("each", 3);
    for (item, value) in [("each[2]", "c"), ("each[0]", "a"), ("each[1]", "b")] {
        assert!(!drive.todo().contains(&"sum#1".to_owned()));
        drive.succeed(item, json!(value));
    }
    assert_eq!(drive.state.result("each").map(|result| (**result).clone()), Some(json!(["a", "b", "c"])));
    assert_eq!(drive.todo(), ["sum#1"]);
}

#[test]
fn an_empty_list_is_complete_at_once_with_an_empty_result() {
    let outline = Outline::new(volatile());
    let mut drive = Drive::new(outline.task("each", for_each(&[])).task("sum", entry(&["each"])));
    drive.expand("each", 0);
    assert_eq!(drive.state.result("each").map(|result| (**result).clone()), Some(json!([])));
    assert_eq!(drive.todo(), ["sum#1"]);
    drive.succeed("sum", json!(0));
    assert!(drive.todo().is_empty());
    assert_eq!((drive.status(), drive.state.tasks().count()), (Some(Status::Reached), 1));
}

#[test]
fn what_needs_a_failed_task_is_skipped_with_a_reason_that_names_it() {
    let outline = Outline::new(volatile()).task("a", entry(&[])).task("free", entry(&[]));
    let mut drive = Drive::new(outline.task("b", entry(&["a"])).task("c", entry(&["b", "free"])));
    drive.fail("a", Class::Exit);
    assert_eq!(drive.todo(), ["free#1"]);
    assert_eq!(drive.outcome("b"), "skipped: it needs `a`, which did not succeed");
    assert_eq!(drive.outcome("c"), "open");
    drive.succeed("free", json!(1));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.outcome("c"), "skipped: it needs `b`, which did not succeed");
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn what_needs_a_task_whose_condition_did_not_hold_runs_and_sees_null() {
    let mut drive = Drive::new(Outline::new(volatile()).task("a", entry(&[])).task("b", entry(&["a"])));
    drive.append(vec![Record::Recorded {
        task: TaskId::single("a"),
        attempt: 0,
        outcome: Outcome::Skipped { reason: "there is no .git".to_owned(), cause: SkipCause::Condition },
        wall: START,
    }]);
    assert_eq!(drive.state.result("a").map(|result| (**result).clone()), Some(Value::Null));
    assert_eq!(drive.todo(), ["b#1"]);
    drive.succeed("b", json!(1));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_backoff_and_a_lost_one_at_once() {
    let mut drive = Drive::new(Outline::new(volatile()).task("a", patient(entry(&[]))));
    drive.fail("a", Class::Exit);
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(Duration::from_millis(200)))]);
    drive.now = START.after(Duration::from_millis(200));
    assert_eq!(drive.todo(), ["a#2"]);
    let task = TaskId::single("a");
    drive.lease(&task, "root/executor-1");
    let lost = attempt_lost(&drive.state, &task, "it panicked", drive.now);
    drive.append(lost);
    assert_eq!(drive.todo(), ["a#3"]);
    drive.fail("a", Class::Exit);
    drive.now = drive.now.after(Duration::from_mins(1));
    drive.fail("a", Class::Exit);
    assert_eq!(drive.outcome("a"), "exit: no");
    assert_eq!(drive.state.counts().reissued, 1);
}

#[test]
fn a_failure_that_is_not_to_be_tried_again_ends_the_task() {
    let mut drive = Drive::new(Outline::new(volatile()).task("a", patient(entry(&[]))));
    drive.fail("a", Class::Invalid);
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn a_task_that_kills_every_agent_ends_as_poison() {
    let limits = RunLimits { crashes: 3, ..volatile() };
    let mut drive = Drive::new(Outline::new(limits).task("a", entry(&[])));
    let task = TaskId::single("a");
    for _ in 0..3 {
        drive.lease(&task, "root/executor-1");
        let lost = attempt_lost(&drive.state, &task, "it panicked", drive.now);
        drive.append(lost);
    }
    assert!(drive.outcome("a").starts_with("poison: poison: 3 agents died"), "{}", drive.outcome("a"));
    assert_eq!(drive.state.counts().reissued, 2);
    assert!(drive.todo().is_empty());
}

#[test]
fn a_run_without_a_plan_waits_until_its_deadline_and_fails_with_a_remedy() {
    let limits = RunLimits { deadline: Some(Duration::from_secs(5)), ..volatile() };
    let mut state = RunState::new(Arc::new(Outline::new(limits)));
    let run = RunId::new(uuid::Uuid::from_u128(7));
    let (goal, params, input) = ("{}".to_owned(), "{}".to_owned(), String::new());
    let first = Record::RunStarted { run, goal, params, input, parent: None, wall: START };
    state.apply(&first).expect("a record of this plan");
    let deadline = START.after(Duration::from_secs(5));
    assert_eq!(next(&state, START), [Step::WakeAt(deadline)]);
    let steps = next(&state, deadline);
    let [Step::Append(unplannable @ Record::Unplannable { message })] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(message.contains("raise `limits.deadline`"), "{message}");
    state.apply(unplannable).expect("a record of this plan");
    let ended = Record::Ended { status: Status::Failed, undone: UndoSummary::default(), wall: deadline };
    assert_eq!(next(&state, deadline), [Step::Append(ended)]);
}

#[test]
fn what_is_open_at_the_deadline_fails_with_a_remedy() {
    let limits = RunLimits { deadline: Some(Duration::from_secs(5)), ..volatile() };
    let mut drive = Drive::new(Outline::new(limits).task("a", entry(&[])).task("b", entry(&["a"])));
    drive.lease(&TaskId::single("a"), "root/executor-1");
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(Duration::from_secs(5)))]);
    drive.now = START.after(Duration::from_secs(5));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
    assert!(drive.outcome("a").contains("while attempt 1 was running; raise `limits.deadline`"));
    assert!(drive.outcome("b").contains("before it was started"));
}

#[test]
fn a_drained_run_ends_when_nothing_is_in_flight_any_more() {
    let mut drive = Drive::new(Outline::new(volatile()).task("a", entry(&[])).task("b", entry(&["a"])));
    drive.lease(&TaskId::single("a"), "root/executor-1");
    drive.append(vec![Record::Draining]);
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), None);
    drive.end(&TaskId::single("a"), AttemptEnd::Succeeded(json!(1)));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Drained));
    let report = Report::of(&drive.state, Facts::default(), drive.now);
    assert_eq!((report.lost, report.tasks.unfinished, report.tasks.succeeded), (0, 1, 1));
}

#[test]
fn the_first_outcome_of_a_task_stands_and_a_later_lease_is_counted() {
    let mut drive = Drive::new(Outline::new(volatile()).task("a", entry(&[])));
    drive.succeed("a", json!(1));
    drive.lease(&TaskId::single("a"), "root/executor-2");
    assert_eq!(attempt_ended(&drive.state, &TaskId::single("a"), AttemptEnd::Succeeded(json!(2)), START), []);
    assert_eq!((drive.outcome("a").as_str(), drive.state.counts().completed_rerun), ("1", 1));
}

#[test]
fn a_journal_of_another_goal_is_refused() {
    let outline = Arc::new(Outline::new(volatile()).task("a", entry(&[])));
    let strange = Record::Expanded { task: "z".to_owned(), items: 1 };
    assert_eq!(RunState::fold(outline, [&strange]).err(), Some(Misfit { task: "z".to_owned() }));
}

#[test]
fn records_survive_encoding() {
    let mut drive = Drive::new(Outline::new(volatile()).task("a", entry(&[])));
    drive.fail("a", Class::Exit);
    let _ = drive.steps();
    for record in &drive.records {
        let bytes = encode(record).expect("it can be written");
        assert_eq!(&decode(&bytes).expect("it can be read"), record);
    }
}

/// A random number below `end`.
fn below(rng: &mut Rng, end: usize) -> usize {
    usize::try_from(rng.next_u64() % end as u64).expect("it is below a usize")
}

/// A graph of up to nine tasks; some fan out, some fail for good, as their names say.
fn random_outline(seed: u64) -> Outline {
    let mut rng = Rng::new(seed);
    let mut names: Vec<String> = Vec::new();
    let mut outline = Outline::new(RunLimits { concurrency: 3, crashes: 1000, ..volatile() });
    for number in 0..=below(&mut rng, 8) {
        let needs: Vec<&str> = names.iter().filter(|_| rng.next_u64().is_multiple_of(3)).map(String::as_str).collect();
        let kind = ["once", "once", "once", "each", "fails", "skips"][below(&mut rng, 6)];
        let name = format!("{kind}-{number}");
        let base = if kind == "each" { for_each(&needs) } else { entry(&needs) };
        outline = outline.task(&name, Entry { retries: Retries { attempts: 1000, ..Retries::default() }, ..base });
        names.push(name);
    }
    outline
}

/// Drives a run to its end with outcomes that depend on the tasks alone, and an order, losses, failures and restarts
/// that depend on the seed.
fn drive_to_the_end(outline: &Outline, seed: u64) -> Drive {
    let mut rng = Rng::new(seed);
    let mut drive = Drive::new(outline.clone());
    while drive.status().is_none() {
        let steps = drive.steps();
        let held: Vec<TaskId> = drive.state.held().map(|(task, _)| task.clone()).collect();
        let choices = steps.len() + held.len();
        if choices == 0 {
            continue;
        }
        let choice = below(&mut rng, choices);
        match steps.get(choice) {
            Some(Step::Expand(task)) => drive.expand(task, u32::from(task.ends_with(['1', '3', '5'])) * 3),
            Some(Step::Prepare { task, .. }) if task.task().starts_with("skips") => skip(&mut drive, task),
            Some(Step::Prepare { task, .. }) => {
                let settled = drive.state.task(task).is_some_and(|task| task.settled.is_some());
                assert!(!settled, "{task} has its outcome and was to be leased again");
                drive.lease(task, &format!("root/executor-{}", rng.next_u64() % 3));
            }
            Some(Step::WakeAt(then)) => drive.now = *then,
            Some(Step::Undo { .. } | Step::Append(_)) => unreachable!("they were appended"),
            None => end_one(&mut drive, &held[choice - steps.len()], &mut rng),
        }
        // A restart: whoever folds the records has the same state.
        let folded = RunState::fold(Arc::clone(&drive.outline), &drive.records).expect("records of this plan");
        assert_eq!(format!("{folded:?}"), format!("{:?}", drive.state));
        drive.state = folded;
    }
    drive
}

fn skip(drive: &mut Drive, task: &TaskId) {
    let outcome = Outcome::Skipped { reason: "its condition".to_owned(), cause: SkipCause::Condition };
    drive.append(vec![Record::Recorded { task: task.clone(), attempt: 0, outcome, wall: drive.now }]);
}

fn end_one(drive: &mut Drive, task: &TaskId, rng: &mut Rng) {
    match rng.next_u64() % 4 {
        0 => {
            let lost = attempt_lost(&drive.state, task, "chance", drive.now);
            drive.append(lost);
        }
        1 => drive.end(task, AttemptEnd::Failed { class: Class::Exit, message: "chance".to_owned() }),
        _ if task.task().starts_with("fails") => {
            drive.end(task, AttemptEnd::Failed { class: Class::Invalid, message: "always".to_owned() });
        }
        _ => drive.end(task, AttemptEnd::Succeeded(json!({ "of": task.to_string() }))),
    }
}

proptest! {
    #[test]
    fn any_interleaving_of_outcomes_losses_and_restarts_ends_with_the_same_digest(
        shape: u64,
        schedules in proptest::collection::vec(any::<u64>(), 3),
    ) {
        let outline = random_outline(shape);
        let runs: Vec<_> = schedules.iter().map(|seed| drive_to_the_end(&outline, *seed)).collect();
        let digests: BTreeSet<_> = runs.iter().map(|run| result_digest(&run.state)).collect();
        prop_assert_eq!(digests.len(), 1);
        let statuses: BTreeSet<_> = runs.iter().map(|run| run.status().map(Status::as_str)).collect();
        prop_assert_eq!(statuses.len(), 1);
    }

    #[test]
    fn every_task_ends_with_exactly_one_outcome_and_every_loss_is_one_lease_more(shape: u64, schedule: u64) {
        let run = drive_to_the_end(&random_outline(shape), schedule);
        let recorded: Vec<_> = run.records.iter().filter_map(|record| match record {
            Record::Recorded { task, .. } => Some(task.clone()),
            _ => None,
        }).collect();
        prop_assert_eq!(recorded.iter().collect::<BTreeSet<_>>().len(), recorded.len());
        prop_assert_eq!(recorded.len(), run.state.tasks().count());
        let report = Report::of(&run.state, Facts::default(), run.now);
        prop_assert_eq!((report.lost, report.completed_rerun, run.state.open()), (0, 0, 0));
        let lost = run.records.iter().filter(|record| matches!(record, Record::Lost { .. })).count();
        prop_assert_eq!(report.reissued, lost as u64);
    }
}

#[test]
fn a_report_counts_what_happened_and_its_page_cuts_long_results() {
    let outline = Outline::new(volatile()).task("a", entry(&[])).task("all", entry(&["a"]));
    let mut drive = Drive::new(outline.task("b", entry(&[])).task("c", entry(&["b"])));
    drive.succeed("a", json!("x".repeat(500)));
    drive.succeed("all", json!({ "text": "`|`".repeat(100) }));
    drive.fail("b", Class::Timeout);
    let _ = drive.steps();
    let facts = Facts { goal: "inspect".to_owned(), ..Facts::default() };
    let report = Report::of(&drive.state, facts, drive.now);
    assert_eq!(report.tasks, Totals { total: 4, succeeded: 2, failed: 1, skipped: 1, unfinished: 0 });
    assert_eq!(
        (report.status, report.agents_used, report.started.as_str()),
        (Status::Failed, 1, "1970-01-01T00:16:40.000Z")
    );
    let page = report.to_markdown(&BTreeSet::from(["all".to_owned()]));
    assert!(page.contains("What to do: raise the task's `timeout`"), "{page}");
    assert!(page.contains(&"`|`".repeat(100)), "{page}");
    assert!(!page.contains(&"x".repeat(100)), "{page}");
    let json = serde_json::to_string(&report).expect("a report is JSON");
    assert_eq!(serde_json::from_str::<Report>(&json).expect("it can be read"), report);
}
