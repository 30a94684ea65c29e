//! A plan that is being carried out, alone or with chaos, in one system or in a world of several.

use std::mem;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::timeout_at;

use crate::fault::{
    Action, Chaos, Crash, Due, Fault, FaultPlan, FaultPoint, Fired, Hop, MessageFault, PathPattern, Plan, Present,
    Progress, Skew, Unfired,
};
use crate::id::Path;
use crate::runtime::guard::{after, lock};
use crate::runtime::system::System;
use crate::runtime::world::TokioClock;
use crate::seam::Clock;

/// A plan that is being carried out, and what has come of it so far.
///
/// Given to [`SystemBuilder::faults`](crate::SystemBuilder::faults) it meets whoever comes to a point. What is to happen at a
/// time, and to others than who is at a point, is done by [`attend`](Self::attend), from when the system runs. In a world of
/// several nodes each has the run as seen [from it](Self::on_node), and an [`Injector`] does what is for others.
///
/// ```
/// use std::sync::Arc;
/// use steadfast::testing::{FaultRun, Log, Order, Probe, Recorder};
/// use steadfast::{Strategy, SupervisorSpec, System};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = FaultRun::of("panic at before-message of root/a #2; kill root/a at 10s".parse()?);
/// let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", &Log::default()));
/// let system = System::builder().faults(Arc::clone(&run) as _).start(spec).await?;
/// let _attended = run.attend(&system);
/// let (agent, mut events) = (Probe::at(&system, "root/a"), Recorder::of(&system));
///
/// assert_eq!(agent.ask(Order::Echo(1)).await?, 1);
/// assert!(agent.ask(Order::Echo(2)).await.is_err());
/// events.started("root/a", 3).await; // After the panic came the kill.
/// assert_eq!((run.fired().len(), run.unfired().len()), (2, 0));
/// # Ok(system.shutdown().await?)
/// # }
/// ```
pub struct FaultRun {
    began: Instant,
    progress: Mutex<Progress>,
    /// What is to be done by the one who attends.
    others: Mutex<Vec<Due>>,
    told: Notify,
}

/// Does what a plan has for others than who is at a point. Each must return at once.
pub trait Injector: Send + Sync {
    /// Returns who is there now, among whom chaos draws its victims.
    fn present(&self) -> Present;

    /// Kills whoever stands where the pattern says, on the nodes that it says. Who does not live just now is as good as killed.
    ///
    /// # Errors
    ///
    /// When there is nobody of that path in any tree.
    fn kill(&self, pattern: &PathPattern) -> Result<(), NotInjected>;

    /// Takes a node down, and lets it come back after so long; never where `down_for` is `None`.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    fn crash(&self, node: &str, how: Crash, down_for: Option<Duration>) -> Result<(), NotInjected>;

    /// Sets the clock of a node wrong, by so much against the right time.
    ///
    /// # Errors
    ///
    /// When there is no such node.
    fn skew(&self, node: &str, by: Skew) -> Result<(), NotInjected>;
}

/// A fault could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotInjected {
    /// Why not.
    pub why: String,
}

impl NotInjected {
    /// With the reason, as it is told with the fault.
    #[must_use]
    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

/// The task that does what a plan has for a time and for others; it ends when this is dropped.
#[must_use = "nothing happens at a time, or to others, without it"]
pub struct Attended(AbortHandle);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FaultRun {
    /// Begins a plan; its times count from now on.
    #[must_use]
    pub fn of(plan: Plan) -> Arc<Self> {
        Self::begin(Progress::of(plan))
    }

    /// Begins a plan, and chaos beside it, as this seed draws it.
    ///
    /// What chaos did is in [`fired`](Self::fired) as exact faults, and [`fired_plan`](Self::fired_plan) does it again.
    #[must_use]
    pub fn with_chaos(plan: Plan, chaos: &Chaos, seed: u64) -> Arc<Self> {
        Self::begin(Progress::of(plan).with_chaos(chaos, seed))
    }

    fn begin(progress: Progress) -> Arc<Self> {
        let (progress, others) = (Mutex::new(progress), Mutex::default());
        Arc::new(Self { began: TokioClock.now(), progress, others, told: Notify::new() })
    }

    /// The same run as seen from a node, for the system that is this node.
    #[must_use]
    pub fn on_node(self: &Arc<Self>, name: &str) -> Arc<dyn FaultPlan> {
        Arc::new(OnNode { run: Arc::clone(self), name: name.to_owned() })
    }

    /// The faults that came, in order.
    #[must_use]
    pub fn fired(&self) -> Vec<Fired> {
        lock(&self.progress).fired().cloned().collect()
    }

    /// Those that came after so many had come.
    pub(crate) fn came_after(&self, number: usize) -> Vec<Fired> {
        lock(&self.progress).came_after(number).cloned().collect()
    }

    /// The plan that does the same again in the same run without chaos; it ends with what chaos did.
    #[must_use]
    pub fn fired_plan(&self) -> Plan {
        lock(&self.progress).fired_plan()
    }

    /// The faults of the plan that did not come, each with what came nearest to it, or why it could not be carried out.
    #[must_use]
    pub fn unfired(&self) -> Vec<Unfired> {
        lock(&self.progress).unfired()
    }

    /// Does from now on what the plan has for a time, and for others than who is at a point, in one system.
    pub fn attend(self: &Arc<Self>, system: &System) -> Attended {
        self.attend_with(Arc::new(OneSystem(system.clone())))
    }

