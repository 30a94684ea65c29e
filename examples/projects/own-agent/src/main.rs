//! Another agent finds the thermometer and asks it, by type and by name. It knows what can be asked, and not who answers.
//!
//! Run with `cargo run`.

use std::time::Duration;

use own_agent::{WARMTH, Warmth, WhichRoom, thermometer};
use serde_json::json;
use steadfast::registry::requirement::Requirement;
use steadfast::{Agent, BoxError, Capability, ChildSpec, Context, Route, Strategy, SupervisorSpec, System};

const ADVICE: Capability<String, String> = Capability::new("home.advice", "1.0.0");
const SECOND: Duration = Duration::from_secs(1);

/// Made once in each life, and used for every question.
struct Adviser {
    by_type: Route<WhichRoom, Warmth>,
    by_name: Requirement,
}

impl Agent for Adviser {
    type Args = ();
    type Message = String;
    type Reply = String;

    async fn start((): (), ctx: &mut Context<Self>) -> Result<Self, BoxError> {
        let by_type = ctx.system().route(&WARMTH).within(SECOND).build()?;
        Ok(Self { by_type, by_name: "home.warmth@^1".parse()? })
    }

    async fn handle(&mut self, room: String, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        // By type: the compiler checks what is asked and what comes back. All in the time of whoever wants advice.
        let (route, kept) = (self.by_type.clone(), SECOND / 100);
        let warmth = ctx.ask(&route, WhichRoom { room: room.clone() }, kept).await?;
        // By name: neither type is needed, and both are checked when it is asked.
        let left = ctx.remaining().map_or(SECOND, |left| left.saturating_sub(kept));
        let json = ctx.system().ask_json(&self.by_name, json!({ "room": room }), left).await?;
        Ok(match warmth.celsius {
            Some(degrees) if degrees < 18 => format!("{room}: put on a coat ({json})"),
            Some(_) => format!("{room}: come in ({json})"),
            None => format!("{room}: no such room ({json})"),
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let spec = SupervisorSpec::new("home", Strategy::OneForOne)
        .child(thermometer("thermometer"))
        .child(ChildSpec::agent::<Adviser>("adviser", ()).offers(&ADVICE));
    let system = System::start(spec).await?;

    println!("one agent asks the other:");
    for room in ["kitchen", "cellar", "attic"] {
        println!("  {}", system.ask(&ADVICE, room.to_owned()).await?);
    }
    println!("what is no such request does not reach the agent:");
    let wanted = "home.warmth".parse()?;
    if let Err(error) = system.ask_json(&wanted, json!({ "rom": "kitchen" }), SECOND).await {
        println!("  {error}");
    }
    Ok(system.shutdown().await?)
}
