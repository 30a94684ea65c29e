//! One word to many: publish and subscribe, a queue group that shares work, and a group that is told together.
//!
//! Run with `cargo run --example publish`.

use steadfast::{Agent, AgentRef, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};

/// What is published.
#[derive(Clone)]
struct Uploaded(&'static str);

/// An agent that collects what it hears, and reads it out.
struct Desk(Vec<String>);

/// What each desk listens to: a pattern, and the queue group that it is in, if it is in one.
type Listens = (&'static str, Option<&'static str>);

enum Message {
    Note(String),
    Read,
    Crash,
}

impl Agent for Desk {
    type Args = Listens;
    type Message = Message;
    type Reply = String;

    async fn start((pattern, group): Listens, ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let pattern = pattern.parse()?;
        // In every start, and still once: the subscription is the agent's, not this life's.
        let note = |Uploaded(name)| Message::Note(name.to_owned());
        match group {
            None => ctx.subscribe(&pattern, note)?,
            Some(group) => ctx.subscribe_in_group(&pattern, group, note)?,
        };
        ctx.system().group::<&str>("everybody")?.join_with(&ctx.myself(), |word| Message::Note(word.to_owned()))?;
        Ok(Self(Vec::new()))
    }

    async fn handle(&mut self, message: Message, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        match message {
            Message::Note(note) => self.0.push(note),
            Message::Read => {
                return Ok(format!("{:<7} has: {}", ctx.path().name(), std::mem::take(&mut self.0).join(", ")));
            }
            Message::Crash => return Err("told to".into()),
        }
        Ok(String::new())
    }
}

async fn read(system: &System, names: &[&str]) -> Result<(), BoxError> {
    for name in names {
        let desk: AgentRef<Desk> = system.agent(format!("root/{name}"))?;
        println!("  {}", desk.ask(Message::Read).await?);
    }
    Ok(())
}

fn publish(system: &System, subject: &str, name: &'static str) -> Result<(), BoxError> {
    let published = system.publish(&subject.parse()?, Uploaded(name));
    println!("  {name} -> {subject}: {} got it", published.delivered);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let desk = |name, pattern, group| ChildSpec::agent::<Desk>(name, (pattern, group));
    let root = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(desk("audit", "agents.>", None))
        .child(desk("images", "agents.*.images.uploaded", None))
        .child(desk("worker1", "agents.*.*.uploaded", Some("resize")))
        .child(desk("worker2", "agents.*.*.uploaded", Some("resize")));
    let system = System::start(root).await?;
    let all = ["audit", "images", "worker1", "worker2"];

    println!("published: every listener gets it, and one member of the group `resize`:");
    publish(&system, "agents.eu.images.uploaded", "cat.png")?;
    publish(&system, "agents.eu.images.uploaded", "dog.png")?;
    publish(&system, "agents.us.texts.uploaded", "poem.txt")?;
    read(&system, &all).await?;

    println!("audit crashes; it still listens, and once:");
    let audit: AgentRef<Desk> = system.agent("root/audit")?;
    println!("  {}", audit.ask(Message::Crash).await.unwrap_err());
    publish(&system, "agents.eu.disk.full", "disk 1")?;
    read(&system, &["audit"]).await?;

    println!("somebody listens, but for another type, and the publisher is told:");
    println!("  {:?}", system.publish(&"agents.eu.disk.full".parse()?, 1));

    println!("told together:");
    let everybody = system.group::<&str>("everybody")?;
    println!("  {} of {} got it", everybody.broadcast("good night").delivered, everybody.len());
    read(&system, &all).await?;

    Ok(system.shutdown().await?)
}
