//! A ledger in which each number is booked once, and a list that is made of its events.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::message::codec::Schema;
use steadfast::message::record::Record;
use steadfast::seam::Seq;
use steadfast::sourcing::Decision;
use steadfast::testing::{Node, World};
use steadfast::{
    AgentSpec, ChildSpec, EventSourced, Intensity, Projection, Snapshotted, Sourced, Strategy, StreamId, SupervisorSpec,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger(pub(crate) Vec<u64>);

#[derive(Clone, Debug)]
pub(crate) enum Order {
    Book(u64),
    BookAll(Vec<u64>),
    Show,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Booked(pub(crate) u64);

impl Record for Booked {
    const LAYOUT: Schema = Schema(1);
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Page(Vec<u64>);

impl Record for Page {
    const LAYOUT: Schema = Schema(1);
}

/// It is booked already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known;

impl EventSourced for Ledger {
    type Args = ();
    type Command = Order;
    type Event = Booked;
    /// All that is booked, in order.
    type Reply = Vec<u64>;
    type Rejection = Known;

    fn initial((): &()) -> Self {
        Self(Vec::new())
    }

    fn decide(&self, order: Order) -> Result<Decision<Booked, Vec<u64>>, Known> {
        let new = match order {
            Order::Show => return Ok(Decision::nothing(self.0.clone())),
            Order::Book(number) => vec![number],
            Order::BookAll(numbers) => numbers,
        };
        if new.iter().any(|number| self.0.contains(number)) {
            return Err(Known);
        }
        let all = [&self.0[..], &new].concat();
        Ok(Decision::events(new.into_iter().map(Booked), all))
    }

    fn apply(&mut self, booked: &Booked) {
        self.0.push(booked.0);
    }

    fn event_type(_: &Booked) -> &'static str {
        "booked"
    }
}

impl Snapshotted for Ledger {
    type Snapshot = Page;

    fn to_snapshot(&self) -> Page {
        Page(self.0.clone())
    }

    fn restore(&mut self, page: Page) {
        self.0 = page.0;
    }
}

/// Each event with its number.
pub(crate) struct List(pub(crate) Vec<(Seq, u64)>);

#[derive(Serialize, Deserialize)]
pub(crate) struct Lines(Vec<(Seq, u64)>);

impl Record for Lines {
    const LAYOUT: Schema = Schema(1);
}

impl Projection for List {
    type Args = ();
    type Event = Booked;

    fn initial((): &()) -> Self {
        Self(Vec::new())
    }

    fn apply(&mut self, seq: Seq, booked: &Booked) {
        self.0.push((seq, booked.0));
    }
}

impl Snapshotted for List {
    type Snapshot = Lines;

    fn to_snapshot(&self) -> Lines {
        Lines(self.0.clone())
    }

    fn restore(&mut self, lines: Lines) {
        self.0 = lines.0;
    }
}

/// How often, and after which pause, somebody asks again who has no answer.
pub(crate) const AGAIN: usize = 1000;
pub(crate) const PAUSE: Duration = Duration::from_millis(70);

pub(crate) fn stream() -> StreamId {
    "agent/root/ledger".parse().expect("it is one")
}

pub(crate) fn ledger() -> AgentSpec<Sourced<Ledger>> {
    ChildSpec::sourced::<Ledger>("ledger", ())
}

pub(crate) fn root(child: impl Into<ChildSpec>) -> SupervisorSpec {
    SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(1000)).child(child)
}

/// Gives an order until there is an answer, as one does who must know; `None` where it was refused.
pub(crate) async fn order(world: &World, node: &Node, order: Order) -> Option<Vec<u64>> {
    for _ in 0..AGAIN {
        if let Some(system) = node.try_system()
            && let Ok(ledger) = system.agent::<Sourced<Ledger>>("root/ledger")
            && let Ok(answer) = ledger.ask_within(order.clone(), Duration::from_secs(2)).await
        {
            return answer.ok();
        }
        world.sleep(PAUSE).await;
    }
    panic!("{order:?} has no answer, however often it is given");
}
