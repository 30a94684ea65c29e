//! An agent that hangs is noticed, ended as unresponsive and replaced; one that is only busy is left alone.
//!
//! Run with `cargo run --example hung`.

use std::time::Duration;

use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Strategy, SupervisorSpec, System};

const MS: Duration = Duration::from_millis(1);

struct Printer {
    pages: u32,
}

enum Job {
    /// Takes a moment.
    Page,
    /// Waits for somebody who never comes.
    Jam,
    /// Takes longer than the deadline, and says meanwhile that it goes on.
    Book,
}

impl Agent for Printer {
    type Args = ();
    type Message = Job;
    type Reply = u32;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { pages: 0 })
    }

    async fn handle(&mut self, job: Job, ctx: &mut Context<Self>) -> Result<u32, BoxError> {
        let pages = match job {
            Job::Page => 1,
            Job::Book => 20,
            Job::Jam => std::future::pending().await,
        };
        for _ in 0..pages {
            tokio::time::sleep(MS * 20).await;
            ctx.progress();
        }
        self.pages += pages;
        Ok(self.pages)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // For each message on its own, from when its handler begins.
    let printer = |name: &str| ChildSpec::agent::<Printer>(name, ()).handler_deadline(MS * 200);
    let spec = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(Intensity::at_most(3))
        .child(printer("jammed"))
        .child(printer("busy"));
    let system = System::start(spec).await?;
    let (jammed, busy) = (system.agent::<Printer>("root/jammed")?, system.agent::<Printer>("root/busy")?);

    let before = system.clock().now();
    let elapsed = || system.clock().now().duration_since(before).as_millis() / 100 * 100;

    // The last of these waits for longer than the deadline. That is no hang: each page is quick.
    for _ in 0..25 {
        busy.tell(Job::Page)?;
    }
    println!("{}", jammed.ask(Job::Jam).await.unwrap_err());
    println!("  after about {} ms; and the next page, by its next life: {}", elapsed(), jammed.ask(Job::Page).await?);

    println!("the busy one has printed {} pages", busy.ask(Job::Page).await?);
    println!("  after more than {} ms, as incarnation {}", elapsed(), busy.incarnation().ok_or("it is gone")?);

    println!("a book, with signs of progress: {} pages", busy.ask(Job::Book).await?);
    println!("  after more than {} ms, as incarnation {}", elapsed(), busy.incarnation().ok_or("it is gone")?);

    println!("{}\n{}", system.history("root/jammed")?, system.history("root/busy")?);
    Ok(system.shutdown().await?)
}

// Prints:
//
// root/jammed, incarnation 1, was unresponsive: its handler made no progress for 200ms
//   after about 200 ms; and the next page, by its next life: 1
// the busy one has printed 26 pages
//   after more than 500 ms, as incarnation 1
// a book, with signs of progress: 46 pages
//   after more than 900 ms, as incarnation 1
// root/jammed: 1 exit
//   incarnation 1, started by init at 0.001 s, lived 0.202 s, was unresponsive: its handler made no progress for 200ms; restarted (1 of 3 in 5s)
// root/busy: 0 exits
