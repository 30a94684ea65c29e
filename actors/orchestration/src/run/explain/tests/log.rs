//! A line for each record, and the shape of the tree where it is deep or wide.

use std::collections::BTreeMap;

use super::*;
use crate::run::record::{Outcome, Parent, SkipCause, Status, UndoOutcome, UndoSummary, WaitFor};

const GOAL: &str = "
name = 'g'
tasks = [
    { id = 'a', command = { program = 'x' }, undo = { command = { program = 'y' } } },
    { id = 'ask', approve = { prompt = 'May it?' } },
]";

/// A line of the log: a record, the word of what happened, and the same in words.
type Told = (Record, &'static str, &'static str);

fn leased() -> Leased {
    Leased { wall: START, ..Scene::planned(GOAL).leased("a", 1, "") }
}

/// Records of the beginning of a run, and of attempts, each with its event and its line.
fn begun() -> Vec<Told> {
    let wall = START;
    let a = || id("a");
    let who = || "ann".to_owned();
    let why = || "so".to_owned();
    let run = RunId::new(Uuid::from_u128(8));
    let class = Class::Exit;
    let agent = AGENT.parse().expect("a path");
    vec![
        (
            Record::Forked { from: run, task: a(), wall },
            "forked",
            "it takes what run 00000000-0000-0000-0000-000000000008 recorded, up to task a",
        ),
        (Record::TakenUp { by: "it".to_owned(), wall }, "taken_up", "taken up by it"),
        (
            Record::Planned { tasks: 2, critical_path: vec!["a".to_owned()], at_least: 0 },
            "planned",
            "planned: 2 tasks, critical path a",
        ),
        (Record::Unplannable { message: why() }, "unplannable", "the goal cannot be planned: so"),
        (
            Record::Leased(leased()),
            "leased",
            "task a started, attempt 1 on root/domains/orchestration/executors/executor-1",
        ),
        (Record::Lost { task: a(), attempt: 1, why: why(), wall }, "lost", "task a: attempt 1 was lost: so"),
        (
            Record::Leased(Leased { attempt: 2, ..leased() }),
            "leased",
            "task a started, attempt 2 on root/domains/orchestration/executors/executor-1, given out again",
        ),
        (
            Record::Refused { task: a(), attempt: 1, agent, incarnation: 3 },
            "refused",
            "task a: the report of root/domains/orchestration/executors/executor-1, incarnation 3, about attempt 1 was refused",
        ),
        (
            Record::Failed { task: a(), attempt: 2, class, message: "one\ntwo".to_owned(), wall },
            "failed",
            "task a: attempt 2 failed (exit): one two",
        ),
        (Record::Paused { why: PauseCause::Asked, who: who(), message: why(), wall }, "paused", "paused by ann: so"),
    ]
}

/// The same of what a run waits for.
fn waited() -> Vec<Told> {
    let wall = START;
    let a = || id("a");
    let who = || "ann".to_owned();
    let why = || "so".to_owned();
    let run = RunId::new(Uuid::from_u128(8));
    vec![
        (Record::Resumed { who: who(), wall }, "resumed", "resumed by ann"),
        (
            Record::Waiting {
                task: id("ask"),
                on: WaitFor::Approval { prompt: "May it?".to_owned(), until: None },
                wall,
            },
            "waiting",
            "task ask waits for a person: May it?",
        ),
        (
            Record::Waiting { task: id("ask"), on: WaitFor::Until(wall), wall },
            "waiting",
            "task ask waits until 2026-11-20T09:00:00Z",
        ),
        (
            Record::Waiting { task: id("ask"), on: WaitFor::Signal { name: "paid".to_owned(), until: None }, wall },
            "waiting",
            "task ask waits for the signal paid",
        ),
        (
            Record::Approved { task: id("ask"), who: who(), why: String::new(), wall },
            "approved",
            "task ask approved by ann",
        ),
        (
            Record::Rejected { task: id("ask"), who: who(), why: why(), wall },
            "rejected",
            "task ask rejected by ann: so",
        ),
        (
            Record::Signalled { name: "paid".to_owned(), data: "1".to_owned(), who: who(), wall },
            "signalled",
            "signal paid from ann",
        ),
        (
            Record::ChildStarted { task: a(), run, wall },
            "child_started",
            "task a: run 00000000-0000-0000-0000-000000000008 started",
        ),
        (
            Record::ChildEnded { task: a(), run, status: Status::Reached, wall },
            "child_ended",
            "task a: run 00000000-0000-0000-0000-000000000008 reached",
        ),
        (
            Record::Reserved { task: a(), attempt: 2, counter: "tokens".to_owned(), amount: 5 },
            "reserved",
            "task a: 5 tokens reserved",
        ),
    ]
}

