//! The bytes on the disk: one log for all streams, and what is read out of it.
//!
//! A frame is `[length of the entry, checksum of the entry, entry]`, all numbers little-endian. The first frame that is
//! not whole ends the log.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::message::codec::{Bincode, Codec, Schema};
use crate::seam::{AppendAt, Epoch, JournalError, Seq};

const SCHEMA: Schema = Schema(1);
/// Four bytes of length, and eight of checksum.
const HEADER: usize = 12;

/// What is written at once: it is there as a whole or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    stream: [u8; 16],
    what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum What {
    Fence { epoch: u64, owner: String },
    Append { records: Vec<Vec<u8>> },
}

/// What somebody wants to write.
#[derive(Debug)]
pub(super) enum Request {
    Fence { stream: RunId, owner: String },
    Append { stream: RunId, at: AppendAt, records: Vec<Vec<u8>> },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Fence(Epoch),
    Append(Seq),
}

#[derive(Default)]
struct Stream {
    epoch: u64,
    owner: String,
    records: Vec<Vec<u8>>,
}

#[derive(Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
    /// How many of the bytes are synced.
    synced: usize,
    /// Where the last frame begins.
    last: usize,
    /// What the bytes say.
    streams: BTreeMap<RunId, Stream>,
    torn: u64,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, synced, torn, .. } = self;
        f.debug_struct("Log")
            .field("bytes", &bytes.len())
            .field("synced", synced)
            .field("torn", torn)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Writes what is allowed, and refuses the rest.
    pub(super) fn write(&mut self, request: Request) -> Result<Written, JournalError> {
        match request {
            Request::Fence { stream, owner } => {
                let epoch = self.streams.get(&stream).map_or(0, |stream| stream.epoch) + 1;
                self.put(stream, What::Fence { epoch, owner })?;
                Ok(Written::Fence(Epoch(epoch)))
            }
            Request::Append { stream, at, records } => {
                let none = Stream::default();
                let found = self.streams.get(&stream).unwrap_or(&none);
                let actual = found.records.len() as Seq;
                if found.epoch == 0 {
                    return Err(JournalError::Fenced { owner: "nobody".to_owned() });
                }
                if at.epoch != Epoch(found.epoch) {
                    return Err(JournalError::Fenced { owner: found.owner.clone() });
                }
                if at.expected != actual {
                    return Err(JournalError::Moved { expected: at.expected, actual });
                }
                let last = actual + records.len() as Seq;
                self.put(stream, What::Append { records })?;
                Ok(Written::Append(last))
            }
        }
    }

    fn put(&mut self, stream: RunId, what: What) -> Result<(), JournalError> {
        let entry = Entry { stream: stream.uuid().into_bytes(), what };
        let bytes = Bincode.encode(SCHEMA, &entry).map_err(|error| JournalError::Unavailable(error.to_string()))?;
        // As long as a frame of the codec at most, which is far below four bytes of length.
        let length = u32::try_from(bytes.len()).map_err(|error| JournalError::Unavailable(error.to_string()))?;
        self.last = self.bytes.len();
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(checksum(&bytes).to_le_bytes());
        self.bytes.extend(bytes);
        self.apply(entry);
        Ok(())
    }

    fn apply(&mut self, entry: Entry) {
        let stream = self.streams.entry(RunId::new(uuid::Uuid::from_bytes(entry.stream))).or_default();
        match entry.what {
            What::Fence { epoch, owner } => (stream.epoch, stream.owner) = (epoch, owner),
            What::Append { records } => stream.records.extend(records),
        }
    }

    pub(super) fn read(&self, stream: RunId, after: Seq) -> Vec<Vec<u8>> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let stream = self.streams.get(&stream);
        stream.map(|stream| stream.records.iter().skip(after).cloned().collect()).unwrap_or_default()
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.bytes.len();
    }

    /// Loses what is not synced.
    pub(super) fn lose_power(&mut self) {
        self.bytes.truncate(self.synced);
    }

    /// Loses the second half of the last frame, where that is not synced.
    pub(super) fn tear(&mut self) {
        if (self.synced..self.bytes.len()).contains(&self.last) {
            let half = (self.bytes.len() - self.last) / 2;
            self.bytes.truncate(self.last + half);
        }
        // What a machine finds on its disk when it starts again is synced.
        self.sync();
    }

    /// Reads the bytes anew, and cuts off what is not whole.
    pub(super) fn recover(&mut self) {
        self.streams.clear();
        let (mut at, mut last) = (0, 0);
        while let Some((entry, end)) = whole(&self.bytes, at) {
            self.apply(entry);
            (last, at) = (at, end);
        }
        if at < self.bytes.len() {
            self.torn += 1;
            self.bytes.truncate(at);
        }
        self.last = last;
        self.synced = self.synced.min(at);
    }

    pub(super) const fn torn(&self) -> u64 {
        self.torn
    }
}

/// The entry of the frame that begins here, and where that ends; `None` where it is not whole.
fn whole(bytes: &[u8], at: usize) -> Option<(Entry, usize)> {
    let (length, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let entry = rest.get(..length)?;
    if checksum(entry) != u64::from_le_bytes(*sum) {
        return None;
    }
    Some((Bincode.decode(SCHEMA, entry).ok()?, at + HEADER + length))
}

/// FNV-1a: enough against half a write, which is all that goes wrong here.
fn checksum(bytes: &[u8]) -> u64 {
    let fold = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(appends: u8) -> (Log, RunId) {
        let (mut log, run) = (Log::default(), RunId::new(uuid::Uuid::from_u128(1)));
        log.write(Request::Fence { stream: run, owner: "me".to_owned() }).expect("a fence");
        for number in 0..appends {
            let at = AppendAt { epoch: Epoch(1), expected: number.into() };
            log.write(Request::Append { stream: run, at, records: vec![vec![number; 9]] }).expect("an append");
        }
        (log, run)
    }

    #[test]
    fn wherever_the_log_is_cut_what_was_whole_is_read_and_the_rest_is_cut_off() {
        let (whole, run) = log_of(3);
        for end in 0..=whole.bytes.len() {
            let (mut log, _) = log_of(3);
            log.bytes.truncate(end);
            log.recover();
            let records = log.read(run, 0);
            assert_eq!(records, whole.read(run, 0)[..records.len()], "cut at {end}");
            assert!(log.bytes.len() <= end, "nothing is there that was not");
            assert_eq!(log.torn == 1, log.bytes.len() < end, "what is cut off is counted");
            let before = log.bytes.len();
            log.recover();
            assert_eq!(log.bytes.len(), before, "what is left is whole");
        }
    }

    #[test]
    fn a_byte_that_changed_ends_the_log_before_it() {
        let (whole, run) = log_of(3);
        for at in whole.last..whole.bytes.len() {
            let (mut log, _) = log_of(3);
            log.bytes[at] ^= 0x10;
            log.recover();
            assert_eq!(log.read(run, 0), whole.read(run, 0)[..2], "the byte {at} changed");
        }
    }
}
