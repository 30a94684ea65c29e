//! What the machines of a tree are told, and what obeys them.

mod lives;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use steadfast::supervision::{
    ChildKey, ChildRow, ChildState, Command, Doing, Event, Machine, Mutation, Progress, Reply, Request, RequestId,
    Start,
};
use steadfast::{ChildId, ExitReason, Failure};

use crate::otp::format::{Node, Op};
use crate::otp::words;

/// How many events a scenario may have. The longest recorded one has a few hundred.
const MOST_STEPS: u32 = 20_000;

/// One incarnation of something.
pub(super) type ActorId = u64;

/// Where a child belongs: its supervisor's incarnation, its key there, and its start.
type Place = (ActorId, ChildKey, Start);

/// A spec as a supervisor keeps it.
#[derive(Clone)]
struct Spec {
    /// What it is called in events.
    name: String,
    /// What stands before the ids of its descendants.
    prefix: String,
    node: Node,
}

struct Actor {
    spec: Spec,
    n: u32,
    place: Option<Place>,
    /// While it is blocked in its start: what comes of that when it is released.
    gate: Option<String>,
    /// When it will stop, where that takes time.
    stops_at: Option<Duration>,
    supervisor: Option<Box<Supervisor>>,
}

struct Supervisor {
    machine: Machine,
    specs: BTreeMap<ChildKey, Spec>,
    template: Option<Node>,
    lives: BTreeMap<Start, (ActorId, u32)>,
    is_ready: bool,
    exits_with: Option<String>,
    armed: Option<Duration>,
}

pub(super) struct World {
    mutation: Option<Mutation>,
    now: Duration,
    line: VecDeque<(ActorId, Event)>,
    actors: BTreeMap<ActorId, Actor>,
    last: ActorId,
    attempts: BTreeMap<String, u32>,
    /// What supervisors start from since they were updated, by name.
    updated: BTreeMap<String, Node>,
    asked: BTreeMap<RequestId, Op>,
    answers: BTreeMap<RequestId, Value>,
    events: Vec<Value>,
    outcome: Value,
    steps: u32,
}

impl World {
    pub(super) fn new(mutation: Option<Mutation>) -> Self {
        Self {
            mutation,
            now: Duration::ZERO,
            line: VecDeque::new(),
            actors: BTreeMap::new(),
            last: 0,
            attempts: BTreeMap::new(),
            updated: BTreeMap::new(),
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            outcome: Value::Null,
            steps: 0,
        }
    }

    pub(super) fn start_root(&mut self, tree: &Node) {
        let spec = Spec { name: tree.id.clone(), prefix: String::new(), node: tree.clone() };
        self.start(spec, None);
    }

    /// How the start of the root ended.
    pub(super) fn outcome(&self) -> Value {
        self.outcome.clone()
    }

