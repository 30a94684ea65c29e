//! A child panics and comes back: its state is new, and the messages that waited for it are not lost.
//!
//! Run with `cargo run --example restart`.

use std::time::Duration;

use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec, System};

/// Adds numbers up, and panics at a negative one.
struct Adder {
    sum: i64,
}

enum Message {
    Add(i64),
    Sum,
}

impl Agent for Adder {
    type Args = ();
    type Message = Message;
    type Reply = i64;

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        println!("  incarnation {} starts at zero", ctx.incarnation());
        // A start may take its time. Messages wait meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Self { sum: 0 })
    }

    async fn handle(&mut self, message: Message, _: &mut Context<Self>) -> Result<i64, BoxError> {
        if let Message::Add(number) = message {
            assert!(number >= 0, "{number} is negative");
            self.sum += number;
        }
        Ok(self.sum)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(3).within(Duration::from_secs(10)))
        .child(ChildSpec::agent::<Adder>("adder", ()));
    let system = System::start(spec).await?;

    // Good for all lives of the agent.
    let adder = system.agent::<Adder>("root/adder")?;
    adder.ask(Message::Add(1)).await?;
    println!("1 + 2: {}", adder.ask(Message::Add(2)).await?);

    // Told one after the other: the second panics, the two behind it reach the next incarnation.
    for number in [10, -1, 4, 5] {
        adder.tell(Message::Add(number))?;
    }
    println!("4 + 5, by the next incarnation: {}", adder.ask(Message::Sum).await?);

    // Whoever asks for what panics is told.
    println!("{}", adder.ask(Message::Add(-7)).await.unwrap_err());
    println!("by the one after that: {}", adder.ask(Message::Sum).await?);

    println!("{}", system.history("root/adder")?);
    Ok(system.shutdown().await?)
}
