//! A wrong goal file is refused before anything runs, with the place of every mistake and what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use steadfast_orchestration::goal::{self, GoalErrors, Place};

fn offered() -> BTreeSet<String> {
    ["task.check", "task.collect", "task.command", "task.retrieve"].map(str::to_owned).into()
}

/// The errors of a file, by reading it and planning it with these parameters.
fn errors(file: &str, text: &str, params: &Value) -> GoalErrors {
    let params: BTreeMap<String, Value> = serde_json::from_value(params.clone()).expect("an object");
    goal::read(file, text).and_then(|loaded| loaded.plan(params, &offered())).expect_err("the goal is wrong")
}

/// Where an error is, as it is printed.
fn place(place: &Place) -> String {
    match place {
        Place::Line { line, column } => format!("{line}:{column}"),
        Place::Pointer(pointer) => pointer.clone(),
        Place::Param(name) => format!("--param {name}"),
    }
}

/// Compares every error of a file: its place, a part of the problem, and the remedy.
#[track_caller]
fn check(found: &GoalErrors, expected: &[(&str, &str, &str)]) {
    let found = found.as_slice();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (error, (at, problem, remedy)) in found.iter().zip(expected) {
        assert_eq!((place(error.place()).as_str(), error.remedy()), (*at, *remedy), "{error}");
        assert!(error.problem().contains(problem), "expected `{problem}` in: {error}");
    }
}

/// The file of this name below `tests/data/wrong_goals`, read and planned without parameters.
macro_rules! wrong {
    ($file:literal) => {
        errors($file, include_str!(concat!("data/wrong_goals/", $file)), &json!({}))
    };
}

#[test]
fn broken_toml_names_line_and_column() {
    check(&wrong!("syntax.toml"), &[("4:12", "invalid basic string", "write `\"` here")]);
}

#[test]
fn broken_json_names_line_and_column() {
    check(&wrong!("syntax.json"), &[("5:3", "trailing comma", "correct the syntax here")]);
}

#[test]
fn a_value_of_another_type_names_what_was_expected() {
    let duration = "a duration such as \"250ms\", \"5s\" or \"1m30s\"";
    check(&wrong!("type.toml"), &[("5:11", duration, &format!("write {duration} here"))]);
    check(&wrong!("type.json"), &[("4:68", "a text, expected a list", "write a list here")]);
    let env = "write a text, or { from = \"NAME\" } for a variable of the environment here";
    check(&wrong!("env.toml"), &[("8:33", "an integer, expected a text, or { from", env)]);
}

#[test]
fn a_text_that_is_no_duration_says_how_one_is_written() {
    let remedy = "write a number with a unit (ms, s, m, h, d), such as \"1m30s\" here";
    check(&wrong!("duration.toml"), &[("4:12", "`10 minutes` is no duration: the unit is missing", remedy)]);
}

#[test]
fn a_date_is_no_value_of_a_goal() {
    check(&wrong!("date.toml"), &[("5:18", "a goal has no dates", "put it in quotes, as a text")]);
}

#[test]
fn a_missing_key_names_the_table_it_is_missing_in() {
    check(&wrong!("missing_id.toml"), &[("7:1", "missing field `id`", "add the key `id`")]);
}

#[test]
fn every_unknown_key_is_named_with_its_place_and_the_closest_known_one() {
    check(
        &wrong!("unknown_keys.toml"),
        &[
            ("4:1", "unknown key `deadlin` in `limits`; expected one of `concurrency`", "did you mean `deadline`?"),
            ("8:1", "unknown key `comand` in `tasks[0]`", "did you mean `command`?"),
            (
                "12:27",
                "unknown key `frobnicate` in `tasks[1].retries`",
                "remove `frobnicate`, or see `steadfast schema` for the format",
            ),
        ],
    );
    let expected = [("/tasks/0/command/argz", "unknown key `argz` in `tasks[0].command`", "did you mean `args`?")];
    check(&wrong!("unknown_key.json"), &expected);
}

