//! Guarantee: runs that are kept go on where they were, in whichever process, and other processes can look at them and ask
//! something of them.

mod common;

use common::World;
use rustix::process::Signal;

/// Fails until a file is there.
const NEEDS_A_FILE: &str = r#"
name = "needs"
[[tasks]]
id = "first"
command = { program = "sh", args = ["-c", "echo $STEADFAST_ATTEMPT >> first"] }
[[tasks]]
id = "second"
after = ["first"]
command = { program = "sh", args = ["-c", "echo $STEADFAST_ATTEMPT $STEADFAST_IDEMPOTENCY_KEY >> second; test -f there"] }
"#;

const ASKS: &str = r#"
name = "asks"
[[tasks]]
id = "ok"
approve = { prompt = "ship it?" }
[[tasks]]
id = "shipped"
after = ["ok"]
command = { program = "sh", args = ["-c", "touch shipped"] }
[tasks.undo]
command = { program = "rm", args = ["shipped"] }
[[tasks]]
id = "paid"
after = ["shipped"]
signal = { name = "payment" }
"#;

#[test]
fn a_task_that_used_up_its_attempts_pauses_the_run_which_goes_on_once_it_is_resumed() {
    let world = World::new(NEEDS_A_FILE);
    let run = world.run(&["--json"]);
    let object = run.check(1, "paused");
    let id = object["run"].as_str().expect("a run");
    assert!(run.stderr.contains(&format!("steadfast resume {id} --state ")), "{run:#?}");
    let why = world.verb(&["why", "last"]);
    assert!(why.stdout.contains("`second` has used up its attempts"), "{why:#?}");

    world.file("there", "");
    let run = world.run(&["--json"]);
    assert_eq!(run.check(0, "reached")["run"], object["run"]);
    assert!(run.stderr.contains("goes on with the run"), "{run:#?}");
    assert_eq!(world.content("first"), "1\n", "what is recorded never runs again");
    assert_eq!(world.content("second"), format!("1 {id}:second\n2 {id}:second\n"), "the same key, the next attempt");
    assert_eq!(world.run(&["--json"]).check(0, "reached")["run"].as_str().map(|next| next == id), Some(false));
}

#[test]
fn a_run_that_waits_ends_with_4_and_people_and_events_let_it_go_on() {
    let world = World::new(ASKS);
    let run = world.run(&["--json", "--wait", "100ms"]);
    run.check(4, "waiting");
    assert!(!world.exists("shipped"), "{run:#?}");
    run.says(4, &["it waits for a person: ship it?", "steadfast approve ", "then go on: steadfast resume "]);
    for (args, code) in
        [(&["approve", "last", "nobody"][..], 2), (&["approve", "last", "ok"], 0), (&["pause", "last"], 0)]
    {
        assert_eq!(world.verb(args).code, Some(code), "{args:?}");
    }
    let run = world.run(&["--json", "--wait", "100ms"]);
    run.check(4, "waiting");
    assert!(world.exists("shipped"));
    assert_eq!(world.verb(&["signal", "last", "payment", "--data", "{"]).code, Some(2));
    assert_eq!(world.verb(&["signal", "last", "payment", "--data", "3"]).code, Some(0));
    world.run(&["--json"]).check(0, "reached");
}

