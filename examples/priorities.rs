//! The urgent goes first, what comes too late is not done, and when there is no room the least urgent makes some.
//!
//! Run with `cargo run --example priorities`.

use std::time::Duration;

use steadfast::flow::{AtBound, Order};
use steadfast::message::{DeadReason, Envelope, Filter, Priority};
use steadfast::{Agent, AgentRef, BoxError, ChildSpec, Context, Strategy, SupervisorSpec, System};

const MS: Duration = Duration::from_millis(1);

/// A doctor takes 10 ms for each patient.
struct Doctor;

impl Agent for Doctor {
    type Args = ();
    type Message = &'static str;
    type Reply = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, patient: &'static str, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let came = ctx.sequence().unwrap_or_default();
        let left = ctx.remaining().map_or_else(String::new, |left| format!(", in time by {left:?}"));
        println!("  {patient}: priority {}, came as number {came}{left}", ctx.priority());
        tokio::time::sleep(10 * MS).await;
        Ok(())
    }
}

fn patient(name: &'static str, priority: Priority) -> Envelope<&'static str> {
    Envelope::new(0, name).with_priority(priority)
}

fn send(doctor: &AgentRef<Doctor>, patient: Envelope<&'static str>) {
    match doctor.send(patient) {
        Ok(()) => {}
        // It gives the envelope back; what it says is in the error.
        Err(error) => println!("  not taken: {error}"),
    }
}

// Time is virtual here: it jumps to the next timer when nobody has anything to do.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let doctor = ChildSpec::agent::<Doctor>("doctor", ())
        .order(Order::Priority) // Lanes: without this, first come first served.
        .at_bound(AtBound::ShedLowest) // Otherwise the newcomer is refused.
        .mailbox(4);
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(doctor)).await?;
    let doctor = system.agent::<Doctor>("root/doctor")?;

    // The door is shut, so that they all wait before it opens.
    system.suspend("root/doctor").await?;
    let now = system.clock().now();
    println!("they come:");
    send(&doctor, patient("a cold", Priority::LOW));
    send(&doctor, patient("a cough", Priority::LOW));
    send(&doctor, patient("a broken leg", Priority::MEDIUM).with_deadline(now + 25 * MS));
    send(&doctor, patient("a splinter", Priority::MEDIUM).with_deadline(now + 15 * MS));
    println!("four wait, and no more may. For an urgent one the last of the least urgent goes:");
    send(&doctor, patient("a heart attack", Priority::CRITICAL));
    send(&doctor, patient("a burn", Priority::HIGH));
    println!("for one that is no more urgent than any nobody goes:");
    send(&doctor, patient("a form to sign", Priority::LOW));

    println!("the doctor begins:");
    system.resume("root/doctor").await?;
    tokio::time::sleep(100 * MS).await;

    println!("who was not treated:");
    for why in [DeadReason::Shed, DeadReason::Expired] {
        for letter in system.dead_letters(&Filter::all().because(why)) {
            let letter = system.take_dead_letter::<&'static str>(letter.id).ok_or("it is of another type")?;
            println!("  {why}: {}", letter.message);
        }
    }
    Ok(system.shutdown().await?)
}
