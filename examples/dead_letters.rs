//! A message that nobody handled is not gone: it is a dead letter with the reason, and can be sent again or taken out.
//!
//! Run with `cargo run --example dead_letters`.

use std::time::Duration;

use steadfast::message::{DeadReason, Envelope, Filter};
use steadfast::{BoxError, Capability, ChildSpec, Served, Strategy, SupervisorSpec, System};

const MS: Duration = Duration::from_millis(1);
const MAIL: Capability<String, ()> = Capability::new("office.mail", "1.0.0");

fn show(system: &System, when: &str) {
    println!("dead letters {when}:");
    for letter in system.dead_letters(&Filter::all()) {
        let to = letter.receiver.map_or_else(|| "nobody".to_owned(), |path| path.to_string());
        // Of the message itself only the type is shown: it may be large, or secret.
        println!("  number {}, a {}, to {to}: {}", letter.id, letter.message, letter.why);
    }
}

// Time is virtual here: it jumps to the next timer when nobody has anything to do.
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), BoxError> {
    let clerk = ChildSpec::serve("clerk", MAIL, |_, line: String| async move {
        tokio::time::sleep(50 * MS).await;
        println!("  the clerk has read: {line}");
        Ok(())
    });
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(clerk)).await?;
    let clerk = system.agent::<Served<String, ()>>("root/clerk")?;

    println!("two letters are worth reading within 20 ms, and the clerk is busy for 50:");
    let now = system.clock().now();
    clerk.tell("the long one".to_owned())?;
    clerk.send(Envelope::new(0, "lunch is ready".to_owned()).with_time_to_live(now, 20 * MS))?;
    clerk.send(Envelope::new(0, "the house is on fire".to_owned()).with_time_to_live(now, 20 * MS))?;
    // Whatever was sent before has had its turn when this is answered.
    clerk.ask("the last one".to_owned()).await?;
    show(&system, "now");

    println!("the one about the fire matters all the same. It is sent again, and has no end this time:");
    let late = system.dead_letters(&Filter::all().because(DeadReason::Expired).to("root/clerk".parse()?));
    system.send_again(late[1].id)?;
    tokio::time::sleep(100 * MS).await;

    println!("the other one is taken out by its type:");
    let letter = system.take_dead_letter::<String>(late[0].id).ok_or("it is of another type, or gone")?;
    println!("  {:?} was for {}", letter.message, letter.receiver.ok_or("it has a receiver")?);

    show(&system, "in the end");
    println!("  in all there were {}", system.dead_letter_counts().total());
    Ok(system.shutdown().await?)
}
