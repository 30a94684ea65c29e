//! A run whose process is killed leaves no command behind that the next one could meet.

mod common;

use common::{World, ended, until};
use rustix::process::Signal;

/// A command that writes a line again and again, from a child of its own too, and ends where `stop` is there.
const BEATS: &str = r#"
name = "beats"
[[tasks]]
id = "numbers"
collect = [1, 2, 3]
[[tasks]]
id = "beat"
for_each = "${tasks.numbers.result}"
command = { program = "sh", args = ["-c", '''
trap '' TERM HUP INT PIPE
test -e stop && exit 0
(exec >&- 2>&-; while :; do echo x >> beats; sleep 0.002; done) &
while :; do echo y >> beats; sleep 0.002; done
'''], env = { MARK = "@" } }
"#;

#[test]
fn what_a_killed_run_had_running_is_gone_before_the_next_one_gives_out_anything() {
    for _ in 0..3 {
        let world = World::new(BEATS);
        let run = world.start(&["--jobs", "3"]);
        run.until_file("beats");
        until("all commands", || world.processes().len() >= 6);
        run.send(Signal::KILL);
        run.end();
        world.file("stop", "");
        let next = world.start(&["--jobs", "3", "--json"]);
        next.until_said("task beat[0] started");
        assert!(world.processes().len() <= 3, "only its own commands: {:?}", world.processes());
        next.end().check(0, "reached");
        assert_eq!(world.processes(), [""; 0]);
    }
}

#[test]
fn a_run_that_is_killed_lets_its_guard_go_and_an_orderly_one_too() {
    let world = World::new(BEATS);
    let locks = || std::fs::read_dir(world.state().join("guards")).map_or(0, Iterator::count);
    let run = world.start(&["--jobs", "3"]);
    run.until_file("beats");
    assert_eq!(locks(), 1);
    run.send(Signal::KILL);
    run.end();
    until("the end of the guard", || locks() == 0);
    world.file("stop", "");
    world.run(&["--json"]).check(0, "reached");
    until("the end of the guard", || locks() == 0);
}

#[test]
fn a_volatile_run_keeps_nothing_and_has_no_guard() {
    let world = World::new("name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'true' }\n");
    world.run(&["--volatile", "--json"]).check(0, "reached");
    assert!(!world.state().exists());
}

#[test]
fn the_guard_is_nobodys_command() {
    let help = ended(&["--help"]);
    assert!(!help.stdout.contains("guard"), "{help:#?}");
    let told = ended(&["guard"]);
    assert_eq!((told.code, told.stdout.as_str()), (Some(2), ""), "{told:#?}");
    assert!(told.stderr.contains("started by the program itself"), "{told:#?}");
}
