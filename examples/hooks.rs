//! What else happens when the state of an agent changes: a hook before a change may refuse it, one after it may not.
//!
//! Run with `cargo run --example hooks`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use steadfast::StateName::{Active, Suspended};
use steadfast::lifecycle::hook::On;
use steadfast::{Backoff, BoxError, Capability, ChildSpec, EventKind, Intensity, Strategy, SupervisorSpec, System};

const ECHO: Capability<u32, u32> = Capability::new("example.echo", "1.0.0");

// Time is virtual here: it jumps to the next timer when nobody has anything to do.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    // The license server answers at first, then not, and then again.
    let asked = Arc::new(AtomicU32::new(0));
    let license = move |_, _| {
        let times = asked.fetch_add(1, Ordering::SeqCst) + 1;
        async move { if times == 2 { Err("the license server is away".into()) } else { Ok(()) } }
    };
    let echo = ChildSpec::serve("echo", ECHO, |_, number| async move {
        if number == 0 { Err("nothing to echo".into()) } else { Ok(number) }
    })
    .backoff(Backoff::constant(Duration::from_secs(1)))
    // Before it takes work: without a license it does not start. The supervisor tries again.
    .hook_before("license", On::Entering(Active), license)
    // After that: who is told that it works does not decide whether it does.
    .hook_after("announcement", On::Entering(Active), |ctx, _| async move {
        println!("  {}, incarnation {}, is at work", ctx.path(), ctx.incarnation());
        if ctx.incarnation().get() == 3 { Err("nobody listened".into()) } else { Ok(()) }
    })
    .hook_before("no rest", On::Entering(Suspended), |_, _| async { Err("it is needed day and night".into()) });

    println!("it starts:");
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(5)).child(echo);
    let system = System::start(spec).await?;
    let mut events = system.events();

    println!("what a hook refuses is an error for whoever wanted it:");
    println!("  {}", system.suspend("root/echo").await.expect_err("the hook says no"));

    println!("it crashes; the start of the next life is refused, and the one after it is not:");
    println!("  {}", system.ask(&ECHO, 0).await.expect_err("it crashes"));
    println!("  and is back: {}", system.ask(&ECHO, 7).await?);

    println!("each hook that failed since is an event:");
    while let Some(event) = events.try_next()? {
        if let EventKind::HookFailed { incarnation, from, to, hook, why, refused } = &event.kind {
            let outcome = if *refused { "refused" } else { "failed after" };
            println!("  `{hook}` of incarnation {incarnation} {outcome} {from} to {to}: {why}");
        }
    }
    Ok(system.shutdown().await?)
}
