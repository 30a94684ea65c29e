//! What is about the same goes to the same agent, also when others come and go: only the keys of who left move.
//!
//! Run with `cargo run --example sticky_routing`.

use steadfast::registry::selection::{Selection, Stickiness};
use steadfast::{AgentSpec, Capability, ChildSpec, Route, Served, Strategy, SupervisorSpec, System};

/// Asks which cache holds a customer.
const CACHE: Capability<String, String> = Capability::new("cache.get", "1.0.0");

const CUSTOMERS: [&str; 8] = ["ann", "bob", "cid", "dee", "eva", "fay", "gus", "hal"];

fn cache(name: &str) -> AgentSpec<Served<String, String>> {
    ChildSpec::serve(name, CACHE, |ctx, _| async move { Ok(ctx.path().name().to_owned()) })
}

async fn who_has_whom(route: &Route<String, String>) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut owners = Vec::new();
    for customer in CUSTOMERS {
        owners.push(route.ask_about(customer, customer.to_owned()).await?);
    }
    Ok(owners)
}

fn line(owners: &[String]) -> String {
    CUSTOMERS.iter().zip(owners).map(|(customer, owner)| format!("{customer}: {owner}")).collect::<Vec<_>>().join(", ")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = SupervisorSpec::new("root", Strategy::OneForOne).child(cache("x")).child(cache("y")).child(cache("z"));
    let system = System::start(spec).await?;
    let route = system.route(&CACHE).selection(Selection::Sticky(Stickiness::Moves)).build()?;

    let before = who_has_whom(&route).await?;
    println!("three caches:  {}", line(&before));
    println!("asked again:   {}", line(&who_has_whom(&route).await?));

    system.supervisor("root")?.terminate_child("y").await?;
    let without = who_has_whom(&route).await?;
    println!("y is gone:     {}", line(&without));
    let moved = before.iter().zip(&without).filter(|(before, without)| before != without);
    println!("who moved was with: {:?}", moved.map(|(before, _)| before.as_str()).collect::<Vec<_>>());

    system.supervisor("root")?.restart_child("y").await?;
    println!("y is back:     {}", line(&who_has_whom(&route).await?));
    println!("why:           {}", route.choose_about("ann")?.reason);
    println!("without a key: {}", route.ask("ann".to_owned()).await.unwrap_err());
    Ok(system.shutdown().await?)
}
