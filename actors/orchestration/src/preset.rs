//! The trees in which goals are carried out.
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
//!       children          the orchestrators of runs inside others, by their run
//!       goals             the orchestrators, by the ids of their runs
//!       host              starts orchestrators, and lets go of those whose runs are over; only in `serving`
//! ```
//!
//! [`serving`] carries any number of runs, which come and go; all of them share the agents. [`tree`] carries one run that
//! is given from the start, and has no host.
//!
//! Those that answer questions and those that hold leases are different agents, so that the crash of one costs nothing
//! but what it was doing itself. Each pool is as large as the number of leases that may be out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use steadfast::{
    AgentSpec, ChildSpec, Intensity, Path, RequestError, Restart, RunId, Strategy, SupervisorSpec, System,
    SystemBuilder,
};

use crate::agents::desk::Workshop;
use crate::agents::executor::Executor;
use crate::agents::host::{Host, HostArgs, HostMessage};
use crate::agents::orchestrator::{CHILDREN, Orchestrator, OrchestratorMessage, OrchestratorReply, Refusal, RunArgs};
use crate::agents::planner::Planner;
use crate::agents::protocol::{LeaseReply, LeaseRequest};
use crate::agents::retriever::Retriever;
use crate::agents::router::{LeastLoaded, Router, RouterArgs, Select};
use crate::agents::validator::{Validator, ValidatorArgs};
use crate::agents::{CHARGE, CONTEXT, PLAN, REPORT, ROUTE, VALIDATE, task_capability};
use crate::goal::TaskKind;
use crate::host::{BeginError, Start, begin};
use crate::run::Millis;
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

/// The tree that carries out one goal, given from the start. What the run works with is opened in the workshop of the
/// staff.
#[must_use]
pub fn tree(staff: &Staff, run: RunArgs) -> SupervisorSpec {
    // Whoever builds a tree begins: what an earlier tree had in flight is not in flight here.
    run.feed.begin_anew();
    let run = RunArgs { shop: staff.shop.clone(), ..run };
    rooted(working(staff).child(ChildSpec::supervisor(one_goal(staff, run))))
}

/// The tree that carries out whatever runs the host is told of, or finds in the journal.
///
/// See [`start_run`] and [`take_up`] for how it is told.
#[must_use]
pub fn serving(staff: &Staff, host: HostArgs) -> SupervisorSpec {
    let host = ChildSpec::agent::<Host>("host", (host, staff.clone()));
    rooted(working(staff).child(ChildSpec::supervisor(goals(staff))).child(watched(host)))
}

/// The agents that all runs share.
fn working(staff: &Staff) -> SupervisorSpec {
    SupervisorSpec::new("orchestration", Strategy::RestForOne)
        .child(ChildSpec::supervisor(agents(staff)))
        .child(ChildSpec::supervisor(pool(staff, "retrievers", retriever)))
        .child(ChildSpec::supervisor(pool(staff, "validators", validator)))
        .child(ChildSpec::supervisor(pool(staff, "executors", executor)))
        .child(ChildSpec::supervisor(hardy(CHILDREN, staff.restarts.min(GOALS_RESTARTS))))
}

fn rooted(orchestration: SupervisorSpec) -> SupervisorSpec {
    let domains = SupervisorSpec::new("domains", Strategy::OneForOne).child(ChildSpec::supervisor(orchestration));
    SupervisorSpec::new("root", Strategy::OneForAll).child(ChildSpec::system()).child(ChildSpec::supervisor(domains))
}

/// Where the supervisor of the orchestrators stands in the tree.
///
/// # Panics
///
/// Never: it is a path.
#[must_use]
pub fn goals_path() -> Path {
    "root/domains/orchestration/goals".parse().expect("it is a path")
}

/// Where the supervisor of the orchestrators of runs inside others stands in the tree.
pub(crate) fn children_path() -> Path {
    format!("root/domains/orchestration/{CHILDREN}").parse().expect("it is a path")
}

/// Where the orchestrator of a run stands in the tree.
///
/// # Panics
///
/// Never: the id of a run is a name of a child.
#[must_use]
pub fn orchestrator_path(run: RunId) -> Path {
    format!("{}/{run}", goals_path()).parse().expect("the id of a run is a name of a child")
}

/// Where the host stands in the tree.
///
/// # Panics
///
/// Never: it is a path.
#[must_use]
pub fn host_path() -> Path {
    "root/domains/orchestration/host".parse().expect("it is a path")
}

/// Where the orchestrator of a run inside another one stands in the tree.
///
/// # Panics
///
/// Never: the id of a run is a name of a child.
#[must_use]
pub fn child_path(run: RunId) -> Path {
    format!("{}/{run}", children_path()).parse().expect("the id of a run is a name of a child")
}

/// Asks a run to end in this process: no more leases are given out, and those that are out come to their end.
///
/// # Errors
///
/// [`RequestError`] when there is no such run, or its orchestrator does not answer.
pub async fn drain(system: &System, run: RunId) -> Result<(), RequestError> {
    order(system, run, || OrchestratorMessage::Drain).await.map(|_| ())
}

