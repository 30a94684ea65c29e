//! Whoever carries a run on after any prefix of its records does what the calm run does, and nothing twice.

use super::halts::{done, failed, id, kept, undone};
use super::*;
use crate::goal::model::OnExhausted;
use crate::goal::span::Span;

/// What somebody wants of the run, once a task has its outcome.
#[derive(Clone, Copy)]
enum Wish {
    Pause,
    Cancel { undo: bool },
}

/// A world that does what a run asks for. How each attempt ends follows from the name of its task, and from what is
/// recorded of it: `bad` is refused, `tired` has used up its attempts until somebody resumes the run, `flaky` fails
/// once, and what is `stuck` cannot be undone.
struct Scene {
    outline: Outline,
    wish: Option<(&'static str, Wish)>,
}

fn is_recorded(records: &[Record], task: &str) -> bool {
    let of_task = |record: &Record| matches!(record, Record::Recorded { task: id, .. } if id.to_string() == task);
    records.iter().any(of_task)
}

fn has(records: &[Record], what: fn(&Record) -> bool) -> bool {
    records.iter().any(what)
}

impl Scene {
    /// Goes on from some records to the end of the run, as another process does.
    fn carry_on(&self, records: &[Record]) -> Drive {
        let mut drive = Drive::new(self.outline.clone());
        if !records.is_empty() {
            drive.records.clear();
            drive.state = RunState::new(Arc::clone(&drive.outline));
            drive.append(records.to_vec());
            drive.now = records.iter().filter_map(wall_of).max().unwrap_or(START);
            let taken = taken_up(&drive.state, "another process", drive.now);
            drive.append(taken);
        }
        for _ in 0..500 {
            if drive.status().is_some() {
                return drive;
            }
            assert!(self.move_on(&mut drive), "it stands still: {:?}", drive.records);
        }
        panic!("it has no end: {:?}", drive.records)
    }

    /// Does the first thing that can be done; says whether there was one.
    fn move_on(&self, drive: &mut Drive) -> bool {
        if !drive.state.is_planned() {
            drive.append(vec![Record::Planned { tasks: 0, critical_path: Vec::new(), at_least: 0 }]);
            return true;
        }
        if self.wish(drive) {
            return true;
        }
        let steps = drive.steps();
        if drive.status().is_some() {
            return true;
        }
        for step in &steps {
            match step {
                Step::Expand(task) => drive.expand(task, 2),
                Step::Prepare { task, .. } => drive.lease(task, "root/executor-1"),
                Step::Undo { task, .. } => drive.lease_undo(task),
                Step::Append(_) | Step::WakeAt(_) => continue,
            }
            return true;
        }
        if let Some((task, _)) = drive.state.undo_lease() {
            let task = task.clone();
            let end = if task.task().starts_with("stuck") { failed(Class::Exit) } else { done(json!(null)) };
            let records = undo_ended(&drive.state, &task, end, drive.now);
            drive.append(records);
            return true;
        }
        let held = drive.state.held().next().map(|(task, _)| task.clone());
        if let Some(task) = held {
            let end = end_of(drive, &task);
            drive.end(&task, end);
            return true;
        }
        let wake = steps.iter().find_map(|step| if let Step::WakeAt(then) = step { Some(*then) } else { None });
        if drive.state.is_paused() && wake.is_none() {
            drive.resume();
            return true;
        }
        drive.now = wake.unwrap_or(drive.now);
        wake.is_some()
    }

    /// Asks for what is wanted, until that is recorded.
    fn wish(&self, drive: &mut Drive) -> bool {
        let Some((task, wish)) = self.wish.filter(|(task, _)| is_recorded(&drive.records, task)) else { return false };
        let _ = task;
        let asked = |record: &Record| matches!(record, Record::Paused { why: PauseCause::Asked, .. });
        match wish {
            Wish::Pause if !has(&drive.records, asked) => drive.pause(),
            Wish::Cancel { undo } if !has(&drive.records, |record| matches!(record, Record::CancelAsked { .. })) => {
                drive.cancel(undo);
            }
            _ => return false,
        }
        true
    }

