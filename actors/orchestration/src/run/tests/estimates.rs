//! Estimates and notes: functions of earlier runs and of the plan.

use std::collections::BTreeMap;

use super::*;
use crate::plan::Plan;
use crate::plan::notes::{Risk, notes};
use crate::plan::render::{Outlook, json_with, text_with};

fn plan(goal: Value) -> Plan {
    Plan::rebuild(serde_json::from_value(goal).expect("a goal"), BTreeMap::new()).expect("a plan")
}

fn demo() -> Plan {
    plan(json!({
        "name": "demo",
        "limits": { "deadline": "1h" },
        "tasks": [
            { "id": "build", "command": { "program": "make" } },
            { "id": "each", "after": ["build"], "for_each": "${params.list}",
              "command": { "program": "test" } },
            { "id": "new", "after": ["each"], "collect": 1 },
        ],
        "params": { "list": { "default": [1, 2] } },
    }))
}

fn leased(task: &str, attempt: u32, wall: u64) -> Record {
    Record::Leased(Leased {
        task: task.parse().expect("a task"),
        attempt,
        agent: "root/executor-1".parse().expect("a path"),
        incarnation: 1,
        key: String::new(),
        input_digest: String::new(),
        context: Lookups::default(),
        wall: Millis(wall),
    })
}

fn succeeded(task: &str, attempt: u32, wall: u64) -> Record {
    let outcome = Outcome::Succeeded { value: "1".to_owned(), digest: String::new() };
    Record::Recorded { task: task.parse().expect("a task"), attempt, outcome, wall: Millis(wall) }
}

/// A run of `goal` in which `build` fails once and then takes so long, and two items take 10 and 20 s at the same time.
fn run_of(goal: &str, build: u64) -> Vec<Record> {
    let (class, message) = (Class::Exit, "no".to_owned());
    let second = 2_000 + build;
    vec![
        Record::RunStarted {
            run: RunId::new(uuid::Uuid::from_u128(7)),
            goal: json!({ "name": goal }).to_string(),
            params: "{}".to_owned(),
            input: String::new(),
            parent: None,
            wall: Millis(0),
        },
        leased("build", 1, 1_000),
        Record::Failed { task: TaskId::single("build"), attempt: 1, class, message, wall: Millis(1_500) },
        leased("build", 2, 2_000),
        succeeded("build", 2, second),
        leased("each[0]", 1, second),
        leased("each[1]", 1, second + 1_000),
        succeeded("each[0]", 1, second + 10_000),
        succeeded("each[1]", 1, second + 21_000),
        Record::Ended { status: Status::Reached, undone: UndoSummary::default(), wall: Millis(second + 22_000) },
    ]
}

fn past(builds: &[u64]) -> Vec<PastRun> {
    builds.iter().map(|build| PastRun::of(&run_of("demo", *build)).expect("it is over")).collect()
}

#[test]
fn an_estimate_says_from_how_many_runs_it_is_and_how_far_they_were_apart() {
    let estimate = Estimate::of(&demo(), &past(&[5_000, 8_000, 6_000]));
    let run = estimate.run.expect("runs reached the goal");
    assert_eq!((estimate.runs, run.seen, run.p50, run.p95, run.half_within), (3, 3, 30_000, 32_000, 1_000));
    let path = estimate.path.expect("runs reached the goal");
    assert_eq!((path.p50, path.p95), (28_000, 30_000));
    let tasks: Vec<_> = estimate.tasks.iter().map(|task| (task.task.as_str(), task.tries, task.failed)).collect();
    assert_eq!(tasks, [("build", 6, 3), ("each", 6, 0)]);
    assert_eq!(estimate.tasks[1].attempt.map(|took| (took.seen, took.p50, took.p95)), Some((6, 10_000, 20_000)));
    assert_eq!(estimate.unknown, ["new"]);
    let spoken = estimate.spoken();
    let expected = "half within 30s, 95 of 100 within 32s; work on the longest path 28s, 30s; from 3 runs that reached the \
                    goal, half of which differed by no more than 1s";
    assert_eq!(spoken, expected);
}

#[test]
fn without_a_run_of_the_goal_that_is_over_the_estimate_says_so() {
    let nothing = Estimate::of(&demo(), &[]);
    assert_eq!(nothing.spoken(), "no run of this goal is recorded, so that there is nothing to estimate from");
    let other = PastRun::of(&run_of("other", 1)).expect("it is over");
    assert_eq!(Estimate::of(&demo(), &[other]).runs, 0);
    let mut records = run_of("demo", 1);
    records.pop();
    assert_eq!(PastRun::of(&records), None, "it is not over");
    records.push(Record::Ended { status: Status::Failed, undone: UndoSummary::default(), wall: Millis(9) });
    let failed = Estimate::of(&demo(), &[PastRun::of(&records).expect("it is over")]);
    assert_eq!((failed.run, failed.tasks.len()), (None, 2));
    assert!(failed.spoken().starts_with("none of 1 recorded runs reached the goal"));
}

