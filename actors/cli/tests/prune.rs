//! Guarantee: only what is over is forgotten, with everything that only it had; what is kept is whole, and where it is not
//! that is said.

mod common;

use std::fs;
use std::path::PathBuf;

use common::World;
use rustix::process::Signal;
use serde_json::Value;

/// Has a result that is too large for the journal, as many bytes as `large.txt` says, and one after it.
const LARGE: &str = r#"
name = "large"
[[tasks]]
id = "large"
result = "stdout"
command = { program = "cat", args = ["large.txt"] }
[[tasks]]
id = "next"
after = ["large"]
command = { program = "sh", args = ["-c", "echo x >> next"] }
"#;

/// A goal whose one task is the goal of the file `child.toml`.
const AROUND: &str = "name = 'around'\n[[tasks]]\nid = 'inner'\ngoal = { file = 'child.toml' }\n";

/// The runs that there are: of each its id, and the run that it is a step of.
fn runs(world: &World) -> Vec<(String, Option<String>)> {
    let listed = world.verb(&["runs", "--json"]).stdout;
    let rows = listed.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    rows.map(|row| (text(&row["run"]).expect("an id"), text(&row["parent"]))).collect()
}

/// The artifacts that are kept.
fn artifacts(world: &World) -> Vec<PathBuf> {
    let folders = fs::read_dir(world.state().join("artifacts")).expect("a folder").flatten();
    let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok()).flat_map(Iterator::flatten);
    files.map(|file| file.path()).collect()
}

fn large(world: &World, letter: &str) {
    world.file("large.txt", &letter.repeat(100_000));
}

#[test]
fn runs_that_are_over_are_forgotten_and_unfinished_ones_are_not() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'test', args = ['-f', 'there'] }\n");
    world.file("there", "");
    world.run(&["--json"]).check(0, "reached");
    let over = runs(&world)[0].0.clone();
    fs::remove_file(world.input().join("there")).expect("it was there");
    world.run(&["--json"]).check(1, "paused");
    world.verb(&["prune", "last"]).says(2, &["it is not over", "steadfast cancel "]);
    world.verb(&["prune", "--older-than", "1d"]).says(0, &["0 runs are forgotten"]);
    assert_eq!(runs(&world).len(), 2);
    world.verb(&["prune", "--older-than", "0s"]).says(0, &[&format!("forgot {over}"), "1 runs are forgotten"]);
    assert_eq!(runs(&world).len(), 1);
    world.verb(&["show", &over]).says(2, &["there is none"]);
    world.file("there", "");
    world.resume(&["last"]).says(0, &["reached"]);
    world.verb(&["prune", "last"]).says(0, &["1 runs are forgotten"]);
    assert_eq!(runs(&world), []);
}

#[test]
fn runs_inside_others_are_forgotten_with_those_and_not_before() {
    let world = World::new(
        &AROUND.replace("[[tasks]]", "[[tasks]]\nid = 'ok'\nafter = ['inner']\napprove = { prompt = '?' }\n[[tasks]]"),
    );
    world.beside("child.toml", "name = 'child'\n[[tasks]]\nid = 'a'\ncollect = 1\n");
    world.run(&["--json", "--wait", "100ms"]).check(4, "waiting");
    let [(around, None), (inside, Some(_))] = &runs(&world)[..] else { panic!("a run and one inside it") };
    assert!(world.verb(&["show", inside]).stdout.contains("complete"), "it is over, and the run around it is not");
    world.verb(&["prune", "--older-than", "0s"]).says(0, &["0 runs are forgotten"]);
    let told = world.verb(&["prune", inside]);
    told.says(2, &[&format!("it is a step of the run {around}, which is not over"), "steadfast cancel "]);
    assert_eq!(runs(&world).len(), 2);
    world.verb(&["approve", "last", "ok"]).says(0, &[]);
    world.resume(&["last"]).says(0, &["reached"]);
    world.verb(&["prune", "last"]).says(0, &[&format!("forgot {inside}"), &format!("forgot {around}")]);
    assert_eq!(runs(&world), []);
}

