//! The actors of a replay on real trees: they follow the scripts of their scenario, and write down what happens to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::supervision::{Mutation, Strategy};
use steadfast::testing::End;
use steadfast::{
    Agent, AutoShutdown, BoxError, ChildSpec, Context, DynamicSupervisorSpec, ExitReason, Ignore, Intensity, Restart,
    Shutdown, ShutdownCause, SupervisorContext, SupervisorSpec,
};
use tokio::sync::{Notify, watch};

use super::format::Node;

/// What all actors of one replay share.
#[derive(Default)]
pub(crate) struct Stage {
    events: Mutex<Vec<Value>>,
    attempts: Mutex<BTreeMap<String, u32>>,
    /// Which attempt began which life, by path and incarnation.
    lives: Mutex<BTreeMap<(String, u64), (String, u32)>>,
    /// Where each id stands, and whether it is a supervisor.
    places: Mutex<BTreeMap<String, (String, bool)>>,
    /// The starts that wait to be released, by path.
    gates: Mutex<BTreeMap<String, Arc<Notify>>>,
    /// The template's id of each dynamic supervisor, by path.
    templates: Mutex<BTreeMap<String, String>>,
    /// The keys of instances, by path.
    instances: Mutex<BTreeMap<String, String>>,
    /// How many events there have been in all, and who waits for more.
    written: watch::Sender<usize>,
}

/// An instance of a template.
pub(crate) struct Instance {
    pub(crate) key: String,
    pub(crate) start: Option<Vec<String>>,
    pub(crate) on_shutdown: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    pub(crate) fn write(&self, event: Value) {
        lock(&self.events).push(event);
        self.written.send_modify(|written| *written += 1);
    }

    /// Waits until there have been more events than this.
    pub(crate) async fn writes_more_than(&self, most: usize) {
        // Never an error: the sender is this stage's.
        let _ = self.written.subscribe().wait_for(|written| *written > most).await;
    }

    /// What happened since the last look.
    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *lock(&self.events))
    }

    pub(crate) fn places(&self) -> MutexGuard<'_, BTreeMap<String, (String, bool)>> {
        lock(&self.places)
    }

    pub(crate) fn attempt_of(&self, path: &str, life: u64) -> Option<u32> {
        lock(&self.lives).get(&(path.to_owned(), life)).map(|(_, attempt)| *attempt)
    }

    pub(crate) fn template_of(&self, path: &str) -> String {
        lock(&self.templates).get(path).cloned().unwrap_or_default()
    }

    /// The key of the instance that a supervisor is, or is below.
    pub(crate) fn prefix_of(&self, path: &str) -> Option<String> {
        let within = |instance: &str| path == instance || path.starts_with(&format!("{instance}/"));
        lock(&self.instances).iter().find(|(instance, _)| within(instance)).map(|(_, key)| key.clone())
    }

    pub(crate) fn holds(&self, path: &str) -> bool {
        lock(&self.gates).contains_key(path)
    }

    pub(crate) fn release(&self, id: &str) {
        let Some((path, _)) = self.places().get(id).cloned() else { return };
        if let Some(gate) = lock(&self.gates).remove(&path) {
            gate.notify_one();
        }
    }

    /// A life is gone; its supervisor has not reacted.
    pub(crate) fn ended(&self, end: &End<'_>) {
        let key = (end.path.to_string(), end.incarnation.get());
        let Some((id, attempt)) = lock(&self.lives).get(&key).cloned() else { return };
        lock(&self.gates).remove(&key.0);
        let is_supervisor = self.places().get(&id).is_some_and(|(_, is_supervisor)| *is_supervisor);
        if is_supervisor && !end.started {
            return self.write(json!(["start_failed", id, attempt]));
        }
        self.write(json!(["stop", id, attempt, written(end.reason)]));
    }

    /// The next attempt to start `id`: its number, and what its script says.
    fn attempt(&self, id: &str, script: &[String]) -> (u32, String) {
        let mut attempts = lock(&self.attempts);
        let attempt = attempts.entry(id.to_owned()).or_default();
        *attempt += 1;
        let place = (*attempt as usize).min(script.len()) - 1;
        (*attempt, script[place].clone())
    }

    /// Follows the script of a start. Returns the reason with which it exits right afterwards, if it does.
    async fn follow(&self, part: &Part, path: &str, life: u64) -> Result<Option<String>, BoxError> {
        let (attempt, script) = self.attempt(&part.id, &part.start);
        // One of the same name that was forgotten counted its lives from the beginning too.
        lock(&self.lives).remove(&(path.to_owned(), life));
        let mut act = script.as_str();
        if let Some(gated) = act.strip_prefix("gate:") {
            let gate = Arc::new(Notify::new());
            lock(&self.gates).insert(path.to_owned(), Arc::clone(&gate));
            gate.notified().await;
            act = gated;
        }
        let failed = || self.write(json!(["start_failed", part.id, attempt]));
        match act {
            "fail" => {
                failed();
                Err("it fails".into())
            }
            "crash" => {
                failed();
                panic!("it crashes");
            }
            "ignore" => {
                self.write(json!(["ignored", part.id, attempt]));
                Err(Ignore.into())
            }
            up => {
                lock(&self.lives).insert((path.to_owned(), life), (part.id.clone(), attempt));
                self.write(json!(["start", part.id, attempt]));
                Ok(up.strip_prefix("ok_exit:").map(str::to_owned))
            }
        }
    }
}

