//! What agents know in common: keys and values, with versions, a time to live, and the changes one after the other.
//!
//! Pure: time is handed in, and nobody is called back. A watcher holds a [`Cursor`] and asks what changed since.
//!
//! # Invariants
//!
//! * Every change has a version of its own, one higher than the last, over all keys.
//! * What is over at a moment is not seen at that moment, whether it was swept away by then or not.
//! * A watcher sees every change once and in order, or is told how many it missed and reads the state anew.
//! * Neither keys nor remembered changes are ever more than their bounds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::subject::{Pattern, Subject};

/// The number of a change, from 1 on; 0 stands before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u64);

impl Revision {
    /// The change of this number, as it was told to somebody who keeps numbers.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value on the board.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<V> {
    /// What it is.
    pub value: Arc<V>,
    /// The change that set it.
    pub revision: Revision,
    /// When it is over.
    pub expires: Option<Instant>,
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), revision: self.revision, expires: self.expires }
    }
}

/// Something that changed.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<V> {
    /// Which change it was.
    pub revision: Revision,
    /// To which key.
    pub key: Subject,
    /// What it was.
    pub what: What<V>,
}

impl<V> Clone for Change<V> {
    fn clone(&self) -> Self {
        Self { revision: self.revision, key: self.key.clone(), what: self.what.clone() }
    }
}

/// What changed.
#[derive(Debug, PartialEq, Eq)]
pub enum What<V> {
    /// The key has this value now.
    Set(Arc<V>),
    /// Somebody took it away.
    Removed,
    /// Its time was over.
    Expired,
}

impl<V> Clone for What<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Set(value) => Self::Set(Arc::clone(value)),
            Self::Removed => Self::Removed,
            Self::Expired => Self::Expired,
        }
    }
}

/// What a writer takes to be on the board. Where something else is, nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything, or nothing.
    Anything,
    /// Nothing.
    Nothing,
    /// What this change set.
    Revision(Revision),
}

/// A value on its way to the board.
#[derive(Clone, Debug)]
#[must_use]
pub struct Put<V> {
    key: Subject,
    value: V,
    expected: Expected,
    time_to_live: Option<Duration>,
}

impl<V> Put<V> {
    /// Sets this key, whatever is there, until it is set anew.
    pub const fn new(key: Subject, value: V) -> Self {
        Self { key, value, expected: Expected::Anything, time_to_live: None }
    }

    /// Only if this is there: compare and set.
    pub const fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// The same with another value.
    pub(crate) fn map<W>(self, value: impl FnOnce(V) -> W) -> Put<W> {
        let Self { key, value: of, expected, time_to_live } = self;
        Put { key, value: value(of), expected, time_to_live }
    }

    /// Only for this long. What is longer than time goes is for ever.
    pub const fn living(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = Some(time_to_live);
        self
    }
}

/// How far a watcher has read.
#[derive(Clone, Debug)]
pub struct Cursor {
    pattern: Pattern,
    read: Revision,
}

/// How much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardBounds {
    /// The most keys. More are refused.
    pub keys: usize,
    /// The most changes that are remembered. Who is further behind reads the state anew.
    pub changes: usize,
}

impl Default for BoardBounds {
    fn default() -> Self {
        Self { keys: 10_000, changes: 4096 }
    }
}

/// What agents know in common.
///
/// ```
/// use steadfast::message::{Blackboard, Expected, Put};
/// # use steadfast::seam::Clock;
/// # let now = steadfast::TokioClock.now();
///
/// let mut board = Blackboard::default();
/// let mut watcher = board.watch("plan.>".parse()?);
///
/// let first = board.set("plan.phase".parse()?, "planning", now)?;
/// let then = |value| Ok::<_, steadfast::message::InvalidSubject>(Put::new("plan.phase".parse()?, value));
/// board.put(then("running")?.expecting(Expected::Revision(first)), now)?;
/// // Somebody who read the first value writes too late.
/// assert!(board.put(then("failed")?.expecting(Expected::Revision(first)), now).is_err());
///
/// assert_eq!(*board.get("plan.phase", now).expect("it is set").value, "running");
/// assert_eq!(board.changes(&mut watcher)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Blackboard<V> {
    entries: BTreeMap<Subject, Entry<V>>,
    /// What has an end, the nearest first.
    ends: BTreeSet<(Instant, Subject)>,
    changes: VecDeque<Change<V>>,
    last: Revision,
    bounds: BoardBounds,
}

impl<V> Default for Blackboard<V> {
    fn default() -> Self {
        Self::new(BoardBounds::default())
    }
}

impl<V> Blackboard<V> {
    /// An empty board.
    #[must_use]
    pub fn new(bounds: BoardBounds) -> Self {
        let (entries, ends, changes) = (BTreeMap::new(), BTreeSet::new(), VecDeque::new());
        Self { entries, ends, changes, last: Revision(0), bounds }
    }

    /// What is at a key, if it is not over.
    #[must_use]
    pub fn get(&self, key: &str, now: Instant) -> Option<&Entry<V>> {
        self.entries.get(key).filter(|entry| entry.expires.is_none_or(|expires| now < expires))
    }

