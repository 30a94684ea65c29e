//! A goal reads back as it was written, and its plan keeps every dependency.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use steadfast_orchestration::goal::model::{
    Command, EnvValue, FailureClass, FromEnv, Limits, OnExhausted, Param, ResultKind, Retries, Retrieve, Task, Variable,
};
use steadfast_orchestration::goal::{self, Goal, Span, TaskKind};
use steadfast_orchestration::plan::Plan;

fn offered() -> BTreeSet<String> {
    TaskKind::ALL.map(|kind| kind.capability().to_owned()).into()
}

#[track_caller]
fn check_example(file: &str, text: &str) {
    let plan = goal::read(file, text)
        .and_then(|loaded| loaded.plan(BTreeMap::new(), &offered()))
        .unwrap_or_else(|errors| panic!("{errors}"));
    let again: Plan = serde_json::from_value(json!(plan)).expect("a plan reads back");
    assert_eq!(again, plan);
    let schema = jsonschema::draft202012::new(&goal::json_schema()).expect("our own schema compiles");
    let as_json: Value = toml::from_str(text).expect("the example is TOML");
    let problems: Vec<String> = schema.iter_errors(&as_json).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "the example satisfies the schema of goal files: {problems:?}");
}

#[test]
fn the_example_goals_are_read_and_planned_and_satisfy_the_schema() {
    check_example("inspect.toml", include_str!("../../../examples/goals/inspect.toml"));
    check_example("deploy.toml", include_str!("../../../examples/goals/deploy.toml"));
}

#[test]
fn a_plan_of_ten_thousand_tasks_is_made_again_without_a_wait_for_each_pair() {
    let tasks: Vec<Value> = (0..10_000)
        .map(|number: u32| json!({ "id": format!("t{number}"), "collect": format!("${{tasks.t{}.result}}", number / 2) }))
        .skip(1)
        .chain([json!({ "id": "t0", "collect": 0 })])
        .collect();
    let goal = serde_json::from_value(json!({ "name": "large", "tasks": tasks })).expect("a goal");
    let plan = Plan::new(goal, BTreeMap::new(), &offered()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(plan.tasks().next().map(|task| task.id()), Some("t0"));
    assert_eq!(plan.task("t1").expect("planned").dependents(), ["t2", "t3"]);
    // t0, then one task for each power of two below 10,000.
    assert_eq!(plan.critical_path().len(), 15);
}

/// Any JSON value that TOML can hold as well.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(".{0,6}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn any_span() -> impl Strategy<Value = Span> {
    (0..100_000_000_u64).prop_map(Span::from_millis)
}

fn any_env() -> impl Strategy<Value = EnvValue> {
    let from = ("[A-Z]{1,4}", any::<bool>(), any::<bool>())
        .prop_map(|(name, secret, optional)| EnvValue::From(FromEnv { from: Variable { name, secret }, optional }));
    prop_oneof![".{0,6}".prop_map(EnvValue::Literal), from]
}

