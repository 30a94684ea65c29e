//! A pool lends its members one at a time, gets them back by itself, and grows and shrinks with the work.
//!
//! Run with `cargo run --example pool`.

use std::time::Duration;

use steadfast::flow::{AcquireError, PoolRules};
use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Pool, PoolGuard, Strategy, SupervisorSpec, System};

/// Renders pictures, and breaks on the number 13.
struct Renderer;

impl Agent for Renderer {
    type Args = ();
    type Message = u32;
    type Reply = String;

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self)
    }

    async fn handle(&mut self, picture: u32, ctx: &mut Context<Self>) -> Result<String, BoxError> {
        if picture == 13 {
            return Err("no ink".into());
        }
        Ok(format!("picture {picture}, by {}, incarnation {}", ctx.path(), ctx.incarnation()))
    }
}

/// Waits until the pool has so many members.
async fn until_members(pool: &Pool<Renderer>, count: usize) {
    while pool.members().len() != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("  it has {count}: {:?}", pool.members());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // From 1 to 3 members: one more for each 2 that wait, one fewer after 100 ms with nothing to do.
    let rules = PoolRules::elastic(1, 3).thresholds(2, 1).shrink_after(Duration::from_millis(100));
    let renderers = ChildSpec::pool("renderers", rules, |_| ChildSpec::agent::<Renderer>("any", ()))
        .intensity(Intensity::at_most(5))
        .look_every(Duration::from_millis(20));
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(renderers)).await?;
    let pool = system.pool::<Renderer>("root/renderers")?;

    println!("A member is lent to one at a time:");
    let member = pool.acquire().await?;
    println!("  {}", member.ask(1).await?);
    match pool.acquire_within(Duration::from_millis(10)).await {
        // How long exactly it waited is the clock's business.
        Err(AcquireError::Timeout { pool, .. }) => println!("  no other came free: {pool}"),
        other => println!("  {other:?}"),
    }

    println!("One that crashes while it is held is started again, and the guard stays good:");
    println!("  {}", member.ask(13).await.unwrap_err());
    println!("  {}", member.ask(2).await?);

    println!("The more wait, the more members there are, up to the most:");
    let crowd: Vec<_> = (0..6)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await })
        })
        .collect();
    until_members(&pool, 3).await;

    println!("Dropped, a member goes to who waits longest:");
    drop(member);
    let mut seen = 0;
    for one in crowd {
        let member: PoolGuard<Renderer> = one.await??;
        seen += 1;
        drop(member);
    }
    println!("  all {seen} had one");

    println!("With nothing to do the youngest go, down to the fewest:");
    until_members(&pool, 1).await;
    Ok(system.shutdown().await?)
}
