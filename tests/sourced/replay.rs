//! A snapshot and the events after it make the same state as all events; and a type of which that is not so is noticed.

use std::cell::Cell;
use std::convert::Infallible;
use std::panic::catch_unwind;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use steadfast::message::codec::Schema;
use steadfast::message::record::Record;
use steadfast::sourcing::{Decision, Replay};
use steadfast::testing::replays_alike;
use steadfast::{EventSourced, Snapshotted};

use crate::ledger::{Booked, Ledger, Order};

proptest! {
    #[test]
    fn a_snapshot_and_the_events_after_it_make_the_state_that_all_events_make(
        numbers in prop::collection::vec(0_u64..50, 0..60),
    ) {
        let mut live = Replay::<Ledger>::new(&());
        let mut events = Vec::new();
        for number in numbers {
            if let Ok(decision) = live.state().decide(Order::Book(number)) {
                for event in decision.parts().0 {
                    live.apply(&event);
                    events.push(event);
                }
            }
        }
        replays_alike::<Ledger>(&(), &events);
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Step {
    by: u64,
    #[serde(skip)]
    left_out: u64,
}

impl Record for Step {
    const LAYOUT: Schema = Schema(1);
}

#[derive(Serialize, Deserialize)]
struct Place(u64);

impl Record for Place {
    const LAYOUT: Schema = Schema(1);
}

thread_local!(static CHANCE: Cell<u64> = const { Cell::new(0) });

/// Something that goes on in steps, with one mistake.
#[derive(Debug, PartialEq)]
struct Wrong<const MISTAKE: u8> {
    place: u64,
    steps: u64,
}

impl<const MISTAKE: u8> EventSourced for Wrong<MISTAKE> {
    type Args = ();
    type Command = ();
    type Event = Step;
    type Reply = ();
    type Rejection = Infallible;

    fn initial((): &()) -> Self {
        Self { place: 0, steps: 0 }
    }

    fn decide(&self, (): ()) -> Result<Decision<Step, ()>, Infallible> {
        Ok(Decision::nothing(()))
    }

    fn apply(&mut self, step: &Step) {
        self.place += step.by;
        match MISTAKE {
            0 => self.steps += 1,
            1 => self.place += step.left_out,
            2 => self.place += CHANCE.replace(CHANCE.get() + 1),
            _ => {}
        }
    }
}

impl<const MISTAKE: u8> Snapshotted for Wrong<MISTAKE> {
    type Snapshot = Place;

    /// The number of steps is forgotten.
    fn to_snapshot(&self) -> Place {
        Place(self.place)
    }

    fn restore(&mut self, place: Place) {
        self.place = place.0;
    }
}

#[test]
fn a_type_that_forgets_something_or_asks_chance_is_noticed() {
    fn told<const MISTAKE: u8>() -> Option<String> {
        let events = vec![Step { by: 2, left_out: 1 }, Step { by: 3, left_out: 1 }];
        let held = catch_unwind(|| replays_alike::<Wrong<MISTAKE>>(&(), &events));
        held.err().map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
    }
    let forgets = told::<0>().expect("the snapshot forgets a field");
    assert!(forgets.contains("from a snapshot at 1"), "{forgets}");
    let leaves_out = told::<1>().expect("serde leaves out a field of the event");
    assert!(leaves_out.contains("from the beginning"), "{leaves_out}");
    assert!(told::<2>().expect("apply asks chance").contains("from the beginning"));
    assert_eq!(told::<3>(), None);
    assert_eq!(Booked(1), Booked(1));
}
