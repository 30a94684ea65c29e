//! Guarantee: an agent that is told anything in any order is in the state in which the table of the lifecycle has it, and
//! begins work in no other state than the one in which work begins.
//!
//! The same random commands go to a running agent and to a model of it, which knows nothing but the table
//! (`StateName::may_become`, `StateName::work`) and the rules of a mailbox.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::lifecycle::Work;
use steadfast::lifecycle::hook::ChangeError;
use steadfast::seam::Rng;
use steadfast::testing::{Recorder, settled};
use steadfast::{
    Agent, AgentRef, BoxError, ChildSpec, Context, ControlError, EventKind, ExitReason, Intensity, RequestError,
    StateName, Strategy, SupervisorSpec, System, TellError,
};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// How many sequences of commands are drawn, unless `LIFECYCLE_SEEDS` says how many.
const SEEDS: u64 = 60;
/// In each of them.
const COMMANDS: usize = 60;

const MS: Duration = Duration::from_millis(1);

/// What a message makes its handler do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Return,
    Fail,
    Stop,
    /// Leave a task behind, for which a drain waits.
    Spawn,
    /// Be in hand for so long.
    Take(Duration),
}

/// By which sender, the how-manieth, and what for.
type Message = (usize, u64, Act);

/// A handler that began: its life, the state in which the agent was for everybody then, and of which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    life: u64,
    sender: usize,
    number: u64,
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(Begun, StateName)>>>);

struct Worker {
    notes: Notes,
}

impl Agent for Worker {
    type Args = Notes;
    type Message = Message;
    type Reply = u64;

    async fn start(notes: Notes, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { notes })
    }

    async fn handle(&mut self, (sender, number, act): Message, ctx: &mut Context<Self>) -> Result<u64, BoxError> {
        let state = ctx.system().state("root/a").expect("it is in the tree").name();
        let begun = Begun { life: ctx.incarnation().get(), sender, number };
        self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).push((begun, state));
        match act {
            Act::Return => {}
            Act::Fail => return Err("as it was told".into()),
            Act::Stop => ctx.stop(ExitReason::Normal),
            Act::Spawn => {
                ctx.spawn(sleep(TASK));
            }
            Act::Take(time) => sleep(time).await,
        }
        Ok(number)
    }
}

/// How long a task goes on that an agent leaves behind.
const TASK: Duration = Duration::from_millis(200);

/// What is known of an agent that nobody looks at.
struct Model {
    state: StateName,
    life: u64,
    /// Those that wait, in order.
    waiting: VecDeque<Message>,
    begun: Vec<Begun>,
    /// Until when the running handler takes, and what it does not let begin before.
    busy: Option<Instant>,
    /// What it is told to become once the handler has returned, in order, and with what outcome.
    called: VecDeque<Call>,
    /// When its last task is over.
    tasks: Option<Instant>,
    /// When it ends because it drained, at the latest.
    drained_by: Option<Instant>,
    /// It was told to drain, and takes no new work, also while its handler takes its time.
    closed: bool,
    /// What the calls came to, in order.
    outcomes: Vec<Result<(), Problem>>,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Suspend,
    Resume,
    /// By this moment.
    Drain(Instant),
}

/// Why a change was refused: from where, to where; or nobody was there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Illegal(StateName, StateName),
    NotRunning,
}

impl Model {
    fn new() -> Self {
        Self {
            state: StateName::Active,
            life: 1,
            waiting: VecDeque::new(),
            begun: Vec::new(),
            busy: None,
            called: VecDeque::new(),
            tasks: None,
            drained_by: None,
            closed: false,
            outcomes: Vec::new(),
        }
    }

    /// A message comes. Returns whether it is taken.
    fn tell(&mut self, message: Message) -> bool {
        if self.closed || self.state.work() == Work::Finishes {
            return false;
        }
        self.waiting.push_back(message);
        true
    }

    /// Its supervisor starts the next life at once.
    fn reborn(&mut self) {
        assert!(self.state.may_become(StateName::Terminated));
        self.life += 1;
        self.state = StateName::Active;
        (self.busy, self.tasks, self.drained_by, self.closed) = (None, None, None, false);
        let lost = self.called.drain(..).map(|_| Err(Problem::NotRunning));
        self.outcomes.extend(lost);
    }

    /// When it is cut off in its handler, since it was to drain by then.
    fn cut_off_by(&self) -> Option<Instant> {
        let by = |call: &Call| if let Call::Drain(by) = call { Some(*by) } else { None };
        self.called.iter().filter_map(by).min()
    }

    /// It has ended as it was to, for whoever wanted it to drain.
    fn cut_off(&mut self) {
        let drain = |call: Call| if matches!(call, Call::Drain(_)) { Ok(()) } else { Err(Problem::NotRunning) };
        let outcomes: Vec<_> = self.called.drain(..).map(drain).collect();
        self.outcomes.extend(outcomes);
        self.reborn();
    }

