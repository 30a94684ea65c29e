//! A run stands still, goes on, is cancelled, fails, and is undone.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::waits::waits;
use super::*;
use crate::goal::model::{FailureClass, OnExhausted};

pub(super) fn kept() -> RunLimits {
    RunLimits::default()
}

/// A task that is undone when the goal fails.
pub(super) fn undone(entry: Entry) -> Entry {
    Entry { undo: Some(Retries { attempts: 2, ..Retries::default() }), ..entry }
}

pub(super) fn id(task: &str) -> TaskId {
    task.parse().expect("a task")
}

impl Drive {
    pub(super) fn pause(&mut self) {
        let (who, message) = ("ann".to_owned(), "lunch".to_owned());
        self.append(vec![Record::Paused { why: PauseCause::Asked, who, message, wall: self.now }]);
    }

    pub(super) fn resume(&mut self) {
        self.append(vec![Record::Resumed { who: "ann".to_owned(), wall: self.now }]);
    }

    pub(super) fn cancel(&mut self, undo: bool) {
        let (who, why) = ("ann".to_owned(), "it rains".to_owned());
        self.append(vec![Record::CancelAsked { undo, who, why, wall: self.now }]);
    }

    pub(super) fn lease_undo(&mut self, task: &TaskId) {
        let undo = self.state.task(task).and_then(|task| task.undo.as_ref());
        let attempt = undo.map_or(0, |undo| undo.attempts) + 1;
        self.append(vec![Record::UndoLeased(Leased {
            task: task.clone(),
            attempt,
            agent: "root/executor-1".parse().expect("a path"),
            incarnation: 1,
            key: format!("run:{task}/undo"),
            input_digest: String::new(),
            context: Lookups::default(),
            wall: self.now,
        })]);
    }

    pub(super) fn undo(&mut self, task: &str, end: AttemptEnd) {
        let task = id(task);
        assert_eq!(self.todo(), [format!("undo {task}#{}", self.undo_attempts(&task) + 1)]);
        self.lease_undo(&task);
        assert!(self.todo().is_empty(), "one at a time");
        let records = undo_ended(&self.state, &task, end, self.now);
        self.append(records);
    }

    fn undo_attempts(&self, task: &TaskId) -> u32 {
        self.state.task(task).and_then(|task| task.undo.as_ref()).map_or(0, |undo| undo.attempts)
    }

    fn lose(&mut self, task: &str) {
        let task = id(task);
        self.lease(&task, "root/executor-1");
        let lost = attempt_lost(&self.state, &task, "it panicked", self.now);
        self.append(lost);
    }

    fn phase(&self) -> Phase {
        self.state.phase()
    }

    fn stands(&self) -> Standing {
        Standing::of(&self.state, self.now)
    }
}

pub(super) fn done(value: Value) -> AttemptEnd {
    AttemptEnd::Succeeded(value)
}

pub(super) fn failed(class: Class) -> AttemptEnd {
    AttemptEnd::Failed { class, message: "no".to_owned() }
}

#[test]
fn what_another_attempt_could_mend_pauses_a_run_and_what_it_could_not_fails_it() {
    use Verdict::{Again, Exhausted, Terminal};
    let on = Retries { attempts: 2, on: vec![FailureClass::Exit, FailureClass::Invalid], ..Retries::default() };
    let entry = Entry { retries: on, ..entry(&[]) };
    let table = [
        (Class::Exit, Again, Exhausted),
        (Class::Invalid, Again, Exhausted),
        (Class::Timeout, Terminal, Terminal),
        (Class::Start, Terminal, Terminal),
        (Class::Output, Terminal, Terminal),
        (Class::Denied, Terminal, Terminal),
        (Class::Plan, Terminal, Terminal),
        (Class::Poison, Exhausted, Exhausted),
        (Class::Deadline, Terminal, Terminal),
        (Class::Rejected, Terminal, Terminal),
        (Class::Child, Terminal, Terminal),
        (Class::Budget, Terminal, Terminal),
        (Class::Repeats, Terminal, Terminal),
        (Class::Quorum, Terminal, Terminal),
    ];
    for (class, first, last) in table {
        assert_eq!((entry.verdict(class, 1), entry.verdict(class, 2)), (first, last), "{}", class.as_str());
    }
}

