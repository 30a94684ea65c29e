//! What is told of runs, whole, as people read it.

mod golden;
mod log;
mod runs;
mod sentences;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::RunId;
use uuid::Uuid;

use super::*;
use crate::goal::model::{Approve, Goal, Signal, Task, Wait};
use crate::goal::work::Work;
use crate::run::record::{BudgetKind, Class, Leased, Lookups, Outcome, PauseCause, Record};
use crate::run::{
    AttemptEnd, Begin, ChildEnd, Millis, RunState, Step, TaskId, Tell, attempt_ended, attempt_lost, begun, child_ended,
    next, taken_up, told, undo_ended,
};

/// 2026-11-20T09:00:00Z.
const START: Millis = Millis(1_795_165_200_000);

const AGENT: &str = "root/domains/orchestration/executors/executor-1";

/// A run that is carried out by hand.
struct Scene {
    records: Vec<Record>,
    state: RunState,
    now: Millis,
    incarnation: u64,
}

fn id(task: &str) -> TaskId {
    task.parse().expect("a task")
}

impl Scene {
    /// A run of this goal that was recorded.
    fn recorded(goal: &str) -> Self {
        let goal: Goal = toml::from_str(goal).expect("a goal");
        let started = Record::RunStarted {
            run: RunId::new(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0007)),
            goal: serde_json::to_string(&goal).expect("a goal as JSON"),
            params: "{}".to_owned(),
            input: "/data/shop".to_owned(),
            parent: None,
            wall: START,
        };
        let outline = Origin::of(&started).expect("a beginning").outline();
        let state = RunState::new(Arc::new(outline));
        let mut scene = Self { records: Vec::new(), state, now: START, incarnation: 1 };
        scene.append(vec![started]);
        scene
    }

    /// A run of this goal that has its plan.
    fn planned(goal: &str) -> Self {
        let mut scene = Self::recorded(goal);
        scene.take_up("steadfast 4711");
        let tasks = u32::try_from(scene.state.outline().order().len()).expect("a few");
        let critical_path = scene.state.outline().order().to_vec();
        scene.after(20).append(vec![Record::Planned { tasks, critical_path, at_least: 0 }]);
        scene
    }

    fn append(&mut self, records: Vec<Record>) {
        for record in records {
            self.state.apply(&record).expect("a record of this plan");
            self.records.push(record);
        }
    }

    /// Appends what follows by itself.
    fn settle(&mut self) -> &mut Self {
        loop {
            let steps = next(&self.state, self.now).into_iter();
            let records: Vec<_> =
                steps.filter_map(|step| if let Step::Append(record) = step { Some(record) } else { None }).collect();
            if records.is_empty() {
                return self;
            }
            self.append(records);
        }
    }

    fn after(&mut self, millis: u64) -> &mut Self {
        self.now = self.now.after(Duration::from_millis(millis));
        self
    }

    fn take_up(&mut self, by: &str) -> &mut Self {
        let records = taken_up(&self.state, by, self.now);
        self.append(records);
        self.settle()
    }

    fn leased(&self, task: &str, attempt: u32, part: &str) -> Leased {
        let run = self.state.run().expect("it began");
        Leased {
            task: id(task),
            attempt,
            agent: AGENT.parse().expect("a path"),
            incarnation: self.incarnation,
            key: format!("{run}/{task}{part}"),
            input_digest: String::new(),
            context: Lookups::default(),
            wall: self.now,
        }
    }

    fn lease(&mut self, task: &str) -> &mut Self {
        let attempt = self.state.task(&id(task)).expect("a task of this run").attempts + 1;
        let leased = self.leased(task, attempt, "");
        self.append(vec![Record::Leased(leased)]);
        self
    }

    fn end(&mut self, task: &str, end: AttemptEnd) -> &mut Self {
        let records = attempt_ended(&self.state, &id(task), end, self.now);
        assert!(!records.is_empty(), "{task} held no lease");
        self.append(records);
        self.settle()
    }

    fn succeed(&mut self, task: &str) -> &mut Self {
        self.lease(task).after(1200).end(task, AttemptEnd::Succeeded(json!("done")))
    }

    fn fail(&mut self, task: &str, class: Class, message: &str) -> &mut Self {
        self.lease(task).after(800).end(task, AttemptEnd::Failed { class, message: message.to_owned() })
    }

    fn lose(&mut self, task: &str, why: &str) -> &mut Self {
        let records = attempt_lost(&self.state, &id(task), why, self.now);
        self.append(records);
        self.incarnation += 1;
        self.settle()
    }

    fn expand(&mut self, task: &str, items: u32) -> &mut Self {
        self.append(vec![Record::Expanded { task: task.to_owned(), items }]);
        self.settle()
    }

    /// A task that the run itself carries out begins, as the goal says.
    fn begin(&mut self, task: &str) -> &mut Self {
        let origin = Origin::of(&self.records[0]).expect("a beginning");
        let goal = origin.goal.expect("a goal");
        let work = goal.tasks.iter().find(|one| one.id == task).and_then(Task::work).expect("a task of the goal");
        let begin = match work {
            Work::Approve(Approve { prompt, timeout }) => {
                Begin::Approval { prompt: prompt.clone(), timeout: timeout.map(|span| span.duration()) }
            }
            Work::Signal(Signal { name, timeout }) => {
                Begin::Signal { name: name.clone(), timeout: timeout.map(|span| span.duration()) }
            }
            Work::Wait(Wait { span: Some(span), .. }) => Begin::For(span.duration()),
            Work::Goal(_) => Begin::Child { params: json!({}) },
            _ => panic!("an agent carries `{task}` out"),
        };
        let record = begun(&self.state, &id(task), &begin, self.now);
        self.append(record.into_iter().collect());
        self
    }

    fn tell(&mut self, tell: &Tell) -> &mut Self {
        let record = told(&self.state, tell, self.now).expect("it makes sense");
        self.append(record.into_iter().collect());
        self.settle()
    }

    fn approve(&mut self, task: &str) -> &mut Self {
        self.tell(&Tell::Approve { task: id(task), who: "ann".to_owned(), why: "all is green".to_owned() })
    }

    fn reject(&mut self, task: &str) -> &mut Self {
        self.tell(&Tell::Reject { task: id(task), who: "bob".to_owned(), why: "it is Friday".to_owned() })
    }

    fn signal(&mut self, name: &str, data: Value) -> &mut Self {
        self.tell(&Tell::Signal { name: name.to_owned(), data, who: "shop".to_owned() })
    }

    fn pause(&mut self, why: PauseCause, who: &str, message: &str) -> &mut Self {
        let wall = self.now;
        self.append(vec![Record::Paused { why, who: who.to_owned(), message: message.to_owned(), wall }]);
        self
    }

    fn resume(&mut self) -> &mut Self {
        self.append(vec![Record::Resumed { who: "ann".to_owned(), wall: self.now }]);
        self.settle()
    }

    fn cancel(&mut self, undo: bool) -> &mut Self {
        let why = "the order was withdrawn".to_owned();
        self.append(vec![Record::CancelAsked { undo, who: "ann".to_owned(), why, wall: self.now }]);
        self.settle()
    }

    fn undo(&mut self, task: &str, end: Option<(Class, &str)>) -> &mut Self {
        let undo = self.state.task(&id(task)).and_then(|task| task.undo.as_ref());
        let leased = self.leased(task, undo.map_or(0, |undo| undo.attempts) + 1, "/undo");
        self.append(vec![Record::UndoLeased(leased)]);
        self.after(500);
        let end = match end {
            None => AttemptEnd::Succeeded(Value::Null),
            Some((class, message)) => AttemptEnd::Failed { class, message: message.to_owned() },
        };
        let records = undo_ended(&self.state, &id(task), end, self.now);
        self.append(records);
        self.settle()
    }

    fn account(&self) -> Account {
        Account::of(&self.records).expect("records of one run")
    }

    fn view(&self) -> View {
        View::at(self.now)
    }

    fn why(&self, task: Option<&str>) -> Why {
        why(&self.account(), &self.view(), task.map(id).as_ref()).expect("it has that task")
    }
}
