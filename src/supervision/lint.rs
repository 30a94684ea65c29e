//! Looks through a whole tree for settings that are allowed and hardly meant.
//!
//! What no supervisor can follow is refused before anything starts, and is not the lint's concern. It warns of limits
//! that can never or always trigger, of times to stop and to start that do not fit together, of restarts without a
//! bound, and of groups that are none. It starts nothing and changes nothing; a tree with warnings runs as any other.
//!
//! # Invariants
//!
//! * Warnings come in the order of the tree: a supervisor, then its children in start order, then what is below them.
//! * A limit is said to be never reached only where the settings exclude it. Where it depends on how long something
//!   takes in fact, the longest that is allowed counts, and the message says *may*.
//!
//! ```
//! use std::time::Duration;
//! use steadfast::supervision::lint::{Outline, lint};
//! use steadfast::supervision::{ChildRules, Rules, Shutdown, Strategy};
//! use steadfast::ChildId;
//!
//! let pool = Outline::new("root/pool".parse()?, Rules::new(Strategy::OneForOne))
//!     .child(ChildId::new("a")?, ChildRules::worker())
//!     .child(ChildId::new("b")?, ChildRules::worker());
//! let root = Outline::new("root".parse()?, Rules::default()).supervisor(
//!     ChildId::new("pool")?,
//!     ChildRules::supervisor().shutdown(Shutdown::Within(Duration::from_secs(8))),
//!     pool,
//! );
//!
//! assert_eq!(
//!     lint(&root)[0].to_string(),
//!     "root/pool: it has 8s to stop (`shutdown`), but stopping its children may take 10s; use `Shutdown::Wait`, or \
//!      allow more"
//! );
//! # Ok::<(), steadfast::InvalidName>(())
//! ```

mod checks;
mod finding;

use std::time::Duration;

use crate::id::{ChildId, Path};

use super::backoff::Backoff;
use super::intensity::Intensity;
use super::policy::{AutoShutdown, ChildKind, ChildRules, Restart, Rules, Shutdown};

pub use finding::{Finding, Warning};

/// More restarts per second than this are as good as no limit.
pub const MOST_RESTARTS_PER_SECOND: u32 = 1_000;

/// More failed starts in a row than this, without a pause between them, are as good as no limit.
pub const MOST_FAILED_STARTS: u32 = 100;

/// A supervisor and all below it, as far as the lint looks at them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outline {
    /// Where it stands.
    pub path: Path,
    /// Its rules.
    pub rules: Rules,
    /// Whether it starts its children on request, from one template.
    pub dynamic: bool,
    /// Its children in start order; of a dynamic supervisor the template alone.
    pub children: Vec<OutlineChild>,
}

/// A child of an outline.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutlineChild {
    /// Its name.
    pub id: ChildId,
    /// Its rules.
    pub rules: ChildRules,
    /// What is below it, if it is a supervisor.
    pub nested: Option<Outline>,
}

impl Outline {
    /// A supervisor without children.
    #[must_use]
    pub const fn new(path: Path, rules: Rules) -> Self {
        Self { path, rules, dynamic: false, children: Vec::new() }
    }

    /// A supervisor that starts its children on request, from this template.
    #[must_use]
    pub fn dynamic(path: Path, rules: Rules, template: OutlineChild) -> Self {
        Self { path, rules, dynamic: true, children: vec![template] }
    }

    /// Adds a child of which nothing more is known.
    #[must_use]
    pub fn child(mut self, id: ChildId, rules: ChildRules) -> Self {
        self.children.push(OutlineChild::new(id, rules));
        self
    }

    /// Adds a supervisor with what is below it.
    #[must_use]
    pub fn supervisor(mut self, id: ChildId, rules: ChildRules, nested: Self) -> Self {
        self.children.push(OutlineChild { id, rules, nested: Some(nested) });
        self
    }
}

impl OutlineChild {
    /// A child of which nothing more is known.
    #[must_use]
    pub const fn new(id: ChildId, rules: ChildRules) -> Self {
        Self { id, rules, nested: None }
    }
}

/// Looks through a tree. An empty answer means that nothing looks suspicious.
#[must_use]
pub fn lint(tree: &Outline) -> Vec<Warning> {
    let mut supervisors = survey(tree);
    measure(&mut supervisors);
    supervisors.iter().flat_map(checks::all).collect()
}

