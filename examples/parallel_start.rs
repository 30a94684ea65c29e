//! Children that do not need each other start at the same time, and a spec can be looked through before it is started.
//!
//! Run with `cargo run --example parallel_start`.

use std::time::Duration;

use steadfast::{
    Agent, BoxError, ChildSpec, Context, Intensity, Restart, Shutdown, Strategy, SupervisorSpec, System, TokioClock,
    seam::Clock,
};

const MS: Duration = Duration::from_millis(1);

/// Takes its time to start.
struct Service;

impl Agent for Service {
    type Args = Duration;
    type Message = ();
    type Reply = ();

    async fn start(takes: Duration, _: &mut Context<Self>) -> Result<Self, BoxError> {
        tokio::time::sleep(takes).await;
        Ok(Self)
    }

    async fn handle(&mut self, (): (), _: &mut Context<Self>) -> Result<(), BoxError> {
        Ok(())
    }
}

async fn time_the_start(title: &str, spec: SupervisorSpec) -> Result<(), Box<dyn std::error::Error>> {
    let before = TokioClock.now();
    let system = System::start(spec).await?;
    let elapsed = TokioClock.now().duration_since(before).as_millis();
    println!("{title}: {} ms, rounded down to tens", elapsed / 10 * 10);
    Ok(system.shutdown().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let service = |name: &str| ChildSpec::agent::<Service>(name, MS * 100);

    let one_by_one = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(service("store"))
        .child(service("search"))
        .child(service("mail"))
        .child(service("web"));
    time_the_start("one after the other", one_by_one).await?;

    // The store and the mail need nobody, the search needs the store, and the web needs the search and the mail.
    let by_need = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(service("store").after([]))
        .child(service("search").after(["store"]))
        .child(service("mail").after([]))
        .child(service("web").after(["search", "mail"]));
    time_the_start("by need", by_need).await?;

    // What makes no sense is refused, by the lint as by a start.
    let backwards = SupervisorSpec::new("root", Strategy::OneForOne).child(service("store").after(["web"]));
    println!("refused: {}", backwards.lint().unwrap_err());

    // What is allowed and hardly meant is warned of.
    let questionable = SupervisorSpec::new("root", Strategy::OneForAll)
        .intensity(Intensity::at_most(0))
        .child(service("store").shutdown(Shutdown::Wait))
        .child(service("mail").restart(Restart::Temporary).budget(Intensity::at_most(3)));
    for warning in questionable.lint()? {
        println!("warning: {warning}");
    }
    Ok(())
}

// Prints:
//
// one after the other: 400 ms, rounded down to tens
// by need: 300 ms, rounded down to tens
// refused: `root`: `store` starts after `web`, which does not stand before it in the list; move it up, or mend the name
// warning: root: the intensity allows no restart, and so the first end of `store`, which is permanent, makes the supervisor give up; allow at least 1, or make the children temporary
// warning: root/store: a worker that does not end when asked is waited for without limit (`shutdown`), and so its supervisor may never stop; use `Shutdown::Within`
// warning: root/mail: the restart of its group stops and forgets this temporary child, though it did not fail; make it transient, or move it to a supervisor of its own
// warning: root/mail: `budget` is about restarts, and a temporary child has none; leave it out, or change the restart type
