//! What agents know in common: versions, compare and set, a time to live, a watch; and a crash that costs nothing of it.
//!
//! Run with `cargo run --example blackboard`.

use std::time::Duration;

use steadfast::message::blackboard::{Change, What};
use steadfast::message::{BoardBounds, Expected, Put};
use steadfast::{BoxError, ChildSpec, Strategy, SupervisorSpec, System};

fn show(change: &Change<&str>) {
    let Change { revision, key, what, .. } = change;
    match what {
        What::Set(value) => println!("  change {revision}: {key} is {value}"),
        What::Removed => println!("  change {revision}: {key} was taken away"),
        What::Expired => println!("  change {revision}: {key} is over"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let board = ChildSpec::blackboard::<&str>("board", BoardBounds::default());
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(board)).await?;
    let board = system.blackboard::<&str>("root/board")?;
    let (_, mut watch) = board.watch(&"plan.>".parse()?).await?;

    println!("two writers read the same value, and one of them writes:");
    let first = board.set("plan.phase".parse()?, "planning").await?;
    let over = |value| Put::new("plan.phase".parse().expect("a subject"), value).expecting(Expected::Revision(first));
    board.put(over("running").living(Duration::from_millis(500))).await?;
    println!("  {}", board.put(over("failed")).await.unwrap_err());

    println!("the board's agent is killed; what is on it stays:");
    system.kill("root/board")?;
    let phase = board.get("plan.phase".parse()?).await?.expect("its time is not over");
    println!("  phase is {}, set by change {}", phase.value, phase.revision);

    println!("who watches sees every change, also those in its absence:");
    for _ in 0..3 {
        show(&watch.next().await?);
    }
    Ok(system.shutdown().await?)
}
