//! Guarantee: what one sender sends to one receiver arrives in the order in which it was sent, whatever it is sent with and
//! whoever crashes meanwhile; within a priority where the mailbox has lanes. A mailbox never holds more than its bound.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::flow::Order;
use steadfast::message::{Envelope, Priority};
use steadfast::seam::Rng;
use steadfast::testing::settled;
use steadfast::{
    Agent, AgentRef, BoxError, Capability, ChildSpec, Context, Group, Intensity, Provider, Route, Strategy,
    SupervisorSpec, System, TellError,
};
use tokio::task::JoinSet;

const SENDERS: usize = 4;
const MESSAGES: u64 = 400;
const SEEDS: u64 = 12;

const MS: Duration = Duration::from_millis(1);

const WORK: Capability<Numbered, u64> = Capability::new("test.work", "1.0.0");

/// The how-manieth message of a sender, and of which priority.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Numbered {
    sender: usize,
    number: u64,
    priority: u8,
    crash: bool,
}

/// What came, in order. All clones are the same list.
#[derive(Clone, Default)]
struct Came(Arc<Mutex<Vec<Numbered>>>);

impl Came {
    fn note(&self, message: Numbered) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    fn all(&self) -> Vec<Numbered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Receiver(Came);

impl Agent for Receiver {
    type Args = Came;
    type Message = Numbered;
    type Reply = u64;

    async fn start(came: Came, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(came))
    }

    async fn handle(&mut self, message: Numbered, _: &mut Context<Self>) -> Result<u64, BoxError> {
        self.0.note(message);
        if message.crash {
            // Without the hook, which would write each of these out.
            resume_unwind(Box::new("on purpose"));
        }
        if message.number.is_multiple_of(7) {
            tokio::task::yield_now().await;
        }
        Ok(message.number)
    }
}

/// The ways to one receiver.
#[derive(Clone)]
struct Ways {
    system: System,
    agent: AgentRef<Receiver>,
    route: Route<Numbered, u64>,
    provider: Provider<Numbered, u64>,
    group: Group<Numbered>,
}

impl Ways {
    async fn to(order: Order, came: &Came) -> Self {
        let receiver = ChildSpec::agent::<Receiver>("a", came.clone()).order(order).offers(&WORK);
        let root =
            SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(10_000)).child(receiver);
        let system = System::start(root).await.expect("the tree starts");
        let agent = system.agent::<Receiver>("root/a").expect("it is there");
        let topic = "news".parse().expect("a pattern");
        system.subscribe(&agent, &topic, |message: Numbered| message).expect("it is there");
        let group = system.group::<Numbered>("all").expect("its type");
        group.join(&agent).expect("it is there");
        let route = system.route(&WORK).build().expect("a route");
        let provider = system.provider(&WORK, "root/a").expect("it is there");
        Self { system, agent, route, provider, group }
    }

    /// Sends it in one of the ways. `asks`: those who wait for an answer, which must not hold up who sends.
    async fn send(&self, message: Numbered, way: u64, asks: &mut JoinSet<()>) {
        let envelope = |message: Numbered| {
            let priority = Priority::new(message.priority).expect("it is one");
            Envelope::new(0, message).with_priority(priority)
        };
        let medium = Numbered { priority: Priority::MEDIUM.get(), ..message };
        match way {
            0 => self.agent.tell(medium).expect("there is room"),
            1 => self.agent.tell_wait(medium, MS).await.expect("there is room"),
            2 => {
                let published = self.system.publish(&"news".parse().expect("a subject"), medium);
                assert!(published.is_complete(), "{published:?}");
            }
            3 => assert!(self.group.broadcast(medium).is_complete()),
            4 => self.route.tell(medium).expect("there is room"),
            // A question is sent when it is first polled: that is when its sender sends it.
            5 => ask(self.clone(), async move |ways| drop(ways.agent.ask(medium).await), asks).await,
            6 => ask(self.clone(), async move |ways| drop(ways.route.ask(medium).await), asks).await,
            7 => ask(self.clone(), async move |ways| drop(ways.provider.ask(medium, 60_000 * MS).await), asks).await,
            8 => {
                let request = envelope(message);
                ask(self.clone(), async move |ways| drop(ways.agent.request(request).await), asks).await;
            }
            _ => self.agent.send(envelope(message)).map_err(|error| error.to_string()).expect("there is room"),
        }
    }
}

/// Asks, and returns once the question is sent.
async fn ask<F>(ways: Ways, asking: impl FnOnce(Ways) -> F, asks: &mut JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut asking = Box::pin(asking(ways));
    let is_over = std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_ready())).await;
    if !is_over {
        asks.spawn(asking);
    }
}

async fn send_all(ways: Ways, sender: usize, seed: u64, crash_in: u64) {
    let mut random = Rng::new(seed ^ (sender as u64) << 32);
    let mut asks = JoinSet::new();
    for number in 1..=MESSAGES {
        let priorities = [Priority::LOW, Priority::MEDIUM, Priority::HIGH, Priority::CRITICAL];
        let priority = priorities[usize::try_from(random.next_u64() % 4).expect("it is small")].get();
        let crash = crash_in > 0 && random.next_u64().is_multiple_of(crash_in);
        ways.send(Numbered { sender, number, priority, crash }, random.next_u64() % 12, &mut asks).await;
        match random.next_u64() % 12 {
            0 => tokio::task::yield_now().await,
            1 => settled().await,
            _ => {}
        }
    }
    while let Some(asked) = asks.join_next().await {
        asked.expect("no panic");
    }
}

