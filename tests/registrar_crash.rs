//! Guarantee: a registrar that is killed again and again while agents register, crash, come and go, and are asked, costs
//! nobody anything: who lives is found at every moment, nothing goes to the dead, and in the end the index is what lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::registry::selection::{Selection, Standing};
use steadfast::testing::settled;
use steadfast::{
    AgentSpec, Capability, ChildSpec, Intensity, Provider, RequestError, Restart, Served, Strategy, SupervisorSpec,
    System,
};

/// How often the registrar is killed.
const KILLS: u64 = 60;

const MILLI: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Ask {
    Now,
    Crash,
}

/// The path that answered, and the number of its life.
type Answer = (String, u64);

/// Offered by one that never crashes and by all that do.
const COMMON: Capability<Ask, Answer> = Capability::new("test.common", "1.0.0");
/// Offered by those only that crash or come and go.
const SHAKY: Capability<Ask, Answer> = Capability::new("test.shaky", "1.0.0");

fn answering(name: &str, capability: Capability<Ask, Answer>) -> AgentSpec<Served<Ask, Answer>> {
    ChildSpec::serve(name, capability, |ctx, ask| async move {
        match ask {
            Ask::Now => Ok((ctx.path().to_string(), ctx.incarnation().get())),
            Ask::Crash => Err("as it was asked".into()),
        }
    })
}

fn shaky(name: &str) -> AgentSpec<Served<Ask, Answer>> {
    answering(name, COMMON).offers(&SHAKY)
}

async fn start() -> System {
    let often = Intensity::at_most(1_000_000);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(often)
        .child(answering("steady", COMMON))
        .child(shaky("a"))
        .child(shaky("b"));
    System::builder().service_intensity(often).start(spec).await.expect("the tree starts")
}

/// The lives that are open, by path.
fn lives(system: &System) -> BTreeMap<String, u64> {
    let providers = system.providers(&COMMON).into_iter();
    let life = |provider: Provider<Ask, Answer>| Some((provider.path().to_string(), provider.incarnation()?.get()));
    providers.filter_map(life).collect()
}

/// Asks over and over, and looks at each answer.
async fn ask_on(system: System, over: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    let turns = system.route(&COMMON).selection(Selection::RoundRobin).build().expect("a route");
    while !over.load(Ordering::SeqCst) {
        for by_route in [true, false] {
            let before = lives(&system);
            let outcome = if by_route { turns.ask(Ask::Now).await } else { system.ask(&COMMON, Ask::Now).await };
            match outcome {
                // No life answers that was over when the question was asked.
                Ok((path, life)) => {
                    let open = before.get(&path).copied().unwrap_or_default();
                    assert!(life >= open, "{path} #{life} answered, and #{open} was open before");
                }
                // The question was in hand when its agent crashed or was terminated.
                Err(RequestError::Exited { .. } | RequestError::Gone { .. }) => {}
                Err(error) => panic!("a provider lives all the time: {error}"),
            }
        }
        assert!(!system.providers(&COMMON).is_empty());
        asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        tokio::time::sleep(MILLI / 2).await;
    }
}

/// Crashes those that crash, over and over.
async fn crash_on(system: System, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        match system.ask(&SHAKY, Ask::Crash).await {
            Err(RequestError::Exited { .. } | RequestError::Gone { .. }) => {}
            other => panic!("it crashes: {other:?}"),
        }
        tokio::time::sleep(MILLI).await;
    }
}

/// Adds a child and takes it away, over and over.
async fn come_and_go(system: System, over: Arc<AtomicBool>) {
    let supervisor = system.supervisor("root").expect("it runs");
    while !over.load(Ordering::SeqCst) {
        supervisor.start_child(shaky("guest").restart(Restart::Temporary)).await.expect("it starts");
        tokio::time::sleep(2 * MILLI).await;
        // It may have crashed by itself: then it is forgotten already.
        let _ = supervisor.terminate_child("guest").await;
        tokio::time::sleep(MILLI).await;
    }
}

/// Registers and withdraws what no spec says, over and over; what was acknowledged counts.
async fn register_on(system: System, over: Arc<AtomicBool>) {
    const SPARE: Capability<Ask, Answer> = Capability::new("test.spare", "1.0.0");
    let steady = system.agent::<Served<Ask, Answer>>("root/steady").expect("it runs");
    while !over.load(Ordering::SeqCst) {
        system.register(&steady, &SPARE).await.expect("it can be offered");
        assert_eq!(system.ask(&SPARE, Ask::Now).await.expect("it is offered").0, "root/steady");
        system.deregister("root/steady", &SPARE).await.expect("it is offered");
        let error = system.ask(&SPARE, Ask::Now).await.expect_err("it is not any more");
        assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
        tokio::time::sleep(MILLI).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_registrar_killed_again_and_again_under_load_costs_nobody_who_lives_and_the_index_is_what_lives() {
    let system = start().await;
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = [
        tokio::spawn(ask_on(system.clone(), Arc::clone(&over), Arc::clone(&asked))),
        tokio::spawn(crash_on(system.clone(), Arc::clone(&over))),
        tokio::spawn(come_and_go(system.clone(), Arc::clone(&over))),
        tokio::spawn(register_on(system.clone(), Arc::clone(&over))),
    ];
    for _ in 0..KILLS {
        system.kill("system/registrar").expect("it is there");
        tokio::time::sleep(MILLI).await;
    }
    over.store(true, Ordering::SeqCst);
    for part in load {
        part.await.expect("nobody was missed");
    }
    settled().await;
    let registrar = system.incarnation("system/registrar").expect("it is up").get();
    assert!(registrar > KILLS / 2, "it was killed {registrar} times");
    assert!(asked.load(Ordering::SeqCst) > 50);

    // Once more, so that the last index is one that was reconciled.
    system.kill("system/registrar").expect("it is there");
    settled().await;
    let found = system.discover(&"test.>".parse().expect("a requirement"));
    let index: BTreeSet<_> = found.iter().map(|found| (found.path.name(), found.offer.capability.as_str())).collect();
    let (common, shaky) = ("test.common", "test.shaky");
    let live = [("a", common), ("a", shaky), ("b", common), ("b", shaky), ("steady", common)];
    assert_eq!(index, BTreeSet::from(live));
    assert!(found.iter().all(|found| matches!(found.view.standing, Standing::Live(_))));
    system.shutdown().await.expect("an orderly end");
}
