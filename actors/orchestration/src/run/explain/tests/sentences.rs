//! The sentence for everything that a run, a task, a pause and a failure can be.

use std::collections::BTreeSet;

use super::*;
use crate::run::record::{UndoOutcome, UndoSummary};
use crate::run::{Phase, Status, TaskStatus};

const GOAL: &str = "
name = 'g'
tasks = [
    { id = 'a', command = { program = 'x' }, retries = { attempts = 2 }, undo = { command = { program = 'y' } } },
    { id = 'b', after = ['a'], command = { program = 'x' } },
    { id = 'ask', approve = { prompt = 'May it?' } },
    { id = 'event', signal = { name = 'paid' } },
    { id = 'time', wait = { for = '1h' } },
    { id = 'inner', goal = { inline = { name = 'inner', tasks = [{ id = 'send', collect = 1 }] } } },
]";

const RUN: &str = "01980000-0000-7000-8000-000000000007";

/// What is said first, what is said to be the cause, and the first command, without the id of the run.
fn told(why: &Why) -> [String; 3] {
    let short = |text: &str| text.replace(RUN, "RUN").replace(&format!("{AGENT}, incarnation 1"), "AGENT");
    let command = why.next.iter().find_map(|todo| todo.command.as_deref()).unwrap_or("-");
    [short(&why.is), short(why.because.first().map_or("-", String::as_str)), short(command)]
}

fn ended(scene: &mut Scene, status: Status) {
    let wall = scene.now;
    scene.append(vec![Record::Ended { status, undone: UndoSummary::default(), wall }]);
}

/// A run in a phase that lasts for ten seconds.
fn in_phase(phase: Phase) -> Scene {
    let mut scene = if phase == Phase::Ready { Scene::recorded(GOAL) } else { Scene::planned(GOAL) };
    match phase {
        Phase::Planning => {
            scene.records.pop();
        }
        Phase::Executing => {
            scene.lease("a");
        }
        Phase::Validating => {
            scene = Scene::planned("name = 'g'\ntasks = [{ id = 'a', collect = 1 }]");
            let leased = scene.leased("a", 1, "");
            scene.append(vec![Record::Leased(leased)]);
            let (outcome, wall) = (Outcome::Succeeded { value: "1".to_owned(), digest: String::new() }, scene.now);
            scene.append(vec![Record::Recorded { task: id("a"), attempt: 1, outcome, wall }]);
        }
        Phase::Paused => {
            scene.pause(PauseCause::Asked, "ann", "the database moves");
        }
        Phase::Undoing => {
            scene.succeed("a").cancel(true);
        }
        Phase::Complete => ended(&mut scene, Status::Reached),
        Phase::Failed => {
            scene = Scene::planned("name = 'g'\ntasks = [{ id = 'a', command = { program = 'x' } }]");
            scene.fail("a", Class::Invalid, "3 is not 4");
        }
        Phase::Cancelled => {
            scene.cancel(false);
        }
        Phase::BudgetSpent => {
            let (which, wall) = (BudgetKind::Attempts, scene.now);
            scene.append(vec![Record::BudgetSpent { which, message: "100 attempts are used up".to_owned(), wall }]);
            scene.settle();
        }
        Phase::Drained => ended(&mut scene, Status::Drained),
        _ => {}
    }
    scene.after(10_000);
    scene
}