    fn change(&mut self, call: Call, now: Instant) {
        let to = match call {
            Call::Suspend => StateName::Suspended,
            Call::Resume => StateName::Active,
            Call::Drain(_) => StateName::Draining,
        };
        if !self.state.may_become(to) {
            return self.outcomes.push(Err(Problem::Illegal(self.state, to)));
        }
        self.state = to;
        self.outcomes.push(Ok(()));
        if let Call::Drain(by) = call {
            let idle = self.tasks.filter(|end| *end > now).unwrap_or(now);
            self.drained_by = Some(idle.min(by.max(now)));
        }
    }

    /// Does what there is to do up to a moment.
    fn run(&mut self, to: Instant, from: Instant) {
        let mut now = from;
        loop {
            if let Some(end) = self.busy {
                if let Some(by) = self.cut_off_by().filter(|by| *by < end && *by <= to) {
                    now = now.max(by);
                    self.cut_off();
                    continue;
                }
                if end > to {
                    return;
                }
                now = now.max(end);
                self.busy = None;
            }
            if let Some(call) = self.called.pop_front() {
                self.change(call, now);
                continue;
            }
            if let Some(end) = self.drained_by {
                if end > to {
                    return;
                }
                now = now.max(end);
                self.reborn();
                continue;
            }
            if self.state.work() != Work::Begins {
                return;
            }
            let Some((sender, number, act)) = self.waiting.pop_front() else { return };
            self.begun.push(Begun { life: self.life, sender, number });
            match act {
                Act::Return => {}
                Act::Fail | Act::Stop => self.reborn(),
                Act::Spawn => self.tasks = Some(self.tasks.map_or(now + TASK, |end| end.max(now + TASK))),
                Act::Take(time) => self.busy = Some(now + time),
            }
        }
    }
}

/// The agent and its model, side by side.
struct Pair {
    seed: u64,
    random: Rng,
    system: System,
    agent: AgentRef<Worker>,
    notes: Notes,
    model: Model,
    now: Instant,
    sent: [u64; SENDERS],
    told: Vec<JoinHandle<Result<(), ControlError>>>,
    asked: Vec<(u64, JoinHandle<Result<u64, RequestError>>)>,
    commands: Vec<String>,
}

const SENDERS: usize = 3;

