//! However a run ends, it says so in one object and by its exit status, and leaves no process behind.

mod common;

use common::{World, ended};
use rustix::process::Signal;
use serde_json::Value;

/// A command that says it has begun, and then sleeps, in a process of its own besides.
const SLEEPS: &str = r#"
name = "sleeps"
[[tasks]]
id = "long"
command = { program = "sh", args = ["-c", "sleep 30 & touch started; sleep 30"], env = { MARK = "@" } }
[[tasks]]
id = "next"
after = ["long"]
command = { program = "touch", args = ["never"] }
"#;

#[test]
fn a_goal_that_is_reached_ends_with_0() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'true' }\n");
    let run = world.run(&["--json"]);
    let object = run.check(0, "reached");
    assert_eq!(object["tasks"]["succeeded"], 1);
    assert_eq!((&object["lost"], &object["completed_rerun"]), (&Value::from(0), &Value::from(0)));
    let report: Value = serde_json::from_str(&run.report.expect("report.json")).expect("it is JSON");
    assert_eq!(report["result_digest"], object["result_digest"]);
    assert!(run.page.expect("report.md").starts_with("# g: reached\n"));
}

#[test]
fn without_json_people_get_a_summary() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'true' }\n");
    let run = world.run(&[]);
    assert!(run.stdout.starts_with("goal g: reached after ") && run.stdout.contains("1 succeeded"), "{run:#?}");
    assert!(run.stderr.contains("task a started, attempt 1 on ") && run.stderr.contains("task a done"), "{run:#?}");
}

#[test]
fn a_task_that_fails_ends_the_run_with_1_and_is_named_with_the_reason_and_the_remedy() {
    let world = World::new(
        "name = 'g'\non_exhausted = 'fail'\n[[tasks]]\nid = 'bad'\ncommand = { program = 'sh', args = ['-c', 'echo no such luck >&2; exit 7'] }\n",
    );
    let run = world.run(&["--json"]);
    let object = run.check(1, "failed");
    assert_eq!(object["tasks"]["failed"], 1);
    let error = &object["errors"][0];
    assert!(error["place"].as_str().is_some_and(|place| place.contains("`bad`")), "{run:#?}");
    let problem = error["problem"].as_str().unwrap_or_default();
    assert!(problem.contains('7') && problem.contains("no such luck"), "{run:#?}");
    assert!(error["remedy"].is_string(), "{run:#?}");
    assert!(run.stderr.contains("error: task `bad` failed") && run.stderr.contains("  help: "), "{run:#?}");
    assert!(run.report.is_some() && run.page.is_some());
}

#[test]
fn a_wrong_command_line_is_one_object_too() {
    for args in [&["run", "--json"][..], &["run", "--jobs", "x", "--json"], &["--json", "walk"], &["check", "--json"]] {
        let told = ended(args);
        let object = told.check(2, "invalid");
        assert_eq!(object["errors"].as_array().map(Vec::len), Some(1), "{told:#?}");
        assert!(told.stderr.contains("error: "), "{told:#?}");
    }
    let told = ended(&["run"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told:#?}");
}

#[test]
fn a_number_that_is_none_is_refused_with_what_was_expected() {
    let cases = [
        ("--jobs", "expected a whole number from 1 to 1024, such as 4"),
        ("--max-restarts", "expected a whole number from 0 to 4294967295, such as 5"),
        ("--seed", "expected a whole number from 0 to 18446744073709551615, such as 7"),
        ("--chaos", "write for example `crash=10%,hang=2%`"),
    ];
    for (option, expected) in cases {
        for value in ["many", "-1", "1.5", "99999999999999999999"] {
            // Only the rates of chaos are no number, and `-1` is no option either.
            let given = if option == "--chaos" { format!("{option}={value}") } else { value.to_owned() };
            let args: Vec<&str> = if option == "--chaos" { vec![&given] } else { vec![option, &given] };
            let told = ended(&[&["run", "goal.toml", "--input", ".", "--json"], &args[..]].concat());
            let object = told.check(2, "invalid");
            let problem = object["errors"][0]["problem"].as_str().expect("a text");
            assert!(problem.contains(option) && problem.contains(expected), "{told:#?}");
            assert!(told.stderr.contains(expected), "{told:#?}");
        }
    }
}

#[test]
fn an_input_or_a_report_folder_that_cannot_be_is_refused() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'touch', args = ['ran'] }\n");
    world.file("file", "");
    let (goal, input) = (world.goal().display().to_string(), world.input().display().to_string());
    let file = world.input().join("file").display().to_string();
    for (args, place) in [
        (["--input", &file, "--report", &input], "--input"),
        (["--input", &input, "--report", &file], "--report"),
        (["--input", &input, "--report", &format!("{input}/.")], "--report"),
    ] {
        let told = ended(&[&["run", &goal, "--json"][..], &args].concat());
        let object = told.check(2, "invalid");
        assert!(object["errors"][0]["place"].as_str().is_some_and(|told| told.starts_with(place)), "{told:#?}");
    }
    assert!(!world.exists("ran"));
}

