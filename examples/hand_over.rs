//! A life hands its last good state over to the next: what it checkpointed, never the state that failed.
//!
//! Run with `cargo run --example hand_over`.

use std::collections::BTreeMap;

use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec, System};

/// Keeps accounts. The sum of all must stay zero.
struct Bank {
    accounts: BTreeMap<&'static str, i64>,
}

enum Message {
    Transfer { from: &'static str, to: &'static str, amount: i64 },
    Balance(&'static str),
}

impl Agent for Bank {
    type Args = ();
    type Message = Message;
    type Reply = i64;

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let accounts = ctx.handed_over().unwrap_or_default();
        println!("  incarnation {} starts with {accounts:?}", ctx.incarnation());
        Ok(Self { accounts })
    }

    async fn handle(&mut self, message: Message, ctx: &mut Context<Self>) -> Result<i64, BoxError> {
        let (from, to, amount) = match message {
            Message::Balance(name) => return Ok(self.accounts.get(name).copied().unwrap_or(0)),
            Message::Transfer { from, to, amount } => (from, to, amount),
        };
        *self.accounts.entry(from).or_default() -= amount;
        // A bug: the money is gone from one account and not yet in the other.
        assert!(amount != 13, "nobody transfers 13");
        *self.accounts.entry(to).or_default() += amount;
        // The state is whole again, and good to start from.
        ctx.checkpoint(self.accounts.clone())?;
        Ok(self.accounts[to])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(3))
        .child(ChildSpec::agent::<Bank>("bank", ()).hand_over());
    let system = System::start(spec).await?;
    let bank = system.agent::<Bank>("root/bank")?;

    bank.ask(Message::Transfer { from: "ann", to: "bob", amount: 10 }).await?;
    let lost = bank.ask(Message::Transfer { from: "ann", to: "bob", amount: 13 }).await;
    println!("{}", lost.unwrap_err());
    println!("ann: {}", bank.ask(Message::Balance("ann")).await?);
    println!("bob: {}", bank.ask(Message::Balance("bob")).await?);
    Ok(system.shutdown().await?)
}