#[test]
fn a_run_that_is_cancelled_ends_with_5_and_takes_back_what_it_did() {
    let world = World::new(ASKS);
    world.run(&["--json", "--wait", "100ms"]).check(4, "waiting");
    world.verb(&["approve", "last", "ok"]);
    let run = world.start(&["--json"]);
    run.until_file("shipped");
    run.until_said("task paid waits");
    let cancelled = world.verb(&["cancel", "last", "--undo", "--why", "not needed"]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:#?}");
    run.end().check(5, "cancelled");
    assert!(!world.exists("shipped"), "it was taken back");
    assert!(world.verb(&["show", "last"]).stdout.contains("undone"));
}

#[test]
fn a_process_that_is_killed_leaves_no_command_and_loses_nothing() {
    let goal = "name = 'k'\n[[tasks]]\nid = 'a'\ncommand = { program = 'touch', args = ['a'] }\n[[tasks]]\nid = 'b'\nafter = ['a']\n\
                command = { program = 'sh', args = ['-c', 'touch b; test -f go || sleep 60'], env = { MARK = '@' } }\n";
    let world = World::new(goal);
    let run = world.start(&["--json"]);
    run.until_file("b");
    run.send(Signal::KILL);
    drop(run);
    world.file("go", "");
    let run = world.run(&["--json"]);
    let object = run.check(0, "reached");
    assert_eq!(world.processes(), [""; 0]);
    assert_eq!((&object["reissued"], &object["completed_rerun"]), (&1.into(), &0.into()), "{run:#?}");
    assert_eq!(world.verb(&["verify"]).code, Some(0));
}

#[test]
fn a_goal_file_that_has_changed_is_not_gone_on_with() {
    let world = World::new(NEEDS_A_FILE);
    let id = world.run(&["--json"]).check(1, "paused")["run"].as_str().expect("a run").to_owned();
    let changed = NEEDS_A_FILE.replace("test -f there", "true").replace("\"first\"", "\"begin\"");
    std::fs::write(world.goal(), changed).expect("a goal");
    let run = world.run(&["--json"]);
    run.check(2, "invalid");
    for differs in ["task `first` is gone", "task `second` has changed", "task `begin` is new"] {
        assert!(run.stderr.contains(differs), "{differs}: {run:#?}");
    }
    for named in [&format!("steadfast resume {id} "), &format!("steadfast cancel {id} "), "--new"] {
        assert!(run.stderr.contains(named), "{named}: {run:#?}");
    }
    assert_eq!(world.content("first"), "1\n", "nothing ran");
    world.run(&["--json", "--new"]).check(0, "reached");
    // What was recorded is gone on with.
    world.file("there", "");
    assert_eq!(world.resume(&[&id, "--json"]).check(0, "reached")["run"], id.as_str());
}

#[test]
fn a_second_process_is_refused_with_the_first_ones_name() {
    let world = World::new(ASKS);
    let run = world.start(&["--json"]);
    run.until_said("waits for a person");
    let second = world.run_beside(&["--json"]);
    second.check(2, "invalid");
    assert!(second.stderr.contains("steadfast run asks"), "{second:#?}");
    run.send(Signal::TERM);
    run.end().check(4, "waiting");
}

#[test]
fn a_run_that_is_named_and_over_is_told_of_and_not_begun_again() {
    let world =
        World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'sh', args = ['-c', 'echo x >> ran'] }\n");
    let first = world.run(&["--json"]).check(0, "reached");
    let id = first["run"].as_str().expect("a run");
    // As whoever kills the process does, which may be after the end and before it was told of.
    let again = world.run(&["--json", "--run-id", id]).check(0, "reached");
    assert_eq!((&again["run"], &again["result_digest"]), (&first["run"], &first["result_digest"]));
    assert_eq!(world.content("ran"), "x\n");
}

#[test]
fn a_process_that_is_killed_again_and_again_comes_to_the_calm_result_once() {
    let goal = "name = 'k'\n[[tasks]]\nid = 'list'\ncollect = [1, 2, 3, 4, 5, 6, 7, 8]\n[[tasks]]\nid = 'each'\n\
                for_each = '${tasks.list.result}'\ncommand = { program = 'sh', args = ['-c', 'sleep 0.05; echo $0', '${item}'] }\n\
                result = 'stdout'\n";
    let world = World::new(goal);
    let calm = world.run(&["--json"]).check(0, "reached");
    let run = world.run(&["--json", "--seed", "7", "--chaos", "kill9=every:150ms"]);
    let killed = run.check(0, "reached");
    assert_eq!(killed["result_digest"], calm["result_digest"], "{run:#?}");
    assert_ne!(killed["run"], calm["run"]);
    let runs = world.verb(&["runs", "--json"]);
    assert_eq!(runs.stdout.lines().count(), 2, "one run, however often its process began: {runs:#?}");
}

#[test]
fn who_only_asks_for_runs_makes_no_folder_for_them() {
    let world = World::new(NEEDS_A_FILE);
    for args in [&["resume", "last"][..], &["prune", "last"], &["pause", "last"], &["runs"], &["verify"]] {
        let told = world.verb(args);
        assert_eq!(told.code, Some(2), "{args:?}: {told:#?}");
        assert!(told.stderr.contains("--state") && !world.state().exists(), "{args:?}: {told:#?}");
    }
}

#[test]
fn people_are_told_the_number_of_a_process_and_programs_its_whole_name() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncollect = 1\n");
    let run = world.run(&[]);
    run.says(0, &["taken up by process "]);
    let told = [run.stderr, world.verb(&["log", "last"]).stdout, world.verb(&["show", "last"]).stdout];
    for text in &told {
        assert!(text.contains(" process ") && !text.contains(":root/"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
    for args in [["log", "last", "--json"], ["show", "last", "--json"]] {
        let told = world.verb(&args).stdout;
        assert!(told.contains("):root/domains/orchestration/goals/"), "{told}");
    }
}
