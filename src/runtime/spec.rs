//! A tree as checked data: supervisors and their children, before anything runs.

#[macro_use]
mod rules;
mod agent;
pub(crate) mod dynamic;
mod fit;

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ractor::concurrency::JoinHandle;
use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use tokio::runtime::Handle;
use tokio::task::unconstrained;

use crate::error::SpecError;
use crate::exit::BoxError;
use crate::flow::PoolRules;
use crate::id::{ChildId, Path};
use crate::registry::capability::{Capability, Wire};
use crate::runtime::agent::Agent;
use crate::runtime::guard::at_once;
use crate::runtime::life::{Above, Life};
use crate::runtime::plain;
use crate::runtime::pool::{PoolPlan, PoolSpec};
use crate::runtime::route::Offers;
use crate::runtime::serve::{Once, ServeContext, Served, TaskContext};
use crate::runtime::slot::{AnySlot, BareSlot};
use crate::runtime::supervisor::{Parent, SupervisorBirth, SupervisorContext, SupervisorShell};
use crate::runtime::system::System;
use crate::seam::BoxFuture;
use crate::supervision::backoff::Backoff;
use crate::supervision::intensity::Intensity;
use crate::supervision::lint::{Outline, OutlineChild, Warning, lint};
use crate::supervision::policy::{
    AutoShutdown, ChildRules, Restart, Rules, Shutdown, SpecProblem, Strategy, check_children,
};

pub use agent::AgentSpec;
use agent::Settings;
use dynamic::Template;

/// What a supervisor runs before it starts its children.
pub(crate) type Init = Arc<dyn Fn(SupervisorContext) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// What a supervisor is: its strategy, its limits, and its children in start order. Data; nothing runs.
///
/// The defaults are OTP's: one restart within 5 seconds. Checked by [`System::start`].
#[derive(Clone)]
pub struct SupervisorSpec {
    pub(crate) name: String,
    pub(crate) rules: Rules,
    pub(crate) children: Vec<ChildSpec>,
    /// What a dynamic supervisor has instead of children.
    pub(crate) template: Option<Template>,
    /// What it lends, where it is a pool.
    pub(crate) pool: Option<Arc<PoolPlan>>,
    pub(crate) init: Option<Init>,
}

impl SupervisorSpec {
    /// A supervisor without children.
    #[must_use]
    pub fn new(name: impl Into<String>, strategy: Strategy) -> Self {
        Self {
            name: name.into(),
            rules: Rules::new(strategy),
            children: Vec::new(),
            template: None,
            pool: None,
            init: None,
        }
    }

    /// Runs before the children are started, in every incarnation of the supervisor (rule 8). The supervisor starts
    /// nobody, and does not start itself, when this fails; it is not needed when this returns
    /// [`Ignore`](crate::Ignore) as its error.
    #[must_use]
    pub fn init<F, Fut>(mut self, init: F) -> Self
    where
        F: Fn(SupervisorContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.init = Some(Arc::new(move |ctx| Box::pin(init(ctx))));
        self
    }

