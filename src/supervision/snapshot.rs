//! The tree of a system as it stands at one moment, as data: states, incarnations, limits used, histories.
//!
//! A snapshot is a copy; nothing that happens later changes it. `Display` is an aligned tree for people,
//! [`Snapshot::mermaid`] a flowchart. Who collects it, and what it costs to collect it, is the runtime's business.
//!
//! # Invariants
//!
//! * Nodes come in the order of the tree: a supervisor, then its children in start order, each with what is below it.
//! * Walking through a snapshot does not recurse.

mod print;

use std::fmt;
use std::slice;

use crate::id::{ChildId, Incarnation, Path};
use crate::lifecycle::StateName;

use super::history::{Entry, History};
use super::intensity::{Moment, Tally};
use super::machine::ChildState;
use super::policy::{ChildKind, ChildRules, Restart, Rules, Strategy};

/// A system at one moment.
///
/// ```
/// use std::time::Duration;
/// use steadfast::supervision::{ChildRules, ChildSnapshot, ChildState, Rules, Snapshot, SupervisorView};
/// use steadfast::{ChildId, Incarnation};
///
/// let mut adder = ChildSnapshot::new(ChildId::new("adder")?, &ChildRules::worker());
/// adder.state = ChildState::Running;
/// adder.incarnation = Some(Incarnation::FIRST);
/// let mut root = SupervisorView::new("root".parse()?, &Rules::default());
/// root.state = ChildState::Running;
/// root.incarnation = Some(Incarnation::FIRST);
/// root.children.push(adder);
/// let snapshot = Snapshot::new(Duration::from_millis(1500), vec![root]);
///
/// let expected = "\
/// at 1.500 s
/// root      running  incarnation 1  one_for_one, 0 of 1 in 5s, 0 restarts in all, idle
/// └─ adder  running  incarnation 1  permanent";
/// assert_eq!(snapshot.to_string(), expected);
/// assert!(snapshot.find("root/adder").is_some());
/// # Ok::<(), steadfast::InvalidName>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken, since the start of the system.
    pub at: Moment,
    /// The tree, and the system's own supervisor where that stands beside it.
    pub roots: Vec<SupervisorView>,
}

/// A supervisor in a snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorView {
    /// Where it stands in the tree.
    pub path: Path,
    /// Where it stands between start and stop.
    pub state: ChildState,
    /// Which of its lives this is, if it has one.
    pub incarnation: Option<Incarnation>,
    /// Its strategy.
    pub strategy: Strategy,
    /// How many restarts are in its window, of how many.
    pub used: Tally,
    /// How many restarts it has done since the system started, over all its incarnations.
    pub restarts_total: u64,
    /// What it is doing.
    pub doing: Doing,
    /// How many exits and requests wait in its line.
    pub queued: usize,
    /// Its children, in start order.
    pub children: Vec<ChildSnapshot>,
    /// The ended lives of its children.
    pub history: History,
}

/// A child in a snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildSnapshot {
    /// Its name.
    pub id: ChildId,
    /// Where it stands, as its supervisor sees it.
    pub state: ChildState,
    /// Which of its lives this is, if it has one.
    pub incarnation: Option<Incarnation>,
    /// Worker or supervisor.
    pub kind: ChildKind,
    /// Whether it comes back.
    pub restart: Restart,
    /// The state of the agent, if it is one.
    pub lifecycle: Option<StateName>,
    /// How many messages wait for it.
    pub queued: usize,
    /// How much of its own intensity is used, if it has one.
    pub budget: Option<Tally>,
    /// What it is as a supervisor, if it is one.
    pub nested: Option<Box<SupervisorView>>,
}

/// What a supervisor is doing.
///
/// `Display` is one phrase: ``starting `b` ``, `stopping 3 children`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// Nothing: it waits for something to happen.
    #[default]
    Idle,
    /// It starts this child.
    Starting(ChildId),
    /// It stops children; so many are not gone yet.
    Stopping(usize),
    /// It waits until it is time to start this child again.
    WaitingToRestart(ChildId),
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Starting(child) => write!(f, "starting `{child}`"),
            Self::Stopping(1) => f.write_str("stopping 1 child"),
            Self::Stopping(children) => write!(f, "stopping {children} children"),
            Self::WaitingToRestart(child) => write!(f, "waiting to restart `{child}`"),
        }
    }
}