/// Sends everything from all senders, and holds what came against what was sent.
async fn all_arrives_in_order(order: Order, seed: u64, crash_in: u64) {
    let (came, mut senders) = (Came::default(), JoinSet::new());
    let ways = Ways::to(order, &came).await;
    for sender in 0..SENDERS {
        senders.spawn(send_all(ways.clone(), sender, seed, crash_in));
    }
    while let Some(sender) = senders.join_next().await {
        sender.expect("no panic");
    }
    settled().await;
    let mut last: BTreeMap<_, u64> = BTreeMap::new();
    let came = came.all();
    for Numbered { sender, number, priority, .. } in &came {
        let lane = if order == Order::Priority { *priority } else { 0 };
        let before = last.insert((*sender, lane), *number).unwrap_or_default();
        assert!(before < *number, "seed {seed}: of sender {sender}, priority {priority}, {number} came after {before}");
    }
    let life = ways.system.incarnation("root/a").expect("it runs").get();
    let crashes = came.iter().filter(|message| message.crash).count() as u64;
    assert_eq!((came.len() as u64, life), (SENDERS as u64 * MESSAGES, 1 + crashes), "seed {seed}: each came once");
    assert!(crash_in == 0 || crashes > 10, "seed {seed}: only {crashes} crashes");
    ways.system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn what_one_sender_sends_in_whatever_way_arrives_in_its_order_over_crashes() {
    for seed in 0..SEEDS {
        all_arrives_in_order(Order::Arrival, seed, [0, 40][usize::from(!seed.is_multiple_of(4))]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_sender_sends_with_one_priority_arrives_in_its_order_over_crashes() {
    for seed in 0..SEEDS {
        all_arrives_in_order(Order::Priority, seed, [0, 40][usize::from(!seed.is_multiple_of(4))]).await;
    }
}

const BOUND: usize = 16;
const PRODUCERS: usize = 8;

fn plain(sender: usize, number: u64) -> Numbered {
    Numbered { sender, number, priority: Priority::MEDIUM.get(), crash: false }
}

/// Tells until there is no room. Returns how many were taken.
fn fill(agent: &AgentRef<Receiver>, sender: usize) -> u64 {
    let refused = (1..=MESSAGES).find(|number| agent.tell(plain(sender, *number)).is_err());
    refused.expect("there is a bound") - 1
}

/// Tells the rest, in order; waits where there is no room.
async fn produce(agent: AgentRef<Receiver>, sender: usize, from: u64, load: impl Fn() -> usize) -> usize {
    let mut most = 0;
    for number in from..=MESSAGES {
        let mut message = plain(sender, number);
        loop {
            most = most.max(load());
            match agent.tell(message) {
                Ok(()) => break,
                Err(TellError::Full { message: returned, bound: BOUND, .. }) => message = returned,
                Err(error) => panic!("{error}"),
            }
            match agent.tell_wait(message, 1000 * MS).await {
                Ok(()) => break,
                Err(TellError::Full { message: returned, .. }) => message = returned,
                Err(error) => panic!("{error}"),
            }
        }
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_eight_producers_on_several_threads_the_bound_holds_and_nothing_is_lost_or_doubled() {
    for order in [Order::Arrival, Order::Priority] {
        let came = Came::default();
        let receiver = ChildSpec::agent::<Receiver>("a", came.clone()).mailbox(BOUND).order(order).offers(&WORK);
        let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(receiver)).await;
        let system = system.expect("the tree starts");
        let agent = system.agent::<Receiver>("root/a").expect("it is there");
        // Nothing is taken out meanwhile.
        system.suspend("root/a").await.expect("it is active");
        let filling = (0..PRODUCERS).map(|sender| {
            let agent = agent.clone();
            tokio::spawn(async move { fill(&agent, sender) })
        });
        let mut taken = Vec::new();
        for filled in filling.collect::<Vec<_>>() {
            taken.push(filled.await.expect("no panic"));
        }
        assert_eq!(taken.iter().sum::<u64>(), BOUND as u64, "{order:?}: {taken:?}");
        system.resume("root/a").await.expect("it is suspended");
        let mut producers = JoinSet::new();
        for (sender, taken) in taken.into_iter().enumerate() {
            let provider = system.provider(&WORK, "root/a").expect("it is there");
            producers.spawn(produce(agent.clone(), sender, taken + 1, move || provider.load()));
        }
        while let Some(producer) = producers.join_next().await {
            let most = producer.expect("no panic");
            // What it took in one batch is no longer in the mailbox.
            assert!(most <= 2 * BOUND, "{order:?}: {most} waited or were in hand, and the bound is {BOUND}");
        }
        agent.ask(plain(PRODUCERS, 1)).await.expect("a reply");
        let came = came.all();
        for sender in 0..PRODUCERS {
            let numbers = came.iter().filter(|message| message.sender == sender).map(|message| message.number);
            assert!(numbers.eq(1..=MESSAGES), "{order:?}: of sender {sender}");
        }
        system.shutdown().await.expect("an orderly end");
    }
}