    /// Ends the supervisor when its significant children have ended (rules 39 to 42).
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.rules = self.rules.auto_shutdown(auto_shutdown);
        self
    }

    /// How long a child that was killed may take to be gone, before it is abandoned: fenced, reported, and replaced.
    /// A supervisor has this time after each moment for which it waits itself, such as the deadline of a child of its own.
    #[must_use]
    pub fn abandon_after(mut self, limit: Duration) -> Self {
        self.rules = self.rules.abandon_after(limit);
        self
    }

    /// The same supervisor with one rule broken on purpose, for tests that must notice it.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn mutated(mut self, mutation: crate::supervision::Mutation) -> Self {
        self.rules = self.rules.mutated(mutation);
        self
    }

    /// How many restarts, within which time, are too many.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.rules = self.rules.intensity(intensity);
        self
    }

    /// Gives up after so many failed starts of one child in a row, even where the intensity would allow more. For
    /// supervisors with a high intensity, whose children may crash a lot under load but must be able to start.
    #[must_use]
    pub fn failed_starts(mut self, in_a_row: u32) -> Self {
        self.rules = self.rules.failed_starts(in_a_row);
        self
    }

    /// Adds a child, to be started after those before it.
    #[must_use]
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        let mut child = child.into();
        if let Some(last) = self.children.last() {
            child.share(last);
        }
        self.children.push(child);
        self
    }

    /// Looks through this supervisor and all below it for settings that are allowed and hardly meant; see
    /// [`supervision::lint`](mod@crate::supervision::lint).
    ///
    /// # Errors
    ///
    /// When the tree makes no sense at all, so that [`System::start`] would refuse it.
    ///
    /// ```
    /// use steadfast::{BoxError, ChildSpec, Strategy, SupervisorSpec};
    ///
    /// let task = ChildSpec::task("only", |_| async { Ok::<(), BoxError>(()) });
    /// let warnings = SupervisorSpec::new("root", Strategy::OneForAll).child(task).lint()?;
    /// assert!(warnings[0].to_string().starts_with("root: "), "{}", warnings[0]);
    /// # Ok::<(), steadfast::SpecError>(())
    /// ```
    pub fn lint(&self) -> Result<Vec<Warning>, SpecError> {
        let path = self.check(None)?;
        Ok(lint(&self.outline(&path)))
    }

    fn outline(&self, path: &Path) -> Outline {
        let mut outline = match &self.template {
            Some(template) => Outline::dynamic(
                path.clone(),
                self.rules,
                OutlineChild::new(template.id.clone(), (*template.rules).clone()),
            ),
            None => Outline::new(path.clone(), self.rules),
        };
        for child in &self.children {
            let (id, rules) = (child.name.clone(), (*child.rules).clone());
            outline = match &child.kind {
                Kind::Supervisor(nested) => outline.supervisor(id.clone(), rules, nested.outline(&path.child(&id))),
                Kind::Worker(_) | Kind::System => outline.child(id, rules),
            };
        }
        outline
    }

    /// Checks this supervisor and all below it.
    pub(crate) fn check(&self, above: Option<&Path>) -> Result<Path, SpecError> {
        let name = ChildId::new(&self.name).map_err(|problem| SpecError::Name {
            supervisor: above.map_or_else(String::new, ToString::to_string),
            problem,
        })?;
        let path = above.map_or_else(|| Path::root(&name), |above| above.child(&name));
        self.check_body(&path)?;
        Ok(path)
    }

    /// Checks the rules and the children of the supervisor that stands, or is to stand, at this path.
    pub(crate) fn check_body(&self, path: &Path) -> Result<(), SpecError> {
        let wrong = |problem| SpecError::Rules { supervisor: path.to_string(), problem };
        self.rules.check().map_err(wrong)?;
        self.check_parts(path)?;
        if let Some(template) = &self.template {
            return check_children(&self.rules, [(&template.id, &*template.rules)]).map_err(wrong);
        }
        check_children(&self.rules, self.children.iter().map(|child| (&child.name, &*child.rules))).map_err(wrong)
    }

    /// Checks what the machine of a supervisor cannot: its own rules are its business.
    pub(crate) fn check_parts(&self, path: &Path) -> Result<(), SpecError> {
        if self.template.is_some() && !self.children.is_empty() {
            return Err(SpecError::Rules { supervisor: path.to_string(), problem: SpecProblem::TemplateOnly });
        }
        if let Some(problem) = self.pool.as_ref().and_then(|pool| pool.rules.check().err()) {
            return Err(SpecError::Pool { pool: path.to_string(), problem });
        }
        let mut names = HashSet::with_capacity(self.children.len());
        for child in &self.children {
            if !names.insert(child.name.as_str()) {
                let child = child.name.to_string();
                return Err(SpecError::DuplicateChild { supervisor: path.to_string(), child });
            }
            child.check(path)?;
        }
        Ok(())
    }

    /// Its children as their supervisor's machine is told of them by an update.
    pub(crate) fn children_rules(&self) -> Vec<(ChildId, ChildRules)> {
        match &self.template {
            Some(template) => vec![(template.id.clone(), (*template.rules).clone())],
            None => self.children.iter().map(|child| (child.name.clone(), (*child.rules).clone())).collect(),
        }
    }

    /// Where the system's own supervisor is mounted in this tree.
    pub(crate) fn system_mounts(&self, above: Option<&str>) -> Vec<String> {
        let place = above.map_or_else(|| self.name.clone(), |above| format!("{above}/{}", self.name));
        let mut mounts = Vec::new();
        for child in &self.children {
            match &child.kind {
                Kind::System => mounts.push(format!("{place}/{}", child.name)),
                Kind::Supervisor(spec) => mounts.extend(spec.system_mounts(Some(&place))),
                Kind::Worker(_) => {}
            }
        }
        mounts
    }
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// What a child is: its name, its rules and what runs. Data; nothing runs.
///
/// The defaults are OTP's: permanent, 5 seconds to stop, and without limit for a supervisor.
#[derive(Clone)]
pub struct ChildSpec {
    /// Checked before the tree is used.
    pub(crate) name: ChildId,
    pub(crate) rules: Arc<ChildRules>,
    pub(crate) kind: Kind,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Worker(Arc<dyn Worker>),
    Supervisor(Arc<SupervisorSpec>),
    /// The system's own supervisor, mounted here.
    System,
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec").field("name", &self.name).field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl ChildSpec {
    /// An agent. Every incarnation is started from a clone of `args`.
    #[must_use]
    pub fn agent<A: Agent>(name: impl Into<String>, args: A::Args) -> AgentSpec<A> {
        AgentSpec::new(name.into(), args)
    }