fn any_result() -> impl Strategy<Value = ResultKind> {
    prop_oneof![
        Just(ResultKind::Exit),
        Just(ResultKind::Stdout),
        Just(ResultKind::Json),
        vec("[a-z*]{1,5}", 0..3).prop_map(ResultKind::Files),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let env = btree_map("[A-Z]{1,4}", any_env(), 0..3);
    (".{1,8}", vec(".{0,8}", 0..3), option::of(".{0,8}"), env, vec(0..256, 0..3), 0..1_000_000_u64).prop_map(
        |(program, args, stdin, env, expect_exit, output_limit)| Command {
            program,
            args,
            dir: None,
            env,
            stdin,
            expect_exit,
            output_limit,
        },
    )
}

fn any_retries() -> impl Strategy<Value = Retries> {
    (1..9_u32, any_span(), 4..40_u32, any_span()).prop_map(|(attempts, backoff, quarters, max_backoff)| Retries {
        attempts,
        backoff,
        factor: f64::from(quarters) / 4.0,
        max_backoff,
        on: vec![FailureClass::Exit, FailureClass::Invalid],
    })
}

fn any_task() -> impl Strategy<Value = Task> {
    let inputs = btree_map("[a-z]{1,4}", any_value(), 0..3);
    let retrieve = (vec(".{1,6}", 1..3), option::of(any_span())).prop_map(|(files, cache)| Retrieve {
        files: Some(files),
        cache,
        ..Retrieve::default()
    });
    let kinds = (option::of(any_command()), option::of(retrieve), option::of(any_value()), any_result());
    let rest = (vec("[a-z]{1,3}", 0..3), inputs, any_retries(), option::of(any_span()), option::of(any_value()));
    ("[a-z]{1,6}", kinds, rest).prop_map(|(id, (command, retrieve, collect, result), rest)| {
        let (after, inputs, retries, timeout, schema) = rest;
        Task { after, inputs, retries, timeout, schema, command, retrieve, collect, result, ..bare_task(&id) }
    })
}

fn bare_task(id: &str) -> Task {
    serde_json::from_value(json!({ "id": id })).expect("a task needs nothing but an id to be read")
}

fn any_goal() -> impl Strategy<Value = Goal> {
    let param = (option::of(".{0,8}"), option::of(any_value()))
        .prop_map(|(description, default)| Param { description, default });
    let limits = (option::of(any::<u32>()), option::of(any_span()))
        .prop_map(|(concurrency, deadline)| Limits { concurrency, deadline });
    (".{0,8}", option::of(".{0,20}"), btree_map(".{0,6}", param, 0..3), limits, vec(any_task(), 0..4)).prop_map(
        |(name, description, params, limits, tasks)| {
            let on_exhausted = OnExhausted::default();
            Goal { name, description, params, limits, on_exhausted, tasks }
        },
    )
}

/// Tasks in the order of a file, where each waits for some of those with a lower rank.
fn any_dag() -> impl Strategy<Value = (Vec<usize>, Vec<Vec<(usize, bool)>>)> {
    (1..25_usize).prop_flat_map(|count| {
        let ranks = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        let needs = vec(vec((0..count, any::<bool>()), 0..5), count);
        (ranks, needs)
    })
}

proptest! {
    #[test]
    fn a_goal_reads_back_from_toml_and_from_json(goal in any_goal()) {
        let as_json = serde_json::to_string(&goal).expect("any goal can be written as JSON");
        let as_toml = toml::to_string(&goal).expect("a goal without null can be written as TOML");
        for (file, text) in [("goal.json", as_json), ("goal.toml", as_toml)] {
            let again = goal::read(file, &text).unwrap_or_else(|errors| panic!("{errors}\n{text}")).goal;
            prop_assert_eq!(&again, &goal, "{}", text);
        }
    }

    #[test]
    fn every_task_of_a_plan_comes_after_what_it_depends_on((ranks, needs) in any_dag()) {
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut tasks = Vec::new();
        for (&rank, needs) in ranks.iter().zip(&needs) {
            let lower = |by_reference: bool| {
                let chosen = needs.iter().filter(move |(need, by)| *need < rank && *by == by_reference);
                chosen.map(|(need, _)| *need).collect::<Vec<usize>>()
            };
            let after: Vec<String> = lower(false).iter().map(|need| format!("t{need}")).collect();
            let refers: Vec<String> = lower(true).iter().map(|need| format!("is ${{tasks.t{need}.result.x}}")).collect();
            let needed: BTreeSet<usize> = lower(false).into_iter().chain(lower(true)).collect();
            let in_file = ranks.iter().filter(|rank| needed.contains(rank)).map(|rank| format!("t{rank}")).collect();
            expected.insert(format!("t{rank}"), in_file);
            tasks.push(json!({ "id": format!("t{rank}"), "after": after, "collect": refers }));
        }
        let goal: Goal = serde_json::from_value(json!({ "name": "dag", "tasks": tasks })).expect("a goal");
        let plan = Plan::new(goal, BTreeMap::new(), &offered()).unwrap_or_else(|errors| panic!("{errors}"));

        prop_assert_eq!(plan.len(), ranks.len());
        for task in plan.tasks() {
            prop_assert_eq!(task.dependencies(), expected[task.id()].as_slice());
            for need in task.dependencies() {
                let need = plan.task(need).expect("a dependency is planned");
                prop_assert!(need.position() < task.position());
                prop_assert!(need.dependents().iter().any(|id| id == task.id()));
            }
        }
    }
}