/// The settings of a child that OTP does not have.
#[derive(Clone, Copy, Debug, Default)]
struct Beyond {
    significant: bool,
    backoff: Option<Backoff>,
    budget: Option<Intensity>,
    start_deadline: Option<Duration>,
}

impl Beyond {
    fn of(rules: &ChildRules) -> Self {
        Self {
            significant: rules.significant,
            backoff: rules.backoff,
            budget: rules.budget,
            start_deadline: rules.start_deadline,
        }
    }
}

/// Whether the supervisor ends with its significant children.
fn has_auto_shutdown(rules: &Rules) -> bool {
    rules.auto_shutdown != AutoShutdown::Never
}

/// A supervisor in the middle of being looked at.
#[derive(Debug)]
struct Surveyed<'a> {
    outline: &'a Outline,
    /// Which member of which supervisor it is.
    place: Option<(usize, usize)>,
    members: Vec<Member<'a>>,
    has_auto_shutdown: bool,
}

/// A child in the middle of being looked at.
#[derive(Debug)]
struct Member<'a> {
    child: &'a OutlineChild,
    beyond: Beyond,
    /// What its own children need, if it is a supervisor of which more is known.
    below: Option<Below>,
}

/// What the children of a nested supervisor need.
#[derive(Clone, Copy, Debug)]
struct Below {
    /// How long they may take to stop, one after another. The longest time there is stands for no limit.
    stopping: Duration,
    /// How long they may take to start, as far as they have deadlines.
    starting: Duration,
    has_auto_shutdown: bool,
}

impl Member<'_> {
    /// Whether it is ever started again.
    fn comes_back(&self) -> bool {
        self.child.rules.restart != Restart::Temporary
    }

    /// Whether its restarts count at its supervisor.
    fn counts(&self) -> bool {
        self.comes_back() && self.beyond.budget.is_none()
    }

    fn is_supervisor(&self) -> bool {
        self.child.nested.is_some() || self.child.rules.kind == ChildKind::Supervisor
    }

    /// How long its supervisor may have to wait until it is gone.
    fn stopping(&self) -> Duration {
        let below = self.below.map(|below| below.stopping);
        match self.child.rules.shutdown {
            Shutdown::Kill => Duration::ZERO,
            Shutdown::Within(limit) => limit.min(below.unwrap_or(limit)),
            // Of a supervisor of which nothing is known nothing is claimed.
            Shutdown::Wait if self.is_supervisor() => below.unwrap_or(Duration::ZERO),
            Shutdown::Wait => Duration::MAX,
        }
    }

    /// How long its supervisor may have to wait until it has started, as far as there is a deadline.
    fn starting(&self) -> Duration {
        let below = self.below.map_or(Duration::ZERO, |below| below.starting);
        self.beyond.start_deadline.unwrap_or(below)
    }
}

/// Lists all supervisors, each before those below it. A list of work instead of recursion, since a tree may be deep.
fn survey(tree: &Outline) -> Vec<Surveyed<'_>> {
    let mut found = Vec::new();
    let mut ahead = vec![(tree, None)];
    while let Some((outline, place)) = ahead.pop() {
        let here = found.len();
        for (index, child) in outline.children.iter().enumerate().rev() {
            ahead.extend(child.nested.as_ref().map(|nested| (nested, Some((here, index)))));
        }
        let member = |child| Member { child, beyond: Beyond::of(&child.rules), below: None };
        let members = outline.children.iter().map(member).collect();
        found.push(Surveyed { outline, place, members, has_auto_shutdown: has_auto_shutdown(&outline.rules) });
    }
    found
}

/// Tells each supervisor what those below it need, from the leaves up.
fn measure(supervisors: &mut [Surveyed<'_>]) {
    for here in (0..supervisors.len()).rev() {
        let supervisor = &supervisors[here];
        let Some((parent, index)) = supervisor.place else { continue };
        // The children of a dynamic supervisor stop all at once, so that its template is their sum (rule 15); when it
        // starts it has none.
        let at_start = if supervisor.outline.dynamic { &[] } else { &*supervisor.members };
        let below = Below {
            stopping: total(supervisor.members.iter().map(Member::stopping)),
            starting: total(at_start.iter().map(Member::starting)),
            has_auto_shutdown: supervisor.has_auto_shutdown,
        };
        supervisors[parent].members[index].below = Some(below);
    }
}

fn total(times: impl Iterator<Item = Duration>) -> Duration {
    times.fold(Duration::ZERO, Duration::saturating_add)
}

#[cfg(test)]
mod tests;