/// What an actor is in the scenario.
struct Part {
    id: String,
    start: Vec<String>,
    on_shutdown: String,
}

/// A worker of the scenario.
pub(crate) struct Worker {
    part: Arc<Part>,
    exits: bool,
}

/// Told to a worker: exit by yourself, with this reason.
pub(crate) struct Order(pub(crate) String);

#[derive(Clone)]
pub(crate) struct Cast {
    stage: Arc<Stage>,
    part: Arc<Part>,
}

impl Agent for Worker {
    type Args = Cast;
    type Message = Order;
    type Reply = ();

    async fn start(cast: Cast, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let exits = cast.stage.follow(&cast.part, ctx.path().as_str(), ctx.incarnation().get()).await?;
        if let Some(reason) = exits {
            ctx.myself().tell(Order(reason))?;
        }
        Ok(Self { part: cast.part, exits: false })
    }

    async fn handle(&mut self, Order(word): Order, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        self.exits = true;
        match word.as_str() {
            "crash" => Err("it crashes".into()),
            word => {
                ctx.stop(reason(word));
                Ok(())
            }
        }
    }

    async fn stop(&mut self, _: &ExitReason, ctx: &mut Context<Self>) {
        if self.exits {
            return;
        }
        match self.part.on_shutdown.as_str() {
            "stop" => {}
            "ignore" => std::future::pending().await,
            "exit:crash" => panic!("it crashes when it is asked to stop"),
            other => match other.split_once(':') {
                Some(("delay", ms)) => tokio::time::sleep(Duration::from_millis(ms.parse().expect("a time"))).await,
                Some(("exit", word)) => ctx.stop(reason(word)),
                _ => panic!("an unknown behaviour: {other}"),
            },
        }
    }
}

pub(crate) fn named(prefix: Option<&str>, id: &str) -> String {
    prefix.map_or_else(|| id.to_owned(), |prefix| format!("{prefix}/{id}"))
}

/// Where a node is put.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) stage: Arc<Stage>,
    pub(crate) above: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) mutation: Option<Mutation>,
}

impl Place {
    fn path_of(&self, id: &str) -> String {
        self.above.as_ref().map_or_else(|| id.to_owned(), |above| format!("{above}/{id}"))
    }

    fn part(&self, node: &Node, id: String) -> Arc<Part> {
        let path = self.path_of(&node.id);
        self.stage.places().insert(id.clone(), (path, node.is_supervisor()));
        Arc::new(Part { id, start: node.start.clone(), on_shutdown: node.on_shutdown.clone() })
    }
}

/// A node as a child; or why it cannot even be written down.
pub(crate) fn child(place: &Place, node: &Node) -> Result<ChildSpec, &'static str> {
    let spec: ChildSpec = if node.is_supervisor() {
        ChildSpec::supervisor(supervisor(place, node)?)
    } else {
        let part = place.part(node, named(place.prefix.as_deref(), &node.id));
        ChildSpec::agent::<Worker>(&node.id, Cast { stage: Arc::clone(&place.stage), part }).into()
    };
    let spec = spec.restart(restart(&node.restart)).shutdown(shutdown(&node.shutdown));
    Ok(if node.significant { spec.significant() } else { spec })
}