#[test]
fn a_cycle_is_printed_as_the_path() {
    let path = "build -> test -> package -> build";
    check(&wrong!("cycle.toml"), &[("10:10", path, "remove one of these `after` entries or references")]);
}

#[test]
fn an_unknown_task_and_the_task_itself_are_nothing_to_wait_for() {
    check(
        &wrong!("unknown_task.toml"),
        &[
            ("10:5", "there is no task `biuld`; expected one of `build`", "did you mean `build`?"),
            ("11:5", "the task `test` waits for itself", "remove this, or name the task that is meant"),
        ],
    );
}

#[test]
fn a_reference_to_nothing_is_marked_inside_its_text() {
    check(
        &wrong!("references.toml"),
        &[
            ("12:10", "there is no parameter `taget`; expected one of `target`", "did you mean `target`?"),
            ("12:34", "there is no input `speed`; expected one of `mode`", "add it to the task's `inputs`"),
            (
                "12:53",
                "`${item}` has a meaning only in a task with `for_each`",
                "add for_each = \"${tasks.ID.result}\" to the task",
            ),
            ("12:64", "`${HOME}` is no reference: expected `params.NAME`", "write `$${` for a literal `${`"),
            ("12:77", "there is no task `tset`; there are none", "name an existing task, or add this one"),
        ],
    );
    check(
        &wrong!("references.json"),
        &[
            ("/tasks/1/collect/a~1b/0", "there is no task `lisst`", "did you mean `list`?"),
            ("/tasks/1/for_each", "expected exactly one reference to a list", "write such as \"${tasks.ID.result}\""),
        ],
    );
}

#[test]
fn a_capability_that_nobody_offers_is_named_with_those_that_are_offered() {
    let problem = "`llm.chat`; offered are `task.check`, `task.collect`, `task.command`, `task.retrieve`";
    let remedy = "use an offered capability, or start an agent that offers this one";
    check(&wrong!("capability.toml"), &[("5:14", problem, remedy)]);
}

#[test]
fn a_deadline_below_the_critical_path_is_refused_with_the_path_and_its_sum() {
    let path = "the deadline, 1m, is below the critical path, 2m5s: build (50s) -> test (1m15s)";
    check(
        &wrong!("deadline.toml"),
        &[
            ("4:15", "with a concurrency of 0 nothing would run", "write 1"),
            ("5:12", path, "raise the deadline above 2m5s, or shorten the path"),
        ],
    );
}

#[test]
fn parameters_that_are_missing_or_unknown_are_named_as_on_the_command_line() {
    let missing = "the parameter `version` (the version to release) has no default and was not given";
    check(&wrong!("params.toml"), &[("--param version", missing, "give --param version=VALUE")]);
    let text = include_str!("data/wrong_goals/params.toml");
    let found = errors("params.toml", text, &json!({ "version": "1", "chanel": "beta", "x": 1 }));
    check(
        &found,
        &[
            (
                "--param chanel",
                "no parameter `chanel`; expected one of `channel`, `version`",
                "did you mean `channel`?",
            ),
            ("--param x", "no parameter `x`", "leave it out, or declare it as [params.x] in the goal"),
        ],
    );
    assert!(found.to_string().starts_with("--param chanel: the goal has no parameter `chanel`"), "{found}");
}

#[test]
fn a_task_does_exactly_one_thing() {
    check(
        &wrong!("kinds.toml"),
        &[
            ("4:6", "the task `nothing` does nothing", "add what the task does, such as command = { program = \"…\" }"),
            ("9:1", "`both` has `command`, `collect`", "make a task of its own for each kind"),
            ("13:12", "`retrieve` has `files`, `digest`; expected exactly one of", "keep one of them"),
            ("17:21", "`check.assert[0]` has `equals`, `at_most`", "keep one of them"),
            (
                "17:61",
                "`check.assert[1]` has nothing",
                "add one of `equals`, `not_equals`, `at_least`, `at_most`, `matches`, `contains`",
            ),
            ("21:1", "`result` is for commands", "remove `result`; the value of this kind of task is its result"),
        ],
    );
}