#[test]
fn attempts_that_are_used_up_pause_a_run_that_is_kept_and_what_is_in_flight_ends() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("b", entry(&[])).task("c", entry(&["a"]));
    let mut drive = Drive::new(outline);
    drive.succeed("a", json!(1));
    drive.lease(&id("b"), "root/executor-2");
    drive.fail("c", Class::Exit);
    assert_eq!((drive.phase(), drive.stands()), (Phase::Paused, Standing::Working), "b is in flight");
    assert_eq!(drive.state.status(&id("c")), Some(TaskStatus::Exhausted));
    assert!(drive.todo().is_empty() && drive.outcome("c") == "open");
    drive.end(&id("b"), done(json!(2)));
    assert!(drive.todo().is_empty(), "nothing is undone, and nothing is over");
    let Standing::Paused(notes) = drive.stands() else { panic!("{:?}", drive.stands()) };
    assert_eq!((notes[0].cause.as_str(), notes[0].task.as_deref()), ("exhausted", Some("c")));
    assert_eq!(notes[0].message, "`c`, attempt 1: no");
    assert!(notes[0].remedy.ends_with("; then resume it"), "{}", notes[0].remedy);
}

#[test]
fn a_run_that_is_resumed_gives_a_task_its_attempts_again_under_the_same_key() {
    let mut drive = Drive::new(Outline::new(kept()).task("a", patient(entry(&[]))));
    for _ in 0..3 {
        drive.now = drive.now.after(Duration::from_mins(1));
        drive.fail("a", Class::Exit);
    }
    assert_eq!(drive.phase(), Phase::Paused);
    drive.now = drive.now.after(Duration::from_hours(20));
    assert!(drive.todo().is_empty());
    drive.resume();
    assert_eq!((drive.phase(), drive.todo()), (Phase::Executing, vec!["a#4".to_owned()]));
    for _ in 0..2 {
        drive.fail("a", Class::Exit);
        assert_eq!(drive.state.status(&id("a")), Some(TaskStatus::BackingOff));
        drive.now = drive.now.after(Duration::from_mins(1));
    }
    drive.succeed("a", json!(1));
    assert!(drive.todo().is_empty());
    let task = drive.state.task(&id("a")).expect("a task");
    assert_eq!((drive.status(), task.attempts, task.key.as_deref()), (Some(Status::Reached), 6, Some("run:a")));
}