pub(crate) fn supervisor(place: &Place, node: &Node) -> Result<SupervisorSpec, &'static str> {
    let path = place.path_of(&node.id);
    let id = place.prefix.as_ref().filter(|prefix| **prefix == node.id).cloned();
    let part = place.part(node, id.unwrap_or_else(|| named(place.prefix.as_deref(), &node.id)));
    let below = Place { above: Some(path.clone()), ..place.clone() };
    let intensity = intensity(node)?;
    let auto_shutdown = match node.auto_shutdown.as_str() {
        "any_significant" => AutoShutdown::AnySignificant,
        "all_significant" => AutoShutdown::AllSignificant,
        _ => AutoShutdown::Never,
    };
    let mut spec = if let (true, [template]) = (node.is_dynamic(), &node.children[..]) {
        lock(&place.stage.templates).insert(path, template.id.clone());
        pool(&below, node, template)
    } else {
        let strategy = match node.strategy.as_str() {
            "one_for_one" => Strategy::OneForOne,
            "one_for_all" => Strategy::OneForAll,
            "rest_for_one" => Strategy::RestForOne,
            _ => return Err("simple_needs_one_template"),
        };
        let mut spec = SupervisorSpec::new(&node.id, strategy);
        for each in &node.children {
            spec = spec.child(child(&below, each)?);
        }
        spec
    };
    if let Some(mutation) = place.mutation {
        spec = spec.mutated(mutation);
    }
    let stage = Arc::clone(&place.stage);
    Ok(spec.intensity(intensity).auto_shutdown(auto_shutdown).init(move |ctx: SupervisorContext| {
        let (stage, part) = (Arc::clone(&stage), Arc::clone(&part));
        async move { stage.follow(&part, ctx.path.as_str(), ctx.incarnation.get()).await.map(|_| ()) }
    }))
}

fn pool(place: &Place, node: &Node, template: &Node) -> SupervisorSpec {
    let (made, kind) = (template.clone(), template.clone());
    let place = place.clone();
    let instance = move |Instance { key, start, on_shutdown }: Instance| {
        let mut node = made.clone();
        node.id.clone_from(&key);
        node.start = start.unwrap_or(node.start);
        node.on_shutdown = on_shutdown.unwrap_or(node.on_shutdown);
        let path = place.path_of(&key);
        let prefix = if node.is_supervisor() {
            lock(&place.stage.instances).insert(path, key.clone());
            Some(key)
        } else {
            None
        };
        (Place { prefix, ..place.clone() }, node)
    };
    let spec = if kind.is_supervisor() {
        DynamicSupervisorSpec::of_supervisors(&node.id, move |args| {
            let (place, node) = instance(args);
            supervisor(&place, &node).expect("a template that can be written down")
        })
    } else {
        DynamicSupervisorSpec::new(&node.id, move |args| {
            let (place, node) = instance(args);
            child(&place, &node).expect("a template that can be written down")
        })
    };
    let spec = spec.template(&kind.id).restart(restart(&kind.restart)).shutdown(shutdown(&kind.shutdown));
    if kind.significant { spec.significant().into() } else { spec.into() }
}

fn intensity(node: &Node) -> Result<Intensity, &'static str> {
    let max = u32::try_from(node.intensity).map_err(|_| "invalid_intensity")?;
    let period = u64::try_from(node.period_s).map_err(|_| "invalid_period")?;
    Ok(Intensity::at_most(max).within(Duration::from_secs(period)))
}

fn restart(word: &str) -> Restart {
    match word {
        "permanent" => Restart::Permanent,
        "transient" => Restart::Transient,
        "temporary" => Restart::Temporary,
        other => panic!("an unknown restart type: {other}"),
    }
}

fn shutdown(value: &Value) -> Shutdown {
    match (value.as_str(), value.as_u64()) {
        (Some("brutal_kill"), _) => Shutdown::Kill,
        (Some("infinity"), _) => Shutdown::Wait,
        (_, Some(ms)) => Shutdown::Within(Duration::from_millis(ms)),
        _ => panic!("an unknown shutdown: {value}"),
    }
}

pub(crate) fn shutdown_as_written(shutdown: Shutdown) -> Value {
    match shutdown {
        Shutdown::Kill => json!("brutal_kill"),
        Shutdown::Wait => json!("infinity"),
        Shutdown::Within(limit) => json!(limit.as_millis()),
    }
}

pub(crate) fn reason(word: &str) -> ExitReason {
    match word.split_once(':') {
        Some(("shutdown", because)) => ExitReason::Shutdown(ShutdownCause::Because(because.to_owned())),
        _ => match word {
            "normal" => ExitReason::Normal,
            "shutdown" => ExitReason::SHUTDOWN,
            "killed" => ExitReason::Killed,
            other => ExitReason::Failed(steadfast::Failure::new(other.to_owned())),
        },
    }
}

fn written(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Normal => "normal".to_owned(),
        ExitReason::Shutdown(ShutdownCause::Because(because)) => format!("shutdown:{because}"),
        ExitReason::Shutdown(_) => "shutdown".to_owned(),
        ExitReason::Killed => "killed".to_owned(),
        _ => "crash".to_owned(),
    }
}

/// The children that did not start, from the one that was asked for down to the culprit.
pub(crate) fn culprits(prefix: Option<&str>, mut reason: &ExitReason) -> Vec<String> {
    let mut path = Vec::new();
    while let ExitReason::Shutdown(ShutdownCause::ChildFailedToStart { child, reason: below }) = reason {
        path.push(named(prefix, child.as_str()));
        reason = below;
    }
    path
}