#[test]
fn every_phase_has_its_sentence_its_cause_and_its_command() {
    let table = [
        (
            Phase::Ready,
            "The run RUN of the goal `g` is recorded and was not begun, for 10s.",
            "No process has taken it up yet.",
            "steadfast log RUN --follow",
        ),
        (
            Phase::Planning,
            "The run RUN of the goal `g` has no plan yet: one is being made, for 10s.",
            "No planner has answered yet.",
            "steadfast log RUN --follow",
        ),
        (
            Phase::Executing,
            "The run RUN of the goal `g` is being carried out: 0 of its 6 tasks have their outcome.",
            "`a` is in the hands of AGENT: attempt 1, for 10s.",
            "steadfast log RUN --follow",
        ),
        (
            Phase::Validating,
            "The run RUN of the goal `g` has the outcome of every task, and what they come to is being settled.",
            "Its end, or its undoing, is the next thing that is recorded.",
            "steadfast log RUN --follow",
        ),
        (
            Phase::Paused,
            "The run RUN of the goal `g` is paused, for 10s: 0 of its 6 tasks have their outcome.",
            "It was asked for by ann, 2026-11-20T09:00:00Z: the database moves.",
            "steadfast resume RUN",
        ),
        (
            Phase::Undoing,
            "The run RUN of the goal `g` is being undone, the last task first, for 10s.",
            "It was cancelled by ann, with everything undone: the order was withdrawn.",
            "steadfast log RUN --follow",
        ),
        (
            Phase::Complete,
            "The run RUN of the goal `g` reached its goal, 2026-11-20T09:00:00Z, after 20ms.",
            "0 of its 6 tasks succeeded.",
            "steadfast show RUN",
        ),
        (
            Phase::Failed,
            "The run RUN of the goal `g` failed, 2026-11-20T09:00:00Z, after 820ms.",
            "`a` failed (invalid), because a check or a validation said no: 3 is not 4.",
            "steadfast fork RUN --from a",
        ),
        (
            Phase::Cancelled,
            "The run RUN of the goal `g` was cancelled, 2026-11-20T09:00:00Z, after 20ms.",
            "It was cancelled by ann: the order was withdrawn.",
            "steadfast show RUN",
        ),
        (
            Phase::BudgetSpent,
            "The run RUN of the goal `g` ended with its budget, 2026-11-20T09:00:00Z, after 20ms.",
            "100 attempts are used up.",
            "steadfast show RUN",
        ),
        (
            Phase::Drained,
            "The run RUN of the goal `g` was stopped before its end, and nobody keeps it, 2026-11-20T09:00:00Z, after 20ms.",
            "It was asked to stop, and nobody keeps what happened in it.",
            "steadfast show RUN",
        ),
    ];
    let mut seen = BTreeSet::from([Phase::Init]);
    for (phase, is, because, command) in table {
        let scene = in_phase(phase);
        let account = scene.account();
        assert_eq!(account.phase().0, phase);
        assert_eq!(told(&scene.why(None)), [is, because, command], "{phase}");
        assert!(tree(&account, &scene.view()).text().starts_with(&format!("goal g: {phase} ")));
        seen.insert(phase);
    }
    assert_eq!(seen.len(), Phase::ALL.len(), "a phase has no sentence");
    let nothing = Account::with(Origin::default(), Arc::default(), &[]).expect("no record is of another plan");
    let why = why(&nothing, &View::at(START), None).expect("it is about no task");
    assert_eq!(told(&why), ["The run has no records.", "Nothing was recorded of it.", "steadfast runs"]);
}

#[test]
fn a_run_that_nobody_carries_on_says_so_first_and_one_that_is_carried_needs_no_resume() {
    let open = [Phase::Planning, Phase::Executing, Phase::Validating, Phase::Paused, Phase::Undoing];
    for phase in open {
        let scene = in_phase(phase);
        let left = why(&scene.account(), &scene.view().abandoned(), None).expect("it is about no task");
        assert!(left.because[0].starts_with("No process carries it on; the last thing that was recorded is of"));
        assert!(
            left.next[0].command.as_deref().is_some_and(|command| command.starts_with("steadfast resume")),
            "{phase}"
        );
        let carried = why(&scene.account(), &scene.view().carried(), None).expect("it is about no task");
        assert!(!carried.because[0].contains("No process"));
        let resumes = |todo: &Todo| todo.command.as_deref().is_some_and(|command| command.contains(" resume "));
        assert_eq!(carried.next.iter().any(resumes), phase == Phase::Paused, "{phase}");
    }
}

#[test]
fn a_run_that_nobody_will_carry_says_that_first_and_names_no_command_that_would_change_it() {
    for phase in [Phase::Planning, Phase::Executing, Phase::Validating, Phase::Paused, Phase::Undoing] {
        let scene = in_phase(phase);
        let view = scene.view().abandoned().left_behind(Some("the run around it is over".to_owned()));
        for task in [None, Some("a")] {
            let task = task.map(id).filter(|task| scene.account().state().task(task).is_some());
            let left = why(&scene.account(), &view, task.as_ref()).expect("it has it");
            assert_eq!(left.because[0], "The run around it is over.", "{phase}");
            let commands: Vec<_> = left.next.iter().filter_map(|todo| todo.command.as_deref()).collect();
            assert!(commands.len() == 1 && commands[0].starts_with("steadfast show "), "{phase}: {commands:?}");
        }
    }
    // Of one that is over its end is told.
    let scene = in_phase(Phase::Complete);
    let view = scene.view().left_behind(Some("the run around it is over".to_owned()));
    assert_eq!(why(&scene.account(), &view, None), Ok(scene.why(None)));
}