    /// Stops after every prefix of the calm run, and goes on from there.
    #[track_caller]
    fn sweep(&self, end: &str) {
        let calm = self.carry_on(&[]);
        assert_eq!(summary(&calm), end, "{:#?}", calm.records);
        check_once(&calm.records);
        for cut in 1..calm.records.len() {
            let again = self.carry_on(&calm.records[..cut]);
            assert_eq!(summary(&again), end, "after {cut} records: {:#?}", again.records);
            assert_eq!(result_digest(&again.state), result_digest(&calm.state), "after {cut} records");
            check_once(&again.records);
        }
    }
}

fn end_of(drive: &Drive, task: &TaskId) -> AttemptEnd {
    let failures = drive.state.task(task).map_or(0, TaskState::failures);
    let is_resumed = has(&drive.records, |record| matches!(record, Record::Resumed { .. }));
    match task.task().split('-').next() {
        Some("bad") => failed(Class::Denied),
        Some("tired") if !is_resumed => failed(Class::Exit),
        Some("flaky") if failures == 0 => failed(Class::Exit),
        _ => done(json!({ "of": task.to_string() })),
    }
}

fn wall_of(record: &Record) -> Option<Millis> {
    match record {
        Record::Failed { wall, .. }
        | Record::Recorded { wall, .. }
        | Record::Resumed { wall, .. }
        | Record::UndoFailed { wall, .. }
        | Record::UndoRecorded { wall, .. } => Some(*wall),
        _ => None,
    }
}

/// How a run ended: its status, each task's, and the order in which they were undone.
fn summary(drive: &Drive) -> String {
    let status = drive.status().map_or("open", Status::as_str);
    let tasks: Vec<_> = drive.state.tasks().map(|(id, _)| id.clone()).collect();
    let of = |id: &TaskId| format!("{id} {}", drive.state.status(id).map_or("?", TaskStatus::as_str));
    let undone = drive.records.iter().filter_map(|record| match record {
        Record::UndoRecorded { task, .. } => Some(task.to_string()),
        _ => None,
    });
    let undone: Vec<_> = undone.collect();
    let undone = if undone.is_empty() { String::new() } else { format!("; undone {}", undone.join(" ")) };
    format!("{status}: {}{undone}", tasks.iter().map(of).collect::<Vec<_>>().join(", "))
}

/// Nothing that is recorded is done again, and one undo ends before the next begins.
#[track_caller]
fn check_once(records: &[Record]) {
    let mut recorded = BTreeSet::new();
    let mut undone = BTreeSet::new();
    let mut out: Option<TaskId> = None;
    for record in records {
        match record {
            Record::Leased(leased) => {
                assert!(!recorded.contains(&leased.task), "{} is carried out again", leased.task);
            }
            Record::Recorded { task, .. } => assert!(recorded.insert(task.clone()), "{task} has two outcomes"),
            Record::UndoLeased(leased) => {
                assert!(!undone.contains(&leased.task), "{} is undone again", leased.task);
                assert!(out.is_none(), "{out:?} is being undone when {} is", leased.task);
                out = Some(leased.task.clone());
            }
            Record::UndoFailed { .. } | Record::UndoLost { .. } => out = None,
            Record::UndoRecorded { task, .. } => {
                out = None;
                assert!(undone.insert(task.clone()), "{task} was undone twice");
            }
            _ => {}
        }
    }
}

fn one_at_a_time() -> Outline {
    Outline::new(RunLimits { concurrency: 1, ..kept() })
}

fn calm(outline: Outline) -> Scene {
    Scene { outline, wish: None }
}

#[test]
fn a_plain_run_survives_a_stop_after_any_record() {
    let outline = Outline::new(kept()).task("a", entry(&[])).task("flaky", patient(entry(&["a"])));
    let outline = outline.task("b", entry(&["a"])).task("end", entry(&["flaky", "b"]));
    calm(outline).sweep("reached: a succeeded, b succeeded, end succeeded, flaky succeeded");
}

#[test]
fn a_run_with_lists_survives_a_stop_after_any_record() {
    let outline = Outline::new(kept()).task("a", entry(&[])).task("flaky", patient(for_each(&["a"])));
    let outline = outline.task("end", entry(&["flaky"]));
    calm(outline).sweep("reached: a succeeded, end succeeded, flaky[0] succeeded, flaky[1] succeeded");
}

#[test]
fn a_run_that_is_paused_by_a_task_and_resumed_survives_a_stop_after_any_record() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("tired", patient(entry(&["a"])));
    let outline = outline.task("b", entry(&["a"])).task("end", entry(&["tired", "b"]));
    calm(outline).sweep("reached: a succeeded, b succeeded, end succeeded, tired succeeded");
}

