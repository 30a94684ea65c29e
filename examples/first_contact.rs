//! A child panics, and comes back.
//!
//! Run with `cargo run --example first_contact`.

use steadfast::{Capability, ChildSpec, Strategy, SupervisorSpec, System};

const SUM: Capability<Vec<i64>, i64> = Capability::new("math.sum", "1.0.0");
const MEAN: Capability<Vec<i64>, i64> = Capability::new("math.mean", "1.0.0");

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = System::start(
        SupervisorSpec::new("root", Strategy::OneForOne)
            .child(ChildSpec::serve("adder", SUM, |_, xs| async move { Ok(xs.iter().sum()) }))
            .child(ChildSpec::serve("divider", MEAN, |_, xs| async move {
                Ok(xs.iter().sum::<i64>() / i64::try_from(xs.len())?)
            })),
    )
    .await?;
    println!("{}", system.ask(&SUM, vec![1, 2, 3]).await?);
    println!("{}", system.ask(&MEAN, vec![]).await.unwrap_err());
    println!("{}", system.ask(&MEAN, vec![4, 8]).await?);
    println!("{}", system.history("root/divider")?);
    Ok(system.shutdown().await?)
}