#[test]
fn what_there_is_to_do_about_an_undo_is_something_that_can_be_done() {
    const UNDONE: &str = "name = 'g'\n[[tasks]]\nid = 'a'\ncommand = { program = 'x' }\n\
        undo = { command = { program = 'y' } }\n[[tasks]]\nid = 'b'\nafter = ['a']\ncommand = { program = 'x' }\n";
    let commands = |why: &Why| why.next.iter().filter_map(|todo| todo.command.clone()).collect::<Vec<_>>();
    let undoing = || {
        let mut scene = Scene::planned(UNDONE);
        scene.succeed("a").fail("b", Class::Denied, "no");
        scene
    };
    // What stands still while it is undone cannot be undone once more.
    let mut still = undoing();
    still.pause(PauseCause::MissingVariable { name: "X".to_owned() }, "steadfast", "X is not set");
    assert!(commands(&still.why(None)).contains(&format!("steadfast cancel {RUN}")), "{:?}", still.why(None).next);
    let carried = why(&still.account(), &still.view().carried(), None).expect("it is about no task");
    assert!(carried.next[0].what.contains("started anew"), "{:?}", carried.next);
    // What was undone is nothing to go on from.
    let mut scene = undoing();
    scene.undo("a", None);
    let told = scene.why(None);
    assert!(commands(&told).contains(&format!("steadfast fork {RUN} --from a")), "{:?}", told.next);
}

/// A run with a task in this status, and which task that is.
fn in_status(status: TaskStatus) -> (Scene, &'static str) {
    let mut scene = Scene::planned(GOAL);
    let task = match status {
        TaskStatus::Waiting => "b",
        TaskStatus::AwaitingApproval => "ask",
        TaskStatus::AwaitingSignal => "event",
        TaskStatus::AwaitingTime => "time",
        TaskStatus::ChildRunning => "inner",
        _ => "a",
    };
    match status {
        TaskStatus::AwaitingApproval
        | TaskStatus::AwaitingSignal
        | TaskStatus::AwaitingTime
        | TaskStatus::ChildRunning => {
            scene.begin(task);
        }
        TaskStatus::Leased => {
            scene.lease("a");
        }
        TaskStatus::BackingOff => {
            scene.fail("a", Class::Exit, "exit code 1");
            scene.now = START.after(Duration::from_millis(820));
            return (scene, task);
        }
        TaskStatus::Exhausted => {
            scene.fail("a", Class::Exit, "exit code 1").after(200).fail("a", Class::Exit, "exit code 2");
        }
        TaskStatus::Failed => {
            scene.fail("a", Class::Invalid, "3 is not 4");
        }
        TaskStatus::Skipped => {
            scene.cancel(false);
        }
        TaskStatus::Succeeded => {
            scene.succeed("a");
        }
        TaskStatus::Undoing | TaskStatus::Undone | TaskStatus::UndoFailed => {
            scene.succeed("a").cancel(true);
            let leased = scene.leased("a", 1, "/undo");
            scene.append(vec![Record::UndoLeased(leased)]);
            let (class, message) = (Class::Denied, "not by you".to_owned());
            let outcome = if status == TaskStatus::Undone {
                UndoOutcome::Undone
            } else {
                UndoOutcome::Failed { class, message: message.clone() }
            };
            let (task, attempt, wall) = (id("a"), 1, scene.now);
            if status == TaskStatus::UndoFailed {
                scene.append(vec![Record::UndoFailed { task: task.clone(), attempt, class, message, wall }]);
            }
            if status != TaskStatus::Undoing {
                scene.append(vec![Record::UndoRecorded { task, attempt, outcome, wall }]);
            }
        }
        _ => {}
    }
    scene.after(10_000);
    (scene, task)
}

