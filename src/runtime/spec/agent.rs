//! The spec of an agent as a child, and how an agent is spawned.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use ractor::{ActorCell, SpawnErr};
use tokio::runtime::Handle;

use super::{ChildSpec, Kind, StartOf, Worker, spawn_at_once};
use crate::error::SpecError;
use crate::exit::BoxError;
use crate::flow::{AgentLimits, AtBound, Bulkhead, Limits, Order};
use crate::id::{ChildId, Path};
use crate::lifecycle::hook::{Change, Hooks, On};
use crate::registry::capability::{Capability, Wire};
use crate::registry::record::InvalidOffer;
use crate::runtime::agent::Agent;
use crate::runtime::hooks::Action;
use crate::runtime::life::Overseer;
use crate::runtime::permits::Permits;
use crate::runtime::route::{Offered, Offers, offered};
use crate::runtime::serve::{Once, ServeContext};
use crate::runtime::shell::{Birth, Shell};
use crate::runtime::slot::{AnySlot, Slot};
use crate::runtime::system::System;
use crate::supervision::backoff::Backoff;
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::{ChildRules, Restart, Shutdown};

/// The spec of an agent as a child: as [`ChildSpec`], with what only agents have.
pub struct AgentSpec<A: Agent> {
    name: ChildId,
    rules: Arc<ChildRules>,
    args: A::Args,
    offers: Vec<Result<Offered, SpecErrorParts>>,
    limits: OwnLimits,
    hooks: Option<Hooks<Action>>,
    handler_deadline: Option<Duration>,
    runtime: Option<Handle>,
    hands_over: bool,
    lazy: Option<Duration>,
}

/// The limits that a spec says itself.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct OwnLimits {
    mailbox: Option<usize>,
    at_bound: Option<AtBound>,
    order: Option<Order>,
    tasks: Option<u32>,
}

impl OwnLimits {
    /// These, and where they say nothing, those.
    fn over(self, others: &AgentLimits) -> AgentLimits {
        let mut limits = others.clone();
        limits.mailbox = self.mailbox.unwrap_or(limits.mailbox);
        limits.at_bound = self.at_bound.unwrap_or(limits.at_bound);
        limits.order = self.order.unwrap_or(limits.order);
        limits.concurrent_tasks = self.tasks.or(limits.concurrent_tasks);
        limits
    }
}

/// What is wrong with an offer.
#[derive(Clone)]
struct SpecErrorParts {
    capability: String,
    version: String,
    problem: Arc<InvalidOffer>,
}

impl<A: Agent> AgentSpec<A> {
    pub(super) fn new(name: String, args: A::Args) -> Self {
        Self {
            name: ChildId::unchecked(name),
            rules: Arc::new(ChildRules::worker()),
            args,
            offers: Vec::new(),
            limits: OwnLimits::default(),
            hooks: None,
            handler_deadline: None,
            runtime: None,
            hands_over: false,
            lazy: None,
        }
    }

    /// What it is started from, for the settings of agents of ours.
    pub(crate) fn args_mut(&mut self) -> &mut A::Args {
        &mut self.args
    }

    /// The agent offers this capability. May be called several times, for several capabilities.
    #[must_use]
    pub fn offers<Q, R>(mut self, capability: &Capability<Q, R>) -> Self
    where
        Q: Wire + Into<A::Message>,
        R: Wire,
        A::Reply: TryInto<R>,
    {
        self.offers.push(offered::<A, Q, R>(capability).map_err(|problem| SpecErrorParts {
            capability: capability.name().to_owned(),
            version: capability.version().to_owned(),
            problem: Arc::new(problem),
        }));
        self
    }

