//! What happened to the children of a supervisor: a bounded record of ended lives.
//!
//! # Invariants
//!
//! * It holds at most its capacity; the oldest entry goes first, and is counted.
//! * Nothing is allocated before the first exit.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::exit::ExitReason;
use crate::id::{ChildId, Incarnation, Path};

use super::machine::{StartCause, Verdict};

/// One ended life of a child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// The child.
    pub child: ChildId,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// When its start was commanded, since the start of the system.
    pub started: Duration,
    /// How long it lived, from the command to its end.
    pub lived: Duration,
    /// By whose decision it was started.
    pub cause: StartCause,
    /// How it ended.
    pub reason: ExitReason,
    /// What its supervisor made of that.
    pub verdict: Verdict,
}

/// The ended lives of a supervisor's children, or of one of them, oldest first.
///
/// `Display` is aligned plain text, one line per life:
///
/// ```text
/// root/divider: 1 exit
///   incarnation 1, started by init at 0.000 s, lived 0.002 s, panicked: attempt to divide by zero; restarted (1 of 1 in 5s)
/// ```
#[derive(Clone, Debug)]
pub struct History {
    path: Path,
    scope: Scope,
    capacity: usize,
    entries: VecDeque<Entry>,
    dropped: u64,
}

/// Whose lives a history tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    AllChildren,
    OneChild,
}

impl History {
    /// How many entries a history holds unless told otherwise.
    pub const DEFAULT_CAPACITY: usize = 64;

    /// The empty history of the supervisor at this path.
    #[must_use]
    pub const fn new(path: Path) -> Self {
        Self { path, scope: Scope::AllChildren, capacity: Self::DEFAULT_CAPACITY, entries: VecDeque::new(), dropped: 0 }
    }

    /// Sets how many entries are held. With 0 exits are only counted.
    #[must_use]
    pub const fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Adds an ended life; the oldest goes when there is no room.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        while self.entries.len() > self.capacity {
            self.entries.pop_front();
            self.dropped += 1;
        }
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// How many older entries were dropped, of all children together.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The part of this history that tells of one child.
    #[must_use]
    pub fn of(&self, child: &ChildId) -> Self {
        Self {
            path: self.path.child(child),
            scope: Scope::OneChild,
            capacity: self.capacity,
            entries: self.entries.iter().filter(|entry| entry.child == *child).cloned().collect(),
            dropped: self.dropped,
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exits = self.entries.len();
        write!(f, "{}: {exits} {}", self.path, if exits == 1 { "exit" } else { "exits" })?;
        match (self.dropped, self.scope) {
            (0, _) => {}
            (dropped, Scope::AllChildren) => write!(f, ", {dropped} older not kept")?,
            (dropped, Scope::OneChild) => write!(f, ", {dropped} older of all siblings together not kept")?,
        }
        let rows: Vec<[String; 4]> = self.entries.iter().map(columns).collect();
        let widths = [0, 1, 2, 3].map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0));
        for (entry, [name, incarnation, started, lived]) in self.entries.iter().zip(&rows) {
            f.write_str("\n  ")?;
            if self.scope == Scope::AllChildren {
                write!(f, "{name:width$}  ", width = widths[0])?;
            }
            write!(f, "incarnation {incarnation:>width$}, ", width = widths[1])?;
            write!(f, "started by {} at {started:>width$} s, ", entry.cause, width = widths[2])?;
            write!(f, "lived {lived:>width$} s, ", width = widths[3])?;
            // A panic's text may have several lines, an entry has one.
            write!(f, "{}; {}", entry.reason.to_string().replace('\n', " "), entry.verdict)?;
        }
        Ok(())
    }
}

fn columns(entry: &Entry) -> [String; 4] {
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    [entry.child.to_string(), entry.incarnation.to_string(), seconds(entry.started), seconds(entry.lived)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervision::intensity::{Intensity, Tally};

    const MS: Duration = Duration::from_millis(1);

    fn panicked(child: &str, incarnation: u64) -> Entry {
        let tally = Tally { count: 1, limit: Intensity::at_most(1) };
        let first = incarnation == 1;
        Entry {
            child: ChildId::new(child).expect("a name"),
            incarnation: Incarnation::new(incarnation).expect("not 0"),
            started: MS * if first { 0 } else { 12_500 },
            lived: MS * 2,
            cause: if first { StartCause::Init } else { StartCause::Restart { tally } },
            reason: ExitReason::Panicked { message: "attempt to divide by zero".to_owned(), location: None },
            verdict: Verdict::Restarting(tally),
        }
    }

    fn history() -> History {
        History::new("root".parse().expect("a path"))
    }

    #[test]
    fn a_history_of_one_child_prints_one_line_per_life() {
        let mut history = history();
        history.push(panicked("adder", 1));
        history.push(panicked("divider", 1));
        assert_eq!(
            history.of(&ChildId::new("divider").expect("a name")).to_string(),
            "root/divider: 1 exit\n  incarnation 1, started by init at 0.000 s, lived 0.002 s, \
             panicked: attempt to divide by zero; restarted (1 of 1 in 5s)"
        );
    }

    #[test]
    fn a_history_of_a_supervisor_is_aligned_and_names_each_child() {
        let mut history = history();
        history.push(panicked("divider", 1));
        history.push(panicked("adder", 12));
        assert_eq!(
            history.to_string(),
            "root: 2 exits\n  \
             divider  incarnation  1, started by init at  0.000 s, lived 0.002 s, \
             panicked: attempt to divide by zero; restarted (1 of 1 in 5s)\n  \
             adder    incarnation 12, started by its own exit (1 of 1 in 5s) at 12.500 s, lived 0.002 s, \
             panicked: attempt to divide by zero; restarted (1 of 1 in 5s)"
        );
    }

    #[test]
    fn the_oldest_entry_goes_when_there_is_no_room_and_is_counted() {
        let mut history = history().capacity(2);
        for incarnation in 1..=5 {
            history.push(panicked("a", incarnation));
        }
        assert_eq!(history.entries().map(|entry| entry.incarnation.get()).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(history.dropped(), 3);
        assert!(history.to_string().starts_with("root: 2 exits, 3 older not kept\n"));
    }

    #[test]
    fn nothing_is_allocated_before_the_first_exit() {
        assert_eq!(history().entries.capacity(), 0);
        assert_eq!(history().to_string(), "root: 0 exits");
    }
}
