//! What each seam promises, as tests that every implementation passes: real and simulated, yours too.
//!
//! A suite panics at the first promise that is broken, and names it. It asks for fresh values as it goes, and uses time:
//! run it with tokio's clock paused where the implementation lives by that clock, and in real time where it does not.
//!
//! | suite | for | takes in real time |
//! |---|---|---|
//! | [`clock`] | [`Clock`](crate::seam::Clock) | a moment |
//! | [`entropy`], [`seeded_entropy`] | [`Entropy`](crate::seam::Entropy) | a moment |
//! | [`journal`] | [`Journal`](crate::seam::Journal) | a moment |
//! | [`journal_over_restarts`] | one that outlives its process | a moment |
//! | [`transport`] | [`Transport`](crate::seam::Transport) | some 10 seconds, for it waits for what must not come |
//!
//! ```
//! use std::sync::Arc;
//! use steadfast::MemoryJournal;
//! use steadfast::seam::Journal;
//! use steadfast::testing::conformance;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! conformance::journal(|| async { Arc::new(MemoryJournal::default()) as Arc<dyn Journal> }).await;
//! # }
//! ```

mod clock;
mod entropy;
mod journal;
mod parts;
mod restarts;
mod snapshots;
mod transport;

use std::fmt::Debug;

pub use clock::clock;
pub use entropy::{entropy, seeded_entropy};
pub use journal::journal;
pub use restarts::journal_over_restarts;
pub use transport::{Places, transport};

/// A promise of a seam.
#[derive(Clone, Copy)]
struct Clause {
    seam: &'static str,
    promise: &'static str,
}

impl Clause {
    const fn new(seam: &'static str, promise: &'static str) -> Self {
        Self { seam, promise }
    }

    /// Panics with the promise and what was found in its place.
    #[track_caller]
    fn broken(self, found: &str) -> ! {
        let Self { seam, promise } = self;
        panic!("the {seam} breaks its contract. Promised: {promise}. Found: {found}")
    }

    #[track_caller]
    fn holds(self, holds: bool, found: impl FnOnce() -> String) {
        if !holds {
            self.broken(&found());
        }
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that the clauses read without `&` before every value")]
    fn is<T: PartialEq + Debug>(self, what: &str, found: T, expected: T) {
        self.holds(found == expected, || format!("{what}: {}, expected {}", short(&found), short(&expected)));
    }
}

/// A value, or its beginning: records may be long.
fn short(value: &impl Debug) -> String {
    const LONGEST: usize = 500;
    let text = format!("{value:?}");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}