impl SupervisorView {
    /// A supervisor that has not begun, without children.
    #[must_use]
    pub fn new(path: Path, rules: &Rules) -> Self {
        Self {
            history: History::new(path.clone()),
            path,
            state: ChildState::Stopped,
            incarnation: None,
            strategy: rules.strategy,
            used: Tally { count: 0, limit: rules.intensity },
            restarts_total: 0,
            doing: Doing::Idle,
            queued: 0,
            children: Vec::new(),
        }
    }

    /// The last ended life of a child, if the history still has it.
    #[must_use]
    pub fn last_exit(&self, child: &ChildId) -> Option<&Entry> {
        self.history.entries().rfind(|entry| entry.child == *child)
    }
}

impl ChildSnapshot {
    /// A child that has not been started.
    #[must_use]
    pub const fn new(id: ChildId, rules: &ChildRules) -> Self {
        Self {
            id,
            state: ChildState::Stopped,
            incarnation: None,
            kind: rules.kind,
            restart: rules.restart,
            lifecycle: None,
            queued: 0,
            budget: None,
            nested: None,
        }
    }
}

impl Snapshot {
    /// What stood where at this moment.
    #[must_use]
    pub const fn new(at: Moment, roots: Vec<SupervisorView>) -> Self {
        Self { at, roots }
    }

    /// All supervisors and children, in the order of the tree.
    #[must_use]
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes { roots: self.roots.iter(), open: Vec::new() }
    }

    /// The supervisor or child at this path, with or without a leading slash.
    #[must_use]
    pub fn find(&self, path: impl AsRef<str>) -> Option<Node<'_>> {
        let path: Path = path.as_ref().parse().ok()?;
        let root = self.roots.iter().find(|root| path.is_within(&root.path))?;
        let mut here = Node::root(root);
        while here.path != path {
            let supervisor = here.supervisor?;
            let mut below = (0..supervisor.children.len()).map(|place| here.below(supervisor, place));
            here = below.find(|child| path.is_within(&child.path))?;
        }
        Some(here)
    }
}

/// A supervisor or a child, in its place.
///
/// A root is a supervisor and no child, a worker a child and no supervisor; a nested supervisor is both.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node<'a> {
    /// Where it stands in the tree.
    pub path: Path,
    /// How many supervisors are above it.
    pub depth: usize,
    /// Where it stands between start and stop; of a child as its supervisor sees it.
    pub state: ChildState,
    /// Which of its lives this is, if it has one.
    pub incarnation: Option<Incarnation>,
    /// The supervisor above it.
    pub parent: Option<&'a SupervisorView>,
    /// What it is for that supervisor.
    pub child: Option<&'a ChildSnapshot>,
    /// What it is for its own children.
    pub supervisor: Option<&'a SupervisorView>,
    /// Whether no sibling comes after it.
    is_last: bool,
}

impl<'a> Node<'a> {
    fn root(root: &'a SupervisorView) -> Self {
        Self {
            path: root.path.clone(),
            depth: 0,
            state: root.state,
            incarnation: root.incarnation,
            parent: None,
            child: None,
            supervisor: Some(root),
            is_last: true,
        }
    }

    /// The child at this place of a supervisor, which is this node.
    fn below(&self, supervisor: &'a SupervisorView, place: usize) -> Self {
        let child = &supervisor.children[place];
        Self {
            path: self.path.child(&child.id),
            depth: self.depth + 1,
            state: child.state,
            incarnation: child.incarnation,
            parent: Some(supervisor),
            child: Some(child),
            supervisor: child.nested.as_deref(),
            is_last: place + 1 == supervisor.children.len(),
        }
    }

    /// How its last life ended, if the history of the supervisor above it still has that.
    #[must_use]
    pub fn last_exit(&self) -> Option<&'a Entry> {
        self.parent?.last_exit(&self.child?.id)
    }
}

/// Walks through a snapshot. See [`Snapshot::nodes`].
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    roots: slice::Iter<'a, SupervisorView>,
    /// The supervisors on the way to the last node, each with how many of its children have been seen.
    open: Vec<(Node<'a>, &'a SupervisorView, usize)>,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        while self.open.last().is_some_and(|(_, supervisor, seen)| *seen == supervisor.children.len()) {
            self.open.pop();
        }
        let node = match self.open.last_mut() {
            Some((above, supervisor, seen)) => {
                *seen += 1;
                above.below(supervisor, *seen - 1)
            }
            None => Node::root(self.roots.next()?),
        };
        if let Some(supervisor) = node.supervisor {
            self.open.push((node.clone(), supervisor, 0));
        }
        Some(node)
    }
}

#[cfg(test)]
mod tests;