#[test]
fn a_run_that_is_asked_to_end_lets_running_tasks_finish_and_starts_no_others() {
    let world = World::new(
        r#"
name = "drains"
[[tasks]]
id = "long"
command = { program = "sh", args = ["-c", "touch started; while [ ! -e go ]; do sleep 0.02; done; touch ended"], env = { MARK = "@" } }
[[tasks]]
id = "next"
after = ["long"]
command = { program = "touch", args = ["never"] }
"#,
    );
    let run = world.start(&["--json"]);
    run.until_file("started");
    run.send(Signal::TERM);
    run.until_said("draining");
    world.file("go", "");
    let run = run.end();
    let object = run.check(4, "drained");
    assert_eq!((&object["tasks"]["succeeded"], &object["tasks"]["unfinished"]), (&Value::from(1), &Value::from(1)));
    assert!(world.exists("ended") && !world.exists("never"));
    assert_eq!(world.processes(), [""; 0]);
    assert!(run.report.is_some_and(|report| report.contains("\"drained\"")));
}

#[test]
fn a_run_whose_terminal_is_gone_leaves_no_process_behind() {
    let world = World::new(SLEEPS);
    let run = world.start(&["--json"]);
    run.until_file("started");
    run.send(Signal::HUP);
    run.until_said("draining");
    run.send(Signal::HUP);
    run.end();
    assert_eq!(world.processes(), [""; 0]);
    assert!(!world.exists("never"));
}

#[test]
fn tasks_that_do_not_end_in_time_are_killed() {
    let world = World::new(SLEEPS);
    let run = world.start(&["--json"]);
    run.until_file("started");
    assert!(world.processes().len() >= 2);
    run.send(Signal::INT);
    let run = run.end();
    let object = run.check(4, "drained");
    assert_eq!(object["tasks"]["unfinished"], 2);
    assert_eq!(world.processes(), [""; 0]);
    assert!(!world.exists("never"));
}

#[test]
fn a_second_signal_stops_at_once() {
    for (first, second) in [(Signal::TERM, Signal::INT), (Signal::INT, Signal::TERM)] {
        let world = World::new(SLEEPS);
        let run = world.start(&["--json"]);
        run.until_file("started");
        run.send(first);
        run.until_said("draining");
        run.send(second);
        let run = run.end();
        let object = run.check(130, "stopped");
        assert!(object["elapsed_ms"].as_u64().is_some_and(|elapsed| elapsed < 9000), "{run:#?}");
        assert_eq!(world.processes(), [""; 0]);
        assert!(run.report.is_some_and(|report| report.contains("\"stopped\"")));
    }
}

#[test]
fn a_task_that_takes_too_long_fails_and_leaves_no_process() {
    let goal = SLEEPS.replace("id = \"long\"", "id = \"long\"\ntimeout = \"1s\"");
    let goal = format!("on_exhausted = \"fail\"\n{goal}");
    let world = World::new(&goal);
    let run = world.run(&["--json"]);
    let object = run.check(1, "failed");
    assert_eq!((&object["tasks"]["failed"], &object["tasks"]["skipped"]), (&Value::from(1), &Value::from(1)));
    assert_eq!(world.processes(), [""; 0]);
}

#[test]
fn agents_that_crash_leave_no_process_of_theirs() {
    let world = World::new(
        r#"
name = "crashes"
[[tasks]]
id = "list"
retrieve = { files = ["*.txt"] }
[[tasks]]
id = "each"
for_each = "${tasks.list.result}"
command = { program = "sh", args = ["-c", "sleep 60 & sleep 0.05"], env = { MARK = "@" } }
"#,
    );
    (0..12).for_each(|number| world.file(&format!("{number}.txt"), ""));
    for seed in ["1", "2", "3"] {
        let run = world.run(&["--json", "--seed", seed, "--chaos", "crash=30%", "--jobs", "3"]);
        let object = run.check(0, "reached");
        assert!(object["restarts"]["total"].as_u64().is_some_and(|restarts| restarts > 0), "{run:#?}");
        let panics = run.stderr.matches("panicked at").count() as u64;
        assert_eq!(object["restarts"]["total"], panics, "one for one, so there is one restart for each panic");
        assert_eq!(world.processes(), [""; 0]);
    }
}

#[test]
fn a_run_that_nobody_can_carry_ends_with_3_and_names_the_first_cause_the_limit_and_the_remedy() {
    let task = |id: &str| format!("[[tasks]]\nid = '{id}'\ncommand = {{ program = 'true' }}\n");
    let goal = format!("name = 'g'\n{}", ["a", "b", "c", "d", "e", "f", "g", "h"].map(task).concat());
    let world = World::new(&goal);
    let run = world.run(&["--json", "--seed", "7", "--jobs", "2", "--chaos", "crash=100%", "--max-restarts", "0"]);
    let object = run.check(3, "gave_up");
    let (problem, remedy) = (&object["errors"][0]["problem"], &object["errors"][0]["remedy"]);
    let problem = problem.as_str().unwrap_or_default();
    // That of an orchestrator, or of the supervisor of other agents: whichever has more crashes first.
    let limits = ["1 with 0 in 10s allowed", "more than 0 restarts in 10s"];
    assert!(limits.iter().any(|limit| problem.contains(limit)), "the limit: {run:#?}");
    assert!(problem.contains("a fault on purpose"), "the first cause: {run:#?}");
    assert!(remedy.as_str().is_some_and(|remedy| remedy.contains("--max-restarts")), "the remedy: {run:#?}");
    assert_eq!(world.processes(), Vec::<String>::new());
}
