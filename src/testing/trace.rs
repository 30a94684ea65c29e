//! Everything that happened in a world, in order, as values and as stable text.
//!
//! Nothing in it differs between two runs of one seed: it has virtual times, the names of nodes, paths and the numbers of
//! incarnations, and never an id that is made anew each time.

mod line;
mod recording;
mod wanted;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

pub(in crate::testing) use self::line::line;
pub(in crate::testing) use self::recording::{NodeTap, Recording};
use self::wanted::Wanted;
use crate::event::{Event, EventKind};
use crate::id::{Incarnation, Path};
pub use crate::runtime::tap::MailStep;
use crate::testing::net::Passed;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// When, since the world began.
    pub at: Duration,
    /// On which node.
    pub node: Arc<str>,
    /// Which start of that node, from 1 on; 0 of what is of no start: a fault, a message between nodes, a note.
    pub boot: u32,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// A node's system reported it.
    Event(Arc<Event>),
    /// A message came this far at its agent.
    Mail {
        /// The agent.
        path: Path,
        /// How far.
        step: MailStep,
        /// Whose code let it in, where it was that of a life.
        from: Option<(Path, Incarnation)>,
        /// By when its handler must have begun, where it begins and there is such a moment; since the world began.
        due: Option<Duration>,
    },
    /// A supervisor asks a life to end in order.
    Asked {
        /// Whose.
        path: Path,
        /// Which life.
        incarnation: Incarnation,
        /// The place of the child among those of its supervisor, the first being 0, where those go one after the other.
        place: Option<usize>,
    },
    /// The code or the state of a life is there from now on, or nothing of it is there any more.
    Code {
        /// Whose.
        path: Path,
        /// Which life.
        incarnation: Incarnation,
        /// Whether it is there.
        is_there: bool,
    },
    /// A fault on purpose came.
    Fault {
        /// At whose life it came, where it came at one.
        who: Option<(Path, Incarnation)>,
        /// What went wrong, as a plan writes it.
        fault: String,
    },
    /// A node as a whole.
    Node(NodeChange),
    /// Something happened to a message between nodes.
    Message(Passed),
    /// The test says so: [`World::note`](super::World::note).
    Note(String),
}

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeChange {
    /// It begins.
    Booting,
    /// Its tree did not start.
    BootFailed,
    /// It is gone, from one moment to the next.
    Crashed,
}

impl Entry {
    /// The path that it is about, where it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.what {
            What::Event(event) => Some(&event.path),
            What::Mail { path, .. }
            | What::Asked { path, .. }
            | What::Code { path, .. }
            | What::Fault { who: Some((path, _)), .. } => Some(path),
            _ => None,
        }
    }

    /// The event, where it is one.
    #[must_use]
    pub fn event(&self) -> Option<&EventKind> {
        match &self.what {
            What::Event(event) => Some(&event.kind),
            _ => None,
        }
    }

    /// The first word of its line.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match &self.what {
            What::Event(event) => line::verb(&event.kind),
            What::Mail { step: MailStep::Accepted, .. } => "accepted",
            What::Mail { step: MailStep::Begun(_), .. } => "begun",
            What::Mail { step: MailStep::Handled(_), .. } => "handled",
            What::Mail { step: MailStep::BrokenOff(_), .. } => "broken-off",
            What::Mail { step: MailStep::Left(_), .. } => "left",
            What::Asked { .. } => "asked",
            What::Code { is_there: true, .. } => "alive",
            What::Code { is_there: false, .. } => "gone",
            What::Fault { .. } => "fault",
            What::Node(change) => change.as_str(),
            What::Message(_) => "message",
            What::Note(_) => "note",
        }
    }

    /// Its line, without the time: a verb, the place, and what else there is to say.
    ///
    /// ```text
    /// started a:root/w #2
    /// exited a:root/w #1 panicked (panicked: boom; restarting)
    /// crashed a
    /// ```
    #[must_use]
    pub fn line(&self) -> String {
        let Self { node, .. } = self;
        let place = |path: &Path| format!("{node}:{path}");
        let verb = self.verb();
        match &self.what {
            What::Event(event) => line::full(verb, &event.kind, &place(&event.path)),
            What::Mail { path, step, .. } => match step {
                MailStep::Accepted => format!("{verb} {}", place(path)),
                MailStep::Left(why) => format!("{verb} {} {why:?}", place(path)),
                MailStep::Begun(life) | MailStep::Handled(life) | MailStep::BrokenOff(life) => {
                    format!("{verb} {} #{life}", place(path))
                }
            },
            What::Asked { path, incarnation, .. } | What::Code { path, incarnation, .. } => {
                format!("{verb} {} #{incarnation}", place(path))
            }
            What::Fault { who: Some((path, life)), fault } => format!("{verb} {} #{life} {fault}", place(path)),
            What::Fault { who: None, fault } => format!("{verb} {node} {fault}"),
            What::Node(_) => format!("{verb} {node}"),
            What::Message(passed) => format!("{verb} {passed}"),
            What::Note(text) => format!("{verb} {text}"),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6}s {}", self.at.as_secs_f64(), self.line())
    }
}

impl NodeChange {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::BootFailed => "boot-failed",
            Self::Crashed => "crashed",
        }
    }
}

/// Everything that happened so far, in order.
///
/// What a test means by `pattern` is told by the first words of an [entry's line](Entry::line): `started root/w #2`,
/// `exited root/workers/* * panicked`, `dropped b:root/w`; a first word that no line has is refused by a panic. A place without a node is one of any node; `*` stands for one
/// name of a path, or one word of a line, and `**` for all that is below a path.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    entries: Vec<Entry>,
}