    pub(super) fn take_events(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn take_answer(&mut self, request: RequestId) -> Option<Value> {
        self.answers.remove(&request)
    }

    pub(super) fn tell(&mut self, actor: ActorId, event: Event) {
        self.line.push_back((actor, event));
    }

    pub(super) fn ask(&mut self, supervisor: ActorId, request: RequestId, what: Request, op: &Op) {
        self.asked.insert(request, op.clone());
        self.tell(supervisor, Event::Request { request, what });
    }

    fn find(&self, name: &str) -> Option<(ActorId, &Actor)> {
        self.actors.iter().find(|(_, actor)| actor.spec.name == name).map(|(id, actor)| (*id, actor))
    }

    /// The supervisor of this name, if it lives.
    pub(super) fn supervisor(&self, name: &str) -> Option<ActorId> {
        self.find(name).filter(|(_, actor)| actor.supervisor.is_some() && actor.gate.is_none()).map(|(id, _)| id)
    }

    pub(super) fn supervisors(&self) -> Vec<(String, ActorId)> {
        let supervisors = self.actors.iter().filter(|(_, actor)| actor.supervisor.is_some());
        supervisors.map(|(id, actor)| (actor.spec.name.clone(), *id)).collect()
    }

    pub(super) fn root(&self) -> Option<ActorId> {
        self.actors.iter().find(|(_, actor)| actor.place.is_none()).map(|(id, _)| *id)
    }

    pub(super) fn alive(&self) -> impl Iterator<Item = &str> {
        self.actors.values().map(|actor| actor.spec.name.as_str())
    }

    pub(super) fn is_dynamic(&self, supervisor: ActorId) -> bool {
        self.template_id(supervisor).is_some()
    }

    pub(super) fn template_id(&self, supervisor: ActorId) -> Option<ChildId> {
        let template = self.actors.get(&supervisor)?.supervisor.as_ref()?.template.as_ref()?;
        Some(words::child_id(&template.id))
    }

    /// The name by which a supervisor's machine knows a child.
    pub(super) fn local(&self, supervisor: ActorId, id: &str) -> ChildId {
        let prefix = self.actors.get(&supervisor).map_or("", |actor| &actor.spec.prefix);
        words::child_id(id.strip_prefix(prefix).unwrap_or(id))
    }

    pub(super) fn was_started(&self, name: &str) -> bool {
        self.attempts.contains_key(name)
    }

    pub(super) fn is_alive_elsewhere(&self, supervisor: ActorId, name: &str) -> bool {
        self.find(name).is_some_and(|(_, actor)| actor.place.is_none_or(|(parent, ..)| parent != supervisor))
    }

    /// Something exits by itself. Returns whether it was up.
    pub(super) fn exit(&mut self, name: &str, word: &str) -> bool {
        let Some((id, actor)) = self.find(name).filter(|(_, actor)| actor.gate.is_none()) else { return false };
        match (actor.supervisor.is_some(), word) {
            (true, "kill") => self.tell(id, Event::Kill),
            (true, _) => self.tell(id, Event::Stop { reason: words::reason(word) }),
            (false, _) => self.end(id, words::reason(word)),
        }
        true
    }

    /// Opens the gate of a start that is blocked, if there is one.
    pub(super) fn release(&mut self, name: &str) {
        let Some((id, actor)) = self.find(name).filter(|(_, actor)| actor.gate.is_some()) else { return };
        if actor.gate.as_deref() == Some("ok") {
            self.came_up(id);
        } else {
            self.end(id, failed_start());
        }
    }

    /// Lets everything happen that follows, and time pass for what waits for a stop.
    pub(super) fn settle(&mut self) {
        loop {
            self.run();
            let waits = |actor: &Actor| matches!(&actor.supervisor, Some(it) if matches!(it.machine.doing(), Doing::Stopping(_)));
            let Some(at) = self.next_moment(waits) else { return };
            self.come(at);
        }
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next_moment(|_| true).filter(|at| *at <= end) {
            self.come(at);
            self.run();
        }
        self.now = self.now.max(end);
    }

    fn next_moment(&self, waits: impl Fn(&Actor) -> bool) -> Option<Duration> {
        let stops = self.actors.values().filter_map(|actor| actor.stops_at);
        let waiting = self.actors.values().filter(|actor| waits(actor));
        let alarms = waiting.filter_map(|actor| actor.supervisor.as_ref()?.armed);
        stops.chain(alarms).min().filter(|_| self.steps < MOST_STEPS)
    }

    /// A moment has come.
    fn come(&mut self, at: Duration) {
        self.now = self.now.max(at);
        let due = |moment: Option<Duration>| moment.is_some_and(|moment| moment <= at);
        let stopping: Vec<_> = self.actors.iter().filter(|(_, it)| due(it.stops_at)).map(|(id, _)| *id).collect();
        for id in stopping {
            self.end(id, ExitReason::SHUTDOWN);
        }
        for (id, actor) in &mut self.actors {
            if let Some(supervisor) = actor.supervisor.as_mut().filter(|it| due(it.armed)) {
                supervisor.armed = None;
                self.line.push_back((*id, Event::Timer));
            }
        }
    }

    fn run(&mut self) {
        while let Some((id, event)) = self.line.pop_front() {
            self.steps += 1;
            if self.steps >= MOST_STEPS {
                self.events.push(json!(["does not settle"]));
                self.line.clear();
                return;
            }
            let supervisor = self.actors.get_mut(&id).and_then(|actor| actor.supervisor.as_mut());
            match supervisor {
                Some(supervisor) => {
                    for command in supervisor.machine.step(self.now, event) {
                        self.obey(id, command);
                    }
                }
                None => {
                    if let Event::Request { request, .. } = event {
                        self.answers.insert(request, words::error("noproc"));
                    }
                }
            }
        }
    }

    fn obey(&mut self, id: ActorId, command: Command) {
        match command {
            Command::Start { child, start, .. } => {
                let supervisor = self.actors.get(&id).and_then(|actor| actor.supervisor.as_ref());
                if let Some(spec) = supervisor.and_then(|it| it.specs.get(&child)).cloned() {
                    self.start(spec, Some((id, child, start)));
                }
            }
            Command::Stop { start, reason, .. } => self.ask_to_stop(id, start, reason),
            Command::Kill { start, .. } => match self.life(id, start) {
                Some((child, true)) => self.tell(child, Event::Kill),
                Some((child, false)) => self.end(child, ExitReason::Killed),
                None => {}
            },
            Command::AskProgress { child, start } => {
                let progress = self.life(id, start).map_or(Progress::Unknown, |(child, _)| self.progress(child));
                self.tell(id, Event::Progress { child, start, progress });
            }
            Command::Abandon { start, .. } => {
                let name = self.life(id, start).and_then(|(child, _)| self.actors.get(&child));
                self.events.push(json!(["abandoned", name.map(|actor| &actor.spec.name)]));
            }
            Command::Adopt { child, request, place, .. } => self.adopt(id, child, request, place),
            Command::Reply { request, reply } => {
                let answer = self.answer(id, request, reply);
                let old = self.answers.insert(request, answer);
                assert!(old.is_none(), "{request:?} is answered twice");
            }
            Command::Arm { at } => {
                if let Some(supervisor) = self.actors.get_mut(&id).and_then(|actor| actor.supervisor.as_mut()) {
                    supervisor.armed = Some(at);
                }
            }
            Command::Ready => self.ready(id),
            Command::Exit { reason } => self.end(id, reason),
            _ => {}
        }
    }

    fn start(&mut self, spec: Spec, place: Option<Place>) {
        let attempt = self.attempts.entry(spec.name.clone()).or_default();
        *attempt += 1;
        let n = *attempt;
        let script = &spec.node.start;
        let act = script.get(n as usize - 1).or(script.last()).map_or("ok", String::as_str).to_owned();
        self.last += 1;
        let id = self.last;
        let lives = place.and_then(|(parent, _, start)| Some((self.actors.get_mut(&parent)?, start)));
        if let Some((Some(supervisor), start)) = lives.map(|(actor, start)| (actor.supervisor.as_mut(), start)) {
            supervisor.lives.insert(start, (id, n));
        }
        let name = spec.name.clone();
        let supervisor = spec.node.is_supervisor().then(|| Box::new(self.supervisor_of(&spec)));
        let gate = Some(String::new());
        self.actors.insert(id, Actor { spec, n, place, gate, stops_at: None, supervisor });
        match act.split_once(':').unwrap_or((&act, "")) {
            ("fail" | "crash", _) => self.end(id, failed_start()),
            ("ignore", _) => {
                self.actors.remove(&id);
                self.events.push(json!(["ignored", name, n]));
                match place {
                    Some((parent, child, start)) => self.tell(parent, Event::Ignored { child, start }),
                    None => self.outcome = json!({ "ok": null }),
                }
            }
            ("gate", then) => {
                if let Some(actor) = self.actors.get_mut(&id) {
                    actor.gate = Some(then.to_owned());
                }
            }
            ("ok_exit", word) => {
                if let Some(supervisor) = self.actors.get_mut(&id).and_then(|actor| actor.supervisor.as_mut()) {
                    supervisor.exits_with = Some(word.to_owned());
                }
                self.came_up(id);
                if self.actors.get(&id).is_some_and(|actor| actor.supervisor.is_none()) {
                    self.end(id, words::reason(word));
                }
            }
            _ => self.came_up(id),
        }
    }

    fn supervisor_of(&self, spec: &Spec) -> Supervisor {
        let node = self.updated.get(&spec.name).unwrap_or(&spec.node);
        let mut rules = words::rules(node).expect("it was checked");
        if let Some(mutation) = self.mutation {
            rules = rules.mutated(mutation);
        }
        let mut children = words::children(node).expect("they were checked");
        let (machine, template) = if node.is_dynamic() {
            (Machine::dynamic(rules, children.remove(0), None), Some(node.children[0].clone()))
        } else {
            (Machine::new(rules, children), None)
        };
        let keys: Vec<_> = machine.children().map(|(key, _)| key).collect();
        let specs = keys.into_iter().zip(&node.children).map(|(key, child)| (key, below(&spec.prefix, child)));
        let specs = specs.collect();
        let lives = BTreeMap::new();
        Supervisor { machine, specs, template, lives, is_ready: false, exits_with: None, armed: None }
    }

    /// A worker is up; a supervisor begins to start its children.
    fn came_up(&mut self, id: ActorId) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        actor.gate = None;
        self.events.push(json!(["start", actor.spec.name, actor.n]));
        match (actor.supervisor.is_some(), actor.place) {
            (true, _) => self.tell(id, Event::Init),
            (false, Some((parent, child, start))) => self.tell(parent, Event::Started { child, start }),
            (false, None) => {}
        }
    }

