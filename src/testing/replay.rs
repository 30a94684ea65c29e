//! Whether a type may be kept as events and as snapshots.

use std::fmt::Debug;
use std::time::UNIX_EPOCH;

use crate::sourcing::{EventSourced, Replay, Snapshotted, frame_of};

/// Holds a type to what the journal needs of it: these events, written and read back, make the state that they made when
/// they happened; and so does a snapshot at any place, written and read back, with the events after it.
///
/// Give it events as your type decides on them, from a generator of proptest, say. What it notices: a field that a snapshot
/// forgets, one that serde leaves out of an event, an `apply` that asks a clock or chance.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use std::convert::Infallible;
/// # use steadfast::message::codec::Schema;
/// # use steadfast::message::record::Record;
/// # use steadfast::sourcing::{Decision, EventSourced, Snapshotted};
/// use steadfast::testing::replays_alike;
///
/// #[derive(Debug, PartialEq)]
/// struct Counter(u64);
/// #
/// # #[derive(Serialize, Deserialize)]
/// # struct Added(u64);
/// #
/// # impl Record for Added {
/// #     const LAYOUT: Schema = Schema(1);
/// # }
/// #
/// # impl EventSourced for Counter {
/// #     type Args = ();
/// #     type Command = u64;
/// #     type Event = Added;
/// #     type Reply = ();
/// #     type Rejection = Infallible;
/// #     fn initial((): &()) -> Self { Self(0) }
/// #     fn decide(&self, add: u64) -> Result<Decision<Added, ()>, Infallible> {
/// #         Ok(Decision::event(Added(add), ()))
/// #     }
/// #     fn apply(&mut self, added: &Added) { self.0 += added.0; }
/// # }
/// # impl Snapshotted for Counter {
/// #     type Snapshot = Added;
/// #     fn to_snapshot(&self) -> Added { Added(self.0) }
/// #     fn restore(&mut self, snapshot: Added) { self.0 = snapshot.0; }
/// # }
///
/// replays_alike::<Counter>(&(), &[Added(3), Added(0), Added(7)]);
/// ```
///
/// # Panics
///
/// At the first difference, with the place and both states.
#[track_caller]
pub fn replays_alike<E>(args: &E::Args, events: &[E::Event])
where
    E: EventSourced + Snapshotted + PartialEq + Debug,
{
    let frame = |event| frame_of(event, E::event_type(event), UNIX_EPOCH);
    let frames: Result<Vec<_>, _> = events.iter().map(frame).collect();
    let frames = frames.unwrap_or_else(|error| panic!("an event has no bytes: {error:?}"));
    // As an agent lives.
    let mut live = Replay::<E>::new(args);
    let mut snapshots = Vec::with_capacity(events.len() + 1);
    for next in events.iter().map(Some).chain([None]) {
        let snapshot = live.snapshot();
        snapshots
            .push(snapshot.unwrap_or_else(|error| panic!("the state has no bytes: {error:?}: {:?}", live.state())));
        if let Some(event) = next {
            live.apply(event);
        }
    }
    replays_to(&live, Replay::new(args), &frames, "from the beginning");
    for snapshot in &snapshots {
        let place = format!("from a snapshot at {}", snapshot.seq);
        let from = Replay::from_snapshot(args, snapshot);
        let from = from.unwrap_or_else(|error| panic!("{place}: {error}: {}", error.problem));
        replays_to(&live, from, &frames, &place);
    }
}

/// Replays what comes after, and compares.
#[track_caller]
fn replays_to<E>(live: &Replay<E>, mut from: Replay<E>, frames: &[Vec<u8>], place: &str)
where
    E: EventSourced + PartialEq + Debug,
{
    for frame in &frames[usize::try_from(from.seq()).expect("the events are in memory")..] {
        if let Err(error) = from.record(frame) {
            panic!("{place}: event {} cannot be read: {}", error.seq, error.problem);
        }
    }
    assert!(from.state() == live.state(), "replayed {place} it is {:?}, and it was {:?}", from.state(), live.state());
}
