//! A run never uses more than its budgets, and ends in an orderly way with each of them, whoever dies on the way; agents of
//! one's own charge what they use.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{RUN, World};
use serde_json::Value;
use steadfast::testing::{self, Sim};
use steadfast::{
    Agent, AgentSpec, BoxError, ChildSpec, Context, FaultPlan, Incarnation, Intensity, Path, Progress, RequestError,
    RunId, Strategy, Subject, SupervisorSpec, System, TaskId,
};
use steadfast_orchestration::agents::desk;
use steadfast_orchestration::agents::meter::{Meter, MeterError};
use steadfast_orchestration::agents::protocol::{
    Attempt, CHARGE, Charge, ChargeRefusal, ChargeReply, ChargeRequest, Lease, LeaseId, LeaseReply, LeaseRequest, Part,
    ROUTE, RouteReply, RouteRequest,
};
use steadfast_orchestration::agents::task_capability;
use steadfast_orchestration::chaos::Chaos;
use steadfast_orchestration::goal;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Record, Report, Status};
use steadfast_orchestration::seam::testing::MemoryFiles;
use steadfast_orchestration::work::{Outcome, WorkSpec};
use uuid::Uuid;

/// What a language model would be, if it cost nothing: it sets 40 tokens aside, and uses 10.
struct Model {
    /// How many tokens were really used, by all lives of all models.
    used: Arc<AtomicU64>,
    taken: Vec<(LeaseId, TaskId)>,
}

struct ModelMessage(LeaseRequest);

impl From<LeaseRequest> for ModelMessage {
    fn from(request: LeaseRequest) -> Self {
        Self(request)
    }
}

impl Agent for Model {
    type Args = Arc<AtomicU64>;
    type Message = ModelMessage;
    type Reply = LeaseReply;

    async fn start(used: Arc<AtomicU64>, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { used, taken: Vec::new() })
    }

    async fn handle(&mut self, message: ModelMessage, ctx: &mut Context<Self>) -> Result<LeaseReply, BoxError> {
        let lease = match message.0 {
            LeaseRequest::Take(lease) => *lease,
            LeaseRequest::Drop(id) => {
                for (_, task) in self.taken.iter().filter(|(taken, _)| *taken == id) {
                    ctx.cancel(*task);
                }
                return Ok(LeaseReply::Accepted);
            }
        };
        if lease.id.agent != *ctx.path() || lease.id.incarnation != ctx.incarnation() {
            return Ok(LeaseReply::Stale);
        }
        if self.taken.iter().all(|(taken, _)| *taken != lease.id) {
            let (id, system, used) = (lease.id.clone(), ctx.system().clone(), Arc::clone(&self.used));
            let task = ctx.spawn_watched(Duration::from_secs(2), |progress| think(lease, system, used, progress));
            self.taken.push((id, task));
        }
        Ok(LeaseReply::Accepted)
    }

    fn subject(message: &ModelMessage) -> Option<Subject> {
        message.0.subject()
    }
}

async fn think(lease: Lease, system: System, used: Arc<AtomicU64>, progress: Progress) {
    let meter = Meter::of(&lease, &system).beating(progress.clone());
    let end = match twice(&lease, &meter, progress.clone()).await {
        Ok(()) => answer(&lease, &meter, &used).await,
        Err(error) => Err(error),
    };
    desk::report(&lease, end.map_err(Into::into), &system, &progress).await;
}

/// Charges by another handle of the same meter first, where the question says so.
async fn twice(lease: &Lease, meter: &Meter, progress: Progress) -> Result<(), MeterError> {
    let WorkSpec::Collect(question) = &lease.work.spec else { panic!("a model is asked questions") };
    if question["twice"] != true {
        return Ok(());
    }
    let (first, second) = (meter.clone(), meter.clone().beating(progress));
    first.charge("tokens", 40).await?.settle(10).await?;
    second.charge("tokens", 40).await?.settle(10).await
}

async fn answer(lease: &Lease, meter: &Meter, used: &AtomicU64) -> Result<Outcome, MeterError> {
    let WorkSpec::Collect(question) = &lease.work.spec else { panic!("a model is asked questions") };
    for _ in 0..question["searches"].as_u64().unwrap_or(0) {
        meter.call("search", &question["for"]).await?;
    }
    let tokens = meter.charge("tokens", 40).await?;
    used.fetch_add(10, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(3)).await;
    tokens.settle(10).await?;
    Ok(Outcome::Done { value: Value::from("42") })
}

