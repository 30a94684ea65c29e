//! The three strategies side by side: the same three children, the same one crashes, and who is restarted differs.
//!
//! Run with `cargo run --example strategies`.

use steadfast::{BoxError, Capability, ChildSpec, EventKind, Events, Strategy, SupervisorSpec, System};

const CRASH: Capability<(), ()> = Capability::new("example.crash", "1.0.0");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
        println!("{strategy}: store, planner and executor run, and the planner crashes");
        let spec = SupervisorSpec::new("root", strategy)
            .child(ChildSpec::task("store", |_| forever()))
            .child(ChildSpec::serve("planner", CRASH, |_, ()| async { Err("no plan".into()) }))
            .child(ChildSpec::task("executor", |_| forever()));
        let system = System::start(spec).await?;
        let events = system.events();

        println!("  asked to plan: {}", system.ask(&CRASH, ()).await.unwrap_err());
        tell_restarts(events, restarted(strategy)).await?;
        system.shutdown().await?;
        println!();
    }
    Ok(())
}

async fn forever() -> Result<(), BoxError> {
    std::future::pending().await
}

/// Who is restarted when the second of three crashes.
fn restarted(strategy: Strategy) -> &'static [&'static str] {
    match strategy {
        Strategy::OneForOne => &["planner"],
        Strategy::OneForAll => &["store", "planner", "executor"],
        Strategy::RestForOne => &["planner", "executor"],
    }
}

/// Prints what happens until all of these have started again.
async fn tell_restarts(mut events: Events, mut expected: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    while let [next, rest @ ..] = expected {
        let event = events.next().await?;
        match &event.kind {
            EventKind::Exited { reason, .. } => println!("  {} {reason}", event.path),
            EventKind::Starting { incarnation, cause } => {
                println!("  {} starts as incarnation {incarnation}, after {cause}", event.path);
            }
            EventKind::Started { .. } if event.path.name() == *next => expected = rest,
            _ => {}
        }
    }
    Ok(())
}
