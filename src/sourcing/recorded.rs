//! The bytes of an event in its stream, and how they are read.
//!
//! A record is the frame of an entry: when, which kind, and the frame of the event itself. Both are frames of
//! [`record`](crate::message::record): with a layout, and a checksum. Which agent it is of is the stream's name, and its
//! number is its place there.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the codec |
//! | 1 | the layout of the entry, 1 |
//! | 1 to 9 | milliseconds since 1970, in UTC |
//! | 1 and n | the kind of the event |
//! | 1 to 9, and n | the frame of the event: codec, layout, payload, checksum |
//! | 4 | CRC-32 of all before |

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::ReplayError;
use crate::id::StreamId;
use crate::message::codec::{EncodeError, Schema};
use crate::message::record::{self, Record};
use crate::seam::{AtMost, Journal, JournalError, Seq};

/// An event as its stream has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded<E> {
    /// Its number in the stream.
    pub seq: Seq,
    /// When it was decided on, by the clock of the system that did.
    pub at: SystemTime,
    /// Its kind, as [`EventSourced::event_type`](super::EventSourced::event_type) said.
    pub event_type: String,
    /// What happened.
    pub event: E,
}

/// What stands around an event.
#[derive(Serialize, Deserialize)]
struct Entry {
    millis: u64,
    event_type: Cow<'static, str>,
    event: Vec<u8>,
}

impl Record for Entry {
    const LAYOUT: Schema = Schema(1);
}

impl<E: Record> Recorded<E> {
    /// Reads the record with this number.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] says what is wrong with it.
    pub fn read(seq: Seq, frame: &[u8]) -> Result<Self, ReplayError> {
        let wrong = |problem| ReplayError { seq, problem };
        let Entry { millis, event_type, event } = record::decode(frame).map_err(wrong)?;
        // Only what nobody wrote lies so far ahead that there is no such time.
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH);
        let event = record::decode(&event).map_err(wrong)?;
        Ok(Self { seq, at, event_type: event_type.into_owned(), event })
    }
}

/// When a record was decided on, as it says itself; `None` where it is none.
pub(crate) fn recorded_at(frame: &[u8]) -> Option<SystemTime> {
    let Entry { millis, .. } = record::decode(frame).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// The bytes of an event.
pub(crate) fn frame_of<E: Record>(event: &E, kind: &'static str, at: SystemTime) -> Result<Vec<u8>, EncodeError> {
    let millis = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    record::encode(&Entry { millis, event_type: Cow::Borrowed(kind), event: record::encode(event)? })
}

/// The events of a stream could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The journal did not give them.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// One of them is none.
    #[error(transparent)]
    Record(#[from] ReplayError),
}

/// Reads the events of a stream after this number.
///
/// # Errors
///
/// See [`StreamError`].
///
/// # Cancel safety
///
/// It only reads.
pub async fn events_since<E: Record>(
    journal: &dyn Journal,
    stream: &StreamId,
    mut after: Seq,
) -> Result<Vec<Recorded<E>>, StreamError> {
    let mut events = Vec::new();
    loop {
        let part = journal.read_some(stream, after, AtMost::default()).await?;
        for frame in &part.records {
            after += 1;
            events.push(Recorded::read(after, frame)?);
        }
        if !part.more {
            return Ok(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Added(u8);

    impl Record for Added {
        const LAYOUT: Schema = Schema(1);
    }

    #[test]
    fn the_bytes_of_an_event_stay_what_they_are() {
        let at = UNIX_EPOCH + Duration::from_secs(1);
        let frame = frame_of(&Added(7), "added", at).expect("it has bytes");
        let event = [1, 1, 7, 0xc7, 0x17, 0xfc, 0x79];
        assert_eq!(record::encode(&Added(7)).expect("it has bytes"), event);
        let entry = [&[1, 1, 251, 0xe8, 3, 5][..], b"added", &[7], &event].concat();
        assert_eq!(frame, record::seal(entry));
        let read = Recorded::<Added>::read(3, &frame).expect("it is one");
        assert_eq!(read, Recorded { seq: 3, at, event_type: "added".to_owned(), event: Added(7) });
    }

    #[test]
    fn a_record_with_a_changed_byte_is_refused() {
        let frame = frame_of(&Added(7), "added", UNIX_EPOCH).expect("it has bytes");
        for at in 0..frame.len() {
            let mut frame = frame.clone();
            frame[at] ^= 1;
            assert!(Recorded::<Added>::read(1, &frame).is_err(), "byte {at}");
        }
    }
}
