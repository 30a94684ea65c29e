//! Guarantee: whoever serves a folder takes what is left there, goes on with what is unfinished, does what others ask of
//! it, and ends in order.

mod common;

use common::{Ended, Running, World, until};
use rustix::process::Signal;

/// Fails until a file is there.
const NEEDS_A_FILE: &str = r#"
name = "needs"
[[tasks]]
id = "first"
command = { program = "sh", args = ["-c", "echo x >> first"] }
[[tasks]]
id = "second"
after = ["first"]
command = { program = "sh", args = ["-c", "echo $STEADFAST_ATTEMPT >> second; test -f there"] }
"#;

/// A command that goes on until a file is there, and one after it.
const LONG: &str = r#"
name = "long"
[[tasks]]
id = "long"
command = { program = "sh", args = ["-c", "touch started; while [ ! -e go ]; do sleep 0.02; done; echo x >> ended"], env = { MARK = "@" } }
[[tasks]]
id = "next"
after = ["long"]
command = { program = "sh", args = ["-c", "echo x >> next"] }
"#;

#[test]
fn a_goal_that_is_left_is_taken_by_whoever_serves_the_folder() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'touch', args = ['ran'] }\n");
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let run = world.detached(&[]);
    serve.until_said(&format!("run {run}: reached"));
    assert!(world.exists("ran"));
    serve.send(Signal::TERM);
    serve.end().says(0, &[]);
    world.verb(&["show", &run]).says(0, &["goal g: complete"]);
}

#[test]
fn a_goal_is_not_left_where_nobody_serves() {
    let world = World::new(LONG);
    world.detach(&[]).says(2, &["nobody serves this folder", "steadfast serve --state "]);
    let json = world.detach(&["--json"]);
    json.check(2, "invalid");
    // Whoever carries one run takes no other.
    let run = world.start(&["--json"]);
    run.until_file("started");
    world.detach(&[]).says(2, &["`steadfast run long`", "carries one run alone", "steadfast serve"]);
    world.file("go", "");
    run.end().check(0, "reached");
    assert_eq!(world.verb(&["runs", "--json"]).stdout.lines().count(), 1, "the other goal is not begun later");
}

#[test]
fn a_goal_that_is_left_is_one_object_with_the_run() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncollect = 1\n");
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let left = world.detach(&["--json"]);
    let object = left.check(0, "done");
    let run = object["run"].as_str().expect("a run");
    serve.until_said(&format!("run {run}: reached"));
}

#[test]
fn what_is_unfinished_is_gone_on_with_at_the_start() {
    let world = World::new(LONG);
    let run = world.start(&["--json"]);
    run.until_file("started");
    run.send(Signal::KILL);
    run.end();
    world.file("go", "");
    let serve = world.begin(&["serve"]);
    serve.until_said("1 runs were unfinished");
    serve.until_said(": reached");
    assert_eq!((world.content("ended"), world.content("next")), ("x\n".to_owned(), "x\n".to_owned()));
    serve.send(Signal::INT);
    serve.end().says(0, &[]);
}

#[test]
fn a_signal_lets_running_tasks_finish_and_starts_no_others() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = World::new(LONG);
        let serve = world.begin(&["serve"]);
        serve.until_said("serves ");
        world.detached(&[]);
        until("the task", || world.exists("started"));
        serve.send(signal);
        serve.until_said("no further tasks are started");
        world.file("go", "");
        serve.end().says(0, &[]);
        assert!(world.exists("ended") && !world.exists("next"));
        assert_eq!(world.processes(), [""; 0]);
        // Nothing is lost, and nobody owns the folder any more.
        world.resume(&["last"]).says(0, &["reached"]);
        assert_eq!((world.content("ended"), world.content("next")), ("x\n".to_owned(), "x\n".to_owned()));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = World::new(LONG);
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    world.detached(&[]);
    until("the task", || world.exists("started"));
    serve.send(Signal::TERM);
    serve.until_said("no further tasks are started");
    serve.send(Signal::TERM);
    serve.end().says(130, &[]);
    assert_eq!(world.processes(), [""; 0]);
}

/// Waits until a run stands still because a task has used up its attempts.
fn until_paused(world: &World, run: &str) {
    until("the pause", || world.verb(&["why", run]).stdout.contains("has used up its attempts"));
}

#[test]
fn a_paused_run_is_resumed_by_whoever_owns_the_folder() {
    let world = World::new(NEEDS_A_FILE);
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let run = world.detached(&[]);
    until_paused(&world, &run);
    world.file("there", "");
    world.resume(&[&run]).says(0, &[&format!("run {run}: resumed"), "`steadfast serve`"]);
    serve.until_said(&format!("run {run}: reached"));
    assert_eq!((world.content("first"), world.content("second")), ("x\n".to_owned(), "1\n2\n".to_owned()));
    world.resume(&[&run]).says(2, &["the run is over: reached"]);
}

