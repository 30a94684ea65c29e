//! The retriever's cache: what was read once is not read again for a while.
//!
//! Bounded in entries and in bytes; what was used least recently goes first. Of several callers that want the same at
//! the same time one fills the cache and the others get what it found.
//!
//! # Invariants
//!
//! * A `false`, a `0`, a `null`, an empty text or list in the cache is a hit like any other.
//! * An error is given to the one who ran into it, and is never kept.
//! * When the one who fills is dropped or fails, another that waits fills in its place.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How much a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many entries.
    pub entries: usize,
    /// How many bytes, keys and values as JSON together. A value that is larger is not kept.
    pub bytes: usize,
}

impl Default for Bounds {
    /// 1,024 entries of 64 MiB together.
    fn default() -> Self {
        Self { entries: 1024, bytes: 64 << 20 }
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// It was in the cache.
    Hit,
    /// It was not, and the caller filled it.
    Miss,
    /// It was not, and another caller filled it meanwhile.
    Shared,
}

/// What came of the requests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests that were answered from the cache.
    pub hits: u64,
    /// Requests that had to fill it, the failed ones included.
    pub misses: u64,
    /// Requests that got what another one filled in.
    pub shared: u64,
    /// Entries that had to make room.
    pub evicted: u64,
    /// Entries now.
    pub entries: u64,
    /// Bytes now.
    pub bytes: u64,
}

/// A bounded cache of JSON values with a time to live for each.
pub struct Cache {
    bounds: Bounds,
    now: Now,
    state: Mutex<State>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bounds", &self.bounds).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    /// Keys by when they were last used, oldest first.
    order: BTreeMap<u64, String>,
    flights: BTreeMap<String, Arc<Flight>>,
    /// The sizes of all entries together.
    bytes: usize,
    uses: u64,
    stats: Stats,
}

struct Entry {
    value: Arc<Value>,
    filled: Instant,
    ttl: Duration,
    size: usize,
    used: u64,
}

/// Callers that want the same key: one has its turn, the others wait.
struct Flight {
    turn: Semaphore,
    seats: Mutex<usize>,
    landed: Mutex<Option<Arc<Value>>>,
}

/// A caller's place in a flight; the last to leave clears it away.
struct Seat<'c> {
    cache: &'c Cache,
    key: &'c str,
    flight: Arc<Flight>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.state();
        let mut seats = lock(&self.flight.seats);
        *seats -= 1;
        let ours = state.flights.get(self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        if *seats == 0 && ours {
            state.flights.remove(self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic happens under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(bounds: Bounds, now: Now) -> Self {
        Self { bounds, now, state: Mutex::default() }
    }

    /// The value of `key` if it is younger than `ttl` and than the time it was given when it was filled; otherwise what
    /// `fill` gives, which is kept for `ttl`.
    ///
    /// # Errors
    ///
    /// Returns the error of `fill`, if it was this caller's turn to fill.
    ///
    /// # Cancel safety
    ///
    /// A caller may be dropped at any time; if it was filling, the next one that waits does.
    pub async fn get_or_fill<E, F>(&self, key: &str, ttl: Duration, fill: F) -> Result<(Arc<Value>, Source), E>
    where
        F: Future<Output = Result<Value, E>>,
    {
        let seat = match self.look(key, ttl) {
            Found::Entry(value) => return Ok((value, Source::Hit)),
            Found::Flight(seat) => seat,
        };
        // The permit is the turn to fill. It goes to the next one that waits when this future is dropped.
        let _turn = seat.flight.turn.acquire().await;
        let landed = lock(&seat.flight.landed).clone();
        if let Some(value) = landed {
            self.state().stats.shared += 1;
            return Ok((value, Source::Shared));
        }
        self.state().stats.misses += 1;
        let value = Arc::new(fill.await?);
        *lock(&seat.flight.landed) = Some(Arc::clone(&value));
        self.land(key, ttl, &value);
        Ok((value, Source::Miss))
    }

    /// What came of the requests so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.state();
        Stats { entries: state.entries.len() as u64, bytes: state.bytes as u64, ..state.stats }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The entry, if it is young enough; otherwise a seat in the flight that fills it.
    fn look<'c>(&'c self, key: &'c str, ttl: Duration) -> Found<'c> {
        let now = (self.now)();
        let mut state = self.state();
        if let Some(value) = state.touch(key, |entry| now.saturating_duration_since(entry.filled) < entry.ttl.min(ttl))
        {
            state.stats.hits += 1;
            return Found::Entry(value);
        }
        let new = || Arc::new(Flight { turn: Semaphore::new(1), seats: Mutex::new(0), landed: Mutex::new(None) });
        let flight = Arc::clone(state.flights.entry(key.to_owned()).or_insert_with(new));
        *lock(&flight.seats) += 1;
        Found::Flight(Seat { cache: self, key, flight })
    }

    /// Keeps a value, and lets those who come later find it there instead of in its flight.
    fn land(&self, key: &str, ttl: Duration, value: &Arc<Value>) {
        let now = (self.now)();
        let size = key.len() + size_of(value);
        let mut state = self.state();
        state.flights.remove(key);
        state.remove(key);
        if size > self.bounds.bytes || self.bounds.entries == 0 {
            return;
        }
        let used = state.next_use();
        state.order.insert(used, key.to_owned());
        state.entries.insert(key.to_owned(), Entry { value: Arc::clone(value), filled: now, ttl, size, used });
        state.bytes += size;
        state.make_room(self.bounds);
    }
}

/// What a caller finds.
enum Found<'c> {
    Entry(Arc<Value>),
    Flight(Seat<'c>),
}

impl State {
    fn next_use(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    /// The value of an entry that is still good, which is now the one used last.
    fn touch(&mut self, key: &str, good: impl FnOnce(&Entry) -> bool) -> Option<Arc<Value>> {
        let next = self.next_use();
        let entry = self.entries.get_mut(key).filter(|entry| good(entry))?;
        self.order.remove(&entry.used);
        entry.used = next;
        self.order.insert(next, key.to_owned());
        Some(Arc::clone(&entry.value))
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= entry.size;
        }
    }

    fn make_room(&mut self, bounds: Bounds) {
        while self.entries.len() > bounds.entries || self.bytes > bounds.bytes {
            let Some((_, key)) = self.order.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&key) {
                self.bytes -= entry.size;
                self.stats.evicted += 1;
            }
        }
    }
}

/// How long a value is as JSON, without writing it down.
fn size_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 16,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size_of(item) + 1).sum::<usize>() + 2,
        Value::Object(entries) => entries.iter().map(|(key, item)| key.len() + 4 + size_of(item)).sum::<usize>() + 2,
    }
}