#[test]
fn every_status_of_a_task_has_its_sentence_its_cause_and_its_command() {
    let cancelled = "The run was cancelled by ann, with everything undone: the order was withdrawn.";
    let table = [
        (
            TaskStatus::Waiting,
            "`b` waits for `a`.",
            "`a` may begin as soon as an agent that offers `task.command` is free.",
            "steadfast log RUN --follow",
        ),
        (
            TaskStatus::Ready,
            "`a` may begin as soon as an agent that offers `task.command` is free.",
            "-",
            "steadfast log RUN --follow",
        ),
        (TaskStatus::Leased, "`a` is in the hands of AGENT: attempt 1, for 10s.", "-", "steadfast log RUN --follow"),
        (
            TaskStatus::BackingOff,
            "`a` is tried again in 200ms, since attempt 1 failed (exit): exit code 1.",
            "-",
            "steadfast log RUN --follow",
        ),
        (
            TaskStatus::AwaitingApproval,
            "`ask` waits for a person to approve it, for 10s: May it?",
            "-",
            "steadfast approve RUN ask --why TEXT",
        ),
        (
            TaskStatus::AwaitingSignal,
            "`event` waits for somebody to tell of `paid`, for 10s.",
            "-",
            "steadfast signal RUN paid --data JSON",
        ),
        (
            TaskStatus::AwaitingTime,
            "`time` waits until 2026-11-20T10:00:00Z, in 59m50s.",
            "-",
            "steadfast log RUN --follow",
        ),
        (TaskStatus::ChildRunning, "`inner` is a goal of its own, the run CHILD, for 10s.", "-", "steadfast why CHILD"),
        (
            TaskStatus::Exhausted,
            "`a` has used up its attempts: 2 attempts failed, the last one (exit) because its command did not end as it should: exit code 2.",
            "The run is paused because of `a`, for 10s.",
            "steadfast resume RUN",
        ),
        (
            TaskStatus::Succeeded,
            "`a` succeeded, 2026-11-20T09:00:01Z: attempt 1 by AGENT.",
            "-",
            "steadfast log RUN --follow",
        ),
        (
            TaskStatus::Failed,
            "`a` failed (invalid), because a check or a validation said no: 3 is not 4.",
            "-",
            "steadfast log RUN --follow",
        ),
        (
            TaskStatus::Skipped,
            "`a` was not run: the run was cancelled by ann: the order was withdrawn.",
            "-",
            "steadfast show RUN",
        ),
        (
            TaskStatus::Undoing,
            "What `a` did is being undone: attempt 1 by AGENT.",
            cancelled,
            "steadfast log RUN --follow",
        ),
        (TaskStatus::Undone, "What `a` did is undone.", cancelled, "steadfast log RUN --follow"),
        (
            TaskStatus::UndoFailed,
            "What `a` did could not be undone (denied), because a policy said no: not by you; nobody tries again, and a person has to look at it.",
            cancelled,
            "steadfast log RUN --follow",
        ),
    ];
    let mut seen = BTreeSet::from([TaskStatus::Validating]);
    for (status, is, because, command) in table {
        let (scene, task) = in_status(status);
        assert_eq!(scene.state.status(&id(task)), Some(status));
        let child = scene.state.child(&id("inner")).map_or_else(|| "CHILD".to_owned(), |child| child.run.to_string());
        let told = told(&scene.why(Some(task))).map(|text| text.replace(&child, "CHILD"));
        assert_eq!(told, [is, because, command], "{status}");
        seen.insert(status);
    }
    assert_eq!(seen.len(), TaskStatus::ALL.len(), "a status has no sentence");
}

#[test]
fn every_cause_of_a_pause_says_what_to_do() {
    let exhausted = PauseCause::Exhausted { task: id("a"), class: Class::Exit };
    let table = [
        (PauseCause::Asked, "It was asked for by ann, 2026-11-20T09:00:00Z: why not.", "resume it when it may go on"),
        (
            exhausted,
            "`a` has used up its attempts.",
            "run the command by itself in the input folder; if it may fail now and then, raise `retries.attempts`; then resume the run, which gives `a` its attempts again",
        ),
        (
            PauseCause::Poison { task: id("a") },
            "`a` has used up its attempts.",
            "run the task by itself to see what it does to the agent that runs it; then resume the run, which gives `a` its attempts again",
        ),
        (
            PauseCause::MissingVariable { name: "KEY".to_owned() },
            "The environment variable KEY, which the goal names, is not set where the run was carried on.",
            "set the environment variable KEY where you type this",
        ),
    ];
    let artifact = PauseCause::MissingArtifact { task: id("a"), digest: "abc".to_owned() };
    let artifact = (
        artifact,
        "The result of `a`, which is kept beside the journal as abc, is not to be had.",
        "put abc back among the artifacts, from a copy of them",
    );
    for (cause, because, what) in table.into_iter().chain([artifact]) {
        let mut scene = Scene::planned(GOAL);
        scene.pause(cause.clone(), "ann", "why not");
        let why = scene.why(None);
        assert_eq!((why.because[0].as_str(), why.next[0].what.as_str()), (because, what), "{cause:?}");
        assert_eq!(why.next[0].command, Some(format!("steadfast resume {RUN}")));
        assert_eq!(why.next[1].command, Some(format!("steadfast cancel {RUN}")));
    }
}