#[test]
fn a_task_that_kills_every_agent_pauses_a_run_that_is_kept_and_gets_as_many_again() {
    let limits = RunLimits { crashes: 2, ..kept() };
    let mut drive = Drive::new(Outline::new(limits).task("a", entry(&[])));
    drive.lose("a");
    drive.lose("a");
    let Standing::Paused(notes) = drive.stands() else { panic!("{:?}", drive.stands()) };
    assert!(notes[0].cause == "poison" && notes[0].message.contains("2 agents died"), "{notes:?}");
    drive.resume();
    drive.lose("a");
    assert_eq!(drive.phase(), Phase::Executing);
    drive.lose("a");
    assert_eq!(drive.phase(), Phase::Paused);
    drive.resume();
    drive.succeed("a", json!(1));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn where_the_goal_says_so_attempts_that_are_used_up_fail_it() {
    let limits = RunLimits { on_exhausted: OnExhausted::Fail, ..kept() };
    for limits in [limits, volatile()] {
        let mut drive = Drive::new(Outline::new(limits).task("a", entry(&[])));
        drive.fail("a", Class::Exit);
        assert!(drive.todo().is_empty());
        assert_eq!(drive.status(), Some(Status::Failed));
    }
}

#[test]
fn a_run_that_must_fail_anyway_is_not_paused_in_whichever_order_its_tasks_end() {
    for order in [["a", "b"], ["b", "a"]] {
        let mut drive = Drive::new(Outline::new(kept()).task("a", entry(&[])).task("b", entry(&[])));
        for task in order {
            drive.lease(&id(task), "root/executor-1");
        }
        for task in order {
            drive.end(&id(task), failed(if task == "a" { Class::Denied } else { Class::Exit }));
        }
        assert!(drive.todo().is_empty());
        assert_eq!((drive.status(), drive.outcome("b").as_str()), (Some(Status::Failed), "exit: no"));
    }
}

#[test]
fn whoever_paused_a_run_has_it_stand_still_also_when_a_task_failed_for_good() {
    let mut drive = Drive::new(Outline::new(kept()).task("a", entry(&[])).task("b", undone(entry(&[]))));
    drive.succeed("b", json!(1));
    drive.lease(&id("a"), "root/executor-1");
    drive.pause();
    drive.end(&id("a"), failed(Class::Denied));
    assert!(drive.todo().is_empty());
    assert!(drive.phase() == Phase::Paused && !drive.state.is_undoing(), "nothing is undone behind somebody's back");
    drive.resume();
    assert_eq!(drive.todo(), ["undo b#1"]);
}

#[test]
fn a_paused_run_whose_tasks_all_succeeded_is_reached() {
    let mut drive = Drive::new(Outline::new(kept()).task("a", entry(&[])));
    drive.lease(&id("a"), "root/executor-1");
    drive.pause();
    assert!(drive.todo().is_empty());
    drive.end(&id("a"), done(json!(1)));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn the_time_for_which_a_run_stands_still_does_not_count_for_its_deadline() {
    let limits = RunLimits { deadline: Some(Duration::from_secs(10)), ..kept() };
    let mut drive = Drive::new(Outline::new(limits).task("a", entry(&[])));
    drive.now = START.after(Duration::from_secs(4));
    drive.pause();
    drive.now = START.after(Duration::from_hours(50));
    assert!(drive.steps().is_empty(), "not even a moment to wake at");
    drive.resume();
    let deadline = drive.now.after(Duration::from_secs(6));
    assert!(drive.steps().contains(&Step::WakeAt(deadline)));
    drive.now = deadline;
    assert!(drive.steps().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn nobody_who_waits_runs_out_of_time_while_the_run_stands_still() {
    let mut drive = Drive::new(Outline::new(kept()).task("ask", waits(&[])));
    let begin = Begin::Approval { prompt: "?".to_owned(), timeout: Some(Duration::from_secs(5)) };
    let record = begun(&drive.state, &id("ask"), &begin, drive.now);
    drive.append(record.into_iter().collect());
    drive.pause();
    drive.now = drive.now.after(Duration::from_hours(1));
    assert!(drive.steps().is_empty() && drive.outcome("ask") == "open");
    drive.resume();
    let until = drive.now.after(Duration::from_secs(5));
    assert_eq!(drive.steps(), [Step::WakeAt(until)]);
    drive.now = until;
    assert!(drive.steps().is_empty() && drive.outcome("ask").starts_with("timeout: "), "{}", drive.outcome("ask"));
}

#[test]
fn a_run_that_is_cancelled_gives_every_open_task_its_outcome_and_undoes_nothing() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("b", entry(&[])).task("c", entry(&["b"]));
    let mut drive = Drive::new(outline.task("each", for_each(&["c"])));
    drive.succeed("a", json!(1));
    drive.lease(&id("b"), "root/executor-1");
    drive.pause();
    drive.cancel(false);
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Cancelled));
    for task in ["b", "c", "each"] {
        assert_eq!(drive.outcome(task), "skipped: the run was cancelled by ann: it rains");
    }
    assert_eq!((drive.outcome("a").as_str(), drive.state.undone()), ("1", UndoSummary::default()));
}

#[test]
fn what_was_done_is_undone_in_reverse_order_one_at_a_time_and_each_is_recorded_before_the_next() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("b", undone(entry(&[])));
    let outline = outline.task("free", entry(&[])).task("each", undone(for_each(&["a"]))).task("z", entry(&["each"]));
    let mut drive = Drive::new(outline);
    drive.succeed("b", json!(1));
    drive.succeed("a", json!(2));
    drive.succeed("free", json!(0));
    drive.expand("each", 3);
    for item in ["each[2]", "each[0]", "each[1]"] {
        drive.succeed(item, json!(item));
    }
    drive.fail("z", Class::Denied);
    for task in ["each[1]", "each[0]", "each[2]", "a", "b"] {
        drive.undo(task, done(json!(null)));
        assert_eq!(drive.state.status(&id(task)), Some(TaskStatus::Undone));
    }
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
    let Some(Record::Ended { undone, .. }) = drive.records.last() else { panic!("it is over") };
    assert_eq!(*undone, UndoSummary { undone: 5, failed: 0 });
}

#[test]
fn an_undo_that_fails_is_tried_again_then_left_to_a_person_and_the_others_still_run() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("b", undone(entry(&["a"])));
    let mut drive = Drive::new(outline.task("c", entry(&["b"])));
    drive.succeed("a", json!(1));
    drive.succeed("b", json!(2));
    drive.cancel(true);
    drive.undo("b", failed(Class::Exit));
    let due = drive.now.after(Duration::from_millis(200));
    assert_eq!(drive.steps(), [Step::WakeAt(due)]);
    drive.now = due;
    drive.undo("b", failed(Class::Exit));
    assert_eq!(drive.state.status(&id("b")), Some(TaskStatus::UndoFailed));
    drive.undo("a", done(json!(null)));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Cancelled));
    assert_eq!(drive.state.undone(), UndoSummary { undone: 1, failed: 1 });
}