    /// Lets somebody do from now on what the plan has for a time, and for others than who is at a point.
    pub fn attend_with(self: &Arc<Self>, injector: Arc<dyn Injector>) -> Attended {
        let run = Arc::clone(self);
        Attended(tokio::spawn(async move { run.go_on(&*injector).await }).abort_handle())
    }

    async fn go_on(&self, injector: &dyn Injector) {
        loop {
            for due in mem::take(&mut *lock(&self.others)) {
                self.inject(injector, due);
            }
            let next = lock(&self.progress).next();
            if next.is_some_and(|next| next <= self.elapsed()) {
                // Whoever else has something to do at this very moment comes first: which timer was set first is of no
                // account then, and a plan does the same as the chaos that it is of.
                yield_now().await;
                let present = injector.present();
                let due = lock(&self.progress).by(self.elapsed(), &present);
                for due in due {
                    self.inject(injector, due);
                }
                continue;
            }
            let wait = next.map_or(Duration::MAX, |next| next.saturating_sub(self.elapsed()));
            let _ = timeout_at(after(wait), self.told.notified()).await;
        }
    }

    fn inject(&self, injector: &dyn Injector, Due { number, action, .. }: Due) {
        let outcome = match &action {
            Action::KillOther(pattern) => injector.kill(pattern),
            Action::Crash { node, how, down } => injector.crash(node.as_str(), *how, *down),
            Action::Skew { node, by } => injector.skew(node.as_str(), *by),
            other => Err(NotInjected::because(format!("`{other}` needs somebody at a point"))),
        };
        if let Err(refused) = outcome {
            lock(&self.progress).refused(number, refused.why);
        }
    }

    fn elapsed(&self) -> Duration {
        TokioClock.now().saturating_duration_since(self.began)
    }
}

impl FaultPlan for FaultRun {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        let due = lock(&self.progress).at(point, self.elapsed())?;
        let fault = due.action.fault();
        if fault.is_some() {
            return fault;
        }
        // Whoever is there goes no further: it would do what comes after the point, before somebody takes its node down.
        let goes_down = |node: &str| matches!(&due.action, Action::Crash { node: of, .. } if of.as_str() == node);
        let fault = point.node.is_some_and(goes_down).then_some(Fault::Hang);
        lock(&self.others).push(due);
        self.told.notify_one();
        fault
    }

    fn on_hop(&self, hop: &Hop<'_>) -> Option<MessageFault> {
        lock(&self.progress).on_hop(hop, self.elapsed())
    }
}

/// A run as one node sees it.
struct OnNode {
    run: Arc<FaultRun>,
    name: String,
}

impl FaultPlan for OnNode {
    fn at(&self, point: &FaultPoint<'_>) -> Option<Fault> {
        self.run.at(&point.on(&self.name))
    }

    fn on_hop(&self, hop: &Hop<'_>) -> Option<MessageFault> {
        self.run.on_hop(hop)
    }
}

/// One system, which is no node.
struct OneSystem(System);

fn no_node(node: &str) -> NotInjected {
    NotInjected::because(format!("there is one system here, and no node `{node}`"))
}

impl Injector for OneSystem {
    fn present(&self) -> Present {
        Present::new(Vec::new(), living(&self.0).into_iter().map(|path| (None, path)).collect())
    }

    fn kill(&self, pattern: &PathPattern) -> Result<(), NotInjected> {
        if let Some(node) = pattern.node() {
            return Err(no_node(node));
        }
        let is_there = kill_all(&self.0, None, pattern);
        if is_there { Ok(()) } else { Err(nobody(pattern, std::slice::from_ref(&self.0))) }
    }

    fn crash(&self, node: &str, _: Crash, _: Option<Duration>) -> Result<(), NotInjected> {
        Err(no_node(node))
    }

    fn skew(&self, node: &str, _: Skew) -> Result<(), NotInjected> {
        Err(no_node(node))
    }
}

/// The agents and supervisors of a system that live now, its own services included.
pub(crate) fn living(system: &System) -> Vec<Path> {
    let lives = |path: &Path| {
        let life = system.slot(path).and_then(|slot| slot.core().life());
        life.is_some_and(|life| life.reason().is_none() && !life.is_fenced())
    };
    everywhere(system).filter(lives).collect()
}

/// Kills whoever lives in a system at a path that is meant; `node` is its name where it has one. Returns whether there is such
/// a path in its tree.
pub(crate) fn kill_all(system: &System, node: Option<&str>, pattern: &PathPattern) -> bool {
    let mut is_there = false;
    for path in everywhere(system).filter(|path| pattern.matches_on(node, path)) {
        is_there = true;
        // One that does not live just now is as good as killed.
        let _ = system.kill(path.as_str());
    }
    is_there
}

/// That nobody is meant, with some who are there.
pub(crate) fn nobody(pattern: &PathPattern, systems: &[System]) -> NotInjected {
    let known: Vec<_> = systems.iter().flat_map(everywhere).map(|path| path.to_string()).take(8).collect();
    NotInjected::because(format!("there is no `{pattern}`; among others there are: {}", known.join(", ")))
}

fn everywhere(system: &System) -> impl Iterator<Item = Path> {
    let trees = [system.root().clone(), system.services_root()];
    trees.into_iter().flat_map(|tree| system.paths_within(&tree, |_| true))
}
