//! What is made of the events of a stream, to be read.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::recorded::Recorded;
use super::{ReplayError, Snapshotted};
use crate::id::StreamId;
use crate::message::codec::{EncodeError, Schema};
use crate::message::record::{self, Record, RecordError};
use crate::seam::Seq;

/// Something to be read that follows from the events of a stream: a table, a sum, an index.
///
/// It is told each event once, in order; see [`ChildSpec::projection`](crate::ChildSpec::projection). As it follows
/// from the events alone it can be thrown away and made again.
pub trait Projection: Sized + Send + 'static {
    /// What it is made from.
    type Args: Clone + Send + Sync + 'static;
    /// What happens in the stream.
    type Event: Record + Send + 'static;

    /// What it is before the first event.
    fn initial(args: &Self::Args) -> Self;

    /// Takes the event with this number in.
    fn apply(&mut self, seq: Seq, event: &Self::Event);
}

/// By how much a projection is behind its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// How many events of which this process knows it has not taken in yet.
    pub records: u64,
    /// How old the oldest of those is.
    pub age: Duration,
}

/// A projection on its way along a stream.
pub(crate) struct Following<P> {
    state: P,
    applied: Seq,
}

/// A projection as it is written down, with how far it is: one value, so that the two never disagree.
#[derive(Serialize, Deserialize)]
struct Kept {
    stream: String,
    applied: Seq,
    state: Vec<u8>,
}

impl Record for Kept {
    const LAYOUT: Schema = Schema(1);
}

impl<P: Projection> Following<P> {
    pub(crate) fn new(args: &P::Args) -> Self {
        Self { state: P::initial(args), applied: 0 }
    }

    pub(crate) const fn state(&self) -> &P {
        &self.state
    }

    /// The number of the last event that it took in.
    pub(crate) const fn applied(&self) -> Seq {
        self.applied
    }

    /// Takes in what is new among the records that come after this number. What it has is passed over, so the same may be
    /// given again; of records that do not join on to it none is taken.
    pub(crate) fn take(&mut self, after: Seq, frames: &[Vec<u8>]) -> Result<(), ReplayError> {
        let Some(known) = self.applied.checked_sub(after) else { return Ok(()) };
        let new = frames.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
        for frame in new {
            let seq = self.applied + 1;
            let recorded = Recorded::read(seq, frame)?;
            self.state.apply(seq, &recorded.event);
            self.applied = seq;
        }
        Ok(())
    }
}

impl<P: Projection + Snapshotted> Following<P> {
    /// Where what was written down says; `None` where that is of another stream.
    pub(crate) fn restored(args: &P::Args, stream: &StreamId, bytes: &[u8]) -> Result<Option<Self>, RecordError> {
        let kept: Kept = record::decode(bytes)?;
        if kept.stream != stream.as_str() {
            return Ok(None);
        }
        let mut state = P::initial(args);
        state.restore(record::decode(&kept.state)?);
        Ok(Some(Self { state, applied: kept.applied }))
    }

    /// Writes it down as it is now; the bytes are made when this is called.
    pub(crate) fn to_write(&self, stream: &StreamId) -> impl FnOnce() -> Result<Vec<u8>, EncodeError> + Send + use<P> {
        let (state, stream, applied) = (self.state.to_snapshot(), stream.to_string(), self.applied);
        move || record::encode(&Kept { stream, applied, state: record::encode(&state)? })
    }
}

/// How far a projection is, as others see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The number of the last event that it took in.
    pub(crate) applied: Seq,
    /// That of the last one that was read; `None` before the first read.
    pub(crate) read: Option<Seq>,
    /// When the oldest one that it did not take in yet was recorded, as far as that is known.
    pub(crate) oldest: Option<SystemTime>,
}

impl Standing {
    /// How far it is to go, where the stream is told to end there.
    pub(crate) fn end(&self, told: Seq) -> Seq {
        told.max(self.read.unwrap_or(0)).max(self.applied)
    }

    pub(crate) fn lag(&self, told: Seq, now: SystemTime) -> Lag {
        let records = self.end(told) - self.applied;
        let age = self.oldest.filter(|_| records > 0).and_then(|oldest| now.duration_since(oldest).ok());
        Lag { records, age: age.unwrap_or_default() }
    }