#[test]
fn an_undo_that_kills_every_agent_is_left_to_a_person() {
    let limits = RunLimits { crashes: 2, ..kept() };
    let outline = Outline::new(limits).task("a", undone(entry(&[]))).task("b", entry(&["a"]));
    let mut drive = Drive::new(outline);
    drive.succeed("a", json!(1));
    drive.fail("b", Class::Denied);
    for _ in 0..2 {
        assert_eq!(drive.todo().len(), 1);
        drive.lease_undo(&id("a"));
        let records = undo_lost(&drive.state, &id("a"), "it panicked", drive.now);
        drive.append(records);
    }
    assert!(drive.todo().is_empty());
    assert_eq!(drive.state.status(&id("a")), Some(TaskStatus::UndoFailed));
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn a_deadline_ends_what_is_in_flight_and_undoes_what_was_done_however_long_that_takes() {
    let limits = RunLimits { deadline: Some(Duration::from_secs(5)), ..kept() };
    let outline = Outline::new(limits).task("a", undone(entry(&[]))).task("b", entry(&["a"]));
    let mut drive = Drive::new(outline);
    drive.succeed("a", json!(1));
    drive.lease(&id("b"), "root/executor-1");
    drive.now = START.after(Duration::from_secs(5));
    assert_eq!(drive.todo(), ["undo a#1"]);
    assert!(drive.state.held().next().is_none());
    drive.now = START.after(Duration::from_hours(5));
    drive.undo("a", done(json!(null)));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
}

#[test]
fn a_run_that_is_kept_and_drained_goes_on_in_another_process_with_what_was_out_lost() {
    let mut drive = Drive::new(Outline::new(kept()).task("a", entry(&[])).task("b", entry(&["a"])));
    drive.lease(&id("a"), "root/executor-1");
    drive.append(vec![Record::Draining]);
    assert!(drive.todo().is_empty());
    assert_eq!((drive.status(), drive.stands()), (None, Standing::Working));
    let lost = attempt_lost(&drive.state, &id("a"), "the drain took too long", drive.now);
    drive.append(lost);
    assert!(drive.todo().is_empty());
    assert_eq!((drive.status(), drive.stands()), (None, Standing::Drained));
    let taken = taken_up(&drive.state, "root/b#1", drive.now);
    drive.append(taken);
    assert_eq!(drive.todo(), ["a#2"]);
    drive.lease(&id("a"), "root/executor-1");
    let taken = taken_up(&drive.state, "root/c#1", drive.now);
    drive.append(taken);
    assert_eq!(drive.todo(), ["a#3"], "a holder of the same name in another process is not the holder");
}

#[test]
fn a_pause_outlives_the_process() {
    let mut drive = Drive::new(Outline::new(kept()).task("a", entry(&[])));
    drive.pause();
    let taken = taken_up(&drive.state, "root/b#1", drive.now);
    drive.append(taken);
    assert!(drive.todo().is_empty());
    assert_eq!(drive.phase(), Phase::Paused);
}

#[test]
fn undoing_stands_still_when_somebody_pauses_it_and_cannot_be_cancelled() {
    let outline = Outline::new(kept()).task("a", undone(entry(&[]))).task("b", entry(&["a"]));
    let mut drive = Drive::new(outline);
    drive.succeed("a", json!(1));
    drive.fail("b", Class::Denied);
    assert_eq!((drive.todo(), drive.phase()), (vec!["undo a#1".to_owned()], Phase::Undoing));
    drive.pause();
    assert!(drive.todo().is_empty());
    drive.resume();
    drive.cancel(false);
    drive.undo("a", done(json!(null)));
    assert!(drive.todo().is_empty());
    assert_eq!(drive.status(), Some(Status::Failed));
}

/// Does something that may happen at any time, by chance.
fn happen(drive: &mut Drive, rng: &mut Rng) {
    match below(rng, 40) {
        0 if !drive.state.is_paused() => drive.pause(),
        1..=9 if drive.state.is_paused() => drive.resume(),
        10 => drive.append(vec![Record::Draining]),
        11 => {
            let taken = taken_up(&drive.state, "another", drive.now);
            drive.append(taken);
        }
        12 if below(rng, 8) == 0 && !drive.state.is_undoing() => drive.cancel(rng.next_u64().is_multiple_of(2)),
        13 => drive.now = drive.now.after(Duration::from_secs(1)),
        _ => {}
    }
}

fn work_on(drive: &mut Drive, rng: &mut Rng) {
    let end = |rng: &mut Rng| match below(rng, 12) {
        0..=2 => failed(Class::Exit),
        3 => failed(Class::Denied),
        _ => done(json!(1)),
    };
    let steps = drive.steps();
    let held: Vec<_> = drive.state.held().map(|(task, _)| task.clone()).collect();
    if let Some((task, _)) = drive.state.undo_lease() {
        let task = task.clone();
        let records = match below(rng, 5) {
            0 => undo_lost(&drive.state, &task, "chance", drive.now),
            _ => undo_ended(&drive.state, &task, end(rng), drive.now),
        };
        return drive.append(records);
    }
    let choices = steps.len() + held.len();
    if choices == 0 {
        return;
    }
    let choice = below(rng, choices);
    match steps.get(choice) {
        Some(Step::Expand(task)) => drive.expand(task, 2),
        Some(Step::Prepare { task, .. }) => drive.lease(task, "root/executor-1"),
        Some(Step::Undo { task, .. }) => drive.lease_undo(task),
        Some(Step::WakeAt(then)) => drive.now = drive.now.max(*then),
        Some(Step::Append(_)) => unreachable!("they were appended"),
        None if below(rng, 6) == 0 => {
            let lost = attempt_lost(&drive.state, &held[choice - steps.len()], "chance", drive.now);
            drive.append(lost);
        }
        None => drive.end(&held[choice - steps.len()], end(rng)),
    }
}

fn random_saga(seed: u64) -> Outline {
    let mut rng = Rng::new(seed);
    let mut names: Vec<String> = Vec::new();
    let deadline = rng.next_u64().is_multiple_of(3).then(|| Duration::from_secs(20));
    let on_exhausted = [OnExhausted::Pause, OnExhausted::Fail][below(&mut rng, 2)];
    let kept = [Kept::Volatile, Kept::Journaled, Kept::Journaled][below(&mut rng, 3)];
    let limits = RunLimits { concurrency: 3, crashes: 3, deadline, on_exhausted, kept };
    let mut outline = Outline::new(limits);
    for number in 0..=below(&mut rng, 6) {
        let needs: Vec<&str> = names.iter().filter(|_| rng.next_u64().is_multiple_of(3)).map(String::as_str).collect();
        let base = if rng.next_u64().is_multiple_of(5) { for_each(&needs) } else { entry(&needs) };
        let base = if rng.next_u64().is_multiple_of(2) { undone(base) } else { base };
        let name = format!("t-{number}");
        outline = outline.task(&name, Entry { retries: Retries { attempts: 2, ..Retries::default() }, ..base });
        names.push(name);
    }
    outline
}

/// Folds the records one by one and looks at each change.
#[track_caller]
fn check_changes(outline: &Arc<Outline>, records: &[Record]) {
    let mut state = RunState::new(Arc::clone(outline));
    for record in records {
        let before = state.clone();
        state.apply(record).expect("a record of this plan");
        let (from, to) = (before.phase(), state.phase());
        assert!(from == to || from.may_become(to), "{record:?} led from {from} to {to}");
        for (id, _) in state.tasks() {
            let (Some(from), Some(to)) = (before.status(id), state.status(id)) else { continue };
            assert!(from == to || from.may_become(to), "{record:?} led {id} from {from} to {to}");
        }
    }
}

proptest! {
    #[test]
    fn no_record_leads_a_run_or_a_task_where_the_tables_do_not(shape: u64, schedule in any::<u64>()) {
        let mut rng = Rng::new(schedule);
        let mut drive = Drive::new(random_saga(shape));
        for _ in 0..400 {
            if drive.status().is_some() {
                break;
            }
            happen(&mut drive, &mut rng);
            work_on(&mut drive, &mut rng);
        }
        check_changes(&drive.outline, &drive.records);
        let folded = RunState::fold(Arc::clone(&drive.outline), &drive.records).expect("records of this plan");
        prop_assert_eq!(format!("{:?}", folded), format!("{:?}", &drive.state));
        if drive.status().is_some_and(|status| status != Status::Drained) {
            prop_assert!(drive.state.open() == 0 && drive.state.undo_at().is_none(), "nothing is left half done");
        }
    }
}