impl Pair {
    async fn new(seed: u64) -> Self {
        let notes = Notes::default();
        let root = SupervisorSpec::new("root", Strategy::OneForOne)
            .intensity(Intensity::at_most(10_000))
            .child(ChildSpec::agent::<Worker>("a", notes.clone()));
        let system = System::start(root).await.expect("the tree starts");
        let agent = system.agent::<Worker>("root/a").expect("it is there");
        settled().await;
        Self {
            seed,
            random: Rng::new(seed),
            agent,
            notes,
            model: Model::new(),
            now: now(&system),
            system,
            sent: [0; SENDERS],
            told: Vec::new(),
            asked: Vec::new(),
            commands: Vec::new(),
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.next_u64() % end
    }

    fn time(&mut self, most: u64) -> Duration {
        MS * u32::try_from(10 * (1 + self.below(most))).expect("it is small")
    }

    fn message(&mut self) -> Message {
        let sender = usize::try_from(self.below(SENDERS as u64)).expect("it is small");
        let act = match self.below(12) {
            0 => Act::Fail,
            1 => Act::Stop,
            2 => Act::Spawn,
            3 => Act::Take(self.time(30)),
            _ => Act::Return,
        };
        self.sent[sender] += 1;
        (sender, self.sent[sender], act)
    }

    /// One command to both, up to the end of its effects; then both are compared.
    async fn command(&mut self) {
        match self.below(13) {
            0..=3 => {
                let message = self.message();
                self.commands.push(format!("tell {message:?}"));
                let outcome = self.agent.tell(message);
                let is_taken = self.model.tell(message);
                match outcome {
                    Ok(()) => assert!(is_taken, "{}", self.story()),
                    Err(TellError::Draining { .. }) => assert!(!is_taken, "{}", self.story()),
                    Err(error) => panic!("{error}; {}", self.story()),
                }
            }
            4 => {
                let message = self.message();
                self.commands.push(format!("ask {message:?}"));
                let agent = self.agent.clone();
                let asking = async move { agent.ask_within(message, Duration::from_hours(1)).await };
                self.asked.push((message.1, tokio::spawn(asking)));
                self.model.tell(message);
            }
            5..=6 => self.call(Call::Suspend),
            7..=8 => self.call(Call::Resume),
            9 => {
                let within = self.time(40);
                self.call(Call::Drain(now(&self.system) + within));
            }
            10 => {
                self.commands.push("kill".to_owned());
                self.system.kill("root/a").expect("it is there");
                self.model.reborn();
            }
            11 => {
                self.commands.push("end and start again".to_owned());
                let supervisor = self.system.supervisor("root").expect("it runs");
                // All that waits is a dead letter then.
                supervisor.terminate_child("a").await.expect("it ends");
                self.model.waiting.clear();
                let passed = now(&self.system);
                supervisor.restart_child("a").await.expect("it starts");
                // A handler that takes long is waited for; the calls behind it are too late.
                if let Some(end) = self.model.busy {
                    assert!(passed >= end.min(self.now), "{}", self.story());
                }
                self.model.reborn();
                self.now = passed;
            }
            _ => {
                let time = self.time(60);
                self.commands.push(format!("advance {time:?}"));
                sleep(time).await;
            }
        }
        at_once().await;
        let now = now(&self.system);
        self.model.run(now, self.now);
        self.now = now;
        self.compare();
    }

    fn call(&mut self, call: Call) {
        self.commands.push(format!("{call:?}"));
        let system = self.system.clone();
        self.told.push(tokio::spawn(async move {
            match call {
                Call::Suspend => system.suspend("root/a").await,
                Call::Resume => system.resume("root/a").await,
                Call::Drain(by) => system.drain("root/a", by - now(&system)).await,
            }
        }));
        self.model.closed |= matches!(call, Call::Drain(_));
        self.model.called.push_back(call);
    }

    fn compare(&self) {
        let state = self.system.state("root/a").expect("it is in the tree").name();
        let life = self.system.incarnation("root/a").map(steadfast::Incarnation::get);
        let begun: Vec<_> = self.begun().into_iter().map(|(begun, _)| begun).collect();
        let (seen, modelled) = ((state, life), (self.model.state, Some(self.model.life)));
        assert_eq!(seen, modelled, "the agent, the model; {}", self.story());
        assert_eq!(begun, self.model.begun, "the agent, the model; {}", self.story());
    }

    fn begun(&self) -> Vec<(Begun, StateName)> {
        self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn story(&self) -> String {
        format!("seed {}: {}", self.seed, self.commands.join(", "))
    }

    /// What every change that was asked for came to, and every question.
    async fn ends(&mut self) {
        for (told, modelled) in std::mem::take(&mut self.told).into_iter().zip(&self.model.outcomes) {
            let outcome = match told.await.expect("no panic") {
                Ok(()) => Ok(()),
                Err(ControlError::Change { problem: ChangeError::Illegal(change), .. }) => {
                    Err(Problem::Illegal(change.from, change.to))
                }
                Err(ControlError::NotRunning { .. }) => Err(Problem::NotRunning),
                Err(error) => panic!("{error}; {}", self.story()),
            };
            assert_eq!(outcome, *modelled, "the agent, the model; {}", self.story());
        }
        for (number, asked) in std::mem::take(&mut self.asked) {
            match asked.await.expect("no panic") {
                Ok(reply) => assert_eq!(reply, number, "{}", self.story()),
                Err(RequestError::Exited { .. } | RequestError::Draining { .. } | RequestError::Gone { .. }) => {}
                Err(error) => panic!("{error}; {}", self.story()),
            }
        }
    }

    /// Each begins where work begins, in order and once.
    fn work_begins_only_where_it_may(&self) {
        let begun = self.begun();
        for (begun, state) in &begun {
            assert_eq!(state.work(), Work::Begins, "{begun:?} began while it was {state}; {}", self.story());
        }
        for sender in 0..SENDERS {
            let of = begun.iter().filter(|(begun, _)| begun.sender == sender);
            let numbers: Vec<_> = of.map(|(begun, _)| begun.number).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "sender {sender}: {numbers:?}; {}", self.story());
        }
    }
}

/// Lets everybody do what there is to do at this moment, before the clock goes on.
async fn at_once() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn now(system: &System) -> Instant {
    Instant::from_std(system.clock().now())
}

/// The changes of each life form a path of the table from its beginning.
fn changes_are_legal(events: &mut Recorder, story: &str) -> usize {
    let (mut life, mut state, mut changes) = (1, StateName::Active, 0);
    for event in events.seen() {
        let EventKind::Lifecycle { incarnation, from, to } = event.kind else { continue };
        if event.path.as_str() != "root/a" {
            continue;
        }
        if incarnation.get() != life {
            assert_eq!(state, StateName::Terminated, "life {life} has no end; {story}");
            (life, state) = (incarnation.get(), StateName::Unregistered);
        }
        assert!(from == state && from.may_become(to), "life {life} was {state} and went from {from} to {to}; {story}");
        state = to;
        changes += 1;
    }
    changes
}

#[test]
fn an_agent_and_the_table_of_the_lifecycle_never_disagree_whatever_is_told_in_whatever_order() {
    let count = std::env::var("LIFECYCLE_SEEDS").map_or(SEEDS, |text| text.parse().expect("a number"));
    let (mut changes, mut handled) = (0, 0);
    for seed in 0..count {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut pair = Pair::new(seed).await;
            let mut events = Recorder::of(&pair.system);
            for _ in 0..COMMANDS {
                pair.command().await;
            }
            // Whatever is still under way is over by then.
            sleep_until(pair.now + Duration::from_secs(2)).await;
            pair.system.shutdown().await.expect("an orderly end");
            pair.ends().await;
            pair.work_begins_only_where_it_may();
            changes += changes_are_legal(&mut events, &pair.story());
            handled += pair.begun().len();
        });
    }
    let least = usize::try_from(count).expect("it is small") * 10;
    assert!(changes > least && handled > least, "{changes} changes and {handled} messages: too little is looked at");
}
