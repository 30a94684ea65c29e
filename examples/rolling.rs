//! A pool is rolled to a new version, instance by instance, while it goes on answering.
//!
//! Run with `cargo run --example rolling`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::{Capability, ChildSpec, DynamicSupervisorSpec, RequestError, Strategy, SupervisorSpec, System};

const MS: Duration = Duration::from_millis(1);

/// What is asked for stays the same. Which version of the program answers is the instance's argument.
const GREET: Capability<String, String> = Capability::new("example.greet", "1.0.0");

#[derive(Clone, Copy)]
struct Version(u32);

/// Asks whoever is least busy. A request that still waited at an instance when that was terminated was never begun, so
/// that it can be asked again: it goes to another.
async fn greet(system: &System, name: &str) -> Result<String, RequestError> {
    loop {
        match system.ask(&GREET, name.to_owned()).await {
            Err(RequestError::Gone { .. }) => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = DynamicSupervisorSpec::new("pool", |Version(version)| {
        ChildSpec::serve("worker", GREET, move |ctx, name: String| async move {
            tokio::time::sleep(MS * 5).await;
            Ok(format!("version {version} ({}): hello {name}", ctx.path()))
        })
    });
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(pool)).await?;
    let pool = system.dynamic_supervisor::<Version>("root/pool")?;
    for _ in 0..3 {
        pool.start_child(Version(1)).await?;
    }
    println!("{}", greet(&system, "Ann").await?);

    // Two requests are under way all the time. Who answers is noted.
    let done = Arc::new(AtomicBool::new(false));
    let caller = tokio::spawn({
        let (system, done) = (system.clone(), Arc::clone(&done));
        async move {
            let (mut answers, mut failures) = (BTreeSet::new(), Vec::new());
            while !done.load(Ordering::SeqCst) {
                let (one, two) = tokio::join!(greet(&system, "Bob"), greet(&system, "Bob"));
                for answer in [one, two] {
                    match answer {
                        Ok(text) => drop(answers.insert(text)),
                        Err(error) => failures.push(error.to_string()),
                    }
                }
            }
            (answers, failures)
        }
    });

    // First the new one, then away with the old one: there are never fewer than three.
    for old in pool.which_children().await? {
        tokio::time::sleep(MS * 100).await;
        let new = pool.start_child(Version(2)).await?;
        pool.terminate_child(&old.path).await?;
        println!("  {} takes the place of {}", new.path, old.path);
    }
    tokio::time::sleep(MS * 100).await;
    done.store(true, Ordering::SeqCst);

    let (answers, failures) = caller.await?;
    println!("who answered meanwhile:");
    for answer in answers {
        println!("  {answer}");
    }
    println!("requests that failed: {failures:?}");
    println!("{}", greet(&system, "Ann").await?);
    Ok(system.shutdown().await?)
}

// Prints:
//
// version 1 (root/pool/1): hello Ann
//   root/pool/4 takes the place of root/pool/1
//   root/pool/5 takes the place of root/pool/2
//   root/pool/6 takes the place of root/pool/3
// who answered meanwhile:
//   version 1 (root/pool/1): hello Bob
//   version 1 (root/pool/2): hello Bob
//   version 1 (root/pool/3): hello Bob
//   version 2 (root/pool/4): hello Bob
//   version 2 (root/pool/5): hello Bob
//   version 2 (root/pool/6): hello Bob
// requests that failed: []
// version 2 (root/pool/6): hello Ann
