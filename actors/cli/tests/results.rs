//! The digest of a run is that of its declared results alone, whatever happens to the agents.

mod common;

use std::fs::File;
use std::time::SystemTime;

use common::{World, ended};

const GOAL: &str = r#"
name = "results"
[[tasks]]
id = "list"
retrieve = { files = ["**"] }
[[tasks]]
id = "digests"
for_each = "${tasks.list.result}"
retrieve = { digest = "${item}" }
[[tasks]]
id = "sizes"
for_each = "${tasks.list.result}"
result = "stdout"
command = { program = "sh", args = ["-c", "date >&2; wc -c < \"$1\" | tr -d ' '", "sh", "${item}"] }
[[tasks]]
id = "report"
collect = { digests = "${tasks.digests.result}", sizes = "${tasks.sizes.result}" }
"#;

fn world() -> World {
    let world = World::new(GOAL);
    (0..6).for_each(|number| world.file(&format!("{number}.txt"), &"x".repeat(number)));
    world
}

#[track_caller]
fn digest(world: &World, more: &[&str]) -> String {
    let run = world.run(&[&["--json"][..], more].concat());
    let object = run.check(0, "reached");
    assert_eq!(object["tasks"]["total"], 14, "{run:#?}");
    object["result_digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn agents_that_crash_and_hang_do_not_change_the_result() {
    let world = world();
    let calm = digest(&world, &[]);
    for seed in 0..6 {
        assert_eq!(digest(&world, &["--chaos", "crash=20%,hang=5%", "--seed", &seed.to_string()]), calm, "seed {seed}");
    }
    assert_eq!(digest(&world, &["--jobs", "1"]), calm);
}

#[test]
fn one_changed_byte_changes_the_digest_and_a_changed_time_does_not() {
    let world = world();
    let before = digest(&world, &[]);
    let file = File::options().write(true).open(world.input().join("3.txt")).expect("the file");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("its time can be set");
    assert_eq!(digest(&world, &[]), before);
    world.file("3.txt", "xxy");
    assert_ne!(digest(&world, &[]), before);
}

#[test]
fn a_report_in_the_input_folder_does_not_change_the_next_result() {
    let world = world();
    let before = digest(&world, &[]);
    let path = |path: std::path::PathBuf| path.display().to_string();
    let (goal, input, report) = (path(world.goal()), path(world.input()), path(world.input().join("reports")));
    let state = path(world.input().join("kept"));
    for time in 0..2 {
        let run = ended(&["run", &goal, "--input", &input, "--report", &report, "--state", &state, "--json"]);
        assert_eq!(run.check(0, "reached")["result_digest"], before, "time {time}");
        assert!(world.exists("reports/report.json"));
    }
}

#[test]
fn a_report_says_how_long_earlier_runs_took_and_does_not_count_its_own() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'true' }\n");
    for before in 0..3 {
        let run = world.run(&["--json"]);
        run.check(0, "reached");
        let report: serde_json::Value = serde_json::from_str(&run.report.expect("report.json")).expect("it is JSON");
        assert_eq!(report["estimate"]["runs"], before, "{report:#}");
    }
}