#[test]
fn the_time_in_which_a_run_was_paused_is_no_part_of_an_estimate() {
    let mut records = run_of("demo", 1_000);
    let (why, who, message) = (PauseCause::Asked, "ann".to_owned(), String::new());
    records.insert(1, Record::Paused { why, who: who.clone(), message, wall: Millis(100) });
    records.insert(2, Record::Resumed { who, wall: Millis(600) });
    let estimate = Estimate::of(&demo(), &[PastRun::of(&records).expect("it is over")]);
    assert_eq!(estimate.run.map(|run| run.p50), Some(25_000 - 500));
}

#[test]
fn each_risk_is_told_once_for_each_task_with_what_to_do_about_it() {
    let goal = json!({
        "name": "risky",
        "budget": { "attempts": 2 },
        "tasks": [
            { "id": "push", "command": { "program": "git" } },
            { "id": "book", "command": { "program": "book" }, "undo": { "command": { "program": "unbook" } } },
            { "id": "list", "retrieve": { "files": ["**"] } },
            { "id": "inner", "goal": { "inline": { "name": "in", "tasks": [
                { "id": "pay", "command": { "program": "pay" } } ] } } },
        ],
    });
    let plan = plan(goal);
    let offers = BTreeMap::from([("task.command".to_owned(), 2), ("task.retrieve".to_owned(), 1)]);
    let found = notes(&plan, &offers, None);
    let told: Vec<_> = found.iter().map(|note| (note.risk, note.task.as_deref().unwrap_or(""))).collect();
    let expected = [
        (Risk::NoDeadline, ""),
        (Risk::ExternalEffect, "push"),
        (Risk::ExternalEffect, "book"),
        (Risk::ExternalEffect, "inner/pay"),
        (Risk::NoUndo, "push"),
        (Risk::NoUndo, "inner/pay"),
        (Risk::SingleProvider, "list"),
        (Risk::SmallBudget, ""),
    ];
    assert_eq!(told, expected);
    assert!(found.iter().all(|note| !note.message.is_empty() && !note.remedy.is_empty()));
}

#[test]
fn retries_are_likely_where_attempts_failed_before() {
    let likely = |builds: &[u64]| {
        let estimate = Estimate::of(&demo(), &past(builds));
        let found = notes(&demo(), &BTreeMap::new(), Some(&estimate));
        found.into_iter().filter(|note| note.risk == Risk::RetriesLikely).map(|note| note.message).collect::<Vec<_>>()
    };
    assert_eq!(likely(&[1]), Vec::<String>::new(), "once is no rule");
    assert_eq!(likely(&[1, 1]), ["2 of 4 attempts of `build` failed in earlier runs"]);
}

#[test]
fn a_plan_is_printed_with_what_is_expected_of_it() {
    let plan = demo();
    let estimate = Estimate::of(&plan, &past(&[5_000]));
    let outlook = Outlook { notes: notes(&plan, &BTreeMap::new(), Some(&estimate)), estimate };
    let text = text_with(&plan, &outlook);
    let expected = "
expected: half within 29s, 95 of 100 within 29s; work on the longest path 27s, 27s; from 1 run that reached the goal, half \
                    of which differed by no more than 0s
   build: half within 5s, 95 of 100 within 5s; 1 of 2 attempts failed
   each: half within 10s, 95 of 100 within 20s; 0 of 2 attempts failed
   no attempt is recorded of new

note: external effect
   `build` runs a program that may change the world; after a crash it runs once more
   `each` runs a program that may change the world; after a crash it runs once more
   help: let it do nothing the second time, by the idempotency key in STEADFAST_IDEMPOTENCY_KEY

note: no undo
   what `build` did stays when the goal fails or is cancelled
   what `each` did stays when the goal fails or is cancelled
   help: name an `undo`, or leave it where there is nothing to undo
";
    assert!(text.ends_with(expected), "{text}");
    let object = json_with(&plan, &outlook);
    assert_eq!(object["notes"][0]["risk"], "external_effect");
    assert_eq!(object["estimate"]["run"]["p50"], 29_000);
    assert_eq!(object["goal"], "demo");
}
