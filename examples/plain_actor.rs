//! A plain ractor actor under supervision: unchanged, restarted like an agent, with a typed reason for each end.
//!
//! Run with `cargo run --example plain_actor`.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use steadfast::{ChildSpec, EventKind, Events, Intensity, Path, Strategy, SupervisorSpec, System};

/// An actor that knows nothing of steadfast.
struct Counter;

enum Message {
    Add(u64),
    Total(RpcReplyPort<u64>),
    Panic,
    Fail,
}

impl Actor for Counter {
    type Msg = Message;
    type State = u64;
    type Arguments = u64;

    async fn pre_start(&self, _: ActorRef<Message>, first: u64) -> Result<u64, ActorProcessingErr> {
        Ok(first)
    }

    async fn handle(&self, _: ActorRef<Message>, message: Message, total: &mut u64) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Add(number) => *total += number,
            Message::Total(reply) => reply.send(*total)?,
            Message::Panic => panic!("boom"),
            Message::Fail => return Err("the disk is full".into()),
        }
        Ok(())
    }
}

/// A way to end the actor.
type End = fn(&ActorRef<Message>);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Every incarnation is a new actor with new arguments.
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(10))
        .child(ChildSpec::actor::<Counter, _>("counter", || (Counter, 40)));
    let system = System::start(spec).await?;
    let mut events = system.events();
    let path: Path = "root/counter".parse()?;

    let counter = system.actor::<Message>(&path).ok_or("it is not alive")?;
    counter.cast(Message::Add(2))?;
    println!("40 + 2: {}", ractor::call!(counter, Message::Total)?);

    let ends: [(&str, End); 5] = [
        ("it panics", |actor| drop(actor.cast(Message::Panic))),
        ("it returns an error", |actor| drop(actor.cast(Message::Fail))),
        ("it is stopped", |actor| actor.stop(None)),
        ("it is stopped, with a word that looks like a kill", |actor| actor.stop(Some("killed".to_owned()))),
        ("it is killed", |actor| actor.kill()),
    ];
    for (what, end) in ends {
        // A reference of ractor is good for one incarnation, so it is asked for anew.
        end(&system.actor::<Message>(&path).ok_or("it is not alive")?);
        println!("{what}: {}", restarted(&mut events).await?);
    }

    let counter = system.actor::<Message>(&path).ok_or("it is not alive")?;
    println!("a restart inherits nothing: {}", ractor::call!(counter, Message::Total)?);
    println!("{}", system.history("root/counter")?);
    Ok(system.shutdown().await?)
}

/// Waits until the actor is back, and returns how its last life ended.
async fn restarted(events: &mut Events) -> Result<String, Box<dyn std::error::Error>> {
    let mut ended = String::new();
    loop {
        match &events.next().await?.kind {
            EventKind::Exited { reason, .. } => ended = reason.to_string(),
            EventKind::Started { incarnation } => return Ok(format!("{ended}; back as incarnation {incarnation}")),
            _ => {}
        }
    }
}
