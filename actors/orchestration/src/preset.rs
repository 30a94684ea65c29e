//! The tree of `steadfast run`.
//!
//! ```text
//! root                    one for all: only what concerns everything gets here
//!   system                registrar, event bus, journal
//!   domains               one for one
//!     orchestration       rest for one: what the later children need comes first
//!       agents            planner, router, retriever, validator
//!       retrievers        1 .. jobs
//!       validators        1 .. jobs
//!       executors         1 .. jobs
//!       goals             the orchestrator of the run, by the name of its goal
//! ```
//!
//! Those that answer questions and those that hold leases are different agents, so that the crash of one costs nothing
//! but what it was doing itself. Each pool is as large as the number of leases that may be out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use steadfast::{AgentSpec, ChildSpec, Intensity, Path, RequestError, Strategy, SupervisorSpec, System, SystemBuilder};

use crate::agents::desk::Workshop;
use crate::agents::executor::Executor;
use crate::agents::orchestrator::{Orchestrator, OrchestratorMessage, RunArgs};
use crate::agents::planner::Planner;
use crate::agents::protocol::{LeaseReply, LeaseRequest};
use crate::agents::retriever::Retriever;
use crate::agents::router::{LeastLoaded, Router, Select};
use crate::agents::validator::{Validator, ValidatorArgs};
use crate::agents::{CHARGE, CONTEXT, PLAN, REPORT, ROUTE, VALIDATE, task_capability};
use crate::goal::TaskKind;
use crate::work::validate::{AllowAll, Policy};

/// How long a handler may take before its agent counts as hung.
pub const HANDLER_DEADLINE: Duration = Duration::from_millis(250);

/// What a supervisor of agents that hold leases puts up with: crashes under load are what it is there for.
const INTENSITY: Intensity = Intensity::at_most(RESTARTS).within(WINDOW);

/// How many restarts a supervisor of agents may do within 10 seconds unless told otherwise.
pub const RESTARTS: u32 = 10_000;

const WINDOW: Duration = Duration::from_secs(10);

/// What the supervisor of the orchestrator puts up with: less, since one agent cannot die as often as many. An
/// orchestrator whose every message fails must end the run, and not try for ever.
const GOALS_RESTARTS: u32 = 2_000;

/// How many starts of one agent may fail in a row: one that cannot start will not by trying on.
const FAILED_STARTS: u32 = 5;

/// What the agents of a tree work with.
#[derive(Clone)]
pub struct Staff {
    /// How many executors there are.
    pub jobs: usize,
    /// How many restarts a supervisor of agents may do within 10 seconds.
    pub restarts: u32,
    /// What tasks are carried out with.
    pub shop: Workshop,
    /// How agents are chosen.
    pub select: Arc<dyn Select>,
    /// What may be done.
    pub policy: Arc<dyn Policy>,
}

impl fmt::Debug for Staff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staff").field("jobs", &self.jobs).field("shop", &self.shop).finish_non_exhaustive()
    }
}

impl Staff {
    /// So many executors, the least loaded of which is chosen, and a policy that allows everything.
    #[must_use]
    pub fn new(jobs: usize, shop: Workshop) -> Self {
        Self { jobs: jobs.max(1), restarts: RESTARTS, shop, select: Arc::new(LeastLoaded), policy: Arc::new(AllowAll) }
    }
}

/// The names of the capabilities to carry out tasks that this tree offers.
#[must_use]
pub fn offered() -> BTreeSet<String> {
    TaskKind::capabilities().map(str::to_owned).collect()
}

/// How many agents of a tree with so many executors offer each capability to carry out tasks.
#[must_use]
pub fn offers(jobs: usize) -> BTreeMap<String, usize> {
    offered().into_iter().map(|capability| (capability, jobs.max(1))).collect()
}

/// A builder of the system for this tree: its services have a handler deadline like every agent.
#[must_use]
pub fn builder() -> SystemBuilder {
    set_up(System::builder())
}

/// The same of a builder that has something set already, as that of a simulated node has.
#[must_use]
pub fn set_up(builder: SystemBuilder) -> SystemBuilder {
    builder.service_deadline(HANDLER_DEADLINE).service_intensity(INTENSITY)
}

