//! A provider that fails is spared: a circuit breaker opens before it, lets a probe through after a while, and closes once
//! that is answered.
//!
//! Run with `cargo run --example breaker`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::flow::BreakerRules;
use steadfast::registry::selection::Selection;
use steadfast::{Backoff, Capability, ChildSpec, EventKind, Intensity, Route, Strategy, SupervisorSpec, System};

const PRICE: Capability<u32, String> = Capability::new("shop.price", "1.0.0");

async fn ask(route: &Route<u32, String>, what: &str) {
    match route.ask(42).await {
        Ok(reply) => println!("{what}: {reply}"),
        Err(error) => println!("{what}: {error}"),
    }
    // One that failed is started again meanwhile.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

// Time is virtual here: it jumps to the next timer when nobody has anything to do, so that nobody waits.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let is_down = Arc::new(AtomicBool::new(true));
    let shop = Arc::clone(&is_down);
    let exact = ChildSpec::serve("exact", PRICE, move |_, _| {
        let is_down = shop.load(Ordering::SeqCst);
        async move { if is_down { Err("the shop is down".into()) } else { Ok("exactly 7.20".to_owned()) } }
    });
    let guess = ChildSpec::serve("guess", PRICE, |_, _| async { Ok("about 7".to_owned()) });
    let spec =
        SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(10)).child(exact).child(guess);
    let system = System::start(spec).await?;
    let mut events = system.events();

    // The exact price if there is one, else a guess. Two failures of two calls open the breaker for a while.
    let open_for = Duration::from_secs(10);
    let rules = BreakerRules::default().minimum_calls(2).probes(1).open_for(Backoff::constant(open_for));
    let route = system.route(&PRICE).selection(Selection::InOrder).breaker(rules).build()?;

    ask(&route, "first ").await;
    ask(&route, "second").await;
    ask(&route, "spared").await;

    tokio::time::sleep(open_for).await;
    ask(&route, "probe ").await;
    ask(&route, "spared").await;

    is_down.store(false, Ordering::SeqCst);
    tokio::time::sleep(open_for).await;
    ask(&route, "probe ").await;
    ask(&route, "healed").await;

    println!("what the breaker did:");
    while let Some(event) = events.try_next()? {
        if let EventKind::BreakerChanged(change) = &event.kind {
            println!("  {}: {change}", event.path);
        }
    }
    Ok(system.shutdown().await?)
}