    /// All children of a supervisor have started.
    fn ready(&mut self, id: ActorId) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let Some(supervisor) = &mut actor.supervisor else { return };
        supervisor.is_ready = true;
        let word = supervisor.exits_with.take();
        match actor.place {
            Some((parent, child, start)) => self.tell(parent, Event::Started { child, start }),
            None => self.outcome = json!({ "ok": [actor.spec.name, actor.n] }),
        }
        if let Some(word) = word {
            self.tell(id, Event::Stop { reason: words::reason(&word) });
        }
    }

    /// Something is gone.
    fn end(&mut self, id: ActorId, reason: ExitReason) {
        let Some(actor) = self.actors.remove(&id) else { return };
        let was_up = actor.gate.is_none() && actor.supervisor.as_ref().is_none_or(|it| it.is_ready);
        let (name, n) = (&actor.spec.name, actor.n);
        if was_up {
            self.events.push(json!(["stop", name, n, words::reason_word(&reason)]));
        } else if actor.gate.is_none() || !matches!(reason, ExitReason::Killed) {
            // A start that is killed while it is blocked neither came up nor failed.
            self.events.push(json!(["start_failed", name, n]));
        }
        match actor.place {
            Some((parent, child, start)) => self.tell(parent, Event::Exited { child, start, reason }),
            None if !was_up => self.outcome = words::failed_to_start(&reason),
            None => {}
        }
    }

    fn ask_to_stop(&mut self, id: ActorId, start: Start, reason: ExitReason) {
        let (child, now) = match self.life(id, start) {
            Some((child, true)) => return self.tell(child, Event::Stop { reason }),
            Some((child, false)) => (child, self.now),
            None => return,
        };
        let Some(actor) = self.actors.get_mut(&child) else { return };
        let behaviour = actor.spec.node.on_shutdown.clone();
        match behaviour.split_once(':').unwrap_or((&behaviour, "")) {
            ("ignore", _) => {}
            ("exit", word) => self.end(child, words::reason(word)),
            ("delay", ms) => actor.stops_at = Some(now + Duration::from_millis(ms.parse().expect("a time"))),
            _ => self.end(child, ExitReason::SHUTDOWN),
        }
    }

    fn adopt(&mut self, id: ActorId, child: ChildKey, request: RequestId, place: usize) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let Some(supervisor) = &mut actor.supervisor else { return };
        let spec = match (self.asked.get(&request), &supervisor.template) {
            (Some(Op::StartChild { key: Some(key), start, on_shutdown, .. }), Some(template)) => {
                let mut node = template.clone();
                node.id.clone_from(key);
                node.start = start.clone().unwrap_or(node.start);
                node.on_shutdown = on_shutdown.clone().unwrap_or(node.on_shutdown);
                Spec { name: key.clone(), prefix: format!("{key}/"), node }
            }
            (Some(Op::StartChild { child: Some(node), .. }), _) => below("", node),
            (Some(Op::Update { spec, .. }), _) => below(&actor.spec.prefix, &spec.children[place]),
            _ => return,
        };
        supervisor.specs.insert(child, spec);
    }

    fn answer(&mut self, id: ActorId, request: RequestId, reply: Reply) -> Value {
        let Some(actor) = self.actors.get_mut(&id) else { return words::error("noproc") };
        let Some(supervisor) = &mut actor.supervisor else { return words::error("noproc") };
        match reply {
            Reply::Started { child, start } => {
                let n = supervisor.lives.get(&start).map(|(_, n)| n);
                json!({ "ok": [supervisor.specs.get(&child).map(|spec| &spec.name), n] })
            }
            Reply::Ignored => json!({ "ok": null }),
            Reply::Done => {
                if let Some(Op::Update { spec, .. }) = self.asked.get(&request) {
                    if supervisor.template.is_some() {
                        supervisor.template = spec.children.first().cloned();
                    }
                    self.updated.insert(actor.spec.name.clone(), (**spec).clone());
                }
                json!("ok")
            }
            Reply::Children(rows) => supervisor.rows(&rows),
            Reply::Counts(counts) => words::counts(&counts),
            Reply::Spec(rules) => words::spec(&rules),
            Reply::Refused(refusal) => words::refusal(&refusal),
            other => json!(format!("{other:?}")),
        }
    }
}