    /// A function that serves a capability: each request is one call of it, one at a time.
    ///
    /// An error or a panic in the function ends the incarnation, as in any agent.
    #[must_use]
    pub fn serve<Q, R, F, Fut>(
        name: impl Into<String>,
        capability: impl Borrow<Capability<Q, R>>,
        function: F,
    ) -> AgentSpec<Served<Q, R>>
    where
        Q: Wire,
        R: Wire,
        F: Fn(ServeContext, Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, BoxError>> + Send + 'static,
    {
        Self::agent(name, Served::args(function)).offers(capability.borrow())
    }

    /// A future that is run, and run again by each restart. Ends normally with `Ok`, failed with an error. Asked to
    /// stop, it is dropped at its next await point.
    #[must_use]
    pub fn task<F, Fut>(name: impl Into<String>, function: F) -> AgentSpec<Once>
    where
        F: Fn(TaskContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self::agent(name, Once::args(function))
    }

    /// A plain ractor actor. `make` gives the actor and its arguments for every incarnation.
    ///
    /// It keeps ractor's own mailbox: supervised, but without a bound, and what waits in it is lost with a crash. It is
    /// reached by [`System::actor`].
    #[must_use]
    pub fn actor<T, F>(name: impl Into<String>, make: F) -> Self
    where
        T: Actor,
        F: Fn() -> (T, T::Arguments) + Send + Sync + 'static,
    {
        Self {
            name: ChildId::unchecked(name.into()),
            rules: Arc::new(ChildRules::worker()),
            kind: Kind::Worker(Arc::new(plain::PlainWorker::new(make))),
        }
    }

    /// A supervisor with its own children.
    #[must_use]
    pub fn supervisor(spec: impl Into<SupervisorSpec>) -> Self {
        let spec = spec.into();
        let name = ChildId::unchecked(&*spec.name);
        Self { name, rules: Arc::new(ChildRules::supervisor()), kind: Kind::Supervisor(Arc::new(spec)) }
    }

    /// A pool of equal agents, lent one at a time; see [`PoolSpec`].
    #[must_use]
    pub fn pool<A: Agent>(
        name: impl Into<String>,
        rules: PoolRules,
        make: impl Fn(u64) -> AgentSpec<A> + Send + Sync + 'static,
    ) -> PoolSpec<A> {
        PoolSpec::new(name, rules, make)
    }

    /// The system's own supervisor (registrar, event bus, journal), mounted in the tree as the child `system`. Without
    /// it the system keeps it beside the tree. It must be started before every agent that offers a capability.
    #[must_use]
    pub fn system() -> Self {
        let name = ChildId::unchecked("system");
        Self { name, rules: Arc::new(ChildRules::supervisor()), kind: Kind::System }
    }

    child_rules_methods!();

    /// Keeps what another one says too together with it: siblings are mostly alike but for their names.
    fn share(&mut self, other: &Self) {
        if self.rules == other.rules {
            self.rules = Arc::clone(&other.rules);
        }
        if let (Kind::Worker(worker), Kind::Worker(other)) = (&mut self.kind, &other.kind)
            && let Some(worker) = Arc::get_mut(worker)
        {
            worker.share(&**other);
        }
    }

    pub(crate) fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot> {
        match &self.kind {
            Kind::Worker(worker) => worker.slot(system, path),
            Kind::Supervisor(_) | Kind::System => supervisor_slot(system, path),
        }
    }

    /// Whether this child can live in that slot.
    pub(crate) fn fits(&self, slot: &Arc<dyn AnySlot>) -> bool {
        match &self.kind {
            Kind::Worker(worker) => worker.fits(slot),
            Kind::Supervisor(_) | Kind::System => Arc::clone(slot).as_any().is::<BareSlot>(),
        }
    }

    /// Gives a slot that fits what this child says of it, between two lives.
    pub(crate) fn renew(&self, system: &System, slot: &Arc<dyn AnySlot>) {
        if let Kind::Worker(worker) = &self.kind {
            worker.renew(system, slot);
        }
    }

    /// Whether it is started by its first message.
    pub(crate) fn is_lazy(&self) -> bool {
        matches!(&self.kind, Kind::Worker(worker) if worker.is_lazy())
    }

    /// Whether its start may be polled by its supervisor: nobody looks whether it is over, and it runs there.
    pub(crate) fn may_start_in_place(&self) -> bool {
        matches!(&self.kind, Kind::Worker(worker) if worker.may_start_in_place()) && self.rules.start_deadline.is_none()
    }

    pub(crate) fn check(&self, supervisor: &Path) -> Result<(), SpecError> {
        self.name.check().map_err(|problem| SpecError::Name { supervisor: supervisor.to_string(), problem })?;
        match &self.kind {
            Kind::Worker(worker) => worker.check(&|| supervisor.child(&self.name)),
            Kind::Supervisor(spec) => spec.check(Some(supervisor)).map(|_| ()),
            Kind::System => Ok(()),
        }
    }
}

/// What a supervisor needs to know of a child that is not a supervisor.
pub(crate) trait Worker: Send + Sync {
    /// The path is made only when it is asked for.
    fn check(&self, path: &dyn Fn() -> Path) -> Result<(), SpecError>;
    /// Whether a child of this kind can live in that slot.
    fn fits(&self, slot: &Arc<dyn AnySlot>) -> bool;
    fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot>;
    /// Gives a slot that fits what this child says of it, between two lives.
    fn renew(&self, system: &System, slot: &Arc<dyn AnySlot>);
    /// Whether the user's start may be polled by its supervisor: nobody looks whether it is over, and it runs there.
    fn may_start_in_place(&self) -> bool;
    /// Whether it is started by its first message.
    fn is_lazy(&self) -> bool {
        false
    }
    /// What it says, where it is an agent.
    fn settings(&self) -> Option<&Arc<Settings>> {
        None
    }
    /// Keeps what another one says too together with it.
    fn share(&mut self, other: &dyn Worker) {
        let _ = other;
    }
    /// The same on this runtime, where it names none itself and may be on one.
    fn on_runtime(&self, runtime: &Handle) -> Option<Arc<dyn Worker>> {
        let _ = runtime;
        None
    }
    fn spawn(&self, start: StartOf) -> Result<ActorCell, SpawnErr>;
}

/// One start of a child.
pub(crate) struct StartOf {
    pub(crate) system: System,
    pub(crate) slot: Arc<dyn AnySlot>,
    pub(crate) life: Arc<Life>,
    pub(crate) supervisor: ActorCell,
    /// `None` of what the guardian starts.
    pub(crate) above: Option<Above>,
    /// Whether the user's start may be polled right here for a first time, by its supervisor.
    pub(crate) right_here: bool,
}

/// Spawns an actor whose `pre_start` never waits. `budgeted` where a user's start is polled in there: then the task
/// that polls must have budget left ([`has_budget_remaining`](tokio::task::coop::has_budget_remaining)).
///
/// ractor's own `select!` waits where tokio's budget of the polling task is spent, which it is after some starts that
/// received or acquired something. Code of ours needs none; a user's start must not run without one.
pub(crate) fn spawn_at_once<A: Actor>(
    actor: A,
    args: A::Arguments,
    supervisor: ActorCell,
    budgeted: bool,
) -> Result<(ActorRef<A::Msg>, JoinHandle<()>), SpawnErr> {
    let spawn = Actor::spawn_linked(None, actor, args, supervisor);
    let spawned = if budgeted { at_once(spawn) } else { at_once(unconstrained(spawn)) };
    spawned.unwrap_or_else(|| Err(SpawnErr::StartupFailed("a shell waited before it had started".into())))
}

/// Starts a supervisor as a child of another.
pub(crate) fn spawn_supervisor(
    spec: Arc<SupervisorSpec>,
    start: StartOf,
    parent: Parent,
) -> Result<ActorCell, SpawnErr> {
    let birth = SupervisorBirth { spec, system: start.system, slot: start.slot, life: start.life, parent };
    let (actor, _) = spawn_at_once(SupervisorShell, birth, start.supervisor, false)?;
    Ok(actor.get_cell())
}

/// The slot of a supervisor.
pub(crate) fn supervisor_slot(system: &System, path: Path) -> Arc<dyn AnySlot> {
    Arc::new(BareSlot(system.slot_core(path, Offers::default())))
}
