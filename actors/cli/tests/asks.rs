//! Guarantee: what is asked of a run is done by whoever carries it, or here where nobody does; and it is said which of the
//! two it was, and what there is still to do.

mod common;

use common::{World, until};
use rustix::process::Signal;
use steadfast::RunId;
use steadfast::seam::{Level, Upto};
use steadfast_storage::Store;

const ASKS: &str = r#"
name = "asks"
[[tasks]]
id = "shipped"
command = { program = "sh", args = ["-c", "touch shipped"] }
[tasks.undo]
command = { program = "rm", args = ["shipped"] }
[[tasks]]
id = "ok"
after = ["shipped"]
approve = { prompt = "keep it?" }
"#;

/// Fails until a file is there.
const NEEDS_A_FILE: &str = "name = 'needs'\n[[tasks]]\nid = 'first'\ncommand = { program = 'sh', args = ['-c', \
                            'echo x >> first'] }\n[[tasks]]\nid = 'second'\nafter = ['first']\n\
                            command = { program = 'sh', args = ['-c', 'echo x >> second; test -f there'] }\n";

/// A goal whose one task is the goal of the file `child.toml`.
const AROUND: &str = "name = 'around'\n[[tasks]]\nid = 'inner'\ngoal = { file = 'child.toml' }\n";

fn around() -> World {
    let world = World::new(AROUND);
    world.beside("child.toml", NEEDS_A_FILE);
    world
}

/// The id of the run inside another one.
fn child(world: &World) -> String {
    let runs = world.verb(&["runs", "--json"]);
    let rows = runs.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"));
    let inside: Vec<_> = rows.filter(|row| !row["parent"].is_null()).collect();
    assert_eq!(inside.len(), 1, "{runs:#?}");
    inside[0]["run"].as_str().expect("an id").to_owned()
}

#[test]
fn a_cancelled_run_that_nobody_carries_is_over_or_the_command_that_undoes_it_is_named() {
    let world = World::new(ASKS);
    world.run(&["--json", "--wait", "100ms"]).check(4, "waiting");
    world.verb(&["cancel", "last"]).says(0, &["cancelled, and over"]);

    world.run(&["--json", "--wait", "100ms"]).check(4, "waiting");
    let told = world.verb(&["cancel", "last", "--undo"]);
    told.says(0, &["nobody carries it", "steadfast resume ", "--state "]);
    assert!(world.exists("shipped"), "{told:#?}");
    world.resume(&["last"]).says(5, &[]);
    assert!(!world.exists("shipped"));
}

#[test]
fn what_nobody_carries_on_after_an_answer_is_said_with_the_command() {
    let world = World::new(ASKS);
    world.run(&["--json", "--wait", "100ms"]).check(4, "waiting");
    world.verb(&["approve", "last", "ok"]).says(0, &["approved; nobody carries it", "steadfast resume "]);
    let over = world.resume(&["last"]);
    over.says(0, &["goes on with"]);
    world.verb(&["pause", "last"]).says(2, &["the run is over: reached"]);
}

#[test]
fn the_data_of_a_signal_has_a_bound_and_the_error_says_what_to_do() {
    let world = World::new("name = 'paid'\n[[tasks]]\nid = 'paid'\nsignal = { name = 'paid' }\n");
    world.run(&["--json", "--wait", "100ms"]).check(4, "waiting");
    let signal = |length: usize| {
        let data = format!("\"{}\"", "x".repeat(length - 2));
        world.verb(&["signal", "last", "paid", "--data", &data])
    };
    signal(65_537)
        .says(2, &["--data: it has 65537 bytes", "expected 65536 at most", "the path or the digest of a file"]);
    signal(65_536).says(0, &["told"]);
    world.resume(&["last"]).says(0, &["reached"]);
}

#[test]
fn a_request_that_is_not_answered_ends_with_4_and_is_done_later() {
    let world = World::new(ASKS);
    let run = world.start(&["--json"]);
    run.until_said("waits for a person");
    run.send(Signal::STOP);
    let told = world.verb(&["approve", "last", "ok"]);
    told.says(4, &["`steadfast run asks`", "has not answered", "steadfast why "]);
    run.send(Signal::CONT);
    run.end().check(0, "reached");
}

#[test]
fn a_run_is_forked_from_a_task_and_carried_by_resume() {
    let world = World::new(NEEDS_A_FILE);
    world.file("there", "");
    let first = world.run(&["--json"]).check(0, "reached");
    let forked = world.verb(&["fork", "last", "--from", "second"]);
    forked.says(0, &["begun", "nobody carries it", "steadfast resume "]);
    let fork = forked.stdout.split_whitespace().nth(1).expect("a run").trim_end_matches(':').to_owned();
    assert_ne!(first["run"], fork.as_str());
    let resumed = world.resume(&["last", "--json"]);
    assert_eq!(resumed.check(0, "reached")["run"], fork.as_str());
    assert_eq!((world.content("first"), world.content("second")), ("x\n".to_owned(), "x\nx\n".to_owned()));
    world.verb(&["fork", &fork, "--from", "third"]).says(2, &["no task `third`", "`first`, `second`"]);
}

#[test]
fn a_fork_is_refused_while_one_run_is_carried_alone() {
    let world = World::new(ASKS);
    let run = world.start(&["--json"]);
    run.until_said("waits for a person");
    world.verb(&["fork", "last", "--from", "ok"]).says(2, &["`steadfast run asks`", "carries one run alone"]);
    run.send(Signal::TERM);
    run.end().check(4, "waiting");
    assert_eq!(world.verb(&["runs", "--json"]).stdout.lines().count(), 1, "nothing was left");
}