#[test]
fn every_class_of_a_failure_is_told_in_words_with_what_to_do() {
    let table = [
        (Class::Exit, "its command did not end as it should"),
        (Class::Timeout, "it took longer than its timeout"),
        (Class::Start, "its program could not be started, or a file could not be read"),
        (Class::Output, "its output is not what the task declares"),
        (Class::Invalid, "a check or a validation said no"),
        (Class::Denied, "a policy said no"),
        (Class::Plan, "it could not be prepared"),
        (Class::Poison, "every agent that took it died or hung"),
        (Class::Deadline, "the run's deadline passed"),
        (Class::Rejected, "a person said no"),
        (Class::Child, "the goal inside it was not reached"),
        (Class::Budget, "a budget is used up"),
        (Class::Repeats, "it made the same call again and again"),
        (Class::Quorum, "too few of the tasks that it gathers can succeed"),
    ];
    for (class, words) in table {
        let mut scene = Scene::planned("name = 'g'\ntasks = [{ id = 'a', command = { program = 'x' } }]");
        let outcome = Outcome::Failed { class, message: "so it is".to_owned() };
        scene.lease("a").append(vec![]);
        let wall = scene.now;
        scene.append(vec![Record::Recorded { task: id("a"), attempt: 1, outcome, wall }]);
        scene.settle();
        for why in [scene.why(None), scene.why(Some("a"))] {
            let all = format!("{} {}", why.is, why.because.join(" "));
            assert!(all.contains(&format!("`a` failed ({}), because {words}: so it is.", class.as_str())), "{all}");
            let remedy = why.next.iter().any(|todo| todo.what == class.remedy());
            assert!(remedy || class == Class::Child, "{why}");
            assert_eq!(why.tried.len(), 1, "{why}");
        }
    }
}

#[test]
fn a_task_that_the_run_does_not_have_is_an_error_with_the_nearest_name() {
    let mut scene = Scene::planned(
        "name = 'g'\ntasks = [{ id = 'list', collect = [1] }, { id = 'each', for_each = '${tasks.list.result}', collect = 1 }]",
    );
    let error = |scene: &Scene, task: &str| {
        why(&scene.account(), &scene.view(), Some(&id(task))).expect_err("no task").to_string()
    };
    assert_eq!(error(&scene, "lits"), "`lits` is no task of this run; did you mean `list`?");
    assert_eq!(error(&scene, "frobnicate"), "`frobnicate` is no task of this run; expected one of `list`, `each`");
    assert_eq!(
        error(&scene, "list[0]"),
        "`list[0]` is no task of this run; `list` has no items, or they are not known yet"
    );
    scene.succeed("list").expand("each", 3);
    assert_eq!(
        error(&scene, "each[3]"),
        "`each[3]` is no task of this run; `each` has 3 items, `each[0]` to `each[2]`"
    );
    assert!(scene.why(Some("each")).is.starts_with("`each` runs once for each of 3 items: 3 ready."));
}

#[test]
fn what_was_told_a_run_is_known_to_be_on_its_way() {
    let mut scene = Scene::planned(GOAL);
    scene.begin("ask").after(1000);
    let wall = scene.now;
    let (task, who, why) = (id("ask"), "ann".to_owned(), String::new());
    scene.append(vec![Record::Approved { task, who, why, wall }]);
    let why = scene.why(Some("ask"));
    assert_eq!(why.is, "`ask` was approved by ann, and goes on from there.");
    assert!(why.next.iter().all(|todo| !todo.command.as_deref().unwrap_or_default().contains("approve")));
    scene.settle().begin("event").signal("paid", json!({ "amount": 3 })).reject_unasked();
}

impl Scene {
    /// What does not wait for a person cannot be rejected, so that no command says so.
    fn reject_unasked(&self) {
        let why = self.why(Some("ask"));
        assert_eq!(why.status, "succeeded");
        assert!(why.next.iter().all(|todo| !todo.command.as_deref().unwrap_or_default().contains("--reject")));
    }
}

#[test]
fn a_command_can_be_copied_into_a_shell_with_the_folder_and_the_program_of_who_asks() {
    let mut scene = Scene::planned("name = 'g'\ntasks = [{ id = 'event', signal = { name = 'paid' } }]");
    scene.begin("event");
    let view = scene.view().program("./steadfast").state("my runs");
    let why = why(&scene.account(), &view, None).expect("it is about no task");
    let command = why.next[0].command.as_deref();
    assert_eq!(command, Some(format!("./steadfast signal {RUN} paid --data JSON --state 'my runs'").as_str()));
}