#[test]
fn an_undo_is_checked_as_the_task_that_it_is() {
    check(
        &wrong!("undo.toml"),
        &[
            (
                "7:8",
                "the undo of `nothing` does nothing; expected one of `command`, `collect`",
                "add what the undo does, such as command = { program = \"…\" }",
            ),
            ("12:42", "the undo of `both` has `command` and `collect`", "keep one of them"),
            (
                "16:40",
                "`${result}` has a meaning only in an `undo`",
                "refer to the result of another task, as ${tasks.ID.result}",
            ),
            ("17:20", "a timeout of 0 fails every attempt", "write such as \"30s\""),
            ("17:78", "there is no input `x`", "add it to the task's `inputs`"),
            (
                "22:23",
                "nobody offers the capability `task.undo`",
                "use an offered capability, or start an agent that offers this one",
            ),
            ("22:47", "there is no task `nobody`", "name an existing task, or add this one"),
            ("27:33", "with 0 attempts the task never runs", "write 1 for no second attempt, 2 for one, and so on"),
            ("27:60", "the program is empty", "name a program, such as \"git\""),
            ("27:70", "`../x` leads out of the input folder", "name a path below the input folder"),
            ("27:86", "`STEADFAST_X` is set by steadfast itself", "choose another name"),
        ],
    );
}

#[test]
fn names_are_well_formed_and_ids_unique() {
    check(
        &wrong!("names.toml"),
        &[
            ("1:8", "`my goal` is no name of a goal; expected letters, digits, `-` and `_`", "write `my-goal`"),
            ("3:9", "`a.b` is no name of a parameter", "write `a-b`"),
            ("7:6", "`build it` is no name of a task", "write `build-it`"),
            ("15:6", "the id `twice` is taken by tasks[1]", "give one of the two another id"),
        ],
    );
}

#[test]
fn paths_and_globs_stay_in_the_input_folder() {
    let below = "name a path below the input folder";
    let all = "write [\"**\"] for all files";
    check(
        &wrong!("paths.toml"),
        &[
            ("8:23", "`src/[a` is no glob", "correct the glob"),
            ("8:33", "`/etc/*` is absolute", "correct the glob"),
            ("12:22", "every glob begins with `!`", all),
            ("16:19", "`../x` leads out of the input folder", below),
            ("17:24", "`../secret.txt` leads out of the input folder", below),
            ("21:37", "`/tmp` is absolute", below),
            ("25:27", "there are no globs", all),
        ],
    );
}

#[test]
fn patterns_and_schemas_are_compiled_before_anything_runs() {
    let schema = "correct the schema, or put what it refers to under `$defs`";
    check(
        &wrong!("content.toml"),
        &[
            (
                "5:42",
                "the pattern is no regular expression: unclosed group",
                "correct the pattern; a special character is taken literally after a backslash",
            ),
            ("9:40", "the schema is no JSON Schema (2020-12): \"intger\"", schema),
            ("13:10", "expected one that refers to nothing outside itself", schema),
        ],
    );
}

#[test]
fn numbers_that_would_never_let_a_task_run_are_refused() {
    check(
        &wrong!("numbers.toml"),
        &[
            ("5:13", "with 0 items at most", "write 1 or more"),
            ("6:11", "a timeout of 0 fails every attempt", "write such as \"30s\""),
            ("7:24", "with 0 attempts the task never runs", "write 1 for no second attempt, 2 for one, and so on"),
            ("7:36", "a back-off factor of 0.5", "write 1 for equal waits, or 2 to double them"),
            ("8:23", "the program is empty", "name a program, such as \"git\""),
            ("8:41", "no exit code would be success", "write [0], or leave `expect_exit` out"),
            ("8:53", "`STEADFAST_RUN` is set by steadfast itself", "choose another name"),
            ("12:12", "at least 11m, more than the timeout", "raise `timeout` above 11m or lower `at_least`"),
        ],
    );
}

