//! A test of a crash between a result and its acknowledgement: whoever asked cannot know, and asks again. With a key for
//! each order it is carried out once, whenever the crash comes.
//!
//! Run with `cargo run --example sim_lost_answer`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use steadfast::testing::{Sim, World};
use steadfast::{Agent, BoxError, ChildSpec, Context, Intensity, Strategy, Subject, SupervisorSpec};

/// What has been paid, by the key of the order. It outlives the agent, as a bank would.
type Bank = Arc<Mutex<BTreeMap<&'static str, Vec<u64>>>>;

struct Cashier {
    bank: Bank,
}

/// Pay so much, for the order with this key.
struct Pay(&'static str, u64);

impl Agent for Cashier {
    type Args = Bank;
    type Message = Pay;
    type Reply = u64;

    async fn start(bank: Bank, _: &mut Context<Self>) -> Result<Self, BoxError> {
        Ok(Self { bank })
    }

    async fn handle(&mut self, Pay(key, sum): Pay, _: &mut Context<Self>) -> Result<u64, BoxError> {
        let mut bank = self.bank.lock().expect("nobody panics with it");
        let paid = bank.entry(key).or_default();
        // Without this line the test fails, and tells the fault that is enough for it.
        if paid.is_empty() {
            paid.push(sum);
        }
        Ok(paid[0])
    }

    fn subject(Pay(key, _): &Pay) -> Option<Subject> {
        Some(Subject::new(*key, 1))
    }
}

async fn each_order_is_paid_once(world: World) -> Result<(), BoxError> {
    let bank = Bank::default();
    let own = Arc::clone(&bank);
    let often = Intensity::at_most(1000);
    let tree = move || {
        let cashier = ChildSpec::agent::<Cashier>("cashier", Arc::clone(&own));
        SupervisorSpec::new("root", Strategy::OneForOne).intensity(often).child(cashier)
    };
    let cashier = world.start(tree).await?.agent::<Cashier>("root/cashier")?;
    for (key, sum) in [("order-1", 10), ("order-2", 20), ("order-3", 30)] {
        // An error says that nobody knows; the key makes asking again safe.
        while cashier.ask(Pay(key, sum)).await.is_err() {}
    }
    let bank = bank.lock().expect("nobody panics with it");
    assert_eq!(*bank, BTreeMap::from([("order-1", vec![10]), ("order-2", vec![20]), ("order-3", vec![30])]));
    Ok(())
}

fn check() {
    // The one crash that the title is about, and then any, before and after the work.
    let plan = "kill at after-message of root/cashier about order-2";
    Sim::new("sim_lost_answer::paid_once").faults(plan).run(each_order_is_paid_once);
    let chaos = "kill 30% at before-message of root/cashier; kill 30% at after-message of root/cashier";
    Sim::new("sim_lost_answer::paid_once").seeds(50).chaos(chaos).run(each_order_is_paid_once);
}

fn main() {
    check();
    println!("three orders were paid once each, whenever the cashier was killed, over 51 runs");
}

#[test]
fn paid_once() {
    check();
}