#[test]
fn all_runs_are_resumed_also_those_that_are_paused() {
    let world = World::new(NEEDS_A_FILE);
    world.run(&["--json"]).check(1, "paused");
    world.run(&["--json", "--new"]).check(1, "paused");
    world.resume(&["--all"]).says(1, &["paused"]);
    world.file("there", "");
    world.resume(&["--all"]).says(0, &[]);
    assert_eq!(world.content("first"), "x\nx\n", "what is recorded never runs again");
    assert!(!world.verb(&["runs"]).stdout.contains("paused"));
}

#[test]
fn a_run_that_was_killed_while_it_was_about_to_stand_still_is_resumed_at_once() {
    let world = World::new(
        r#"
name = "two"
[[tasks]]
id = "bad"
command = { program = "sh", args = ["-c", "test -f there"] }
[[tasks]]
id = "long"
command = { program = "sh", args = ["-c", "touch started; test -f there || sleep 60"], env = { MARK = "@" } }
"#,
    );
    let run = world.start(&["--json", "--jobs", "2"]);
    run.until_file("started");
    run.until_said("paused by steadfast");
    run.send(Signal::KILL);
    run.end();
    world.file("there", "");
    world.resume(&["last", "--json"]).check(0, "reached");
    assert_eq!(world.processes(), [""; 0]);
}

#[test]
fn a_run_inside_another_one_is_resumed_with_the_one_around_it() {
    let world = around();
    let run = world.run(&["--json", "--wait", "100ms"]);
    let around = run.check(4, "waiting")["run"].as_str().expect("a run").to_owned();
    let child = child(&world);
    assert!(run.stderr.contains(&format!("steadfast resume {child} ")), "{run:#?}");
    world.file("there", "");
    let resumed = world.resume(&[&child, "--json"]);
    assert_eq!(resumed.check(0, "reached")["run"], around.as_str());
    assert!(resumed.stderr.contains(&around), "it is said which run that is: {resumed:#?}");
    assert_eq!((world.content("first"), world.content("second")), ("x\n".to_owned(), "x\nx\n".to_owned()));
}

#[test]
fn a_run_inside_another_one_is_resumed_where_somebody_serves() {
    let world = around();
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    let around = world.detached(&[]);
    until("the pause", || world.verb(&["runs", "--status", "paused"]).stdout.contains("exhausted"));
    let child = child(&world);
    world.file("there", "");
    world.resume(&[&child]).says(0, &[&format!("run {around}: resumed"), "`steadfast serve`"]);
    serve.until_said(&format!("run {around}: reached"));
}

#[test]
fn the_last_run_is_never_one_inside_another() {
    let world = around();
    world.file("there", "");
    for _ in 0..4 {
        let run = world.run(&["--json"]).check(0, "reached")["run"].as_str().expect("a run").to_owned();
        assert!(world.verb(&["show", "last"]).stdout.contains(&run), "the last one is {run}");
        // Each stands with the one around it, whatever their ids say.
        let runs = world.verb(&["runs", "--json"]).stdout;
        let rows: Vec<serde_json::Value> = runs.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for pair in rows.chunks(2) {
            assert_eq!((&pair[0]["parent"], &pair[1]["parent"]), (&serde_json::Value::Null, &pair[0]["run"]), "{runs}");
        }
    }
}

/// Forgets a run, and leaves those inside it, as no verb does.
fn forget(world: &World, run: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&world.state(), Level::Durable, "a test").await.expect("nobody has it");
        let stream = RunId::new(run.parse().expect("an id")).into();
        let epoch = store.journal().fence(&stream, "a test").await.expect("a right");
        store.journal().prune(&stream, epoch, Upto::All).await.expect("it is forgotten");
        store.close().await.expect("it closes");
    });
}

#[test]
fn a_step_whose_run_was_forgotten_is_carried_by_nobody_and_that_is_said() {
    let world = around();
    let paused = world.run(&["--json", "--wait", "100ms"]);
    let inside = child(&world);
    forget(&world, paused.object()["run"].as_str().expect("an id"));
    world.resume(&[&inside]).says(2, &["was forgotten", "steadfast show ", "steadfast prune "]);
    world.verb(&["why", &inside]).says(0, &["is not kept any more", "steadfast show "]);
    world.verb(&["pause", &inside]).says(2, &["is not kept any more"]);
    world.verb(&["prune", &inside]).says(0, &["1 runs are forgotten"]);
}

#[test]
fn all_runs_are_carried_as_long_as_it_is_said_to_wait_for_them_and_those_that_still_wait_are_named() {
    let world = World::new(
        "name = 'waits'\n[[tasks]]\nid = 'first'\nwait = { for = '1s' }\n\
         [[tasks]]\nid = 'ok'\nafter = ['first']\napprove = { prompt = '?' }\n",
    );
    world.run(&["--json", "--wait", "1ms"]).check(4, "waiting");
    let told = world.resume(&["--all", "--wait", "5s"]);
    told.says(4, &["carries what is unfinished in", "run ", "waits", "steadfast why "]);
    // The time came while it was waited, so that the person is asked now.
    assert!(world.verb(&["why", "last"]).stdout.contains("approve"), "{told:#?}");
}
