//! Budgets: never exceeded, whatever comes in whichever order, and an outcome of their own.

use std::collections::BTreeMap;

use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;

use super::*;
use crate::goal::model::Budget;
use crate::goal::span::Span;

fn within(budget: Budget) -> Outline {
    Outline::new(volatile()).within(budget)
}

fn id(task: &str) -> TaskId {
    task.parse().expect("a task")
}

fn tokens(limit: u64) -> Budget {
    Budget { counters: BTreeMap::from([("tokens".to_owned(), limit)]), ..Budget::default() }
}

impl Drive {
    fn charge(&mut self, task: &str, name: &str, what: &Charge) -> ChargeReply {
        let task = id(task);
        let attempt = self.state.task(&task).map_or(0, |task| task.attempts);
        let (records, reply) = charge(&self.state, (&task, attempt), (name, what), self.now);
        self.append(records);
        reply
    }

    fn reserve(&mut self, task: &str, name: &str, amount: u64) -> ChargeReply {
        self.charge(task, name, &Charge::Reserve { counter: "tokens".to_owned(), amount })
    }

    fn settle(&mut self, task: &str, name: &str, amount: u64) -> ChargeReply {
        self.charge(task, name, &Charge::Settle { amount })
    }

    fn call(&mut self, task: &str, name: &str, tool: &str) -> ChargeReply {
        let arguments_digest = sha256_hex(tool.as_bytes());
        self.charge(task, name, &Charge::Call { tool: tool.to_owned(), arguments_digest })
    }

    fn used(&self) -> u64 {
        self.state.usage().counters().get("tokens").map_or(0, |counter| counter.used)
    }

    /// How the run ended, and what is said of its budget.
    #[track_caller]
    fn spent(&mut self) -> (Option<Status>, String) {
        let _ = self.steps();
        let report = Report::of(&self.state, Facts::default(), self.now);
        (self.status(), report.budget_spent.map(|spent| spent.message).unwrap_or_default())
    }
}