#[test]
fn what_no_run_names_any_more_is_removed_and_nothing_else() {
    let world = World::new(LARGE);
    // One is over, one is a fork of it, one is unfinished, and all have large results.
    large(&world, "a");
    world.run(&["--json"]).check(0, "reached");
    world.verb(&["fork", "last", "--from", "next"]).says(0, &[]);
    world.resume(&["last"]).says(0, &["reached"]);
    large(&world, "b");
    world.run(&["--json"]).check(0, "reached");
    fs::write(world.goal(), LARGE.replace("echo x >> next", "test -e there")).expect("a goal");
    large(&world, "c");
    world.run(&["--json"]).check(1, "paused");
    let all: Vec<_> = runs(&world).into_iter().map(|(run, _)| run).collect();
    let [first, fork, other, unfinished] = &all[..] else { panic!("four runs: {all:?}") };
    assert_eq!(artifacts(&world).len(), 3);

    world.verb(&["prune", first]).says(0, &["0 artifacts"]);
    assert_eq!(artifacts(&world).len(), 3, "the fork names the first one");
    world.verb(&["prune", other]).says(0, &["1 artifacts"]);
    assert_eq!(artifacts(&world).len(), 2);
    world.verb(&["verify"]).says(0, &["all is whole"]);
    world.verb(&["prune", fork]).says(0, &["1 artifacts"]);
    assert_eq!(artifacts(&world).len(), 1);
    world.file("there", "");
    world.resume(&[unfinished]).says(0, &["reached"]);
}

#[test]
fn nothing_is_removed_while_nobody_knows_what_a_run_names() {
    let world = World::new(LARGE);
    large(&world, "a");
    world.run(&["--json"]).check(0, "reached");
    let (over, _) = runs(&world)[0].clone();
    large(&world, "b");
    fs::write(world.goal(), LARGE.replace("echo x", "echo second")).expect("a goal");
    world.run(&["--json"]).check(0, "reached");
    damage(&world, b"echo second");
    world.verb(&["prune", &over]).says(0, &["1 runs are forgotten", "no artifacts are removed"]);
    assert_eq!(artifacts(&world).len(), 2);
}

/// Changes a byte of the last record that has this text.
fn damage(world: &World, text: &[u8]) {
    let path = world.state().join("journal.db");
    let mut bytes = fs::read(&path).expect("a journal");
    let found = bytes.windows(text.len()).rposition(|part| part == text).expect("it is there, uncompressed");
    bytes[found + 1] ^= 1;
    fs::write(&path, bytes).expect("a journal");
}

#[test]
fn what_is_damaged_is_said_and_what_is_whole_too() {
    let world = World::new(LARGE);
    large(&world, "a");
    world.run(&["--json"]).check(0, "reached");
    let (run, _) = runs(&world)[0].clone();
    world.verb(&["verify"]).says(0, &["all is whole", "1 streams"]);
    let whole: Value = serde_json::from_str(&world.verb(&["verify", "--json"]).stdout).expect("JSON");
    assert_eq!((&whole["findings"], &whole["artifacts"]), (&Value::Array(Vec::new()), &1.into()));
    // An artifact.
    let [artifact] = &artifacts(&world)[..] else { panic!("one artifact") };
    let bytes = fs::read(artifact).expect("it is there");
    fs::write(artifact, &bytes[1..]).expect("it is ours");
    world.verb(&["verify"]).says(1, &["damaged: ", "1 are damaged"]);
    fs::write(artifact, bytes).expect("it is ours");
    // A record.
    damage(&world, b"\"next\"");
    let told = world.verb(&["verify"]);
    told.says(1, &[&format!("run/{run}"), "are damaged"]);
    let json: Value = serde_json::from_str(&world.verb(&["verify", "--json"]).stdout).expect("JSON");
    assert!(json["findings"].as_array().is_some_and(|findings| !findings.is_empty()), "{json}");
    world.verb(&["show", &run]).says(2, &["steadfast verify"]);
    // Others are shown all the same.
    world.run(&["--json", "--new"]).check(0, "reached");
    let listed = world.verb(&["runs"]);
    listed.says(0, &["warning: ", "reached"]);
}

#[test]
fn nothing_is_forgotten_while_somebody_owns_the_folder() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncollect = 1\n");
    world.run(&["--json"]).check(0, "reached");
    let serve = world.begin(&["serve"]);
    serve.until_said("serves ");
    world.verb(&["prune", "last"]).says(2, &["belongs to steadfast serve"]);
    serve.send(Signal::TERM);
    serve.end().says(0, &[]);
    assert_eq!(runs(&world).len(), 1);
}