#[test]
fn what_a_waiting_task_cannot_mean_is_refused() {
    let one = "expected exactly one of `for`, `until`";
    let gather = "write it for the gathered tasks, or for those that need this one";
    check(
        &wrong!("waits.toml"),
        &[
            ("5:22", "the prompt is empty", "write what the person is to decide, such as \"Deploy to production?\""),
            ("5:37", "a timeout of 0 fails at once", "write such as \"3d\""),
            ("6:1", "`timeout` means nothing for the task `ask`, of kind `approve`", "write it as `approve.timeout`"),
            ("10:8", one, "keep one of them"),
            ("14:18", "there is no such day from 1970 on", "write such as \"2026-12-01T00:00:00Z\""),
            ("15:1", "`retries` means nothing", "remove it; there are no attempts that could fail"),
            ("19:19", "`pay ment` is no name of a signal", "write such as \"payment\" or \"payment.${item}\""),
            ("20:1", "`capability` means nothing", "remove it; the run itself carries this task out"),
            ("24:18", "there is no task `aks`", "did you mean `ask`?"),
            ("24:34", "`until` is gathered already, by of[1]", "remove it here"),
            ("24:62", "3 of 2 tasks make no quorum; expected 1 to 2", "lower it, or gather more tasks"),
            ("25:1", "`when` means nothing", gather),
            (
                "25:8",
                "`when` has nothing; expected exactly one of `exists`, `missing`, `value`",
                "add one of `exists`, `missing`, `value`",
            ),
        ],
    );
}

#[test]
fn a_condition_is_about_one_thing_and_says_one_thing_of_it() {
    let claims = "`equals`, `not_equals`, `at_least`, `at_most`, `matches`, `contains`";
    check(
        &wrong!("conditions.toml"),
        &[
            ("5:8", "`when` has `exists`, `value`", "keep one of them"),
            ("10:8", &format!("`when` has nothing; expected exactly one of {claims}"), &format!("add one of {claims}")),
            ("15:19", "`equals` has no `value` to be about", "add value = \"${tasks.ID.result}\""),
            (
                "20:33",
                "the pattern is no regular expression",
                "correct the pattern; a special character is taken literally after a backslash",
            ),
            ("25:19", "`${item}` is not known yet here", "refer to a parameter or to a result"),
        ],
    );
}

#[test]
fn an_error_prints_its_line_with_a_mark_and_the_remedy() {
    assert_eq!(
        wrong!("type.toml").to_string(),
        "type.toml:5:11: invalid type: an integer, expected a duration such as \"250ms\", \"5s\" or \"1m30s\"\n  \
         5 | timeout = 30\n    |           ^^\n  \
         help: write a duration such as \"250ms\", \"5s\" or \"1m30s\" here"
    );
}

#[test]
fn a_budget_within_which_nothing_can_be_done_is_refused() {
    let found = wrong!("budget.toml");
    check(
        &found,
        &[
            ("4:8", "the budget of 1m is below the critical path, 2m", "raise `wall` above 2m, or shorten the path"),
            ("5:12", "with a budget of 0 attempts", "write 1 or more, or leave `attempts` out"),
            ("6:10", "with a budget of 0 agents", "write 1 or more, or leave `agents` out"),
            ("7:10", "with a budget of 0 output", "write 1 or more, or leave `output` out"),
            ("8:11", "was not repeated; expected 2 or more", "write such as 5, or leave `repeats` out"),
            ("9:26", "`many tokens` is no name of a counter", "choose another name"),
        ],
    );
    let text = "name = 'g'\n[budget]\nwall = '0s'\ntokens = 3\n[[tasks]]\nid = 'a'\ncollect = 1\n";
    let unknown = errors("g.toml", text, &json!({}));
    check(&unknown, &[("4:1", "unknown key `tokens`", "remove `tokens`, or see `steadfast schema` for the format")]);
    let text = text.replace("tokens = 3\n", "");
    let problem = "a budget of no time ends every run at once";
    check(&errors("g.toml", &text, &json!({})), &[("3:8", problem, "write such as \"10m\"")]);
    let text = text.replace("'0s'", "'10m'\nattempts = -1");
    assert_eq!(errors("g.toml", &text, &json!({})).as_slice().len(), 1);
}
