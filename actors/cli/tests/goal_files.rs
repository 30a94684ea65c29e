//! Goal files that are wrong, and those that are not.

mod common;

use common::{World, ended, repository};
use serde_json::Value;

const RUNS: &str = "command = { program = 'touch', args = ['ran'] }";

/// Runs a goal whose first task is good; the place, the problem and the remedy are told, and nothing ran.
#[track_caller]
fn check(rest: &str, place: &str, words: &str) {
    let world = World::new(&format!("name = 'g'\n[[tasks]]\nid = 'good'\n{RUNS}\n{rest}"));
    let run = world.run(&["--json"]);
    let object = run.check(2, "invalid");
    let error = &object["errors"][0];
    let said = |key: &str| error[key].as_str().unwrap_or_default();
    assert!(said("place").ends_with(place), "the place is {}, not {place}: {run:#?}", said("place"));
    assert!(format!("{} {}", said("problem"), said("remedy")).contains(words), "{words}: {run:#?}");
    assert!(!said("remedy").is_empty() && run.stderr.contains("\n  help: "), "{run:#?}");
    assert!(!world.exists("ran") && run.report.is_none(), "something ran");
    let checked = ended(&["check", &world.goal().display().to_string(), "--format", "json"]);
    assert_eq!(checked.check(2, "invalid")["errors"], object["errors"]);
}

#[test]
fn wrong_syntax_is_told() {
    check("[[tasks]\n", "goal.toml:5:9", "expected `]`");
}

#[test]
fn an_unknown_key_is_told_with_the_closest_one() {
    check("[[tasks]]\nid = 'a'\ncomand = {}\n", "goal.toml:7:1", "did you mean `command`?");
}

#[test]
fn a_wrong_type_is_told() {
    check("[[tasks]]\nid = 5\ncollect = 1\n", "goal.toml:6:6", "string");
}

#[test]
fn an_unknown_reference_is_told() {
    check("[[tasks]]\nid = 'a'\ncollect = '${tasks.god.result}'\n", "goal.toml:7:12", "did you mean `good`?");
}

#[test]
fn a_cycle_is_told_as_its_path() {
    let cycle = "[[tasks]]\nid = 'a'\nafter = ['b']\ncollect = 1\n[[tasks]]\nid = 'b'\nafter = ['a']\ncollect = 1\n";
    check(cycle, "goal.toml:7:10", "a -> b -> a");
}

#[test]
fn a_capability_nobody_offers_is_told() {
    check("[[tasks]]\nid = 'a'\ncapability = 'task.fly'\ncollect = 1\n", "goal.toml:7:14", "nobody offers");
}

#[test]
fn a_deadline_below_the_critical_path_is_told() {
    let late = "at_least = '2m'\n[limits]\ndeadline = '1m'\n";
    check(late, "goal.toml:7:12", "critical path");
}

#[test]
fn a_missing_parameter_is_told() {
    check("[params.who]\n", "--param who", "give --param who=VALUE");
}

#[test]
fn a_task_that_does_nothing_is_told() {
    check("[[tasks]]\nid = 'a'\n", "goal.toml:6:6", "command");
}

#[test]
fn two_tasks_of_one_name_are_told() {
    check("[[tasks]]\nid = 'good'\ncollect = 1\n", "goal.toml:6:6", "good");
}

#[test]
fn the_schema_accepts_the_examples() {
    let schema: Value = serde_json::from_str(&ended(&["schema"]).stdout).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for goal in ["inspect", "deploy"] {
        let text = std::fs::read_to_string(repository().join(format!("examples/goals/{goal}.toml"))).expect("a goal");
        let goal: Value = toml::from_str(&text).expect("TOML");
        let errors: Vec<_> = validator.iter_errors(&goal).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0]);
    }
    assert!(!validator.is_valid(&serde_json::json!({ "name": "g", "tasks": [], "taks": [] })));
}

#[test]
fn a_plan_is_printed_in_each_format() {
    let goal = repository().join("examples/goals/inspect.toml").display().to_string();
    let printed = |format: &str| {
        let told = ended(&["check", &goal, "--format", format]);
        assert_eq!(told.code, Some(0), "{told:#?}");
        told.stdout
    };
    assert!(printed("text").contains("* critical path"));
    assert!(printed("mermaid").starts_with("flowchart TD"));
    assert!(printed("dot").starts_with("digraph"));
    assert!(serde_json::from_str::<Value>(&printed("json")).is_ok());
}

#[test]
fn a_file_that_cannot_be_a_goal_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cases: [(&str, &[u8], &str); 3] = [
        ("missing.yaml", b"", "expected .toml or .json"),
        ("latin.toml", b"name = 'g'\nx = '\xe4'\n", "latin.toml:2:6: the goal file is not UTF-8 here"),
        ("large.json", &vec![b' '; (16 << 20) + 1], "at most 16 MiB"),
    ];
    for (name, bytes, expected) in cases {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).expect("it can be written");
        let told = ended(&["check", &file.display().to_string()]);
        assert_eq!(told.code, Some(2), "{told:#?}");
        assert!(told.stderr.contains(expected) && told.stderr.contains("help: "), "{told:#?}");
    }
}
