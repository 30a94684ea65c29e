//! An account that is kept as what happened to it: it is killed, and its next life has every booking that was acknowledged.
//!
//! Run with `cargo run --example event_sourced`.

use serde::{Deserialize, Serialize};
use steadfast::message::codec::Schema;
use steadfast::message::record::Record;
use steadfast::seam::Seq;
use steadfast::sourcing::Decision;
use steadfast::{ChildSpec, EventSourced, Projection, Sourced, Strategy, SupervisorSpec, System};

struct Account {
    balance: i64,
}

#[derive(Serialize, Deserialize)]
struct Booked(i64);

impl Record for Booked {
    const LAYOUT: Schema = Schema(1);
}

impl EventSourced for Account {
    type Args = ();
    /// By how much the balance is to change.
    type Command = i64;
    type Event = Booked;
    /// The new balance.
    type Reply = i64;
    type Rejection = String;

    fn initial((): &()) -> Self {
        Self { balance: 0 }
    }

    fn decide(&self, change: i64) -> Result<Decision<Booked, i64>, String> {
        let balance = self.balance + change;
        if balance < 0 {
            return Err(format!("{} are missing", -balance));
        }
        Ok(Decision::event(Booked(change), balance))
    }

    fn apply(&mut self, booked: &Booked) {
        self.balance += booked.0;
    }
}

/// The largest booking, to be read.
struct Largest(i64);

impl Projection for Largest {
    type Args = ();
    type Event = Booked;

    fn initial((): &()) -> Self {
        Self(0)
    }

    fn apply(&mut self, _: Seq, booked: &Booked) {
        self.0 = self.0.max(booked.0);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The journal is in memory here. Give the builder a durable one, and the account outlives the process as well.
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(ChildSpec::sourced::<Account>("account", ()))
        .child(ChildSpec::projection::<Largest>("largest", "agent/root/account".parse()?, ()));
    let system = System::start(spec).await?;
    let account = system.agent::<Sourced<Account>>("root/account")?;

    for change in [50, 20, -100] {
        match account.ask(change).await? {
            Ok(balance) => println!("{change}: the balance is {balance}"),
            Err(missing) => println!("{change}: {missing}"),
        }
    }

    system.kill("root/account")?;
    println!("after its death: {:?}", account.ask(-60).await?);
    println!("this is incarnation {}", account.incarnation().ok_or("it is gone")?);

    let largest = system.projection::<Largest>("root/largest")?;
    println!("the largest booking: {}", largest.read_latest(|largest| largest.0).await?);
    Ok(system.shutdown().await?)
}
