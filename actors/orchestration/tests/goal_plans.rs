//! A goal reads back as it was written, and its plan keeps every dependency.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use steadfast_orchestration::goal::model::{
    Approve, Budget, ChildGoal, Command, Condition, EnvValue, FailureClass, FromEnv, Gather, Limits, OnExhausted,
    Param, ResultKind, Retries, Retrieve, Signal, Take, Task, Variable, Wait,
};
use steadfast_orchestration::goal::{self, Goal, Span, TaskKind};
use steadfast_orchestration::plan::Plan;

fn offered() -> BTreeSet<String> {
    TaskKind::capabilities().map(str::to_owned).collect()
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

/// A goal with one inside it, read from these two texts.
fn with_child(outer: &str, inner: &'static str) -> goal::Loaded {
    let text_of = |path: &str| {
        assert_eq!(path, "goals/inner.toml");
        Ok(inner.to_owned())
    };
    goal::read("goals/outer.toml", outer)
        .and_then(|loaded| loaded.embed(text_of))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

const OUTER: &str = r#"
name = "outer"
[params.who]
default = "world"
[[tasks]]
id = "first"
collect = { x = 1 }
[[tasks]]
id = "child"
at_least = "5s"
goal = { file = "inner.toml", params = { who = "${params.who}", what = "${tasks.first.result.x}" } }
[[tasks]]
id = "last"
collect = "${tasks.child.result.greet}"
"#;

const INNER: &str = r#"
name = "inner"
params = { who = {}, what = {}, how = { default = "well" } }
[[tasks]]
id = "rest"
wait = { for = "3d" }
[[tasks]]
id = "greet"
after = ["rest"]
at_least = "10s"
command = { program = "echo", args = ["${params.who}", "${params.what}", "${params.how}"] }
"#;

#[test]
fn a_plan_holds_the_goals_inside_it_whole() {
    let plan = with_child(OUTER, INNER).plan(BTreeMap::new(), &offered()).unwrap_or_else(|errors| panic!("{errors}"));
    let order: Vec<_> = plan.tasks().map(|task| (task.id(), task.capability())).collect();
    assert_eq!(order, [("first", Some("task.collect")), ("child", None), ("last", Some("task.collect"))]);
    // Without any file at hand, as whoever reads a journal is.
    let again: Plan = serde_json::from_value(json!(plan)).expect("a plan reads back");
    assert_eq!(again, plan);
    let child = again.task("child").and_then(|task| task.task().goal.clone()).expect("a child");
    assert_eq!(child.inline.expect("whole").tasks.len(), 2);
    assert_eq!(Span::of(plan.critical_length()).to_string(), "3d10s", "what is inside takes its time as well");
}

#[test]
fn what_is_wrong_inside_a_goal_is_told_at_its_place_in_its_own_file() {
    let inner = INNER.replace("params.how", "params.hwo").replace("program", "dir = '/x', program");
    let found = with_child(OUTER, inner.leak()).plan(BTreeMap::new(), &offered()).expect_err("it is wrong").to_string();
    assert!(found.contains("goals/inner.toml:11:87: there is no parameter `hwo`"), "{found}");
    assert!(found.contains("goals/inner.toml:11:19: `/x` is absolute"), "{found}");
    let found =
        with_child(OUTER, INNER).plan(BTreeMap::new(), &BTreeSet::new()).expect_err("nobody is there").to_string();
    assert!(found.contains("goals/inner.toml:11:11: nobody offers the capability `task.command`"), "{found}");
}

#[test]
fn a_goal_gets_the_parameters_that_it_has_and_all_that_it_needs() {
    let outer = OUTER.replace("what =", "waht =");
    let found = with_child(&outer, INNER).plan(BTreeMap::new(), &offered()).expect_err("it is wrong").to_string();
    assert!(found.contains("goals/outer.toml:11:65: the goal `inner` has no parameter `waht`"), "{found}");
    assert!(found.contains("help: did you mean `what`?"), "{found}");
    assert!(
        found.contains("goals/outer.toml:11:40: the parameter `what` of the goal `inner` has no default"),
        "{found}"
    );
}

#[test]
fn whoever_takes_the_first_of_several_does_not_take_as_long_as_the_slowest() {
    let length = |take: &str| {
        let goal = json!({ "name": "g", "limits": { "deadline": "20s" }, "tasks": [
            { "id": "slow", "at_least": "10s", "collect": 1 }, { "id": "fast", "collect": 1 },
            { "id": "one", "at_least": "15s", "gather": { "of": ["slow", "fast"], "take": take } },
        ] });
        let plan = Plan::new(serde_json::from_value(goal).expect("a goal"), BTreeMap::new(), &offered());
        plan.map(|plan| Span::of(plan.critical_length()).to_string()).map_err(|errors| errors.to_string())
    };
    assert_eq!(length("first"), Ok("15s".to_owned()));
    assert!(length("all").expect_err("too long").contains("the critical path, 25s: slow (10s) -> one (15s)"));
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
    ("[a-z]{1,6}", kinds, any_waits(), rest).prop_map(|(id, (command, retrieve, collect, result), waits, rest)| {
        let (after, inputs, retries, timeout, schema) = rest;
        Task { after, inputs, retries, timeout, schema, command, retrieve, collect, result, id, ..waits }
    })
}

/// A task with any of the kinds that wait, and a condition.
fn any_waits() -> impl Strategy<Value = Task> {
    let approve = (".{0,9}", option::of(any_span())).prop_map(|(prompt, timeout)| Approve { prompt, timeout });
    let wait = (option::of(any_span()), option::of(".{0,9}")).prop_map(|(span, until)| Wait { span, until });
    let signal = (".{0,9}", option::of(any_span())).prop_map(|(name, timeout)| Signal { name, timeout });
    let take = prop_oneof![Just(Take::All), Just(Take::First), (0..9_u32).prop_map(Take::Quorum)];
    let gather = (vec("[a-z]{1,3}", 0..3), take).prop_map(|(of, take)| Gather { of, take });
    let goal = (option::of(".{0,9}"), btree_map(".{0,6}", any_value(), 0..3)).prop_map(|(file, params)| ChildGoal {
        inline: file.is_none().then(|| Box::new(bare_goal())),
        file,
        params,
    });
    let when = (any_value(), option::of(any_value()), option::of(any_value()), option::of(0..99_i32)).prop_map(
        |(value, equals, contains, most)| Condition {
            value: Some(value),
            equals,
            contains,
            at_most: most.map(|most| f64::from(most) / 4.0),
            ..Condition::default()
        },
    );
    let kinds = (option::of(approve), option::of(wait), option::of(signal), option::of(gather), option::of(goal));
    (kinds, option::of(when)).prop_map(|((approve, wait, signal, gather, goal), when)| Task {
        approve,
        wait,
        signal,
        gather,
        goal,
        when,
        ..bare_task("")
    })
}

fn bare_goal() -> Goal {
    Goal {
        name: "inner".to_owned(),
        description: None,
        params: BTreeMap::new(),
        limits: Limits::default(),
        budget: Budget::default(),
        on_exhausted: OnExhausted::default(),
        tasks: vec![bare_task("a")],
    }
}

fn bare_task(id: &str) -> Task {
    serde_json::from_value(json!({ "id": id })).expect("a task needs nothing but an id to be read")
}

fn any_budget() -> impl Strategy<Value = Budget> {
    // TOML has no whole numbers beyond 63 bits.
    let number = || 0..=i64::MAX.unsigned_abs();
    let limits = (option::of(number()), option::of(number()), option::of(number()), option::of(any::<u32>()));
    (option::of(any_span()), limits, btree_map(".{0,6}", number(), 0..3)).prop_map(
        |(wall, (attempts, agents, output, repeats), counters)| Budget {
            wall,
            attempts,
            agents,
            output,
            counters,
            repeats,
        },
    )
}

fn any_goal() -> impl Strategy<Value = Goal> {
    let param = (option::of(".{0,8}"), option::of(any_value()))
        .prop_map(|(description, default)| Param { description, default });
    let limits = (option::of(any::<u32>()), option::of(any_span()))
        .prop_map(|(concurrency, deadline)| Limits { concurrency, deadline });
    let params = btree_map(".{0,6}", param, 0..3);
    (".{0,8}", option::of(".{0,20}"), params, limits, any_budget(), vec(any_task(), 0..4)).prop_map(
        |(name, description, params, limits, budget, tasks)| {
            let on_exhausted = OnExhausted::default();
            Goal { name, description, params, limits, budget, on_exhausted, tasks }
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