    /// A handler that runs longer than this, without returning or calling [`Context::progress`](crate::Context::progress),
    /// counts as hung: the incarnation ends as unresponsive. Without it, none does.
    ///
    /// The same holds for its start, and for code that blocks its thread, tasks of
    /// [`Context::spawn`](crate::Context::spawn) included: that is found by the system's watchdog, at most three of its
    /// looks after the deadline, and cannot be ended. Such a life is given up: it is fenced, so that nothing it does
    /// through steadfast has an effect any more, reported as leaked, and replaced.
    #[must_use]
    pub fn handler_deadline(mut self, limit: Duration) -> Self {
        self.handler_deadline = Some(limit);
        self
    }

    /// The runtime on which the agent and its tasks run; that of the system when not set. Its supervisor runs on the
    /// system's in any case, and goes on when this one is blocked.
    ///
    /// The owner of the runtime enables its timers, and keeps it up for as long as the system runs. Give it a name
    /// (`tokio::runtime::Builder::name`), by which events call it.
    #[must_use]
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.runtime = Some(handle);
        self
    }

    /// The agent is lazy: it has no life until the first message comes, and is put to rest after it had nothing to do for
    /// so long: no message and no task, timers included. Nothing is lost in between: messages wait in its slot.
    ///
    /// | while it is at rest | |
    /// |---|---|
    /// | its supervisor | takes it for a running child: its start succeeded, and its stop is immediate |
    /// | routes, subscriptions | may choose it like one that runs; the message starts it |
    /// | its stop hook | ran when it was put to rest, with the reason `normal`: what the next life is to know is kept by [`hand_over`](Self::hand_over) |
    /// | restarts | none is counted: being put to rest is no exit |
    ///
    /// A start that fails then is the failure of a running child, and its supervisor decides.
    ///
    /// ```
    /// # use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};
    /// use std::time::Duration;
    ///
    /// # const ECHO: Capability<u8, u8> = Capability::new("echo", "1.0.0");
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let echo = ChildSpec::serve("echo", ECHO, |_, n| async move { Ok(n) }).lazy(Duration::from_secs(60));
    /// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(echo)).await?;
    /// assert_eq!(system.incarnation("root/echo"), None, "nobody is there");
    /// assert_eq!(system.ask(&ECHO, 7).await?, 7);
    /// # system.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn lazy(mut self, idle: Duration) -> Self {
        self.lazy = Some(idle);
        self
    }

    /// A life of the agent may hand its state over to the next: what it keeps by
    /// [`Context::checkpoint`](crate::Context::checkpoint), the next one gets by
    /// [`Context::handed_over`](crate::Context::handed_over). Without this every life starts from its arguments alone.
    #[must_use]
    pub fn hand_over(mut self) -> Self {
        self.hands_over = true;
        self
    }

    /// How many messages may wait; when not set, what the system's limits say
    /// ([`SystemBuilder::limits`](crate::SystemBuilder::limits)), [`DEFAULT_BOUND`](crate::DEFAULT_BOUND) unless told
    /// otherwise.
    #[must_use]
    pub fn mailbox(mut self, bound: usize) -> Self {
        self.limits.mailbox = Some(bound);
        self
    }

    /// What happens to a message when as many wait as may: what the system's limits say when not set, and unless told otherwise the new
    /// one is refused. What is shed becomes a
    /// dead letter, and whoever asked is told.
    #[must_use]
    pub fn at_bound(mut self, at_bound: AtBound) -> Self {
        self.limits.at_bound = Some(at_bound);
        self
    }

    /// Whether messages are handled in the order in which they came, or the urgent first, in lanes ([`Lanes`](crate::flow::Lanes)).
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.limits.order = Some(order);
        self
    }

    /// Adds a hook that runs before a change of the agent's state, and may refuse it. Hooks run in the order in which they
    /// were added; the agent does nothing else meanwhile. A hook fails by an error, by a panic, or by not returning
    /// within the handler deadline (5 seconds where there is none).
    ///
    /// | a failing hook before | does |
    /// |---|---|
    /// | a change on the way up | the start fails |
    /// | suspended, active again, draining on request | whoever wanted the change gets the error; nothing changed |
    /// | draining because of a stop | the agent is stopped all the same |
    /// | the end | nothing |
    ///
    /// Each failure is an event, [`HookFailed`](crate::EventKind::HookFailed). A life that is killed runs no hook.
    ///
    /// ```
    /// use steadfast::lifecycle::hook::On;
    /// use steadfast::{Capability, ChildSpec, StateName};
    ///
    /// # const ECHO: Capability<u8, u8> = Capability::new("echo", "1.0.0");
    /// let spec = ChildSpec::serve("echo", ECHO, |_, n| async move { Ok(n) })
    ///     .hook_before("license", On::Entering(StateName::Active), |ctx, change| async move {
    ///         println!("{}: {change}", ctx.path());
    ///         Ok(())
    ///     });
    /// # let _ = spec;
    /// ```
    #[must_use]
    pub fn hook_before<F, Fut>(mut self, name: impl Into<Cow<'static, str>>, on: On, hook: F) -> Self
    where
        F: Fn(ServeContext, Change) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.hooks = Some(self.hooks.take().unwrap_or_default().before(name, on, action(hook)));
        self
    }

    /// Adds a hook that runs after a change of the agent's state. Its failure is an event and changes nothing else; see
    /// [`hook_before`](Self::hook_before).
    #[must_use]
    pub fn hook_after<F, Fut>(mut self, name: impl Into<Cow<'static, str>>, on: On, hook: F) -> Self
    where
        F: Fn(ServeContext, Change) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.hooks = Some(self.hooks.take().unwrap_or_default().after(name, on, action(hook)));
        self
    }

    /// How many tasks of [`Context::spawn`](crate::Context::spawn) and
    /// [`spawn_watched`](crate::Context::spawn_watched) run at once, in each life; when not set, what the system's limits
    /// say, or any number.
    ///
    /// Those over it are spawned and wait, in order, until one before them has ended; they are not polled before, and
    /// what watches them begins when they do. Timers and closures of [`Context::blocking`](crate::Context::blocking) do
    /// not count.
    #[must_use]
    pub fn concurrent_tasks(mut self, most: u32) -> Self {
        self.limits.tasks = Some(most);
        self
    }

    child_rules_methods!();
}

