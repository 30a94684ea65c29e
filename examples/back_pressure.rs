//! What happens when more comes in than is handled: a bound that refuses, a sender that waits for room, and a rate for a
//! whole domain.
//!
//! Run with `cargo run --example back_pressure`.

use std::time::Duration;

use steadfast::flow::{DomainLimits, RateLimit};
use steadfast::{
    Agent, AgentRef, BoxError, ChildSpec, Context, DomainSpec, Strategy, SupervisorSpec, System, TellError,
};

/// Writes a line for each message, and takes a while for it.
struct Printer;

impl Agent for Printer {
    type Args = ();
    type Message = u32;
    type Reply = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, page: u32, _: &mut Context<Self>) -> Result<(), BoxError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        println!("  printed page {page}");
        Ok(())
    }
}

/// Tells pages from `first` on until one is refused, and returns why.
fn tell_until_refused(printer: &AgentRef<Printer>, first: u32) -> TellError<u32> {
    (first..).find_map(|page| printer.tell(page).err()).expect("every mailbox has a bound")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne)).await?;
    let office = DomainSpec::new("office").agent(ChildSpec::agent::<Printer>("printer", ()).mailbox(3));
    let office = system.add_domain(office).await?;
    let printer = system.agent::<Printer>("root/office/printer")?;

    println!("`tell` never waits. At the bound it gives the message back:");
    let refused = tell_until_refused(&printer, 1);
    println!("  {refused}");
    let page = refused.into_message();

    println!("`tell_wait` waits for room, here at most a second:");
    printer.tell_wait(page, Duration::from_secs(1)).await?;
    println!("  page {page} has its place");
    // The answer comes after what was told before it.
    printer.ask(5).await?;

    println!("A domain may take so many messages within a time, whichever of its agents they are for:");
    let mut limits = DomainLimits::default();
    limits.messages = Some(RateLimit { count: 2, per: Duration::from_mins(1), burst: Some(2) });
    office.set_limits(limits)?;
    match tell_until_refused(&printer, 6) {
        TellError::RateLimited { message, domain, retry_after, .. } => {
            // How long exactly is the clock's business.
            println!(
                "  page {message} is one too many for `{domain}`; again in {} s",
                retry_after.as_secs_f64().ceil()
            );
        }
        other => println!("  {other}"),
    }

    println!("An ask waits for its turn, and learns at once when that does not come before its deadline:");
    let refused = printer.ask_within(8, Duration::from_secs(1)).await.map_err(|error| error.to_string());
    println!("  {}", refused.unwrap_err().split(';').next().unwrap_or_default());
    Ok(system.shutdown().await?)
}