impl Trace {
    /// Puts an entry at its end.
    pub(in crate::testing) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// All of it.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What happened last.
    #[must_use]
    pub fn last(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// What a pattern means.
    pub fn all<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = &'a Entry> {
        let wanted = Wanted::new(pattern);
        self.entries.iter().filter(move |entry| wanted.is(entry))
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, pattern: &str) -> usize {
        self.all(pattern).count()
    }

    /// Whether it happened.
    #[must_use]
    pub fn has(&self, pattern: &str) -> bool {
        self.all(pattern).next().is_some()
    }

    /// Whether it happened after so many entries.
    #[must_use]
    pub fn has_after(&self, entries: usize, pattern: &str) -> bool {
        let wanted = Wanted::new(pattern);
        self.entries.iter().skip(entries).any(|entry| wanted.is(entry))
    }

    /// How often a supervisor started somebody at this place again.
    #[must_use]
    pub fn restarts_of(&self, path: &str) -> usize {
        let pattern = format!("starting {path}");
        let is_restart =
            |entry: &&Entry| matches!(entry.event(), Some(EventKind::Starting { cause, .. }) if cause.is_restart());
        self.all(&pattern).filter(is_restart).count()
    }

    /// Asserts that it did not happen.
    ///
    /// # Panics
    ///
    /// When it did.
    #[track_caller]
    pub fn expect_never(&self, pattern: &str) {
        if let Some(entry) = self.all(pattern).next() {
            panic!("`{pattern}` was never to happen:\n{entry}");
        }
    }

    /// Asserts that it happened so often at most.
    ///
    /// # Panics
    ///
    /// When it happened more often.
    #[track_caller]
    pub fn expect_at_most(&self, most: usize, pattern: &str) {
        let found: Vec<_> = self.all(pattern).collect();
        assert!(
            found.len() <= most,
            "`{pattern}` happened {} times, not at most {most}:\n{}",
            found.len(),
            Lines(&found)
        );
    }

    /// Asserts that these happened one after the other, with anything between.
    ///
    /// # Panics
    ///
    /// When one of them did not happen after the one before.
    #[track_caller]
    pub fn expect_order(&self, patterns: &[&str]) {
        let mut rest = self.entries.iter();
        for (number, pattern) in patterns.iter().enumerate() {
            let wanted = Wanted::new(pattern);
            if !rest.by_ref().any(|entry| wanted.is(entry)) {
                let one_of = |entry: &&Entry| patterns.iter().any(|pattern| Wanted::new(pattern).is(entry));
                let all: Vec<_> = self.entries.iter().filter(one_of).collect();
                let before = if number == 0 { String::new() } else { format!(" after `{}`", patterns[number - 1]) };
                panic!("`{pattern}` did not happen{before}; of all that was to come there was:\n{}", Lines(&all));
            }
        }
    }

    /// Asserts that whatever `cause` means was followed, within a time, by something that `effect` means. Nothing is said of the
    /// last such time, where the world did not go on for so long.
    ///
    /// # Panics
    ///
    /// When it was not.
    #[track_caller]
    pub fn expect_within(&self, limit: Duration, cause: &str, effect: &str) {
        let end = self.last().map_or(Duration::ZERO, |last| last.at);
        let wanted = Wanted::new(effect);
        let causes = Wanted::new(cause);
        for (number, entry) in self.entries.iter().enumerate().filter(|(_, entry)| causes.is(entry)) {
            let came = self.entries[number + 1..]
                .iter()
                .take_while(|later| later.at <= entry.at + limit)
                .any(|later| wanted.is(later));
            assert!(came || end < entry.at + limit, "no `{effect}` came within {limit:?} of:\n{entry}");
        }
    }

    /// All of it, one line each with its time: the same for each run of a seed.
    #[must_use]
    pub fn text(&self) -> String {
        self.entries.iter().fold(String::new(), |mut text, entry| {
            let _ = writeln!(text, "{entry}");
            text
        })
    }

    /// What supervisors reported, one line each, without times: for snapshots that bear a change of timings.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let told = |entry: &&Entry| entry.event().is_some_and(|kind| !matches!(kind, EventKind::Lifecycle { .. }));
        self.entries.iter().filter(told).map(Entry::line).collect()
    }

    /// Where two traces part: the number of the first entry that is not the same, with both lines. `None` when they are the
    /// same.
    #[must_use]
    pub fn parting(&self, other: &Self) -> Option<Parting> {
        let (mine, theirs) = (&self.entries, &other.entries);
        (0..mine.len().max(theirs.len())).find_map(|number| {
            let line = |entries: &[Entry]| entries.get(number).map(ToString::to_string);
            let (one, two) = (line(mine), line(theirs));
            (one != two).then(|| {
                let before = mine[number.saturating_sub(5)..number].iter().map(ToString::to_string).collect();
                Parting { number, before, one, two }
            })
        })
    }
}

/// Where two traces of one seed part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parting {
    /// The number of the first entry that differs, from 0 on.
    pub number: usize,
    /// The last lines that are the same.
    pub before: Vec<String>,
    /// The line of the one, if it has any more.
    pub one: Option<String>,
    /// The line of the other.
    pub two: Option<String>,
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, before, one, two } = self;
        writeln!(f, "the traces part at entry {number}, after")?;
        for line in before {
            writeln!(f, "  {line}")?;
        }
        let line = |line: &Option<String>| line.clone().unwrap_or_else(|| "the end".to_owned());
        write!(f, "one goes on with\n  {}\nthe other with\n  {}", line(one), line(two))
    }
}

/// Entries, one line each.
struct Lines<'a>(&'a [&'a Entry]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}