impl<A: Agent> fmt::Debug for AgentSpec<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentSpec<{}>({})", type_name::<A>(), self.name)
    }
}

impl<A: Agent> From<AgentSpec<A>> for ChildSpec {
    fn from(spec: AgentSpec<A>) -> Self {
        let settings = Settings {
            agent: TypeId::of::<A>(),
            offers: spec.offers.into_iter().collect::<Result<Vec<_>, _>>().map(Offers::from).map_err(Box::new),
            limits: spec.limits,
            hooks: spec.hooks.map(Arc::new),
            handler_deadline: spec.handler_deadline,
            runtime: spec.runtime,
            hands_over: spec.hands_over,
            lazy: spec.lazy,
        };
        let worker = AgentWorker::<A> { args: spec.args, settings: Arc::new(settings), agent: PhantomData };
        Self { name: spec.name, rules: spec.rules, kind: Kind::Worker(Arc::new(worker)) }
    }
}

fn action<F, Fut>(hook: F) -> Action
where
    F: Fn(ServeContext, Change) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    Arc::new(move |ctx, change| Box::pin(hook(ctx, change)))
}

/// What a spec says of an agent besides its name, its rules and its arguments. Siblings are mostly told the same: those
/// that are share it.
#[derive(Clone)]
pub(crate) struct Settings {
    agent: TypeId,
    offers: Result<Offers, Box<SpecErrorParts>>,
    limits: OwnLimits,
    hooks: Option<Arc<Hooks<Action>>>,
    handler_deadline: Option<Duration>,
    runtime: Option<Handle>,
    hands_over: bool,
    lazy: Option<Duration>,
}

impl Settings {
    fn offers(&self) -> Offers {
        self.offers.as_ref().cloned().unwrap_or_default()
    }