#[test]
fn a_run_that_somebody_pauses_and_resumes_survives_a_stop_after_any_record() {
    let outline = Outline::new(kept()).task("a", entry(&[])).task("b", entry(&[])).task("c", entry(&["a"]));
    let scene = Scene { outline: outline.task("d", entry(&["b", "c"])), wish: Some(("a", Wish::Pause)) };
    scene.sweep("reached: a succeeded, b succeeded, c succeeded, d succeeded");
}

#[test]
fn a_run_that_is_cancelled_survives_a_stop_after_any_record() {
    let outline = one_at_a_time().task("a", undone(entry(&[]))).task("b", entry(&["a"])).task("c", entry(&["b"]));
    let scene = Scene { outline, wish: Some(("a", Wish::Cancel { undo: false })) };
    scene.sweep("cancelled: a succeeded, b skipped, c skipped");
}

#[test]
fn a_run_that_is_cancelled_with_everything_undone_survives_a_stop_after_any_record() {
    let outline = one_at_a_time().task("a", undone(entry(&[]))).task("stuck", undone(entry(&["a"])));
    let outline = outline.task("b", undone(entry(&["stuck"]))).task("c", entry(&["b"]));
    let scene = Scene { outline, wish: Some(("b", Wish::Cancel { undo: true })) };
    scene.sweep("cancelled: a undone, b undone, c skipped, stuck undo failed; undone b stuck a");
}

#[test]
fn a_saga_survives_a_stop_after_any_record() {
    let outline = one_at_a_time().task("a", undone(entry(&[]))).task("flaky", undone(patient(entry(&["a"]))));
    let outline = outline.task("each", undone(for_each(&["flaky"]))).task("plain", entry(&["each"]));
    calm(outline.task("bad", undone(entry(&["plain"])))).sweep(
        "failed: a undone, bad failed, each[0] undone, each[1] undone, flaky undone, plain succeeded; \
         undone each[1] each[0] flaky a",
    );
}

#[test]
fn a_saga_with_an_undo_that_fails_survives_a_stop_after_any_record() {
    let limits = RunLimits { on_exhausted: OnExhausted::Fail, concurrency: 1, ..kept() };
    let outline = Outline::new(limits).task("stuck-1", undone(entry(&[]))).task("a", undone(entry(&["stuck-1"])));
    let outline = outline.task("stuck-2", undone(entry(&["a"]))).task("tired", entry(&["stuck-2"]));
    calm(outline)
        .sweep("failed: a undone, stuck-1 undo failed, stuck-2 undo failed, tired failed; undone stuck-2 a stuck-1");
}

#[test]
fn a_saga_beside_other_work_survives_a_stop_after_any_record() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("bad", entry(&["a"]));
    let outline = outline.task("b", undone(entry(&["a"]))).task("tired", patient(entry(&["b"])));
    calm(outline.task("end", entry(&["bad"])))
        .sweep("failed: a undone, b undone, bad failed, end skipped, tired failed; undone b a");
}

#[test]
fn a_deadline_in_a_saga_survives_a_stop_after_any_record() {
    let limits = RunLimits { deadline: Some(Duration::from_millis(300)), concurrency: 1, ..kept() };
    let slow = Retries { attempts: 9, backoff: Span::from_millis(400), ..Retries::default() };
    let outline = Outline::new(limits).task("a", undone(entry(&[])));
    let outline = outline.task("tired", Entry { retries: slow, ..entry(&["a"]) });
    calm(outline.task("end", entry(&["tired"]))).sweep("failed: a undone, end failed, tired failed; undone a");
}

#[test]
fn the_world_of_these_tests_notices_what_is_done_twice() {
    let twice = vec![
        Record::Recorded { task: id("a"), attempt: 1, outcome: succeeded(), wall: START },
        Record::Recorded { task: id("a"), attempt: 1, outcome: succeeded(), wall: START },
    ];
    assert!(std::panic::catch_unwind(|| check_once(&twice)).is_err());
}

fn succeeded() -> Outcome {
    Outcome::Succeeded { value: "1".to_owned(), digest: String::new() }
}
