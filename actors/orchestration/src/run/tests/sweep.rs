//! Whoever carries a run on after any prefix of its records brings it to the same end.

use super::waits::{child, gathers, waits};
use super::*;
use crate::goal::model::Take;

/// What somebody asks of the run, again and again until it is recorded.
struct Asked {
    id: uuid::Uuid,
    tell: Tell,
}

/// A world that does what a run asks for, and always in the same way.
struct Scene {
    outline: Outline,
    begins: fn(&TaskId) -> Begin,
    asked: Vec<Asked>,
}

fn asked(number: u128, tell: Tell) -> Asked {
    Asked { id: uuid::Uuid::from_u128(number), tell }
}

fn signal(number: u128, data: Value) -> Asked {
    asked(number, Tell::Signal { name: "paid".to_owned(), data, who: "shop".to_owned() })
}

fn approve(number: u128, task: &str) -> Asked {
    let task = task.parse().expect("a task");
    asked(number, Tell::Approve { task, who: "ann".to_owned(), why: "why not".to_owned() })
}

impl Scene {
    /// Goes on from some records to the end of the run.
    fn carry_on(&self, records: &[Record]) -> Drive {
        let mut drive = Drive::new(self.outline.clone());
        if !records.is_empty() {
            drive.records.clear();
            drive.state = RunState::new(Arc::clone(&drive.outline));
            drive.append(records.to_vec());
        }
        // Whoever held a lease is gone with the process.
        let held: Vec<_> = drive.state.held().map(|(task, _)| task.clone()).collect();
        for task in held {
            let lost = attempt_lost(&drive.state, &task, "the process ended", drive.now);
            drive.append(lost);
        }
        while drive.status().is_none() {
            assert!(self.move_on(&mut drive), "it stands still: {:?}", standing(&drive.state));
        }
        drive
    }

    /// Does the first thing that can be done; says whether there was one.
    fn move_on(&self, drive: &mut Drive) -> bool {
        let steps = drive.steps();
        if drive.status().is_some() {
            return true;
        }
        for step in &steps {
            match step {
                Step::Expand(task) => drive.expand(task, 2),
                Step::Prepare { task, .. } => self.begin(drive, task),
                Step::Undo { .. } | Step::Append(_) | Step::WakeAt(_) => continue,
            }
            return true;
        }
        let held = drive.state.held().next().map(|(task, _)| task.clone());
        if let Some(task) = held {
            drive.end(&task, AttemptEnd::Succeeded(json!({ "of": task.to_string() })));
            return true;
        }
        if self.tell(drive) {
            return true;
        }
        let is_open = |task: &TaskId| drive.state.task(task).is_some_and(|task| task.settled.is_none());
        let child = drive.state.children().find(|(task, _)| is_open(task));
        if let Some((task, child)) = child.map(|(task, child)| (task.clone(), child.clone())) {
            let results = json!({ "inside": task.to_string() });
            let end = ChildEnd { run: child.run, status: Status::Reached, results, why: String::new() };
            let records = child_ended(&drive.state, &task, &end, drive.now);
            drive.append(records);
            return true;
        }
        let wake = steps.iter().find_map(|step| if let Step::WakeAt(then) = step { Some(*then) } else { None });
        drive.now = wake.unwrap_or(drive.now);
        wake.is_some()
    }

    fn begin(&self, drive: &mut Drive, task: &TaskId) {
        let entry = drive.outline.entry(task.task()).expect("a task of this run");
        if entry.carried == Carried::ByAgent {
            return drive.lease(task, "root/executor-1");
        }
        let record = begun(&drive.state, task, &(self.begins)(task), drive.now);
        drive.append(record.into_iter().collect());
    }

    /// Asks the run for the first thing that it has not been asked for and that makes sense now.
    fn tell(&self, drive: &mut Drive) -> bool {
        for Asked { id, tell } in &self.asked {
            if drive.state.request(*id).is_some() {
                continue;
            }
            if let Ok(record) = told(&drive.state, tell, drive.now) {
                let taken = Record::RequestTaken { id: *id, wall: drive.now };
                drive.append(std::iter::once(taken).chain(record).collect());
                return true;
            }
        }
        false
    }

