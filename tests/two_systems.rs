//! Guarantee: nothing is global to the process: two systems with the same names do not see each other.

use steadfast::testing::{Log, Order, Probe, Recorder};
use steadfast::{Capability, ChildSpec, RequestError, Strategy, SupervisorSpec, System};

const NAME: Capability<(), String> = Capability::new("test.name", "1.0.0");
const ONLY: Capability<(), String> = Capability::new("test.only", "1.0.0");

async fn named(name: &'static str, log: &Log) -> System {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(Probe::spec("a", log)).child(ChildSpec::serve(
        "namer",
        NAME,
        move |_, ()| async move { Ok(name.to_owned()) },
    ));
    System::start(spec).await.expect("the tree starts")
}

#[tokio::test(start_paused = true)]
async fn each_system_answers_for_itself() {
    let log = Log::default();
    let (one, two) = (named("one", &log).await, named("two", &log).await);
    assert_eq!(one.ask(&NAME, ()).await.expect("a reply"), "one");
    assert_eq!(two.ask(&NAME, ()).await.expect("a reply"), "two");
    one.shutdown().await.expect("an orderly end");
    assert_eq!(two.ask(&NAME, ()).await.expect("a reply"), "two");
    two.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_the_end_of_one_system_are_nothing_to_the_other() {
    let log = Log::default();
    let (one, two) = (named("one", &log).await, named("two", &log).await);
    let mut events = Recorder::of(&two);
    let mut own = Recorder::of(&one);
    Probe::at(&one, "root/a").tell(Order::Panic("boom")).expect("there is room");
    own.started("root/a", 2).await;
    assert_eq!(Probe::at(&two, "root/a").ask(Order::Which).await.expect("a reply"), 1);
    one.shutdown().await.expect("an orderly end");
    assert_eq!((one.is_ready(), two.is_ready()), (false, true));
    assert_eq!(events.story(), Vec::<String>::new());
    assert_eq!(two.restarts().total, 0);
    assert_eq!(two.history("root").expect("a path").entries().len(), 0);
    two.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_capability_of_one_system_is_not_offered_in_the_other() {
    let log = Log::default();
    let one = named("one", &log).await;
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::serve("namer", ONLY, |_, ()| async { Ok(String::new()) }));
    let two = System::start(spec).await.expect("the tree starts");
    assert_eq!((one.capabilities(), two.capabilities()), (vec!["test.name".to_owned()], vec!["test.only".to_owned()]));
    let error = one.ask(&ONLY, ()).await.expect_err("nobody offers it there");
    assert!(matches!(error, RequestError::NoProvider { .. }), "{error}");
    one.shutdown().await.and(two.shutdown().await).expect("an orderly end");
}