#[test]
fn all_paused_runs_are_resumed_by_whoever_owns_the_folder() {
    let world = World::new(NEEDS_A_FILE);
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let runs = [world.detached(&[]), world.detached(&[])];
    for run in &runs {
        until_paused(&world, run);
    }
    world.file("there", "");
    let told = world.resume(&["--all", "--json"]);
    assert_eq!(told.object()["status"], "done", "{told:#?}");
    for run in &runs {
        serve.until_said(&format!("run {run}: reached"));
    }
}

#[test]
fn a_run_that_goes_on_is_not_resumed_and_its_owner_is_named() {
    let world = World::new(LONG);
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let run = world.detached(&[]);
    until("the task", || world.exists("started"));
    let told = world.resume(&[&run, "--json"]);
    told.check(2, "invalid");
    assert!(told.stderr.contains("it is not paused") && told.stderr.contains("`steadfast serve`"), "{told:#?}");
    world.file("go", "");
    serve.until_said(&format!("run {run}: reached"));
}

#[test]
fn what_happens_in_a_run_of_another_process_is_followed_to_its_end() {
    let world = World::new(LONG);
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let run = world.detached(&[]);
    until("the task", || world.exists("started"));
    let log = world.begin(&["log", &run, "--follow"]);
    log.until_printed("task long started");
    world.file("go", "");
    let log = log.end();
    log.says(0, &["task long done", "task next done", "the goal is reached"]);
    assert!(log.stdout.trim_end().ends_with("the goal is reached"), "{log:#?}");
}

#[test]
fn a_fork_is_carried_by_whoever_serves_and_one_that_cannot_be_is_refused() {
    let world = World::new(LONG);
    world.file("go", "");
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let run = world.detached(&[]);
    serve.until_said(&format!("run {run}: reached"));
    let forked = world.verb(&["fork", &run, "--from", "next"]);
    forked.says(0, &["begun"]);
    let fork = forked.stdout.split_whitespace().nth(1).expect("a run").trim_end_matches(':').to_owned();
    serve.until_said(&format!("run {fork}: reached"));
    assert_eq!((world.content("ended"), world.content("next")), ("x\n".to_owned(), "x\nx\n".to_owned()));
    world.verb(&["fork", &run, "--from", "nothing"]).says(2, &["no task `nothing`"]);
}

/// Leaves a goal with somebody who does not look, and returns what that says once this has happened.
fn left(world: &World, then: impl FnOnce(Running<'_>)) -> Ended {
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    serve.send(Signal::STOP);
    let (goal, input) = (world.goal(), world.input());
    let [goal, input] = [&goal, &input].map(|path| path.to_str().expect("UTF-8"));
    let detach = world.begin(&["run", "--detach", goal, "--input", input]);
    until("the request", || world.kept().iter().any(|(_, bytes)| bytes.windows(9).any(|part| part == b"left-here")));
    then(serve);
    detach.end()
}

/// Waits until whoever serves next has done what was left.
fn done_with(world: &World) -> usize {
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let last = world.detached(&[]);
    serve.until_said(&format!("run {last}: reached"));
    serve.send(Signal::TERM);
    serve.end().says(0, &[]);
    world.verb(&["runs", "--json"]).stdout.lines().count()
}

const LEFT_HERE: &str = "name = 'left-here'\n[[tasks]]\nid = 'a'\ncollect = 1\n";

#[test]
fn a_goal_that_is_said_to_be_carried_by_nobody_is_not_carried_later() {
    let world = World::new(LEFT_HERE);
    let told = left(&world, |serve| {
        serve.send(Signal::KILL);
        serve.end();
    });
    told.says(2, &["nobody serves this folder"]);
    assert_eq!(done_with(&world), 1, "only the goal that was left last");
}

#[test]
fn a_goal_that_cannot_be_taken_back_is_said_to_be_left() {
    let world = World::new(LEFT_HERE);
    let lock = world.state().join("lock");
    let told = left(&world, |serve| {
        // Whoever holds it, nobody can take what is no file.
        std::fs::remove_file(&lock).expect("it is there");
        std::fs::create_dir(&lock).expect("a folder");
        serve.send(Signal::KILL);
        serve.end();
    });
    told.says(4, &["it is left", "steadfast why "]);
    std::fs::remove_dir(&lock).expect("it is ours");
    assert_eq!(done_with(&world), 2, "the one that was left, and the last one");
}