    /// Whether the other says the same. Said of none that has hooks or a runtime: those cannot be compared. Equal offers of
    /// the same type of agent are reached in the same way.
    fn is_like(&self, other: &Self) -> bool {
        let (Ok(offers), Ok(others)) = (&self.offers, &other.offers) else { return false };
        let special = |one: &Self| one.hooks.is_some() || one.runtime.is_some();
        let plain = |one: &Self| (one.agent, one.limits, one.handler_deadline, one.hands_over, one.lazy);
        plain(self) == plain(other) && !(special(self) || special(other)) && offers == others
    }
}

struct AgentWorker<A: Agent> {
    args: A::Args,
    settings: Arc<Settings>,
    agent: PhantomData<fn() -> A>,
}

impl<A: Agent> Worker for AgentWorker<A> {
    fn check(&self, path: &dyn Fn() -> Path) -> Result<(), SpecError> {
        let settings = &*self.settings;
        let zero = |limit| SpecError::ZeroLimit { child: path().to_string(), limit };
        if settings.limits.mailbox == Some(0) {
            return Err(zero("mailbox"));
        }
        if settings.limits.tasks == Some(0) {
            return Err(zero("number of concurrent tasks"));
        }
        let limits = Limits { agent: settings.limits.over(&AgentLimits::default()), ..Limits::default() };
        limits.check().map_err(|problem| SpecError::AgentLimit { child: path().to_string(), problem })?;
        if settings.lazy.is_some() && TypeId::of::<A>() == TypeId::of::<Once>() {
            return Err(SpecError::LazyTask { child: path().to_string() });
        }
        if settings.lazy.is_some_and(|idle| idle.is_zero()) {
            return Err(zero("time to idle"));
        }
        if settings.handler_deadline.is_some_and(|limit| limit.is_zero()) {
            return Err(zero("handler deadline"));
        }
        settings.offers.as_ref().map(|_| ()).map_err(|wrong| {
            let SpecErrorParts { capability, version, problem } = (**wrong).clone();
            let child = path().to_string();
            match *problem {
                InvalidOffer::Version(_) => SpecError::Version { child, capability, version },
                _ => SpecError::Offer { child, capability, problem },
            }
        })
    }

    fn settings(&self) -> Option<&Arc<Settings>> {
        Some(&self.settings)
    }

    fn share(&mut self, other: &dyn Worker) {
        if let Some(other) = other.settings().filter(|other| other.is_like(&self.settings)) {
            self.settings = Arc::clone(other);
        }
    }

    fn fits(&self, slot: &Arc<dyn AnySlot>) -> bool {
        let slot = Arc::clone(slot).as_any().downcast::<Slot<A::Message, A::Reply>>();
        slot.is_ok_and(|slot| slot.is_of::<A>())
    }

    fn slot(&self, system: &System, path: Path) -> Arc<dyn AnySlot> {
        let core = system.slot_core(path, self.settings.offers());
        let limits = self.settings.limits.over(&system.limits().agent);
        let slot = Slot::<A::Message, A::Reply>::new::<A>(core, &limits);
        slot.hand_over(self.settings.hands_over);
        Arc::new(slot)
    }

    fn renew(&self, system: &System, slot: &Arc<dyn AnySlot>) {
        if let Ok(slot) = Arc::clone(slot).as_any().downcast::<Slot<A::Message, A::Reply>>() {
            let limits = self.settings.limits.over(&system.limits().agent);
            slot.renew(self.settings.offers(), &limits);
            slot.hand_over(self.settings.hands_over);
        }
    }

    fn may_start_in_place(&self) -> bool {
        // Code that may block its thread, as far as anybody looks, blocks one of its own and not its supervisor's.
        self.settings.handler_deadline.is_none() && self.settings.runtime.is_none()
    }

    fn is_lazy(&self) -> bool {
        self.settings.lazy.is_some()
    }

