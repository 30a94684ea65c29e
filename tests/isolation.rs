//! Guarantee: a failure stays in its domain. While all agents of one are killed again and again, another handles every
//! message at exactly the moment at which it does without.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::testing::{Log, Probe, VirtualClock};
use steadfast::{
    Agent, BoxError, ChildSpec, Context, DomainSpec, EventKind, Incarnation, Intensity, Restarts, Strategy,
    SupervisorSpec, System,
};

const MS: Duration = Duration::from_millis(1);

/// Which life handled which message when.
type Line = (String, Incarnation, u32, Duration);
type Handled = Arc<Mutex<Vec<Line>>>;

/// Takes a while for each message, and passes some on to the next of its domain.
struct Worker {
    handled: Handled,
    clock: VirtualClock,
}

impl Agent for Worker {
    type Args = (Handled, VirtualClock);
    type Message = u32;
    type Reply = u32;

    async fn start((handled, clock): Self::Args, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { handled, clock })
    }

    async fn handle(&mut self, number: u32, ctx: &mut Context<Self>) -> Result<u32, BoxError> {
        tokio::time::sleep(MS * (number % 3)).await;
        let mut answer = number;
        if ctx.path().name() == "b-1" && number.is_multiple_of(5) {
            answer = ctx.sibling::<Self>("b-2")?.ask(number + 1).await?;
        }
        let name = ctx.path().name().to_owned();
        let line = (name, ctx.incarnation(), number, self.clock.elapsed());
        self.handled.lock().expect("nobody panics").push(line);
        Ok(answer)
    }
}

/// Runs both domains for two seconds and returns what B did when, and what was restarted.
async fn run(kills: bool) -> (Vec<Line>, Restarts) {
    let inner = SupervisorSpec::new("domains", Strategy::OneForOne).intensity(Intensity::at_most(1_000));
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForAll).child(inner)).await.expect("it starts");
    // A few kills within its window are too many for A: it gives up, over and over, and that too stays with it.
    let log = Log::default();
    let a = DomainSpec::new("a").intensity(Intensity::at_most(20).within(MS * 100));
    let a = (0..10).fold(a, |spec, number| spec.agent(Probe::spec(&format!("a-{number}"), &log)));
    let a = system.add_domain(a).await.expect("it starts");
    let (handled, clock) = (Handled::default(), VirtualClock::new());
    let b = (1..=3).fold(DomainSpec::new("b"), |spec, number| {
        spec.agent(ChildSpec::agent::<Worker>(format!("b-{number}"), (Arc::clone(&handled), clock)))
    });
    system.add_domain(b).await.expect("it starts");

    let killer = kills.then(|| {
        let (system, agents) = (system.clone(), a.agents());
        assert_eq!(agents.len(), 10);
        tokio::spawn(async move {
            loop {
                for agent in &agents {
                    let _ = system.kill(agent);
                }
                tokio::time::sleep(MS * 7).await;
            }
        })
    });
    for number in 0..400 {
        let to = system.agent::<Worker>(format!("root/domains/b/b-{}", number % 3 + 1)).expect("it is there");
        to.tell(number).expect("there is room");
        tokio::time::sleep(MS * 5).await;
    }
    if let Some(killer) = killer {
        killer.abort();
    }
    let restarts = system.restarts();
    let handled = handled.lock().expect("nobody panics").clone();
    system.shutdown().await.expect("an orderly end");
    (handled, restarts)
}

#[tokio::test(start_paused = true)]
async fn while_all_agents_of_a_domain_are_killed_another_handles_every_message_at_the_same_moments() {
    let (calm, none) = run(false).await;
    assert_eq!((calm.len(), none.total), (400 + 27, 0), "27 were passed on");
    let (stormy, restarts) = run(true).await;
    let of =
        |path: &str| restarts.by_supervisor.iter().find(|(at, _)| at.as_str() == path).map_or(0, |(_, count)| *count);
    assert!(of("root/domains/a") > 200, "agents were restarted: {restarts:?}");
    assert!(of("root/domains") > 20, "and their domain, which gave up: {restarts:?}");
    assert_eq!((of("root/domains/b"), of("root")), (0, 0));
    assert_eq!(stormy, calm);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_gives_up_is_started_anew_and_the_other_goes_on() {
    let log = Log::default();
    let inner = SupervisorSpec::new("domains", Strategy::OneForOne);
    let inner = ChildSpec::supervisor(inner);
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(inner)).await.expect("it starts");
    let mut events = steadfast::testing::Recorder::of(&system);
    for name in ["a", "b"] {
        system.add_domain(DomainSpec::new(name).agent(Probe::spec("x", &log))).await.expect("it starts");
    }
    let b = Probe::at(&system, "root/domains/b/x");
    for _ in 0..2 {
        system.kill("root/domains/a/x").expect("it is there");
        events.exit("root/domains/a/x").await;
    }
    events.until(|event| event.path.as_str() == "root/domains/a" && matches!(event.kind, EventKind::GaveUp(_))).await;
    events.started("root/domains/a", 2).await;
    assert_eq!(b.ask(steadfast::testing::Order::Which).await.expect("it answers"), 1);
    system.shutdown().await.expect("an orderly end");
}
