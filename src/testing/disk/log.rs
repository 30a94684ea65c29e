//! The bytes on the disk: one log for all streams, and what is read out of it.
//!
//! A frame is `[length of the entry, checksum of the entry, entry]`, all numbers little-endian. The first frame that is
//! not whole ends the log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::StreamId;
use crate::message::codec::{Bincode, Codec, Schema};
use crate::seam::{Change, JournalError, Streams, Write, Written};

const SCHEMA: Schema = Schema(1);
/// Four bytes of length, and eight of checksum.
const HEADER: usize = 12;

/// What is written at once: it is there as a whole or not at all.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    stream: String,
    change: Change,
}

#[derive(Default)]
pub(super) struct Log {
    bytes: Vec<u8>,
    /// How many of the bytes are synced.
    synced: usize,
    /// Where the last frame begins.
    last: usize,
    /// What the bytes say.
    streams: Streams,
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
    pub(super) fn write(&mut self, write: Write) -> Result<Written, JournalError> {
        let stream = write.stream().clone();
        let (written, change) = self.streams.decide(write)?;
        if let Some(change) = change {
            self.put(&stream, change)?;
        }
        Ok(written)
    }

    fn put(&mut self, stream: &StreamId, change: Change) -> Result<(), JournalError> {
        let entry = Entry { stream: stream.to_string(), change };
        let bytes = Bincode.encode(SCHEMA, &entry).map_err(|error| JournalError::Unavailable(error.to_string()))?;
        // As long as a frame of the codec at most, which is far below four bytes of length.
        let length = u32::try_from(bytes.len()).map_err(|error| JournalError::Unavailable(error.to_string()))?;
        self.last = self.bytes.len();
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(checksum(&bytes).to_le_bytes());
        self.bytes.extend(bytes);
        self.streams.apply(stream, entry.change);
        Ok(())
    }

    pub(super) const fn streams(&self) -> &Streams {
        &self.streams
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
        self.streams = Streams::default();
        let (mut at, mut last) = (0, 0);
        while let Some((entry, end)) = whole(&self.bytes, at) {
            // A name that was written is a name.
            let Ok(stream) = entry.stream.parse() else { break };
            self.streams.apply(&stream, entry.change);
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
    use crate::id::RunId;
    use crate::seam::{AppendAt, Epoch};

    fn log_of(appends: u8) -> (Log, StreamId) {
        let (mut log, run) = (Log::default(), StreamId::from(RunId::new(uuid::Uuid::from_u128(1))));
        log.write(Write::Fence { stream: run.clone(), owner: "me".to_owned() }).expect("a fence");
        for number in 0..appends {
            let at = AppendAt { epoch: Epoch(1), expected: number.into() };
            log.write(Write::Append { stream: run.clone(), at, records: vec![vec![number; 9]] }).expect("an append");
        }
        (log, run)
    }

    fn records(log: &Log, run: &StreamId) -> Vec<Vec<u8>> {
        log.streams().read(run, 0).expect("nothing was pruned")
    }

    #[test]
    fn wherever_the_log_is_cut_what_was_whole_is_read_and_the_rest_is_cut_off() {
        let (whole, run) = log_of(3);
        for end in 0..=whole.bytes.len() {
            let (mut log, _) = log_of(3);
            log.bytes.truncate(end);
            log.recover();
            let left = records(&log, &run);
            assert_eq!(left, records(&whole, &run)[..left.len()], "cut at {end}");
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
            assert_eq!(records(&log, &run), records(&whole, &run)[..2], "the byte {at} changed");
        }
    }
}
