//! Many runs as a table, as lines, and of these the ones that are wanted.

use super::*;
use crate::host::RunSummary;
use crate::run::record::UndoSummary;
use crate::run::{Phase, Status, phase};

const GOAL: &str = "
name = 'ship'
tasks = [
    { id = 'build', command = { program = 'cargo' } },
    { id = 'ok', after = ['build'], approve = { prompt = 'Ship it?' } },
]";

/// One run for each way to stand, the later ones having begun later.
fn rows() -> Vec<Row> {
    let mut paused = Scene::planned(GOAL);
    paused.fail("build", Class::Exit, "exit code 1");
    let mut waiting = Scene::planned(GOAL);
    waiting.succeed("build").begin("ok");
    let mut reached = Scene::planned(GOAL);
    reached.succeed("build").begin("ok").approve("ok");
    let mut failed = Scene::planned(GOAL);
    failed.succeed("build").begin("ok").reject("ok");
    let mut drained = Scene::planned(GOAL);
    drained.append(vec![Record::Draining]);
    let mut working = Scene::planned(&GOAL.replace("ship", "a-goal-with-a-name-that-is-long"));
    working.lease("build");
    let mut gone = Scene::planned(GOAL);
    let wall = gone.now;
    gone.append(vec![Record::Ended { status: Status::Drained, undone: UndoSummary::default(), wall }]);
    let scenes = [Scene::recorded(GOAL), paused, waiting, reached, failed, drained, working, gone];
    let row = |(number, scene): (u64, &Scene)| {
        let mut row = Row::of(&scene.account(), &View::at(START.after(Duration::from_hours(2)))).expect("it began");
        row.run = RunId::new(Uuid::from_u128(u128::from(number)));
        row.started = START.after(Duration::from_mins(10 * number));
        row
    };
    (0..).zip(&scenes).map(row).collect()
}

fn wanted(filter: &Filter) -> Vec<String> {
    rows().iter().filter(|row| filter.takes(row)).map(|row| row.status().to_owned()).collect()
}

#[test]
fn the_table_says_how_each_run_stands_and_why_it_does_not_go_on() {
    let view = View::at(START.after(Duration::from_hours(2)));
    let table = table(&rows(), &view);
    let shown: Vec<_> = table.lines().map(|line| line.replace("00000000-0000-0000-0000-", "")).collect();
    let expected = "\
run                                   goal                      status     tasks  began      last       
000000000000  ship                      ready      0/2    2h ago     2h ago
000000000001  ship                      paused     0/2    1h50m ago  1h59m ago  build: exhausted
000000000002  ship                      waiting    1/2    1h40m ago  1h59m ago  ok: a person
000000000003  ship                      reached    2/2    1h30m ago  1h59m ago
000000000004  ship                      failed     2/2    1h20m ago  1h59m ago
000000000005  ship                      drained    0/2    1h10m ago  2h ago
000000000006  a-goal-with-a-name-that…  executing  0/2    1h ago     1h59m ago
000000000007  ship                      drained    0/2    50m ago    1h59m ago";
    assert_eq!(shown.join("\n"), expected.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"));
    assert!(table.lines().all(|line| line.chars().count() <= 120));
    assert_eq!(super::super::table(&[], &view), "no runs\n");
}

#[test]
fn what_is_read_of_a_store_in_short_is_told_as_the_whole_run_is() {
    let mut scene = Scene::planned(GOAL);
    scene.succeed("build").begin("ok").after(1000);
    let summary = RunSummary::of(&scene.records, "steadfast 4711", scene.now).expect("records of one run");
    assert_eq!(Some(Row::from(&summary)), Row::of(&scene.account(), &scene.view()));
}

#[test]
fn a_line_for_programs_has_every_key() {
    let lines = json_lines(&rows());
    assert_eq!(lines.lines().count(), 8);
    for line in lines.lines() {
        let object: Value = serde_json::from_str(line).expect("a JSON object");
        let keys: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected = "done goal input last_unix_ms params parent phase run standing started_unix_ms tasks";
        assert_eq!(keys.join(" "), expected);
    }
    let paused: Value = serde_json::from_str(lines.lines().nth(1).expect("the second")).expect("a JSON object");
    assert_eq!((&paused["phase"], &paused["standing"]["paused"][0]["task"]), (&json!("paused"), &json!("build")));
}

#[test]
fn runs_are_wanted_by_status_goal_and_beginning() {
    let by = |status: &str| wanted(&Filter { status: status.parse().ok(), ..Filter::default() });
    assert_eq!(by("unfinished"), ["ready", "paused", "waiting", "drained", "executing"]);
    assert_eq!(by("ended"), ["reached", "failed", "drained"]);
    assert_eq!(by("working"), ["ready", "executing"]);
    for word in ["waiting", "paused", "reached", "failed", "ready"] {
        assert_eq!(by(word), [word]);
    }
    assert_eq!(by("complete"), ["reached"]);
    assert_eq!(by("drained"), ["drained", "drained"]);
    assert_eq!(by("executing"), ["waiting", "drained", "executing"]);
    let since = Some(START.after(Duration::from_hours(1)));
    assert_eq!(wanted(&Filter { since, ..Filter::default() }), ["executing", "drained"]);
    let goal = Some("a-goal-with-a-name-that-is-long".to_owned());
    assert_eq!(wanted(&Filter { goal, ..Filter::default() }), ["executing"]);
    assert_eq!(wanted(&Filter::default()).len(), 8);
}

#[test]
fn every_phase_but_that_of_no_run_can_be_asked_for() {
    let asked: Vec<_> =
        phase::Phase::ALL.into_iter().filter(|phase| phase.as_str().parse::<Wanted>().is_ok()).collect();
    assert_eq!(asked, Phase::ALL[1..]);
    assert!("budget_spent".parse::<Wanted>().is_ok());
    let error = "frobnicate".parse::<Wanted>().expect_err("it is no status").to_string();
    assert!(error.starts_with("`frobnicate` is no status of a run; expected one of `unfinished`, `ended`"), "{error}");
}