/// The same of what it uses, and of outcomes.
fn used() -> Vec<Told> {
    let wall = START;
    let a = || id("a");
    let who = || "ann".to_owned();
    let why = || "so".to_owned();
    let class = Class::Exit;
    let request = Uuid::from_u128(9);
    let cause = SkipCause::Condition;
    vec![
        (
            Record::Charged { task: a(), attempt: 2, counter: "tokens".to_owned(), amount: 4 },
            "charged",
            "task a: 4 tokens used",
        ),
        (
            Record::ToolCalled { task: a(), attempt: 2, tool: "web".to_owned(), arguments_digest: String::new() },
            "tool_called",
            "task a called web",
        ),
        (
            Record::RequestTaken { id: request, wall },
            "request_taken",
            "request 00000000-0000-0000-0000-000000000009 was taken",
        ),
        (
            Record::RequestRefused { id: request, why: why(), wall },
            "request_refused",
            "request 00000000-0000-0000-0000-000000000009 was refused: so",
        ),
        (Record::Draining, "draining", "draining: no further tasks are started"),
        (
            Record::Recorded {
                task: a(),
                attempt: 2,
                outcome: Outcome::Stored { digest: String::new(), bytes: 9 },
                wall,
            },
            "recorded",
            "task a done",
        ),
        (
            Record::Recorded { task: id("ask"), attempt: 0, outcome: Outcome::Skipped { reason: why(), cause }, wall },
            "recorded",
            "task ask skipped: so",
        ),
        (
            Record::Recorded { task: a(), attempt: 2, outcome: Outcome::Failed { class, message: why() }, wall },
            "recorded",
            "task a failed (exit)",
        ),
        (
            Record::CancelAsked { undo: true, who: who(), why: why(), wall },
            "cancel_asked",
            "cancelled by ann, with everything undone: so",
        ),
    ]
}

/// The same of its end, and of undos.
fn over() -> Vec<Told> {
    let wall = START;
    let a = || id("a");
    let why = || "so".to_owned();
    let class = Class::Exit;
    let failed = UndoOutcome::Failed { class, message: why() };
    vec![
        (Record::BudgetSpent { which: BudgetKind::Wall, message: why(), wall }, "budget_spent", "budget spent: so"),
        (Record::Undoing { wall }, "undoing", "undoing what was done"),
        (
            Record::UndoLeased(leased()),
            "undo_leased",
            "undo of a started, attempt 1 on root/domains/orchestration/executors/executor-1",
        ),
        (
            Record::UndoFailed { task: a(), attempt: 1, class, message: why(), wall },
            "undo_failed",
            "undo of a: attempt 1 failed (exit): so",
        ),
        (
            Record::UndoLost { task: a(), attempt: 1, why: why(), wall },
            "undo_lost",
            "undo of a: attempt 1 was lost: so",
        ),
        (
            Record::UndoRecorded { task: a(), attempt: 1, outcome: failed, wall },
            "undo_recorded",
            "task a could not be undone: so",
        ),
        (
            Record::UndoRecorded { task: a(), attempt: 1, outcome: UndoOutcome::Undone, wall },
            "undo_recorded",
            "task a undone",
        ),
        (Record::Ended { status: Status::Failed, undone: UndoSummary::default(), wall }, "ended", "the goal failed"),
    ]
}

/// Every record but the first, which begins the run.
fn told() -> impl Iterator<Item = Told> {
    begun().into_iter().chain(waited()).chain(used()).chain(over())
}

#[test]
fn every_record_has_its_line_and_its_object() {
    let mut log = Log::new();
    let first = log.add(&Scene::recorded(GOAL).records[0]).expect("a beginning");
    assert_eq!(first.text(), "     1  2026-11-20T09:00:00.000Z  run 01980000-0000-7000-8000-000000000007 started");
    for (number, (record, event, line)) in (2..).zip(told()) {
        let entry = log.add(&record).expect("a record of this run");
        assert_eq!((entry.number, entry.event.as_str(), entry.line.as_str()), (number, event, line));
        assert_eq!(
            entry.text(),
            format!("{number:>6}  2026-11-20T09:00:00.000Z  {line}"),
            "the time of the one before"
        );
        let object: Value = serde_json::from_str(&entry.json()).expect("a JSON object");
        let keys: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["attempt", "event", "line", "number", "record", "task", "time_unix_ms"]);
        assert!(object["record"].is_object(), "{object}");
    }
    assert_eq!(log.ended(), Some(Status::Failed));
}

