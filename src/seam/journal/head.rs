//! Who may write to a stream, and where: the rules that every journal keeps to.

use std::sync::Arc;

use super::{AppendAt, Epoch, JournalError, Seq};

/// Where a stream stands, and what may be written to it.
///
/// A journal keeps one for each stream, wherever it keeps the records, and asks it before each write. It reads no record
/// itself.
///
/// ```
/// use steadfast::seam::{AppendAt, Epoch, Head, JournalError, Place};
///
/// let mut head = Head::default();
/// let epoch = head.fence("me");
/// assert_eq!(head.place(AppendAt { epoch, expected: 0 }, 2), Ok(Place::End));
/// head.appended(2);
/// assert_eq!(head.place(AppendAt { epoch, expected: 0 }, 2), Ok(Place::Before), "it may be the same once more");
/// let moved = JournalError::Moved { expected: 1, actual: 2 };
/// assert_eq!(head.place(AppendAt { epoch, expected: 1 }, 2), Err(moved));
/// let fenced = JournalError::Fenced { owner: "me".to_owned() };
/// assert_eq!(head.place(AppendAt { epoch: Epoch(0), expected: 2 }, 1), Err(fenced));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    epoch: Epoch,
    /// Shared, for whoever decides an append on a copy of the head.
    owner: Arc<str>,
    /// How many records were pruned: those from 1 to this number.
    pruned: Seq,
    last: Seq,
    snapshot: Option<Seq>,
}

/// Where an append belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the end of the stream.
    End,
    /// Where records stand already. If they are the same, byte for byte, and were written by the same epoch, this is the
    /// same append once more, and is `Ok`; otherwise the stream has [moved](Head::moved).
    Before,
}

impl Head {
    /// A stream as it was found: the epoch of its last fence and whose it is, how many records were pruned, the number of
    /// the last one, and the number of the snapshot.
    #[must_use]
    pub fn found((epoch, owner): (Epoch, String), (pruned, last): (Seq, Seq), snapshot: Option<Seq>) -> Self {
        Self { epoch, owner: owner.into(), pruned, last, snapshot }
    }

    /// The epoch of the last fence; 0 where nobody fenced yet.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Who fenced last.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The number of the first record that is kept; one more than the last where none is.
    #[must_use]
    pub const fn first(&self) -> Seq {
        self.pruned + 1
    }

    /// The number of the last record.
    #[must_use]
    pub const fn last(&self) -> Seq {
        self.last
    }

    /// The number of the snapshot, where there is one.
    #[must_use]
    pub const fn snapshot(&self) -> Option<Seq> {
        self.snapshot
    }

    /// Whether the stream holds a record or a snapshot.
    #[must_use]
    pub const fn holds_something(&self) -> bool {
        self.pruned < self.last || self.snapshot.is_some()
    }

    /// Makes `owner` the only one who may write, and returns the right to.
    pub fn fence(&mut self, owner: &str) -> Epoch {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.owner = owner.into();
        self.epoch
    }

    /// Says whether this epoch may write.
    ///
    /// # Errors
    ///
    /// [`JournalError::Fenced`] with the owner who may; `nobody` where nobody fenced yet.
    pub fn right(&self, epoch: Epoch) -> Result<(), JournalError> {
        if self.epoch == Epoch(0) {
            return Err(JournalError::Fenced { owner: "nobody".to_owned() });
        }
        if epoch != self.epoch {
            return Err(JournalError::Fenced { owner: self.owner.to_string() });
        }
        Ok(())
    }

    /// Says where an append of so many records belongs.
    ///
    /// # Errors
    ///
    /// [`JournalError::Fenced`] without the right, [`JournalError::Moved`] where it belongs nowhere.
    pub fn place(&self, at: AppendAt, records: usize) -> Result<Place, JournalError> {
        self.right(at.epoch)?;
        if at.expected == self.last {
            return Ok(Place::End);
        }
        let end = at.expected.checked_add(records as Seq);
        let stand_there = records > 0 && self.pruned <= at.expected && end.is_some_and(|end| end <= self.last);
        if stand_there { Ok(Place::Before) } else { Err(self.moved(at)) }
    }

    /// The refusal of an append that does not belong there.
    #[must_use]
    pub const fn moved(&self, at: AppendAt) -> JournalError {
        JournalError::Moved { expected: at.expected, actual: self.last }
    }

    /// So many records were appended. Returns the number of the last one.
    pub const fn appended(&mut self, records: usize) -> Seq {
        self.last += records as Seq;
        self.last
    }

    /// Says whether a snapshot at this number is to be saved: not where there is a later one.
    ///
    /// # Errors
    ///
    /// [`JournalError::Fenced`] without the right, [`JournalError::Moved`] where it lies behind the last record.
    pub fn saves(&self, epoch: Epoch, seq: Seq) -> Result<bool, JournalError> {
        self.right(epoch)?;
        if seq > self.last {
            return Err(JournalError::Moved { expected: seq, actual: self.last });
        }
        Ok(self.snapshot.is_none_or(|saved| saved <= seq))
    }

    /// A snapshot was saved at this number.
    pub const fn saved(&mut self, seq: Seq) {
        self.snapshot = Some(seq);
    }

    /// The records that the snapshot holds are to be pruned. Returns the number of the last of them.
    pub fn prune_to_snapshot(&mut self) -> Seq {
        self.pruned = self.pruned.max(self.snapshot.unwrap_or(0));
        self.pruned
    }

    /// Everything is to be pruned, the snapshot too.
    pub const fn prune_all(&mut self) {
        self.pruned = self.last;
        self.snapshot = None;
    }

    /// Says whether the records after this number can be read.
    ///
    /// # Errors
    ///
    /// [`JournalError::Pruned`] where the first of them is not kept any more.
    pub const fn can_read(&self, after: Seq) -> Result<(), JournalError> {
        if after < self.pruned { Err(JournalError::Pruned { first: self.first() }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_cloned_for_each_append_and_its_owner_is_not_copied() {
        let mut head = Head::default();
        head.fence("root/cart, incarnation 7");
        assert!(std::ptr::eq(head.owner(), head.clone().owner()));
    }
}
