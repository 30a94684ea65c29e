//! A child that always fails is tried less and less often and then quarantined; its siblings carry on without it.
//!
//! Run with `cargo run --example back_off`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::{
    Backoff, BoxError, Capability, ChildSpec, EventKind, Intensity, Strategy, SupervisorSpec, System, Verdict,
};

const MS: Duration = Duration::from_millis(1);
const QUOTE: Capability<String, String> = Capability::new("example.quote", "1.0.0");

/// Connects, which takes a moment, and stays connected for as long as there is a server.
async fn connect(server_is_up: Arc<AtomicBool>) -> Result<(), BoxError> {
    tokio::time::sleep(MS * 20).await;
    if server_is_up.load(Ordering::SeqCst) { std::future::pending().await } else { Err("connection refused".into()) }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server_is_up = Arc::new(AtomicBool::new(false));
    let up = Arc::clone(&server_is_up);
    let feed = ChildSpec::task("feed", move |_| connect(Arc::clone(&up)))
        .backoff(Backoff::exponential(MS * 50).maximum(MS * 400))
        .budget(Intensity::at_most(3));
    let quotes = ChildSpec::serve("quotes", QUOTE, |ctx, name: String| async move {
        Ok(format!("{name} by {}, incarnation {}", ctx.path(), ctx.incarnation()))
    });
    // The supervisor itself allows no restart at all: those of the feed are on the feed's own budget.
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(0)).child(feed).child(quotes);
    let system = System::start(spec).await?;
    let mut events = system.events();

    loop {
        let event = events.next().await?;
        match &event.kind {
            EventKind::Exited { incarnation, reason, verdict, .. } => {
                println!("{}, incarnation {incarnation}, {reason}: {verdict}", event.path);
                if matches!(verdict, Verdict::Quarantined(_)) {
                    break;
                }
            }
            EventKind::BackingOff { delay } => println!("  it waits for {delay:?}"),
            _ => {}
        }
    }
    println!("its sibling carries on: {}", system.ask(&QUOTE, "ACME".to_owned()).await?);
    println!("{}\n{}", system.history("root/feed")?, system.snapshot());

    // Nothing but a request ends a quarantine. The child has a new budget then.
    server_is_up.store(true, Ordering::SeqCst);
    let back = system.supervisor("root")?.restart_child("feed").await?;
    println!("somebody brings it back: {back:?}");
    println!("{}", system.snapshot());
    Ok(system.shutdown().await?)
}

// Prints:
//
// root/feed, incarnation 1, failed: connection refused: restarted (1 of 3 in 5s)
//   it waits for 50ms
// root/feed, incarnation 2, failed: connection refused: restarted (2 of 3 in 5s)
//   it waits for 100ms
// root/feed, incarnation 3, failed: connection refused: restarted (3 of 3 in 5s)
//   it waits for 200ms
// root/feed, incarnation 4, failed: connection refused: quarantined: its `budget` allows 3 restarts in 5s, and this would be number 4; mend what ends it, or allow more, and bring it back with `restart_child`
// its sibling carries on: ACME by root/quotes, incarnation 1
// root/feed: 4 exits
//   incarnation 1, started by init at 0.001 s, lived 0.022 s, failed: connection refused; restarted (1 of 3 in 5s)
//   incarnation 2, started by its own exit (1 of 3 in 5s) at 0.075 s, lived 0.022 s, failed: connection refused; restarted (2 of 3 in 5s)
//   incarnation 3, started by its own exit (2 of 3 in 5s) at 0.199 s, lived 0.022 s, failed: connection refused; restarted (3 of 3 in 5s)
//   incarnation 4, started by its own exit (3 of 3 in 5s) at 0.422 s, lived 0.022 s, failed: connection refused; quarantined: its `budget` allows 3 restarts in 5s, and this would be number 4; mend what ends it, or allow more, and bring it back with `restart_child`
// at 0.444 s
// root          running      incarnation 1  one_for_one, 0 of 0 in 5s, 3 restarts in all, idle
// ├─ feed       quarantined                 permanent, 4 with 3 in 5s allowed (budget), last exit: incarnation 4 failed: connection refused
// └─ quotes     running      incarnation 1  permanent, active
// system        running      incarnation 1  one_for_one, 0 of 10 in 5s, 0 restarts in all, idle
// ├─ registrar  running      incarnation 1  permanent, active
// ├─ bus        running      incarnation 1  permanent, active
// └─ journal    running      incarnation 1  permanent, active
// somebody brings it back: StartedChild { path: root/feed, incarnation: Some(#5), .. }
// at 0.445 s
// root          running  incarnation 1  one_for_one, 0 of 0 in 5s, 3 restarts in all, idle
// ├─ feed       running  incarnation 5  permanent, active, 0 of 3 in 5s (budget), last exit: incarnation 4 failed: connection refused
// └─ quotes     running  incarnation 1  permanent, active
// system        running  incarnation 1  one_for_one, 0 of 10 in 5s, 0 restarts in all, idle
// ├─ registrar  running  incarnation 1  permanent, active
// ├─ bus        running  incarnation 1  permanent, active
// └─ journal    running  incarnation 1  permanent, active
