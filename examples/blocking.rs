//! Work that blocks its thread goes to `ctx.blocking`: the agent answers meanwhile, and nobody else is held up either.
//!
//! Run with `cargo run --example blocking`.

use std::time::Duration;

use steadfast::{Agent, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};

/// Counts primes, one job at a time.
struct Counter {
    job: Option<u32>,
    found: Option<usize>,
}

#[derive(Debug)]
enum Message {
    Count { below: u32 },
    Counted(usize),
    HowFar,
}

impl Agent for Counter {
    type Args = ();
    type Message = Message;
    type Reply = String;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { job: None, found: None })
    }

    async fn handle(&mut self, message: Message, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        match message {
            Message::Count { below } => {
                self.job = Some(below);
                // Not awaited here, where it would keep the agent from its next message, but in a task of this life,
                // which tells the agent what came of it. Both end with the life.
                let count = ctx.blocking(move |work| (2..below).filter(|n| work.is_wanted() && is_prime(*n)).count());
                let myself = ctx.myself();
                ctx.spawn(async move {
                    let _ = myself.tell(Message::Counted(count.await));
                });
            }
            Message::Counted(found) => (self.job, self.found) = (None, Some(found)),
            Message::HowFar => {}
        }
        Ok(match (self.job, self.found) {
            (Some(below), _) => format!("counting the primes below {below}"),
            (None, Some(found)) => format!("found {found}"),
            (None, None) => "nothing to do".to_owned(),
        })
    }
}

fn is_prime(n: u32) -> bool {
    (2..=n.isqrt()).all(|d| !n.is_multiple_of(d))
}

// One thread for everything: without `ctx.blocking` nothing else would run while it counts.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::agent::<Counter>("counter", ()));
    let system = System::start(spec).await?;
    let counter = system.agent::<Counter>("root/counter")?;

    println!("{}", counter.ask(Message::HowFar).await?);
    counter.tell(Message::Count { below: 2_000_000 })?;
    let mut said = String::new();
    while !said.starts_with("found") {
        let says = counter.ask(Message::HowFar).await?;
        if says != said {
            println!("{says}");
        }
        said = says;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(system.shutdown().await?)
}