#[test]
fn a_run_whose_attempts_are_used_up_ends_when_those_that_are_out_have_ended() {
    let budget = Budget { attempts: Some(2), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", entry(&[])).task("b", entry(&[])).task("c", entry(&[])));
    drive.lease(&id("a"), "root/executor-1");
    assert!(has_attempts(&drive.state));
    drive.lease(&id("b"), "root/executor-2");
    assert!(!has_attempts(&drive.state));
    assert_eq!(out_of_attempts(&drive.state, drive.now), None, "what is in flight was paid for");
    drive.end(&id("a"), AttemptEnd::Succeeded(json!(1)));
    drive.end(&id("b"), AttemptEnd::Succeeded(json!(2)));
    let spent = out_of_attempts(&drive.state, drive.now).expect("nothing is in flight");
    drive.append(vec![spent]);
    let (status, message) = drive.spent();
    assert_eq!(status, Some(Status::BudgetSpent));
    let expected = "the budget of 2 attempts is spent: 2 were given out, and more are needed; the most is of `a`: 1; raise \
                    `budget.attempts` in the goal file, or lower `retries.attempts` of the tasks that fail";
    assert_eq!(message, expected);
    assert_eq!(
        (drive.outcome("a"), drive.outcome("c").starts_with("skipped: the budget of 2")),
        ("1".to_owned(), true)
    );
}

#[test]
fn each_life_of_an_agent_is_one_of_the_agents() {
    let budget = Budget { agents: Some(1), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", entry(&[])).task("b", entry(&[])));
    assert!(has_agents(&drive.state));
    drive.succeed("a", json!(1));
    assert_eq!((drive.state.usage().agents(), has_agents(&drive.state)), (1, false));
    let spent = out_of_agents(&drive.state, &id("b"), drive.now).expect("nothing is in flight");
    drive.append(vec![spent]);
    let (status, message) = drive.spent();
    assert_eq!(status, Some(Status::BudgetSpent));
    assert!(message.contains("none of them can take `b`; the most is of `root/executor-1`: 1 lives"), "{message}");
}

#[test]
fn a_result_that_is_too_large_for_what_is_left_is_not_recorded() {
    let budget = Budget { output: Some(10), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", entry(&[])).task("b", entry(&[])).task("c", entry(&[])));
    drive.succeed("a", json!("12345"));
    drive.lease(&id("c"), "root/executor-2");
    drive.succeed("b", json!("1"));
    assert_eq!(drive.state.usage().output(), 10);
    drive.end(&id("c"), AttemptEnd::Succeeded(json!(7)));
    let (status, message) = drive.spent();
    assert_eq!((status, drive.state.usage().output()), (Some(Status::BudgetSpent), 10));
    assert!(
        message.contains("10 are recorded, and the result of `c`, attempt 1, has 1; the most is of `a`: 7"),
        "{message}"
    );
}

#[test]
fn what_is_taken_over_from_another_run_and_what_nobody_worked_at_costs_nothing() {
    let budget = Budget { output: Some(1), attempts: Some(1), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", entry(&[])).task("b", entry(&[])));
    let value = "12345".to_owned();
    let digest = sha256_hex(value.as_bytes());
    let (task, outcome) = (id("a"), Outcome::Succeeded { value, digest });
    drive.append(vec![Record::Recorded { task, attempt: 3, outcome, wall: START }]);
    assert_eq!((drive.state.usage().output(), drive.state.usage().attempts()), (0, 0));
    drive.succeed("b", json!(1));
    let _ = drive.steps();
    assert_eq!(drive.status(), Some(Status::Reached));
}

#[test]
fn the_time_of_a_run_ends_with_its_budget_and_the_time_it_is_paused_does_not_count() {
    let budget = Budget { wall: Some(Span::from_secs(10)), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", entry(&[])).task("b", entry(&["a"])));
    drive.lease(&id("a"), "root/executor-1");
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(Duration::from_secs(10)))]);
    drive.now = START.after(Duration::from_secs(4));
    let (why, who, message) = (PauseCause::Asked, "ann".to_owned(), String::new());
    drive.append(vec![Record::Paused { why, who: who.clone(), message, wall: drive.now }]);
    assert_eq!(drive.steps(), []);
    drive.now = START.after(Duration::from_secs(100));
    drive.append(vec![Record::Resumed { who, wall: drive.now }]);
    assert_eq!(drive.steps(), [Step::WakeAt(START.after(Duration::from_secs(106)))]);
    drive.now = START.after(Duration::from_secs(106));
    let (status, message) = drive.spent();
    assert_eq!((status, drive.state.held().count()), (Some(Status::BudgetSpent), 0));
    assert!(message.starts_with("the budget of 10s is spent"), "{message}");
    assert!(message.contains("`a`: 1m46s"), "{message}");
}

#[test]
fn of_a_deadline_and_a_budget_of_time_the_one_that_ends_first_counts() {
    for (wall, status) in [(4, Status::BudgetSpent), (5, Status::BudgetSpent), (6, Status::Failed)] {
        let budget = Budget { wall: Some(Span::from_secs(wall)), ..Budget::default() };
        let limits = RunLimits { deadline: Some(Duration::from_secs(5)), ..volatile() };
        let mut drive = Drive::new(Outline::new(limits).within(budget).task("a", entry(&[])));
        drive.now = START.after(Duration::from_secs(50));
        assert_eq!(drive.spent().0, Some(status), "{wall} s");
    }
}

#[test]
fn a_run_without_a_plan_ends_with_its_budget_of_time() {
    let budget = Budget { wall: Some(Span::from_secs(5)), ..Budget::default() };
    let mut state = RunState::new(Arc::new(within(budget)));
    let run = RunId::new(uuid::Uuid::from_u128(7));
    let (goal, params, input) = ("{}".to_owned(), "{}".to_owned(), String::new());
    state.apply(&Record::RunStarted { run, goal, params, input, parent: None, wall: START }).expect("a record");
    let end = START.after(Duration::from_secs(5));
    assert_eq!(next(&state, START), [Step::WakeAt(end)]);
    let steps = next(&state, end);
    let [Step::Append(spent @ Record::BudgetSpent { .. })] = steps.as_slice() else { panic!("{steps:?}") };
    state.apply(spent).expect("a record of this plan");
    let ended = Record::Ended { status: Status::BudgetSpent, undone: UndoSummary::default(), wall: end };
    assert_eq!(next(&state, end), [Step::Append(ended)]);
}

#[test]
fn what_is_charged_is_set_aside_first_and_what_was_not_used_is_given_back() {
    let mut drive = Drive::new(within(tokens(100)).task("a", entry(&[])));
    drive.lease(&id("a"), "root/executor-1");
    assert_eq!((drive.reserve("a", "1", 80), drive.used()), (ChargeReply::Granted, 80));
    let before = drive.records.len();
    assert_eq!((drive.reserve("a", "1", 80), drive.records.len()), (ChargeReply::Granted, before), "it is made once");
    assert_eq!((drive.settle("a", "1", 30), drive.used()), (ChargeReply::Granted, 30));
    assert_eq!((drive.settle("a", "1", 30), drive.used()), (ChargeReply::Granted, 30));
    assert_eq!((drive.reserve("a", "2", 70), drive.used()), (ChargeReply::Granted, 100));
}

#[test]
fn a_charge_that_is_wrong_is_refused_and_changes_nothing() {
    use ChargeRefusal::{Differs, Name, NotHolder, TooMuch, Unknown};
    let mut drive = Drive::new(within(tokens(100)).task("a", entry(&[])).task("b", entry(&[])));
    drive.lease(&id("a"), "root/executor-1");
    let _ = (drive.reserve("a", "1", 50), drive.reserve("a", "2", 10), drive.settle("a", "2", 10));
    let before = drive.records.len();
    let answers = [
        drive.reserve("b", "1", 1),
        drive.reserve("a", "1", 51),
        drive.settle("a", "1", 51),
        drive.settle("a", "3", 1),
        drive.settle("a", "2", 9),
        drive.reserve("a", "", 1),
        drive.charge("a", "4", &Charge::Reserve { counter: "many tokens".to_owned(), amount: 1 }),
    ];
    let refusals = [NotHolder, Differs, TooMuch, Unknown, Differs, Name, Name].map(ChargeReply::Refused);
    assert_eq!((answers, drive.records.len(), drive.used()), (refusals, before, 60));
}

#[test]
fn what_an_attempt_set_aside_and_never_settled_counts_as_used() {
    let mut drive = Drive::new(within(tokens(100)).task("a", patient(entry(&[]))));
    drive.lease(&id("a"), "root/executor-1");
    let _ = drive.reserve("a", "1", 60);
    let lost = attempt_lost(&drive.state, &id("a"), "it panicked", drive.now);
    drive.append(lost);
    drive.lease(&id("a"), "root/executor-2");
    assert_eq!((drive.used(), drive.settle("a", "1", 1)), (60, ChargeReply::Refused(ChargeRefusal::Unknown)));
    assert_eq!(drive.reserve("a", "1", 41), ChargeReply::Spent { limit: 100, used: 60 });
    let (status, message) = drive.spent();
    assert_eq!(status, Some(Status::BudgetSpent));
    let expected = "the budget of 100 tokens is spent: 60 are used or set aside, and `a`, attempt 2, needs 41; the most is \
                    of `a`: 60; raise `budget.counters.tokens` in the goal file, or have the tasks use less";
    assert_eq!(message, expected);
}

#[test]
fn who_has_set_nothing_aside_waits_for_what_others_may_give_back() {
    let mut drive = Drive::new(within(tokens(100)).task("a", entry(&[])).task("b", entry(&[])));
    drive.lease(&id("a"), "root/executor-1");
    drive.lease(&id("b"), "root/executor-2");
    let _ = drive.reserve("a", "1", 90);
    assert_eq!(drive.reserve("b", "1", 20), ChargeReply::Later);
    let _ = drive.settle("a", "1", 10);
    assert_eq!(drive.reserve("b", "1", 20), ChargeReply::Granted);
    // Both hold something now: if one waited, the other could wait for it.
    assert_eq!(drive.reserve("b", "2", 71), ChargeReply::Spent { limit: 100, used: 30 });
}

#[test]
fn a_counter_without_a_limit_is_counted_all_the_same() {
    let mut drive = Drive::new(within(Budget::default()).task("a", entry(&[])));
    drive.lease(&id("a"), "root/executor-1");
    assert_eq!(drive.reserve("a", "1", u64::MAX - 1), ChargeReply::Granted);
    let report = Report::of(&drive.state, Facts::default(), drive.now);
    let accounts: Vec<_> = report.budgets.iter().map(|a| (a.budget.as_str(), a.limit, a.used)).collect();
    assert_eq!(accounts, [("counters.tokens", None, u64::MAX - 1)]);
}

#[test]
fn the_same_call_again_and_again_ends_the_step_and_another_one_between_begins_anew() {
    let budget = Budget { repeats: Some(3), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", patient(entry(&[]))));
    drive.lease(&id("a"), "root/executor-1");
    let calls = [("1", "grep"), ("2", "grep"), ("2", "grep"), ("3", "sed"), ("4", "grep"), ("5", "grep")];
    for (name, tool) in calls {
        assert_eq!(drive.call("a", name, tool), ChargeReply::Granted, "{name}");
    }
    assert_eq!(drive.call("a", "6", "grep"), ChargeReply::Repeated { times: 3 });
    let _ = drive.steps();
    assert_eq!((drive.status(), drive.state.held().count()), (Some(Status::Failed), 0));
    let outcome = drive.outcome("a");
    assert!(outcome.starts_with("repeats: it called `grep` 3 times in a row"), "{outcome}");
    assert_eq!(drive.state.task(&id("a")).map(|task| task.attempts), Some(1), "another attempt would do the same");
}

#[test]
fn the_next_attempt_may_make_the_same_calls() {
    let budget = Budget { repeats: Some(2), ..Budget::default() };
    let mut drive = Drive::new(within(budget).task("a", patient(entry(&[]))));
    for agent in ["root/executor-1", "root/executor-2"] {
        drive.lease(&id("a"), agent);
        assert_eq!(drive.call("a", "1", "grep"), ChargeReply::Granted);
        let lost = attempt_lost(&drive.state, &id("a"), "it panicked", drive.now);
        drive.append(lost);
    }
}

/// Something that happens in a run.
#[derive(Clone, Debug)]
enum Event {
    Lease(usize, u8, u8),
    Reserve(usize, u8, u64),
    Settle(usize, u8, u64),
    Call(usize, u8, bool),
    Succeed(usize, u8),
    Fail(usize),
    Lose(usize),
    Wait(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let task = || 0..TASKS.len();
    prop_oneof![
        4 => (task(), 0..3_u8, 1..3_u8).prop_map(|(task, agent, life)| Event::Lease(task, agent, life)),
        5 => (task(), 0..4_u8, 0..60_u64).prop_map(|(task, name, amount)| Event::Reserve(task, name, amount)),
        4 => (task(), 0..4_u8, 0..60_u64).prop_map(|(task, name, amount)| Event::Settle(task, name, amount)),
        2 => (task(), any::<u8>(), any::<bool>()).prop_map(|(task, name, which)| Event::Call(task, name, which)),
        2 => (task(), 0..12_u8).prop_map(|(task, length)| Event::Succeed(task, length)),
        1 => task().prop_map(Event::Fail),
        1 => task().prop_map(Event::Lose),
        1 => (0..300_u64).prop_map(Event::Wait),
    ]
}

const TASKS: [&str; 5] = ["a", "b", "c", "d", "e"];

impl Drive {
    /// Lets it happen, as far as a run that keeps its budgets would.
    fn happen(&mut self, event: &Event) {
        if self.state.ended().is_some() {
            return;
        }
        match event {
            Event::Lease(task, agent, life) => self.give_out(TASKS[*task], *agent, *life),
            Event::Reserve(task, name, amount) => {
                let _ = self.reserve(TASKS[*task], &name.to_string(), *amount);
            }
            Event::Settle(task, name, amount) => {
                let _ = self.settle(TASKS[*task], &name.to_string(), *amount);
            }
            Event::Call(task, name, which) => {
                let _ = self.call(TASKS[*task], &name.to_string(), if *which { "grep" } else { "sed" });
            }
            Event::Succeed(task, length) => {
                let value = json!("x".repeat(usize::from(*length)));
                self.append(attempt_ended(&self.state, &id(TASKS[*task]), AttemptEnd::Succeeded(value), self.now));
            }
            Event::Fail(task) => {
                let end = AttemptEnd::Failed { class: Class::Exit, message: "no".to_owned() };
                self.append(attempt_ended(&self.state, &id(TASKS[*task]), end, self.now));
            }
            Event::Lose(task) => {
                self.append(attempt_lost(&self.state, &id(TASKS[*task]), "it panicked", self.now));
            }
            Event::Wait(millis) => self.now = self.now.after(Duration::from_millis(*millis)),
        }
        let _ = self.steps();
    }

    fn give_out(&mut self, task: &str, agent: u8, life: u8) {
        let task = id(task);
        let is_due = self.state.due(self.now, usize::MAX).contains(&task) && self.state.gives_out();
        let path: steadfast::Path = format!("root/executor-{agent}").parse().expect("a path");
        let known = self.state.usage().lives().any(|(used, lives)| *used == path && lives.contains(&u64::from(life)));
        if !is_due || !has_attempts(&self.state) || !(known || has_agents(&self.state)) {
            return;
        }
        let attempt = self.state.task(&task).map_or(0, |task| task.attempts) + 1;
        self.append(vec![Record::Leased(Leased {
            task: task.clone(),
            attempt,
            agent: path,
            incarnation: u64::from(life),
            key: format!("run:{task}"),
            input_digest: String::new(),
            context: Lookups::default(),
            wall: self.now,
        })]);
    }
}

/// What records say was used, counted in another way than the run does: attempts, agents, bytes, tokens.
fn counted(records: &[Record]) -> (u64, u64, u64, u64) {
    let (mut attempts, mut agents, mut output) = (0, BTreeSet::new(), 0);
    let mut charges = BTreeMap::new();
    for record in records {
        match record {
            Record::Leased(leased) => {
                attempts += 1;
                agents.insert((leased.agent.clone(), leased.incarnation));
            }
            Record::Recorded { outcome: Outcome::Succeeded { value, .. }, .. } => output += value.len() as u64,
            Record::Reserved { task, attempt, charge, amount, .. }
            | Record::Charged { task, attempt, charge, amount, .. } => {
                charges.insert((task, attempt, charge), *amount);
            }
            _ => {}
        }
    }
    (attempts, agents.len() as u64, output, charges.values().sum())
}

proptest! {
    #[test]
    fn no_budget_is_exceeded_in_whichever_order_things_happen(
        limits in (1..12_u64, 1..5_u64, 1..40_u64, 0..120_u64),
        events in proptest::collection::vec(any_event(), 0..120),
    ) {
        let (attempts, agents, output, limit) = limits;
        let budget = Budget {
            wall: Some(Span::from_secs(5)),
            attempts: Some(attempts),
            agents: Some(agents),
            output: Some(output),
            repeats: Some(3),
            ..tokens(limit)
        };
        let outline = TASKS.iter().fold(within(budget), |outline, task| outline.task(task, patient(entry(&[]))));
        let mut drive = Drive::new(outline);
        for event in &events {
            drive.happen(event);
            let counted = counted(&drive.records);
            prop_assert!(counted.0 <= attempts && counted.1 <= agents, "{:?}", counted);
            prop_assert!(counted.2 <= output && counted.3 <= limit, "{:?}", counted);
            let usage = drive.state.usage();
            let told = (usage.attempts(), usage.agents(), usage.output(), drive.used());
            prop_assert_eq!(told, counted);
        }
        // Wherever the journal is cut off, whoever reads it knows the same budgets.
        let mut state = RunState::new(Arc::clone(&drive.outline));
        for cut in 0..drive.records.len() {
            state.apply(&drive.records[cut]).expect("a record of this plan");
            let folded = RunState::fold(Arc::clone(&drive.outline), &drive.records[..=cut]).expect("records");
            prop_assert_eq!(folded.usage(), state.usage());
        }
        prop_assert_eq!(state.usage(), drive.state.usage());
    }
}
