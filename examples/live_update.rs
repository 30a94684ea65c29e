//! A running supervisor gets a new spec: its rules change and a child is added, and nobody is restarted for it.
//!
//! Run with `cargo run --example live_update`.

use std::time::Duration;

use steadfast::{BoxError, ChildError, ChildSpec, Intensity, Restart, Strategy, Supervisor, SupervisorSpec, System};

async fn forever() -> Result<(), BoxError> {
    std::future::pending().await
}

async fn list(supervisor: &Supervisor) -> Result<(), ChildError> {
    for child in supervisor.which_children().await? {
        let life = child.incarnation.map_or_else(|| "no life".to_owned(), |number| format!("incarnation {number}"));
        let rules = supervisor.child_spec(child.id.as_str()).await?;
        println!("  {}: {}, {life}, {}", child.path, child.state, rules.restart);
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::task("store", |_| forever()))
        .child(ChildSpec::task("report", |_| forever()));
    let system = System::start(spec).await?;
    let root = system.supervisor("root")?;
    println!("before:");
    list(&root).await?;

    let spec = SupervisorSpec::new("root", Strategy::RestForOne)
        .intensity(Intensity::at_most(5).within(Duration::from_mins(1)))
        .child(ChildSpec::task("store", |_| forever()))
        .child(ChildSpec::task("cache", |_| forever()))
        .child(ChildSpec::task("report", |_| forever()).restart(Restart::Transient));
    root.update(spec).await?;
    println!("after the update, which starts and stops nothing:");
    list(&root).await?;

    root.restart_child("cache").await?;
    println!("after the start of the new child:");
    list(&root).await?;

    // A spec that makes no sense changes nothing.
    let twice = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::task("store", |_| forever()))
        .child(ChildSpec::task("store", |_| forever()));
    println!("refused: {}", root.update(twice).await.unwrap_err());

    print!("{}", system.snapshot());
    Ok(system.shutdown().await?)
}

// Prints:
//
// before:
//   root/store: running, incarnation 1, permanent
//   root/report: running, incarnation 1, permanent
// after the update, which starts and stops nothing:
//   root/store: running, incarnation 1, permanent
//   root/cache: stopped, no life, permanent
//   root/report: running, incarnation 1, transient
// after the start of the new child:
//   root/store: running, incarnation 1, permanent
//   root/cache: running, incarnation 1, permanent
//   root/report: running, incarnation 1, transient
// refused: `root` has two children named `store`; give each a name of its own
// at 0.002 s
// root          running  incarnation 1  rest_for_one, 0 of 5 in 60s, 0 restarts in all, idle
// ├─ store      running  incarnation 1  permanent, active
// ├─ cache      running  incarnation 1  permanent, active
// └─ report     running  incarnation 1  transient, active
// system        running  incarnation 1  one_for_one, 0 of 10 in 5s, 0 restarts in all, idle
// ├─ registrar  running  incarnation 1  permanent, active
// ├─ bus        running  incarnation 1  permanent, active
// └─ journal    running  incarnation 1  permanent, active