    fn on_runtime(&self, runtime: &Handle) -> Option<Arc<dyn Worker>> {
        if self.settings.runtime.is_some() {
            return None;
        }
        let settings = Settings { runtime: Some(runtime.clone()), ..(*self.settings).clone() };
        Some(Arc::new(Self { args: self.args.clone(), settings: Arc::new(settings), agent: PhantomData }))
    }

    fn spawn(&self, start: StartOf) -> Result<ActorCell, SpawnErr> {
        let (settings, watch) = (&*self.settings, start.system.watch());
        if let Some(above) = start.above {
            let limit = settings.handler_deadline.map(|limit| Box::new((limit, Arc::default())));
            start.life.oversee(Overseer { above, limit, slot: Arc::downgrade(&start.slot) });
        }
        if let Some(most) = settings.limits.over(&start.system.limits().agent).concurrent_tasks {
            let bulkhead = Bulkhead::new(most as usize, usize::MAX);
            start.life.tasks.limit(Permits::new(Arc::clone(start.system.clock()), bulkhead));
        }
        let slot = start.slot.as_any().downcast::<Slot<A::Message, A::Reply>>();
        let slot = slot.map_err(|_| SpawnErr::StartupFailed("the slot is of another agent".into()))?;
        let birth = Birth::<A> {
            slot,
            life: start.life,
            args: self.args.clone(),
            handler_deadline: settings.handler_deadline,
            runtime: settings.runtime.as_ref().map(|handle| watch.on(handle)),
            hooks: settings.hooks.clone(),
            lazy: settings.lazy,
            right_here: start.right_here,
            system: start.system,
        };
        // What is spawned now, ractor's task of the actor above all, runs there.
        let _entered = settings.runtime.as_ref().map(Handle::enter);
        let (actor, _) = spawn_at_once(Shell::<A>::new(), birth, start.supervisor, start.right_here)?;
        Ok(actor.get_cell())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::spec::SupervisorSpec;
    use crate::supervision::policy::Strategy;

    const ECHO: Capability<u8, u8> = Capability::new("test.echo", "1.0.0");
    const OTHER: Capability<u8, u8> = Capability::new("test.echo", "1.1.0");

    type Echo = AgentSpec<crate::runtime::serve::Served<u8, u8>>;

    /// Whether two siblings keep one copy of what they are told.
    fn share(one: impl FnOnce(Echo) -> Echo, other: impl FnOnce(Echo) -> Echo) -> bool {
        let echo = |name: &str, offer: &Capability<u8, u8>| ChildSpec::serve(name, offer, |_, n| async move { Ok(n) });
        let spec = SupervisorSpec::new("root", Strategy::OneForOne);
        let spec = spec.child(one(echo("a", &ECHO))).child(other(echo("b", &ECHO)));
        let settings = |place: usize| match &spec.children[place].kind {
            Kind::Worker(worker) => Arc::clone(worker.settings().expect("an agent")),
            _ => panic!("an agent"),
        };
        Arc::ptr_eq(&settings(0), &settings(1))
    }

    #[test]
    fn siblings_that_are_told_the_same_share_it_and_those_that_are_not_do_not() {
        let idle = Duration::from_secs(1);
        assert!(share(|echo| echo, |echo| echo));
        assert!(share(|echo| echo.lazy(idle).mailbox(7), |echo| echo.lazy(idle).mailbox(7)));
        assert!(!share(|echo| echo, |echo| echo.lazy(idle)));
        assert!(!share(|echo| echo.mailbox(7), |echo| echo.mailbox(8)));
        assert!(!share(|echo| echo, Echo::hand_over));
        assert!(!share(|echo| echo, |echo| echo.handler_deadline(idle)));
        assert!(!share(|echo| echo, |echo| echo.offers(&OTHER)));
        // What a hook does cannot be compared.
        let hook = |echo: Echo| echo.hook_after("h", On::Entering(crate::StateName::Active), |_, _| async { Ok(()) });
        assert!(!share(hook, hook));
    }
}