fn model(name: &str, used: &Arc<AtomicU64>) -> AgentSpec<Model> {
    let model = ChildSpec::agent::<Model>(name.to_owned(), Arc::clone(used));
    model.offers(&task_capability("model.answer")).handler_deadline(preset::HANDLER_DEADLINE)
}

/// Carries a goal out in a simulated world, with three models in the tree.
async fn carried_out(
    world: &testing::World,
    (goal, chaos): (&'static str, &str),
    used: Arc<AtomicU64>,
) -> Result<Report, BoxError> {
    let (mut parts, _witness) = World::new("name = 'none'\n[[tasks]]\nid = 'a'\ncollect = 1\n", MemoryFiles::new());
    parts.files = (0..6).fold(MemoryFiles::new(), |files, number| files.with(&format!("{number}.rs"), "//"));
    let (staff, mut run) = parts.parts();
    run.goal = goal::read("goal.toml", goal)?.goal;
    let feed = run.feed.clone();
    let node = world.node("a");
    let faults: Arc<dyn FaultPlan> = Arc::new(Chaos::new(chaos.parse()?, world.seed()));
    let node = node.configure(move |builder| preset::set_up(builder).faults(Arc::clone(&faults)));
    let tree = move || {
        let often = Intensity::at_most(1000);
        let models = SupervisorSpec::new("models", Strategy::OneForOne).intensity(often);
        let models = ["1", "2", "3"].iter().fold(models, |models, name| models.child(model(name, &used)));
        preset::tree(&staff, run.clone()).child(ChildSpec::supervisor(models))
    };
    node.start(tree).await?;
    let report = tokio::time::timeout(Duration::from_hours(1), feed.report()).await?;
    Ok(Report::clone(&report))
}

const CALM: &str = "crash=0%";

/// Carries a goal out once, and returns its report.
fn calm(goal: &'static str) -> Report {
    let told = Arc::new(std::sync::Mutex::new(None));
    let out = Arc::clone(&told);
    Sim::new("budgets").seeds(1).run(move |world| {
        let out = Arc::clone(&out);
        async move {
            let report = carried_out(&world, (goal, CALM), Arc::default()).await?;
            *out.lock().expect("nobody panicked") = Some(report);
            Ok::<(), BoxError>(())
        }
    });
    let report = told.lock().expect("nobody panicked").take();
    report.expect("a report")
}

#[track_caller]
fn spent(report: &Report, budget: &str, says: &str) {
    let note = report.budget_spent.as_ref().unwrap_or_else(|| panic!("nothing is spent: {report:#?}"));
    assert_eq!((report.status, note.budget.as_str()), (Status::BudgetSpent, budget), "{note:?}");
    assert!(note.message.contains(says), "{}", note.message);
    assert!(note.remedy.contains(&format!("raise `budget.{budget}`")), "{}", note.remedy);
    assert!(report.to_markdown(&std::collections::BTreeSet::new()).contains("The run ended with its budget"));
    assert_eq!((report.tasks.unfinished, report.lost, report.completed_rerun), (0, 0, 0));
}

const PRINTS: &str = "
[[tasks]]
id = 'list'
retrieve = { files = ['**'] }
[[tasks]]
id = 'prints'
for_each = '${tasks.list.result}'
result = 'stdout'
command = { program = 'print', args = ['${item}'] }
";

macro_rules! prints {
    ($budget:literal) => {
        Box::leak(format!("name = 'prints'\n[budget]\n{}\n{PRINTS}", $budget).into_boxed_str())
    };
}

#[test]
fn a_run_ends_with_its_budget_of_attempts_and_keeps_what_was_done() {
    let report = calm(prints!("attempts = 4"));
    spent(&report, "attempts", "the budget of 4 attempts is spent: 4 were given out");
    assert_eq!((report.tasks.succeeded, report.tasks.skipped), (4, 3), "{report:#?}");
    let report = calm(prints!("attempts = 7"));
    assert_eq!((report.status, report.budgets[0].used), (Status::Reached, 7), "it is exactly enough");
}

#[test]
fn a_run_ends_with_its_budget_of_agents_and_uses_those_that_it_has() {
    let report = calm(prints!("agents = 2"));
    assert_eq!((report.status, report.agents_used), (Status::Reached, 2), "one that retrieves, one that runs programs");
    let report = calm(prints!("agents = 1"));
    spent(&report, "agents", "none of them can take `prints[0]`");
    assert_eq!(report.agents_used, 1);
}

/// An executor that is alive.
fn life_of(system: &System, name: &str) -> (Path, Incarnation) {
    let path: Path = format!("root/domains/orchestration/executors/{name}").parse().expect("a path");
    let life = system.incarnation(&path).expect("it is alive");
    (path, life)
}

/// Whom the router gives a run, which may use only some, or of which some hold a lease already.
async fn routed(
    system: &System,
    run: Uuid,
    only: Option<Vec<(Path, Incarnation)>>,
    busy: Vec<Path>,
) -> Option<(Path, Incarnation)> {
    let attempt = Attempt { run: RunId::new(run), task: "b".parse().expect("a task"), number: 1, part: Part::Task };
    let only = only.map(|lives| lives.into_iter().collect());
    let request = RouteRequest { attempt, capability: "task.command".to_owned(), busy, only, last: None };
    match system.ask(&ROUTE, request).await {
        Ok(RouteReply::Assigned(to)) => Some((to.agent, to.incarnation)),
        Ok(RouteReply::NoneFree) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn of_those_that_a_run_may_use_alone_the_router_gives_it_one_and_nobody_else_and_no_other_life() {
    let running = World::new(ONE, MemoryFiles::new()).0.start(None).await;
    running.feed.report().await;
    let system = &running.system;
    let life = |name| life_of(system, name);
    let route = async |only: Option<Vec<(Path, Incarnation)>>| routed(system, RUN, only, Vec::new()).await;
    let (second, third) = (life("2"), life("3"));
    let next = (second.0, Incarnation::new(second.1.get() + 1).expect("not 0"));
    assert_eq!(route(Some(Vec::new())).await, None, "it may use nobody");
    assert_eq!(route(Some(vec![next.clone()])).await, None, "that life has not begun");
    assert_eq!(route(Some(vec![next, third.clone()])).await, Some(third));
    assert!(route(None).await.is_some(), "it may use everybody");
    running.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_the_one_it_may_use_keeps_nobody_else_from_a_run_that_may_use_all() {
    let (mut world, _witness) = World::new(ONE, MemoryFiles::new());
    world.jobs = 3;
    let running = world.start(None).await;
    running.feed.report().await;
    let system = &running.system;
    let first = life_of(system, "1");
    let others = ["2", "3"].map(|name| life_of(system, name).0);
    let only = || Some(vec![first.clone()]);
    let run = Uuid::from_u128;
    assert_eq!(routed(system, run(71), only(), Vec::new()).await.as_ref(), Some(&first));
    assert_eq!(routed(system, run(72), only(), Vec::new()).await, None, "it may use that one alone, which works");
    let (agent, _) = routed(system, run(73), None, Vec::new()).await.expect("two are free");
    assert!(others.contains(&agent), "{agent}");
    assert_eq!(routed(system, run(74), None, others.to_vec()).await, None, "they hold a lease of it, one works");
    let (last, _) = routed(system, run(75), None, Vec::new()).await.expect("one is free");
    assert!(others.contains(&last) && last != agent, "{last}");
    running.finish().await;
}

#[test]
fn a_run_ends_with_its_budget_of_output() {
    let report = calm(prints!("output = 60"));
    spent(&report, "output", "the budget of 60 bytes of output is spent");
    let bytes: usize = report.results.iter().filter_map(|task| task.value.as_ref()).map(|v| v.to_string().len()).sum();
    assert!(bytes <= 60 && report.budgets[0].used == bytes as u64, "{bytes}: {:?}", report.budgets);
}

#[test]
fn a_run_ends_with_its_budget_of_time_while_attempts_are_out() {
    let report = calm(
        "name = 'slow'\n[budget]\nwall = '1ms'\n[[tasks]]\nid = 'a'\ncommand = { program = 'print' }\n\
         [[tasks]]\nid = 'b'\nafter = ['a']\ncommand = { program = 'print' }\n",
    );
    spent(&report, "wall", "the budget of 1ms is spent");
    assert_eq!(report.tasks.succeeded, 0);
}

const ONE: &str = "name = 'one'\n[[tasks]]\nid = 'only'\ncommand = { program = 'print' }\n";

/// Five questions, three models.
const QUESTIONS: &str = "
[[tasks]]
id = 'list'
collect = [1, 2, 3, 4, 5]
[[tasks]]
id = 'ask'
for_each = '${tasks.list.result}'
capability = 'model.answer'
collect = { for = '${item}', searches = 2 }
";

macro_rules! questions {
    ($budget:literal) => {
        Box::leak(format!("name = 'questions'\n[budget]\n{}\n{QUESTIONS}", $budget).into_boxed_str())
    };
}

#[test]
fn agents_of_ones_own_charge_what_they_use_and_wait_for_what_others_give_back() {
    // Three models at once would set 120 aside.
    let report = calm(questions!("counters = { tokens = 80 }"));
    assert_eq!((report.status, report.tasks.succeeded), (Status::Reached, 6), "{report:#?}");
    let account = &report.budgets[0];
    assert_eq!((account.budget.as_str(), account.limit, account.used), ("counters.tokens", Some(80), 50));
}

#[test]
fn all_handles_of_a_meter_charge_under_names_of_their_own() {
    let report = calm(
        "name = 'twice'\n[budget]\ncounters = { tokens = 80 }\n[[tasks]]\nid = 'ask'\n\
         capability = 'model.answer'\ncollect = { for = 'it', twice = true }\n",
    );
    assert_eq!((report.status, report.budgets[0].used), (Status::Reached, 30), "{report:#?}");
}

#[test]
fn what_is_charged_inside_a_goal_is_of_its_own_budget_and_not_of_the_one_around_it() {
    let report = calm(
        "name = 'outer'\n[budget]\ncounters = { tokens = 80 }\n\
         [[tasks]]\nid = 'ask'\ncapability = 'model.answer'\ncollect = { for = 'it' }\n\
         [[tasks]]\nid = 'child'\n[tasks.goal.inline]\nname = 'inner'\nbudget = { counters = { tokens = 40 } }\n\
         [[tasks.goal.inline.tasks]]\nid = 'ask'\ncapability = 'model.answer'\ncollect = { for = 'it' }\n\
         [[tasks]]\nid = 'poor'\n[tasks.goal.inline]\nname = 'poor'\nbudget = { counters = { tokens = 39 } }\n\
         [[tasks.goal.inline.tasks]]\nid = 'ask'\ncapability = 'model.answer'\ncollect = { for = 'it' }\n",
    );
    let of = |id: &str| report.results.iter().find(|task| task.id == id).expect("a task");
    assert_eq!((of("ask").outcome.as_str(), of("child").outcome.as_str()), ("succeeded", "succeeded"), "{report:#?}");
    let note = of("poor").failure.as_ref().expect("its own budget is spent");
    assert!(note.message.contains("budget spent"), "{note:?}");
    assert_eq!((report.status, report.budgets[0].used), (Status::Failed, 10));
}

#[test]
fn what_is_charged_while_something_is_undone_costs_nothing() {
    Sim::new("budgets").seeds(1).run(|world| async move {
        const GOAL: &str = "name = 'back'\n[budget]\ncounters = { tokens = 1 }\n[[tasks]]\nid = 'only'\n\
            command = { program = 'print' }\nundo = { command = { program = 'print' } }\n\
            [[tasks]]\nid = 'bad'\nafter = ['only']\ncheck = { assert = [{ value = 1, equals = 2 }] }\n";
        let (mut parts, _witness) = World::new(GOAL, MemoryFiles::new());
        let held = parts.hold_commands();
        let (staff, run) = parts.parts();
        let feed = run.feed.clone();
        let mut records = feed.records();
        let node = world.node("a").configure(preset::set_up);
        let node = node.start(move || preset::tree(&staff, run.clone())).await?;
        held.started.notified().await;
        held.go.notify_one();
        held.started.notified().await;
        let leased = loop {
            if let Record::UndoLeased(leased) = &*records.recv().await? {
                break leased.clone();
            }
        };
        let system = node.system();
        let orchestrator =
            system.provider(&CHARGE, preset::orchestrator_path(RunId::new(RUN))).expect("it takes charges");
        let attempt = Attempt { run: RunId::new(RUN), task: leased.task, number: leased.attempt, part: Part::Undo };
        let incarnation = Incarnation::new(leased.incarnation).expect("not 0");
        let lease = LeaseId { attempt, agent: leased.agent, incarnation };
        let what = Charge::Reserve { counter: "tokens".to_owned(), amount: 1_000 };
        let request = ChargeRequest { lease, name: "1".to_owned(), what };
        assert_eq!(orchestrator.ask(request, Duration::from_secs(5)).await?, ChargeReply::Granted);
        held.go.notify_one();
        let report = tokio::time::timeout(Duration::from_hours(1), feed.report()).await?;
        assert_eq!((report.status, report.undone.undone, report.budgets[0].used), (Status::Failed, 1, 0));
        Ok::<(), BoxError>(())
    });
}

#[test]
fn a_run_ends_with_a_budget_that_agents_charge() {
    let report = calm(questions!("counters = { tokens = 69 }"));
    spent(&report, "counters.tokens", "the budget of 69 tokens is spent: 30 are used or set aside, and `ask[");
    assert_eq!(report.tasks.succeeded, 4, "{report:#?}");
}

#[test]
fn nobody_charges_under_a_lease_of_somebody_else_or_under_a_name_that_is_a_secret() {
    Sim::new("budgets").seeds(1).run(|world| async move {
        let (mut parts, _witness) = World::new(ONE, MemoryFiles::new());
        let held = parts.hold_commands();
        let (staff, run) = parts.parts();
        let feed = run.feed.clone();
        let node = world.node("a").configure(preset::set_up);
        let node = node.start(move || preset::tree(&staff, run.clone())).await?;
        held.started.notified().await;
        let system = node.system();
        let orchestrator =
            system.provider(&CHARGE, preset::orchestrator_path(RunId::new(RUN))).expect("it takes charges");
        let agent: Path = "root/domains/orchestration/executors/1".parse()?;
        let incarnation = system.incarnation(&agent).expect("it is alive");
        let attempt = Attempt { run: RunId::new(RUN), task: "only".parse()?, number: 1, part: Part::Task };
        let lease = LeaseId { attempt, agent, incarnation };
        let other = LeaseId { agent: "root/domains/orchestration/executors/2".parse()?, ..lease.clone() };
        let charge = |lease: &LeaseId, name: &str| {
            let what = Charge::Reserve { counter: "tokens".to_owned(), amount: 1 };
            let request = ChargeRequest { lease: lease.clone(), name: name.to_owned(), what };
            orchestrator.ask(request, Duration::from_secs(5))
        };
        let secret = format!("sk-{}", "a1".repeat(12));
        let refused = |why| Ok::<_, String>(ChargeReply::Refused(why));
        let answer = |reply: Result<ChargeReply, RequestError>| reply.map_err(|error| error.to_string());
        assert_eq!(answer(charge(&lease, "1").await), Ok(ChargeReply::Granted));
        assert_eq!(answer(charge(&other, "2").await), refused(ChargeRefusal::NotHolder));
        assert_eq!(answer(charge(&lease, &secret).await), refused(ChargeRefusal::Name));
        held.go.notify_one();
        let report = tokio::time::timeout(Duration::from_hours(1), feed.report()).await?;
        assert_eq!((report.status, report.budgets[0].used), (Status::Reached, 1));
        assert_eq!(answer(charge(&lease, "3").await), refused(ChargeRefusal::NotHolder), "the lease is over");
        Ok::<(), BoxError>(())
    });
}

#[test]
fn a_step_that_repeats_itself_is_stopped_and_says_what_it_did() {
    let report = calm(
        "name = 'again'\n[budget]\nrepeats = 4\n[[tasks]]\nid = 'ask'\nretries = { attempts = 3 }\n\
         capability = 'model.answer'\ncollect = { for = 'it', searches = 9 }\n",
    );
    let task = &report.results[0];
    let note = task.failure.as_ref().expect("it failed");
    assert_eq!((report.status, task.attempts, note.class.as_str()), (Status::Failed, 1, "repeats"));
    assert!(note.message.contains("it called `search` 4 times in a row"), "{}", note.message);
}

#[test]
fn no_more_is_really_used_than_the_budget_allows_whoever_dies_on_the_way() {
    Sim::new("budgets").seeds(12).run(|world| async move {
        let used = Arc::new(AtomicU64::new(0));
        let chaos = "crash=20%,hang=3%";
        let report = carried_out(&world, (questions!("counters = { tokens = 200 }"), chaos), Arc::clone(&used)).await?;
        let account = &report.budgets[0];
        let really = used.load(Ordering::Relaxed);
        assert!(really <= account.used && account.used <= 200, "{really} are used: {account:?}");
        assert!(matches!(report.status, Status::Reached | Status::BudgetSpent), "{report:#?}");
        Ok::<(), BoxError>(())
    });
}
