//! How a state follows from its events.

use super::recorded::Recorded;
use super::{EventSourced, Snapshotted};
use crate::message::codec::EncodeError;
use crate::message::record::{self, RecordError};
use crate::seam::{Seq, Snapshot};

/// A record of a stream is no event, or a snapshot is none.
#[derive(Debug, thiserror::Error)]
#[error("record {seq} is no event of this type")]
#[non_exhaustive]
pub struct ReplayError {
    /// The number of the record; of a snapshot, that of its last record.
    pub seq: Seq,
    /// What is wrong with it.
    #[source]
    pub problem: RecordError,
}

/// A state, and the number of the last event in it. How an agent lives and how it is rebuilt are the same function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay<E> {
    state: E,
    seq: Seq,
}

impl<E: EventSourced> Replay<E> {
    /// Before the first event.
    #[must_use]
    pub fn new(args: &E::Args) -> Self {
        Self { state: E::initial(args), seq: 0 }
    }

    /// The number of the last event.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// The state after it.
    #[must_use]
    pub const fn state(&self) -> &E {
        &self.state
    }

    /// The next event happens.
    pub fn apply(&mut self, event: &E::Event) {
        self.state.apply(event);
        self.seq += 1;
    }

    /// Replays the next record of the stream.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where it is no event; the state is the one before it.
    pub fn record(&mut self, frame: &[u8]) -> Result<(), ReplayError> {
        let seq = self.seq + 1;
        let recorded = Recorded::read(seq, frame)?;
        self.apply(&recorded.event);
        Ok(())
    }
}

impl<E: EventSourced + Snapshotted> Replay<E> {
    /// At a snapshot.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where its bytes are none of this type.
    pub fn from_snapshot(args: &E::Args, snapshot: &Snapshot) -> Result<Self, ReplayError> {
        let seq = snapshot.seq;
        let written = record::decode(&snapshot.bytes).map_err(|problem| ReplayError { seq, problem })?;
        let mut state = E::initial(args);
        state.restore(written);
        Ok(Self { state, seq })
    }

    /// Writes a snapshot.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] where it is too long, or has no bytes.
    pub fn snapshot(&self) -> Result<Snapshot, EncodeError> {
        Ok(Snapshot { seq: self.seq, bytes: record::encode(&self.state.to_snapshot())? })
    }
}