    /// All that is on the board and not over, of the keys that match, ordered by key.
    pub fn query<'a>(
        &'a self,
        pattern: &'a Pattern,
        now: Instant,
    ) -> impl Iterator<Item = (&'a Subject, &'a Entry<V>)> {
        let lives = move |entry: &Entry<V>| entry.expires.is_none_or(|expires| now < expires);
        self.entries.iter().filter(move |(key, entry)| pattern.matches(key) && lives(entry))
    }

    /// Sets a key, whatever is there, until it is set anew.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn set(&mut self, key: Subject, value: V, now: Instant) -> Result<Revision, BoardError> {
        self.put(Put::new(key, value), now)
    }

    /// Sets a key as is said: if that is there which the writer takes to be there, and for as long as it is to live.
    ///
    /// # Errors
    ///
    /// [`BoardError::Moved`] when something else is there; [`BoardError::Full`] when it would be one key too many.
    /// Nothing was written then.
    pub fn put(&mut self, put: Put<V>, now: Instant) -> Result<Revision, BoardError> {
        let Put { key, value, expected, time_to_live } = put;
        self.expire(now);
        self.check(&key, expected)?;
        if !self.entries.contains_key(&key) && self.entries.len() >= self.bounds.keys {
            return Err(BoardError::Full { bound: self.bounds.keys });
        }
        self.drop_entry(&key);
        let expires = time_to_live.and_then(|time| now.checked_add(time));
        let value = Arc::new(value);
        let revision = self.note(key.clone(), What::Set(Arc::clone(&value)));
        if let Some(expires) = expires {
            self.ends.insert((expires, key.clone()));
        }
        self.entries.insert(key, Entry { value, revision, expires });
        Ok(revision)
    }

    /// Takes a key away, if that is there which is expected. Returns what was there.
    ///
    /// # Errors
    ///
    /// [`BoardError::Moved`] when something else is there.
    pub fn remove(&mut self, key: &Subject, expected: Expected, now: Instant) -> Result<Option<Entry<V>>, BoardError> {
        self.expire(now);
        self.check(key, expected)?;
        let removed = self.drop_entry(key);
        if removed.is_some() {
            self.note(key.clone(), What::Removed);
        }
        Ok(removed)
    }

    /// Sweeps away what is over, and says how much that was. Every write does it first; whoever watches for what
    /// expires calls it at [`next_end`](Self::next_end).
    pub fn expire(&mut self, now: Instant) -> usize {
        let mut swept = 0;
        while self.next_end().is_some_and(|end| end <= now)
            && let Some((_, key)) = self.ends.pop_first()
        {
            self.entries.remove(&key);
            self.note(key, What::Expired);
            swept += 1;
        }
        swept
    }

    /// When the next value is over.
    #[must_use]
    pub fn next_end(&self) -> Option<Instant> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Begins to watch the keys that match, from now on. What is there already is read by [`query`](Self::query).
    #[must_use]
    pub fn watch(&self, pattern: Pattern) -> Cursor {
        Cursor { pattern, read: self.last }
    }

    /// The changes since the cursor was read last, in order; the cursor stands after them then.
    ///
    /// # Errors
    ///
    /// [`Lagged`] when some of them are not remembered any more. The cursor stands at the present then: read the state
    /// anew, and go on.
    pub fn changes(&self, cursor: &mut Cursor) -> Result<Vec<&Change<V>>, Lagged> {
        let oldest = self.last.0 - self.changes.len() as u64;
        let read = std::mem::replace(&mut cursor.read, self.last).0;
        if read < oldest {
            return Err(Lagged { missed: oldest - read });
        }
        let new = usize::try_from(self.last.0 - read).unwrap_or(usize::MAX).min(self.changes.len());
        let from = self.changes.len() - new;
        Ok(self.changes.range(from..).filter(|change| cursor.pattern.matches(&change.key)).collect())
    }

    /// The last change.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.last
    }

    /// How many keys there are, those included that are over and not swept away yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is on the board.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn check(&self, key: &Subject, expected: Expected) -> Result<(), BoardError> {
        let found = self.entries.get(key).map(|entry| entry.revision);
        let fits = match expected {
            Expected::Anything => true,
            Expected::Nothing => found.is_none(),
            Expected::Revision(revision) => found == Some(revision),
        };
        if fits { Ok(()) } else { Err(BoardError::Moved { key: key.clone(), expected, found }) }
    }

    fn drop_entry(&mut self, key: &Subject) -> Option<Entry<V>> {
        let entry = self.entries.remove(key)?;
        if let Some(expires) = entry.expires {
            self.ends.remove(&(expires, key.clone()));
        }
        Some(entry)
    }

    fn note(&mut self, key: Subject, what: What<V>) -> Revision {
        self.last.0 += 1;
        self.changes.push_back(Change { revision: self.last, key, what });
        if self.changes.len() > self.bounds.changes {
            self.changes.pop_front();
        }
        self.last
    }
}

/// Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// Something else is there than the writer thought.
    #[error("`{key}` is at {}, not at {}; read it anew", at(*found), wanted(*expected))]
    Moved {
        /// The key.
        key: Subject,
        /// What the writer thought.
        expected: Expected,
        /// The change that set what is there. `None` where nothing is.
        found: Option<Revision>,
    },
    /// There are as many keys as there may be.
    #[error(
        "the blackboard holds {bound} keys, as many as it may; remove some, give them a time to live, or raise the bound"
    )]
    Full {
        /// The most keys.
        bound: usize,
    },
}

fn at(found: Option<Revision>) -> String {
    found.map_or_else(|| "nothing".to_owned(), |revision| format!("revision {revision}"))
}

fn wanted(expected: Expected) -> String {
    match expected {
        Expected::Anything => "anything".to_owned(),
        Expected::Nothing => at(None),
        Expected::Revision(revision) => at(Some(revision)),
    }
}

/// A watcher was too slow. Its cursor stands at the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watcher fell behind and missed {missed} changes; read the board anew and go on")]
pub struct Lagged {
    /// How many changes to any key are not remembered any more.
    pub missed: u64,
}

#[cfg(test)]
mod tests;