    /// Whether it has everything up to this number, or, where none is named, everything of which is known.
    pub(crate) fn has(&self, wanted: Option<Seq>, told: Seq) -> bool {
        match wanted {
            Some(seq) => self.applied >= seq,
            None => self.read.is_some() && self.applied >= self.end(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::super::recorded::frame_of;
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Number(u64);

    impl Record for Number {
        const LAYOUT: Schema = Schema(1);
    }

    /// Each event with its number, in the order in which they came.
    #[derive(Debug, PartialEq)]
    struct List(Vec<(Seq, u64)>);

    #[derive(Serialize, Deserialize)]
    struct Written(Vec<(Seq, u64)>);

    impl Record for Written {
        const LAYOUT: Schema = Schema(1);
    }

    impl Projection for List {
        type Args = ();
        type Event = Number;

        fn initial((): &()) -> Self {
            Self(Vec::new())
        }

        fn apply(&mut self, seq: Seq, event: &Number) {
            self.0.push((seq, event.0));
        }
    }

    impl Snapshotted for List {
        type Snapshot = Written;

        fn to_snapshot(&self) -> Written {
            Written(self.0.clone())
        }

        fn restore(&mut self, snapshot: Written) {
            self.0 = snapshot.0;
        }
    }

    fn frames(count: u64) -> Vec<Vec<u8>> {
        (1..=count).map(|number| frame_of(&Number(number * 10), "", UNIX_EPOCH).expect("it has bytes")).collect()
    }

    fn stream(name: &str) -> StreamId {
        name.parse().expect("it is one")
    }

    proptest! {
        #[test]
        fn a_projection_takes_each_event_once_and_in_order_whatever_it_is_given_again(
            parts in prop::collection::vec((0_usize..30, 0_usize..12, any::<bool>()), 0..40),
        ) {
            let all = frames(30);
            let mut following = Following::<List>::new(&());
            for (after, most, crashes) in parts {
                let part = &all[after..all.len().min(after + most)];
                following.take(after as Seq, part).expect("they are events");
                if crashes {
                    let bytes = following.to_write(&stream("a"))().expect("it has bytes");
                    let again = Following::restored(&(), &stream("a"), &bytes).expect("it is one");
                    following = again.expect("it is of this stream");
                }
                let expected: Vec<_> = (1..=following.applied()).map(|seq| (seq, seq * 10)).collect();
                prop_assert_eq!(&following.state().0, &expected);
            }
        }
    }

    #[test]
    fn what_was_written_down_of_another_stream_is_not_taken() {
        let bytes = Following::<List>::new(&()).to_write(&stream("a"))().expect("it has bytes");
        assert!(Following::<List>::restored(&(), &stream("b"), &bytes).expect("it is readable").is_none());
        assert!(Following::<List>::restored(&(), &stream("a"), &bytes[1..]).is_err());
    }

    #[test]
    fn a_projection_that_has_not_read_yet_is_not_up_to_date() {
        let mut standing = Standing::default();
        assert!(!standing.has(None, 0) && standing.has(Some(0), 0));
        standing.read = Some(2);
        assert!(!standing.has(None, 0));
        standing.applied = 2;
        assert!(standing.has(None, 0) && standing.has(None, 2) && !standing.has(None, 3) && !standing.has(Some(3), 0));
    }

    #[test]
    fn lag_is_what_is_known_and_not_taken_in_and_nothing_is_no_age() {
        let second = Duration::from_secs(1);
        let (oldest, now) = (Some(UNIX_EPOCH + second), UNIX_EPOCH + 3 * second);
        let standing = Standing { applied: 4, read: Some(5), oldest };
        assert_eq!(standing.lag(7, now), Lag { records: 3, age: 2 * second });
        assert_eq!(standing.lag(0, UNIX_EPOCH), Lag { records: 1, age: Duration::ZERO }, "a clock may go back");
        let all = Standing { applied: 5, ..standing };
        assert_eq!(all.lag(5, now), Lag::default());
    }
}