/// The tree that carries out one goal.
#[must_use]
pub fn tree(staff: &Staff, run: RunArgs) -> SupervisorSpec {
    let orchestration = SupervisorSpec::new("orchestration", Strategy::RestForOne)
        .child(ChildSpec::supervisor(agents(staff)))
        .child(ChildSpec::supervisor(pool(staff, "retrievers", retriever)))
        .child(ChildSpec::supervisor(pool(staff, "validators", validator)))
        .child(ChildSpec::supervisor(pool(staff, "executors", executor)))
        .child(ChildSpec::supervisor(goals(staff, run)));
    let domains = SupervisorSpec::new("domains", Strategy::OneForOne).child(ChildSpec::supervisor(orchestration));
    SupervisorSpec::new("root", Strategy::OneForAll).child(ChildSpec::system()).child(ChildSpec::supervisor(domains))
}

/// Where the orchestrator of a goal stands in the tree.
///
/// # Panics
///
/// Never for the goal of a plan: the name of a goal is a name of a child.
#[must_use]
pub fn orchestrator_path(goal: &str) -> Path {
    let path = format!("root/domains/orchestration/goals/{goal}");
    path.parse().expect("a goal's name was checked when the goal was")
}

/// Asks the run of a goal to end: no more leases are given out, and those that are out come to their end.
pub async fn drain(system: &System, goal: &str) -> Result<(), RequestError> {
    let orchestrator = system.agent::<Orchestrator>(&orchestrator_path(goal))?;
    loop {
        match orchestrator.ask(OrchestratorMessage::Drain).await {
            // The incarnation that was asked ended before it answered; the next one is asked. Asking twice is asking once.
            Err(RequestError::Exited { .. }) => {}
            answer => return answer.map(|_| ()),
        }
    }
}

fn hardy(name: &str, restarts: u32) -> SupervisorSpec {
    let intensity = Intensity::at_most(restarts).within(WINDOW);
    SupervisorSpec::new(name, Strategy::OneForOne).intensity(intensity).failed_starts(FAILED_STARTS)
}

fn agents(staff: &Staff) -> SupervisorSpec {
    let judge = ValidatorArgs { shop: staff.shop.clone(), policy: Arc::clone(&staff.policy) };
    hardy("agents", staff.restarts)
        .child(watched(ChildSpec::agent::<Planner>("planner", ()).offers(&PLAN)))
        .child(watched(ChildSpec::agent::<Router>("router", Arc::clone(&staff.select)).offers(&ROUTE)))
        .child(watched(ChildSpec::agent::<Retriever>("retriever", staff.shop.clone()).offers(&CONTEXT)))
        .child(watched(ChildSpec::agent::<Validator>("validator", judge).offers(&VALIDATE)))
}

fn pool(staff: &Staff, name: &str, member: impl Fn(&Staff, &str) -> ChildSpec) -> SupervisorSpec {
    (1..=staff.jobs).fold(hardy(name, staff.restarts), |pool, number| pool.child(member(staff, &number.to_string())))
}

fn retriever(staff: &Staff, name: &str) -> ChildSpec {
    let retriever = ChildSpec::agent::<Retriever>(name, staff.shop.clone());
    watched(carries_out(retriever, TaskKind::Retrieve))
}

fn validator(staff: &Staff, name: &str) -> ChildSpec {
    let args = ValidatorArgs { shop: staff.shop.clone(), policy: Arc::clone(&staff.policy) };
    let validator = ChildSpec::agent::<Validator>(name, args);
    watched(carries_out(validator, TaskKind::Check))
}

fn executor(staff: &Staff, name: &str) -> ChildSpec {
    let executor = ChildSpec::agent::<Executor>(name, staff.shop.clone());
    watched(carries_out(carries_out(executor, TaskKind::Command), TaskKind::Collect))
}

/// The agent, as one that carries out tasks of a kind.
fn carries_out<A>(agent: AgentSpec<A>, kind: TaskKind) -> AgentSpec<A>
where
    A: steadfast::Agent,
    A::Message: From<LeaseRequest>,
    LeaseReply: TryFrom<A::Reply>,
{
    match kind.capability() {
        Some(name) => agent.offers(&task_capability(name)),
        None => agent,
    }
}

fn goals(staff: &Staff, run: RunArgs) -> SupervisorSpec {
    let name = run.goal.name.clone();
    hardy("goals", staff.restarts.min(GOALS_RESTARTS))
        .child(watched(ChildSpec::agent::<Orchestrator>(name, run).offers(&REPORT).offers(&CHARGE)))
}

fn watched<A: steadfast::Agent>(agent: AgentSpec<A>) -> ChildSpec {
    agent.handler_deadline(HANDLER_DEADLINE).into()
}
