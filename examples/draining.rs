//! A new version takes over while the old one drains: what the old one has begun it finishes, what waits goes to the new
//! one, and no request is lost.
//!
//! Run with `cargo run --example draining`.

use std::time::Duration;

use steadfast::{
    AgentSpec, AtDeath, BoxError, Capability, ChildSpec, EventKind, RequestError, Restart, Route, Served, Strategy,
    SupervisorSpec, System,
};

const MS: Duration = Duration::from_millis(1);

/// What is asked for: 1.0.0, or a later version that is compatible.
const GREET: Capability<u32, String> = Capability::new("example.greet", "1.0.0");

/// Transient: it drains and ends in good order, and is not started again.
fn greeter(name: &'static str, version: &'static str) -> AgentSpec<Served<u32, String>> {
    let offer = Capability::<u32, String>::new("example.greet", version);
    ChildSpec::serve(name, offer, move |_, number| async move {
        tokio::time::sleep(10 * MS).await;
        Ok(format!("{number} by {version}"))
    })
    .restart(Restart::Transient)
}

/// Asks so many at once; each is answered or not.
async fn ask(route: &Route<u32, String>, numbers: std::ops::Range<u32>) -> Vec<Result<String, RequestError>> {
    let ask = |number| {
        let route = route.clone();
        tokio::spawn(async move { route.ask(number).await })
    };
    let mut answers = Vec::new();
    for asked in numbers.map(ask).collect::<Vec<_>>() {
        answers.push(asked.await.expect("asking does not panic"));
    }
    answers
}

fn print(what: &str, answers: &[Result<String, RequestError>]) {
    let lost = answers.iter().filter(|answer| answer.is_err()).count();
    let answers: Vec<_> = answers.iter().flatten().cloned().collect();
    println!("{what}: {}; lost: {lost}", answers.join(", "));
}

// Time is virtual here: it jumps to the next timer when nobody has anything to do.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(greeter("old", "1.0.0"));
    let system = System::start(spec).await?;
    let mut events = system.events();
    // What waits at an agent that drains or ends is sent to another that offers the same.
    let route = system.route(&GREET).at_death(AtDeath::Elsewhere).build()?;
    print("before", &ask(&route, 0..3).await);

    // Four requests are at the old one: it handles the first, and three wait. Then the new one comes.
    let under_way = tokio::spawn({
        let route = route.clone();
        async move { ask(&route, 10..14).await }
    });
    tokio::time::sleep(5 * MS).await;
    system.supervisor("root")?.start_child(greeter("new", "1.1.0")).await?;
    // Returns when the old one takes no more: after the request that it handles.
    system.drain("root/old", 1000 * MS).await?;
    print("during", &under_way.await?);
    print("after ", &ask(&route, 20..23).await);

    println!("what became of the old one:");
    while let Some(event) = events.try_next()? {
        match &event.kind {
            EventKind::Exited { reason, .. } if event.path.name() == "old" => println!("  it {reason}"),
            EventKind::Resting if event.path.name() == "old" => println!("  it rests, and is not started again"),
            _ => {}
        }
    }
    println!("dead letters: {}", system.dead_letter_counts().total());
    Ok(system.shutdown().await?)
}
