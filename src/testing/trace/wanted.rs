//! Whether an entry of a trace is one that a test means.

use super::Entry;
use crate::fault::PathPattern;
use crate::id::Path;

/// A pattern of entries by the first words of their lines: `started root/w #2`, `exited root/workers/* #1`, `gave-up`.
///
/// The second word is a place: that of any node where none is named; `*` stands for one name of it, `**` at its end for
/// all that is below. Elsewhere `*` stands for a whole word.
pub(super) struct Wanted<'a> {
    verb: &'a str,
    place: Option<Place<'a>>,
    rest: Vec<&'a str>,
}

struct Place<'a> {
    whole: &'a str,
    path: Option<PathPattern>,
}

impl<'a> Wanted<'a> {
    /// # Panics
    ///
    /// When no line begins so, and the pattern would never be met: a test that says `never` of it would always pass.
    pub(super) fn new(pattern: &'a str) -> Self {
        let mut words = pattern.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let place = words.next().map(|whole| Place { whole, path: whole.parse().ok() });
        let known = VERBS_OF_PATHS.contains(&verb);
        assert!(
            known || VERBS_OF_OTHERS.contains(&verb),
            "`{pattern}` is no pattern of a trace: a line begins with one of {}, {}; or with `*`",
            VERBS_OF_PATHS.join(", "),
            VERBS_OF_OTHERS[1..].join(", "),
        );
        if let Some(place) = place.as_ref().filter(|place| known && place.whole != "*" && place.path.is_none()) {
            panic!("`{pattern}` is no pattern of a trace: `{}` is no place such as `root/w`, `a:root/*`", place.whole);
        }
        Self { verb, place, rest: words.collect() }
    }

    /// Looks at the line only where the beginning fits: traces are long, and are looked through often.
    pub(super) fn is(&self, entry: &Entry) -> bool {
        if !is_word(self.verb, entry.verb()) {
            return false;
        }
        let Some(place) = &self.place else { return true };
        let fits = match entry.path() {
            Some(path) => place.is_path(&entry.node, path),
            None => entry.line().split_whitespace().nth(1).is_some_and(|word| is_word(place.whole, word)),
        };
        fits && (self.rest.is_empty() || {
            let line = entry.line();
            let mut words = line.split_whitespace().skip(2);
            self.rest.iter().all(|wanted| words.next().is_some_and(|word| is_word(wanted, word)))
        })
    }
}

impl Place<'_> {
    fn is_path(&self, node: &str, path: &Path) -> bool {
        self.whole == "*" || self.path.as_ref().is_some_and(|wanted| wanted.matches_on(Some(node), path))
    }
}

/// First words of lines about a place in a tree.
const VERBS_OF_PATHS: [&str; 33] = [
    "starting",
    "started",
    "exited",
    "killing",
    "backing-off",
    "quarantined",
    "gave-up",
    "closed",
    "drained",
    "dozing",
    "resting",
    "dropped",
    "refused",
    "hook-failed",
    "leaked",
    "leak-ended",
    "ready",
    "ending",
    "ended",
    "routed",
    "breaker",
    "spawn-refused",
    "state",
    "blocked",
    "free",
    "accepted",
    "begun",
    "handled",
    "broken-off",
    "left",
    "asked",
    "alive",
    "gone",
];

/// Any; and first words of lines about a node or a message, or of what a test wrote. A fault may be of no place.
const VERBS_OF_OTHERS: [&str; 7] = ["*", "fault", "booting", "boot-failed", "crashed", "message", "note"];

fn is_word(wanted: &str, word: &str) -> bool {
    wanted == "*" || wanted == word
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::event::{Event, EventKind};
    use crate::id::Incarnation;
    use crate::runtime::world::TokioClock;
    use crate::seam::Clock;
    use crate::testing::trace::{NodeChange, What};

    fn entry(what: What) -> Entry {
        Entry { at: Duration::ZERO, node: "a".into(), boot: 1, what }
    }

    fn started() -> Entry {
        let at: Instant = TokioClock.now();
        let path = "root/pool/w".parse().expect("a path");
        let incarnation = Incarnation::new(2).expect("a number");
        entry(What::Event(Event { at, path, kind: EventKind::Started { incarnation } }.into()))
    }

    #[test]
    fn a_pattern_means_entries_by_their_first_words_and_places_as_fault_plans_do() {
        for pattern in
            ["started", "started root/pool/w", "started a:root/pool/w #2", "* *:root/pool/* *", "* root/** #2", "* *"]
        {
            assert!(Wanted::new(pattern).is(&started()), "{pattern}");
        }
        let others = ["exited", "started root/pool", "started b:root/pool/w", "started root/pool/w #1"];
        for pattern in others.into_iter().chain(["started root/pool/w #2 more"]) {
            assert!(!Wanted::new(pattern).is(&started()), "{pattern}");
        }
    }

    #[test]
    fn what_no_line_begins_with_is_refused_with_what_lines_begin_with() {
        for (pattern, told) in
            [("start root/w", "one of starting, started"), ("exited root//w", "no place"), ("", "one of")]
        {
            let panic = std::panic::catch_unwind(|| Wanted::new(pattern).is(&started())).expect_err("it is none");
            let text = panic.downcast_ref::<String>().expect("a text");
            assert!(text.contains(told), "{text}");
        }
    }

    #[test]
    fn every_line_begins_with_a_word_that_a_pattern_may_begin_with() {
        let line = include_str!("line.rs");
        let verbs =
            line.split("const fn verb").nth(1).and_then(|rest| rest.split("\n}\n").next()).expect("the function");
        let words: Vec<_> = verbs.split('"').skip(1).step_by(2).collect();
        assert!(words.len() > 20 && words.iter().all(|word| VERBS_OF_PATHS.contains(word)), "{words:?}");
    }

    #[test]
    fn what_is_about_a_node_or_a_note_is_found_by_its_words() {
        let crashed = entry(What::Node(NodeChange::Crashed));
        assert!(Wanted::new("crashed a").is(&crashed) && !Wanted::new("crashed b").is(&crashed));
        let note = entry(What::Note("all is well".to_owned()));
        assert!(Wanted::new("note all is").is(&note) && !Wanted::new("note all was").is(&note));
    }
}