    /// Stops after every prefix of the calm run, and goes on from there.
    #[track_caller]
    fn sweep(&self) {
        let calm = self.carry_on(&[]);
        assert_eq!(calm.status(), Some(Status::Reached), "{:#?}", calm.records);
        // What was asked is recorded together with what follows from it: one append, all or nothing.
        let whole = |cut: &usize| !matches!(calm.records[*cut - 1], Record::RequestTaken { .. });
        for cut in (2..calm.records.len()).filter(whole) {
            let again = self.carry_on(&calm.records[..cut]);
            assert_eq!(again.status(), Some(Status::Reached), "after {cut} records");
            assert_eq!(result_digest(&again.state), result_digest(&calm.state), "after {cut} records");
            let outcomes = |drive: &Drive| {
                let recorded = drive.records.iter().filter(|record| matches!(record, Record::Recorded { .. }));
                recorded.count()
            };
            assert_eq!(outcomes(&again), outcomes(&calm), "after {cut} records an outcome was recorded twice");
            let children = |drive: &Drive| drive.state.children().map(|(_, child)| child.run).collect::<Vec<_>>();
            assert_eq!(children(&again), children(&calm), "after {cut} records");
            let signals = again.records.iter().filter(|record| matches!(record, Record::Signalled { .. })).count();
            assert!(signals <= self.asked.len(), "after {cut} records a request was taken twice");
        }
    }
}

fn outline() -> Outline {
    Outline::new(RunLimits::default())
}

#[test]
fn an_approval_survives_a_stop_after_any_record() {
    let outline = outline().task("build", entry(&[])).task("ask", waits(&["build"])).task("ship", entry(&["ask"]));
    let begins = |_: &TaskId| Begin::Approval { prompt: "?".to_owned(), timeout: Some(Duration::from_secs(9)) };
    Scene { outline, begins, asked: vec![approve(1, "ask"), approve(2, "ask")] }.sweep();
}

#[test]
fn an_approval_of_each_item_survives_a_stop_after_any_record() {
    let each = Entry { fan: Fan::ForEach, ..waits(&["build"]) };
    let outline = outline().task("build", entry(&[])).task("ask", each).task("ship", entry(&["ask"]));
    let begins = |_: &TaskId| Begin::Approval { prompt: "?".to_owned(), timeout: None };
    Scene { outline, begins, asked: vec![approve(1, "ask[1]"), approve(2, "ask[0]")] }.sweep();
}

#[test]
fn times_survive_a_stop_after_any_record() {
    let outline = outline().task("rest", waits(&[])).task("work", entry(&["rest"])).task("again", waits(&["work"]));
    let begins = |_: &TaskId| Begin::For(Duration::from_mins(10));
    Scene { outline, begins, asked: Vec::new() }.sweep();
}

#[test]
fn signals_survive_a_stop_after_any_record_and_are_taken_once() {
    let outline = outline().task("a", waits(&[])).task("b", waits(&["a"])).task("c", waits(&["b"]));
    let begins = |_: &TaskId| Begin::Signal { name: "paid".to_owned(), timeout: None };
    let asked = vec![signal(1, json!(1)), signal(2, json!({ "two": 2 })), signal(3, json!(null))];
    Scene { outline, begins, asked }.sweep();
}

#[test]
fn what_is_gathered_survives_a_stop_after_any_record() {
    let outline = outline().task("fast", entry(&[])).task("slow", waits(&[])).task("lead", entry(&["fast"]));
    let outline = outline.task("late", waits(&["lead"])).task("one", gathers(&["fast", "slow", "late"], Take::First));
    let outline = outline.task("two", gathers(&["fast", "lead", "slow"], Take::Quorum(2)));
    let begins = |_: &TaskId| Begin::Signal { name: "never".to_owned(), timeout: None };
    Scene { outline: outline.task("end", entry(&["one", "two"])), begins, asked: Vec::new() }.sweep();
}

#[test]
fn a_goal_inside_another_survives_a_stop_after_any_record_and_is_one_run() {
    let each = Entry { fan: Fan::ForEach, ..child(&["child"]) };
    let outline = outline().task("build", entry(&[])).task("child", child(&["build"])).task("each", each);
    let begins = |_: &TaskId| Begin::Child { params: json!({}) };
    Scene { outline: outline.task("end", entry(&["each"])), begins, asked: Vec::new() }.sweep();
}

#[test]
fn everything_together_survives_a_stop_after_any_record() {
    let outline = outline().task("ask", waits(&[])).task("paid", waits(&[])).task("rest", waits(&["ask"]));
    let outline = outline.task("child", child(&["paid"])).task("each", for_each(&["rest"]));
    let outline = outline.task("some", gathers(&["each", "child"], Take::All)).task("end", entry(&["some"]));
    let begins = |task: &TaskId| match task.task() {
        "ask" => Begin::Approval { prompt: "?".to_owned(), timeout: None },
        "paid" => Begin::Signal { name: "paid".to_owned(), timeout: None },
        "rest" => Begin::For(Duration::from_secs(5)),
        _ => Begin::Child { params: json!({}) },
    };
    Scene { outline, begins, asked: vec![signal(1, json!(5)), approve(2, "ask")] }.sweep();
}
