//! A subtree gives up and escalates: first its parent restarts it whole, then the parent gives up too, up to the root.
//!
//! Run with `cargo run --example escalation`.

use steadfast::{Capability, ChildSpec, EventKind, Intensity, Strategy, SupervisorSpec, System};

const READ: Capability<String, String> = Capability::new("disk.read", "1.0.0");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Two restarts of the reader are too many for `storage`, two of `storage` are too many for `root`.
    let storage = SupervisorSpec::new("storage", Strategy::OneForAll)
        .intensity(Intensity::at_most(1))
        .child(ChildSpec::task("cache", |_| std::future::pending()))
        .child(ChildSpec::serve("reader", READ, |_, file| async move { Err(format!("{file} cannot be read").into()) }));
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(1))
        .child(ChildSpec::supervisor(storage));
    let system = System::start(spec).await?;

    let mut events = system.events();
    let story = tokio::spawn(async move {
        while let Ok(event) = events.next().await {
            match &event.kind {
                EventKind::Exited { reason, verdict, .. } => {
                    println!("{:<20} {reason}; {verdict}", event.path.as_str());
                }
                EventKind::GaveUp(escalation) => println!("{:<20} gives up: {}", event.path.as_str(), escalation.limit),
                EventKind::Ending { .. } => break,
                _ => {}
            }
        }
    });

    // Somebody insists. Each request crashes the reader; the next one waits until it is back.
    let outcome = loop {
        if let Err(gone) = system.ask(&READ, "table.db".to_owned()).await
            && !system.is_ready()
        {
            println!("\nthe last request: {gone}");
            break system.ended().await;
        }
    };
    story.await?;

    // The library never ends the process: what to make of this is for the application to decide.
    let gave_up = outcome.unwrap_err();
    println!("the system ended, and nothing of it is left ({} alive):\n  {gave_up}", system.alive().len());
    Ok(())
}