#[test]
fn an_object_names_the_task_and_the_attempt_and_holds_the_record() {
    let mut scene = Scene::planned(GOAL);
    scene.fail("a", Class::Exit, "exit code 1");
    let mut log = Log::new();
    let entries: Vec<_> = scene.records.iter().map(|record| log.add(record).expect("the next record")).collect();
    let failed = entries.iter().find(|entry| entry.event == "failed").expect("it failed");
    let expected = json!({
        "number": 5,
        "time_unix_ms": 1_795_165_200_820_u64,
        "event": "failed",
        "task": "a",
        "attempt": 1,
        "line": "task a: attempt 1 failed (exit): exit code 1",
        "record": { "task": "a", "attempt": 1, "class": "exit", "message": "exit code 1", "wall": 1_795_165_200_820_u64 },
    });
    assert_eq!(serde_json::from_str::<Value>(&failed.json()).expect("a JSON object"), expected);
}

#[test]
fn records_that_do_not_begin_a_run_or_belong_to_another_are_refused() {
    let scene = Scene::planned(GOAL);
    assert_eq!(Account::of(&scene.records[1..]).expect_err("headless"), Unexplained::Headless);
    assert_eq!(Log::new().add(&scene.records[1]).expect_err("headless"), Unexplained::Headless);
    assert_eq!(Account::of(&[]).expect_err("no records"), Unexplained::Headless);
    let mut other = Scene::planned("name = 'g'\ntasks = [{ id = 'z', collect = 1 }]");
    other.lease("z");
    let mixed: Vec<_> = scene.records.iter().chain(other.records.last()).cloned().collect();
    assert!(matches!(Account::of(&mixed), Err(Unexplained::Misfit(_))));
    let mut unread = scene.records.clone();
    if let Record::RunStarted { goal, .. } = &mut unread[0] {
        "{}".clone_into(goal);
    }
    assert!(matches!(Account::of(&unread), Err(Unexplained::Goal(_))));
}

#[test]
fn a_tree_shows_every_task_once_in_lines_that_fit_however_deep_and_wide_it_is() {
    let long = |number: usize| format!("t{number}-{}", "x".repeat(50));
    let task = |number: usize| match number {
        0 => format!("{{ id = '{}', approve = {{ prompt = \"{}\" }} }}", long(0), r"Really?\n\u001b[31m ".repeat(30)),
        _ => format!(
            "{{ id = '{}', after = ['{}', '{}'], collect = 1 }}",
            long(number),
            long(number - 1),
            long(number / 2)
        ),
    };
    let tasks: Vec<_> = (0..40).map(task).collect();
    let mut scene = Scene::planned(&format!("name = 'deep'\ntasks = [{}]", tasks.join(",\n")));
    scene.begin(&long(0));
    let text = tree(&scene.account(), &scene.view()).text();
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        assert!(line.chars().count() <= 120, "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
        let name = line.trim_start_matches(|c: char| "│├└─ ".contains(c)).split('-').next().unwrap_or_default();
        if name.starts_with('t') && (line.contains("waiting  ") || line.contains("awaiting approval  ")) {
            *shown.entry(name.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(shown.len(), 40, "{text}");
    assert!(shown.values().all(|times| *times == 1), "{text}");
}

#[test]
fn a_run_inside_another_says_whose_step_it_is_and_a_fork_what_it_took() {
    let mut scene = Scene::recorded(GOAL);
    let (run, wall) = (RunId::new(Uuid::from_u128(8)), scene.now);
    if let Record::RunStarted { parent, .. } = &mut scene.records[0] {
        *parent = Some(Parent { run, task: id("ship") });
    }
    scene.append(vec![Record::Forked { from: run, task: id("ask"), wall }]);
    let text = tree(&scene.account(), &scene.view()).text();
    assert!(text.contains("  part of    task ship of run 00000000-0000-0000-0000-000000000008\n"), "{text}");
    assert!(
        text.contains(
            "  forked     from run 00000000-0000-0000-0000-000000000008, whose results it has up to task ask\n"
        )
    );
}