/// Tells a run to stand still, to go on, or to end: whatever the message says. It is so when the answer is there, as far
/// as the journal says.
///
/// # Errors
///
/// [`RequestError`] when there is no such run, or its orchestrator does not answer.
pub async fn order(
    system: &System,
    run: RunId,
    message: impl Fn() -> OrchestratorMessage,
) -> Result<OrchestratorReply, RequestError> {
    let orchestrator = system.agent::<Orchestrator>(&orchestrator_path(run))?;
    let mut is_again = false;
    loop {
        return match orchestrator.ask(message()).await {
            // The incarnation that was asked ended before it answered; the next one is asked.
            Err(RequestError::Exited { .. }) => {
                is_again = true;
                continue;
            }
            // Asking twice is asking once: the one before had done it.
            Ok(OrchestratorReply::Refused(refusal)) if is_again && refusal != Refusal::Over => {
                Ok(OrchestratorReply::Done)
            }
            answer => answer,
        };
    }
}

/// Asks every run to end in this process, and takes up no more.
///
/// # Errors
///
/// Where there is no host.
pub async fn drain_all(system: &System) -> Result<(), RequestError> {
    tell_host(system, || HostMessage::Drain).await
}

/// Records that a run begins, and has the host carry it. What it works with is found by the host's outfit, unless it is
/// [open](Workshop::open) in the workshop already.
///
/// # Errors
///
/// [`StartRunError`] where it is not recorded, or there is no host to carry it.
pub async fn start_run(system: &System, by: &str, start: &Start, now: Millis) -> Result<(), StartRunError> {
    begin(&*system.journal(), start, (None, by), now).await?;
    Ok(take_up(system, start.run).await?)
}

/// Has the host carry a run of the journal, unless it does, or the run is over. What comes of it is told by the feed of the
/// run and the events of the host.
///
/// # Errors
///
/// Where there is no host.
pub async fn take_up(system: &System, run: RunId) -> Result<(), RequestError> {
    tell_host(system, || HostMessage::TakeUp(run)).await
}

/// A run was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartRunError {
    /// It is not recorded.
    #[error(transparent)]
    Begin(#[from] BeginError),
    /// It is recorded, and nobody was there to carry it.
    #[error("nobody here carries runs")]
    Host(#[from] RequestError),
}

async fn tell_host(system: &System, message: impl Fn() -> HostMessage) -> Result<(), RequestError> {
    let host = system.agent::<Host>(&host_path())?;
    loop {
        match host.ask(message()).await {
            // The next life has it in the journal, or is asked.
            Err(RequestError::Exited { .. }) => {}
            answer => return answer,
        }
    }
}

fn hardy(name: &str, restarts: u32) -> SupervisorSpec {
    let intensity = Intensity::at_most(restarts).within(WINDOW);
    SupervisorSpec::new(name, Strategy::OneForOne).intensity(intensity).failed_starts(FAILED_STARTS)
}

fn agents(staff: &Staff) -> SupervisorSpec {
    let judge = ValidatorArgs { shop: staff.shop.clone(), policy: Arc::clone(&staff.policy) };
    let choosing = RouterArgs { select: Arc::clone(&staff.select), floor: staff.shop.floor().clone() };
    hardy("agents", staff.restarts)
        .child(watched(ChildSpec::agent::<Planner>("planner", ()).offers(&PLAN)))
        .child(watched(ChildSpec::agent::<Router>("router", choosing).offers(&ROUTE)))
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

/// The supervisor of orchestrators that come and go. It gives up for none of them: each has a budget of its own.
fn goals(staff: &Staff) -> SupervisorSpec {
    let intensity = Intensity::at_most(staff.restarts).within(WINDOW);
    SupervisorSpec::new("goals", Strategy::OneForOne).intensity(intensity)
}

/// The supervisor of the one orchestrator that there is.
fn one_goal(staff: &Staff, run: RunArgs) -> SupervisorSpec {
    let name = run.run.to_string();
    let orchestrator =
        ChildSpec::agent::<Orchestrator>(name, run).offers(&REPORT).offers(&CHARGE).restart(Restart::Transient);
    hardy("goals", staff.restarts.min(GOALS_RESTARTS)).child(watched(orchestrator))
}

/// The orchestrator of a run, among others. One that fails too often is put aside, and one that ended is forgotten.
pub(crate) fn orchestrator(run: RunArgs, restarts: u32) -> ChildSpec {
    let budget = Intensity::at_most(restarts.min(GOALS_RESTARTS)).within(WINDOW);
    let orchestrator = ChildSpec::agent::<Orchestrator>(run.run.to_string(), run).offers(&REPORT).offers(&CHARGE);
    watched(orchestrator.restart(Restart::Transient).forget_when_done().budget(budget))
}

fn watched<A: steadfast::Agent>(agent: AgentSpec<A>) -> ChildSpec {
    agent.handler_deadline(HANDLER_DEADLINE).into()
}