impl Supervisor {
    fn rows(&self, rows: &[ChildRow]) -> Value {
        let is_dynamic = self.template.is_some();
        let mut rows: Vec<_> = rows.iter().map(|row| self.row(row, is_dynamic)).collect();
        if is_dynamic {
            rows.sort_by_key(|row| row["id"].as_str().map(str::to_owned));
        }
        Value::Array(rows)
    }

    fn row(&self, row: &ChildRow, is_dynamic: bool) -> Value {
        let state = match row.state {
            ChildState::Restarting => "restarting",
            ChildState::Stopped | ChildState::Quarantined => "stopped",
            // As OTP shows the pid of one that is dead already.
            _ => "running",
        };
        let n = row.start.and_then(|start| self.lives.get(&start)).map(|(_, n)| n);
        let name = self.specs.get(&row.key).map(|spec| &spec.name);
        let id = name.filter(|_| !(is_dynamic && row.state == ChildState::Restarting));
        json!({ "id": id, "n": n, "state": state, "type": words::kind_word(row.kind) })
    }
}

/// The spec of a child whose names begin so.
fn below(prefix: &str, node: &Node) -> Spec {
    Spec { name: format!("{prefix}{}", node.id), prefix: prefix.to_owned(), node: node.clone() }
}

fn failed_start() -> ExitReason {
    ExitReason::StartFailed(Failure::new("the script says so"))
}
