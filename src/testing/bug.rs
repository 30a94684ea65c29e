//! Bugs on purpose, for tests that must find them.
//!
//! A search for bugs shows something only if it finds those that are there. Each value here is a plausible mistake;
//! [`SystemBuilder::bug`](crate::SystemBuilder::bug) has one system make it. None has an effect where none was asked for.

use std::fmt;
use std::str::FromStr;

/// Declares the bugs by area, each with its name.
macro_rules! bugs {
    ($($area:literal { $($(#[doc = $doc:literal])* $bug:ident = $name:literal,)* })*) => {
        /// One plausible mistake.
        ///
        /// ```
        /// use steadfast::testing::Bug;
        ///
        /// let bug: Bug = "hand-is-lost".parse()?;
        /// assert_eq!((bug, bug.area()), (Bug::HandIsLost, "mailbox"));
        /// # Ok::<_, steadfast::testing::UnknownBug>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Bug {
            $($($(#[doc = $doc])* $bug,)*)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$($(Self::$bug,)*)*];

            /// Its name, as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$bug => $name,)*)* }
            }

            /// Which part of the house makes the mistake.
            #[must_use]
            pub const fn area(self) -> &'static str {
                match self { $($(Self::$bug => $area,)*)* }
            }

            /// What is wrong, in a sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $($(Self::$bug => concat!($($doc,)*),)*)* }
            }
        }
    };
}

bugs! {
    "supervision" {
        /// A worker that is asked to end counts as gone at once: the next one starts beside its stop hook.
        GoneWhenAsked = "gone-when-asked",
        /// A nested supervisor that is asked to end counts as gone at once: its elders end before those below it.
        BranchGoneWhenAsked = "branch-gone-when-asked",
        /// A child that is forgotten keeps its slot open: what is sent to it waits for nobody.
        ForgottenStaysOpen = "forgotten-stays-open",
        /// What a supervisor had armed goes on when it has ended.
        TimerOfTheEnded = "timer-of-the-ended",
    }
    "dynamic supervisors" {
        /// Children that were added stay open when their supervisor is started again without them.
        AddedStayOpen = "added-stay-open",
    }
    "lazy agents" {
        /// A message that comes while an agent is put to rest does not rouse it.
        DozeMissesMessage = "doze-misses-message",
        /// A message that comes just as a child at rest is stopped starts a life of which its supervisor does not know.
        RousedAfterItsEnd = "roused-after-its-end",
    }
    "fences" {
        /// A life that has ended is not fenced: a closure that is left of it goes on as if it lived.
        EndedIsNotFenced = "ended-is-not-fenced",
        /// A mailbox takes messages of a life that is fenced.
        FencedIsHeard = "fenced-is-heard",
    }
    "mailbox" {
        /// What a life had taken and not begun is lost when it crashes.
        HandIsLost = "hand-is-lost",
        /// What a life had taken and not begun goes behind what came since.
        HandGoesBehind = "hand-goes-behind",
        /// A shell that leaves messages behind a full batch is not woken for them.
        RestNotWoken = "rest-not-woken",
        /// What makes room for another message is not told of to anybody.
        ShedIsLost = "shed-is-lost",
        /// A message whose time is over is handled all the same.
        ExpiredIsHandled = "expired-is-handled",
    }
    "drain" {
        /// What an agent has taken and not begun is lost when it is told to drain.
        DrainLosesHand = "drain-loses-hand",
    }
    "suspend" {
        /// The next life of an agent that died while it was suspended is active and handles nothing.
        PauseOutlivesLife = "pause-outlives-life",
    }
    "asks" {
        /// A question waits for room in the mailbox beyond its deadline.
        AskWaitsForRoom = "ask-waits-for-room",
        /// The permit of a question that found no room is not given back.
        PermitIsKept = "permit-is-kept",
    }
    "dead letters" {
        /// A dead letter that is sent again and refused is lost.
        RefusedAgainIsLost = "refused-again-is-lost",
        /// A message that went elsewhere is a dead letter too.
        PlacedIsBuried = "placed-is-buried",
        /// A message that finds nobody else at a death is a dead letter twice.
        BuriedTwice = "buried-twice",
        /// The drop of a message that a route could not send is told twice.
        DropToldTwice = "drop-told-twice",
    }
    "registry" {
        /// A registration that was lost with a life of the registrar is not repeated.
        RegistrationNotRepeated = "registration-not-repeated",
        /// What an agent does not offer any more is still found.
        WithdrawnIsFound = "withdrawn-is-found",
        /// Whoever was added and is forgotten is still found.
        ForgottenIsFound = "forgotten-is-found",
    }
    "breakers" {
        /// A probe whose asker went away is never over: the provider is asked no more.
        ProbeIsLost = "probe-is-lost",
    }
    "pools" {
        /// A member that is lent stays among those that are free.
        LentTwice = "lent-twice",
    }
    "timers" {
        /// A timer outlives its life, and fires in the next one.
        TimerOutlivesLife = "timer-outlives-life",
    }
    "journal" {
        /// An append is acknowledged before it is made.
        AcknowledgedFirst = "acknowledged-first",
        /// A writer that was fenced off is let in again.
        FencedWriterLetIn = "fenced-writer-let-in",
        /// An append that is in doubt is made once more behind itself.
        DoubtfulRepeated = "doubtful-repeated",
    }
    "leases" {
        /// The leases of a life that ended are not taken back.
        LeaseNotTakenBack = "lease-not-taken-back",
        /// Whoever reports on a task is taken for the one who holds its lease.
        AnyReportCounts = "any-report-counts",
        /// A lease that is delivered twice is carried out twice.
        LeaseTakenTwice = "lease-taken-twice",
    }
    "orchestrator" {
        /// A report that comes again is recorded again.
        ResultRecordedTwice = "result-recorded-twice",
        /// A lease is sent before it is in the journal.
        SentBeforeJournal = "sent-before-journal",
        /// A record is told of before it is in the journal.
        ToldBeforeJournal = "told-before-journal",
        /// The last record is overlooked by the next incarnation.
        LastRecordOverlooked = "last-record-overlooked",
        /// What an earlier incarnation had asked for counts in the next one.
        StaleAnswerCounts = "stale-answer-counts",
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no bug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no bug on purpose; there are {}", names())]
pub struct UnknownBug {
    /// The refused text.
    pub name: String,
}

fn names() -> String {
    let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.as_str()).collect();
    names.join(", ")
}

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(name: &str) -> Result<Self, UnknownBug> {
        let found = Self::ALL.iter().copied().find(|bug| bug.as_str() == name);
        found.ok_or_else(|| UnknownBug { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_bug_reads_back_from_its_name_which_is_the_value_in_kebab_case() {
        for bug in Bug::ALL {
            assert_eq!(bug.to_string().parse(), Ok(*bug));
            let words: Vec<_> = bug.as_str().split('-').collect();
            assert_eq!(words.concat(), format!("{bug:?}").to_lowercase());
        }
        assert_eq!(Bug::ALL.iter().collect::<BTreeSet<_>>().len(), Bug::ALL.len());
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_those_that_there_are() {
        let error = "no-such-bug".parse::<Bug>().expect_err("there is none").to_string();
        assert!(error.starts_with("`no-such-bug` is no bug on purpose; there are gone-when-asked, "), "{error}");
    }

    #[test]
    fn the_page_lists_each_bug_with_its_area_and_what_is_wrong() {
        let page = include_str!("../../docs/testing.md");
        for bug in Bug::ALL {
            let row = format!("| `{bug}` | {} | {} |", bug.area(), bug.what().trim());
            assert!(page.contains(&row), "docs/testing.md has no row\n{row}");
        }
    }
}
