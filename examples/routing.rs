//! Work finds whoever can do it: by capability and version, the least busy provider, and one that is alive.
//!
//! Run with `cargo run --example routing`.

use std::time::Duration;

use steadfast::{Agent, AgentSpec, BoxError, Capability, ChildSpec, Context, Strategy, SupervisorSpec, System};

/// What a caller asks for: version 1.0.0 or a compatible later one.
const RESIZE: Capability<u32, String> = Capability::new("image.resize", "1.0.0");
const RESIZE_2: Capability<u32, String> = Capability::new("image.resize", "2.0.0");
const COUNT: Capability<(), String> = Capability::new("image.count", "1.0.0");

fn worker(name: &str, version: &'static str) -> impl Into<ChildSpec> {
    let offer = Capability::<u32, String>::new("image.resize", version);
    ChildSpec::serve(name, offer, move |ctx, width| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if width == 0 { Err("no width".into()) } else { Ok(format!("{width} px by {} ({version})", ctx.path())) }
    })
}

/// An agent with two capabilities: the request of each becomes its message. (Where their replies differ in type, its
/// reply is an enum that turns into each of them by `TryFrom`.)
struct Archive(u64);

enum Message {
    Resize(u32),
    Count,
}

impl From<u32> for Message {
    fn from(width: u32) -> Self {
        Self::Resize(width)
    }
}

impl From<()> for Message {
    fn from((): ()) -> Self {
        Self::Count
    }
}

impl Agent for Archive {
    type Args = ();
    type Message = Message;
    type Reply = String;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self(0))
    }

    async fn handle(&mut self, message: Message, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        self.0 += 1;
        Ok(match message {
            Message::Resize(width) => format!("{width} px by {} (2.3.0)", ctx.path()),
            Message::Count => format!("{} requests so far", self.0),
        })
    }
}

fn archive() -> AgentSpec<Archive> {
    ChildSpec::agent("archive", ()).offers(&Capability::<u32, String>::new("image.resize", "2.3.0")).offers(&COUNT)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .child(worker("a", "1.0.0"))
        .child(worker("b", "1.4.0"))
        .child(archive());
    let system = System::start(spec).await?;

    println!("four at once, to the least busy of those whose version fits 1.0.0:");
    let ask = async |width| system.ask(&RESIZE, width).await;
    let (first, second, third, fourth) = tokio::try_join!(ask(100), ask(200), ask(300), ask(400))?;
    println!("  {first}\n  {second}\n  {third}\n  {fourth}");

    println!("version 2.0.0: {}", system.ask(&RESIZE_2, 500).await?);
    println!("another capability of the same agent: {}", system.ask(&COUNT, ()).await?);

    println!("a provider crashes: {}", system.ask(&RESIZE, 0).await.unwrap_err());
    println!("and nobody is sent to it: {}", system.ask(&RESIZE, 600).await?);

    println!("{}", system.ask(&Capability::<u32, String>::new("image.resize", "3.0.0"), 1).await.unwrap_err());
    Ok(system.shutdown().await?)
}
