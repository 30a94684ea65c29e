//! What else happens when a state changes: hooks, in order, and what it means that one fails.
//!
//! Nothing here runs a hook. [`Hooks`] says which ones, in which order; a [`Passage`] is told how each went and says
//! what comes next. Whoever drives it may await between two steps.
//!
//! | the hook | what its failure does |
//! |---|---|
//! | before a change | the change is refused, and the error says by which hook and why; no later hook runs |
//! | before an end (`terminated`) | is reported, and the agent ends all the same: nobody keeps a crash from happening |
//! | after a change | is reported; the change stands, and the later hooks run |
//!
//! # Invariants
//!
//! * Hooks run in the order in which they were added: those before the change, the change, those after it.
//! * A change that the table does not allow is refused before any hook runs.
//! * A refused change has changed nothing, and no hook after it has run.

use std::borrow::Cow;
use std::fmt;

use crate::lifecycle::{IllegalTransition, StateName};

/// A change from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// The state that is left.
    pub from: StateName,
    /// The state that is entered.
    pub to: StateName,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// Which changes a hook is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum On {
    /// Every change.
    Any,
    /// Whatever leaves this state.
    Leaving(StateName),
    /// Whatever enters this state.
    Entering(StateName),
    /// This change alone.
    Exactly(Change),
}

impl On {
    /// Whether a hook for these runs at that change.
    #[must_use]
    pub fn includes(self, change: Change) -> bool {
        match self {
            Self::Any => true,
            Self::Leaving(state) => change.from == state,
            Self::Entering(state) => change.to == state,
            Self::Exactly(exactly) => change == exactly,
        }
    }
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Before the change, which it may refuse.
    Before,
    /// After the change, which stands.
    After,
}

/// One hook: when it runs, and what.
#[derive(Clone, Debug)]
pub struct Hook<H> {
    name: Cow<'static, str>,
    moment: Moment,
    on: On,
    action: H,
}

impl<H> Hook<H> {
    /// The name by which its failure is reported.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is to be done, in the terms of whoever runs it.
    #[must_use]
    pub const fn action(&self) -> &H {
        &self.action
    }
}

/// The hooks of an agent, in the order in which they run.
///
/// ```
/// use steadfast::StateName::{Active, Draining, Registered};
/// use steadfast::lifecycle::hook::{Change, Hooks, On};
///
/// let hooks = Hooks::new()
///     .before("license", On::Entering(Active), "check")
///     .after("greeting", On::Entering(Active), "greet");
///
/// // All is well: both run, in order.
/// let mut ran = Vec::new();
/// let changed = hooks.run(Change { from: Registered, to: Active }, |action, _| {
///     ran.push(*action);
///     Ok(())
/// })?;
/// assert_eq!((ran, changed.failures.len()), (vec!["check", "greet"], 0));
///
/// // The first one fails: the agent stays where it is.
/// let refused = hooks.run(Change { from: Registered, to: Active }, |_, _| Err("it has expired".into())).unwrap_err();
/// assert_eq!(refused.to_string(), "the hook `license` refused registered to active: it has expired");
/// # Ok::<(), steadfast::lifecycle::hook::ChangeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hooks<H>(Vec<Hook<H>>);

impl<H> Default for Hooks<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> Hooks<H> {
    /// No hooks.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a hook that runs before a change and may refuse it.
    #[must_use]
    pub fn before(self, name: impl Into<Cow<'static, str>>, on: On, action: H) -> Self {
        self.with(Hook { name: name.into(), moment: Moment::Before, on, action })
    }

    /// Adds a hook that runs after a change.
    #[must_use]
    pub fn after(self, name: impl Into<Cow<'static, str>>, on: On, action: H) -> Self {
        self.with(Hook { name: name.into(), moment: Moment::After, on, action })
    }

    fn with(mut self, hook: Hook<H>) -> Self {
        self.0.push(hook);
        self
    }

    /// The hooks for a change at a moment, in the order in which they run.
    pub fn at(&self, moment: Moment, change: Change) -> impl Iterator<Item = &Hook<H>> {
        self.0.iter().filter(move |hook| hook.moment == moment && hook.on.includes(change))
    }

    /// Begins a change.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the table does not allow it. No hook is to run then.
    pub fn begin(&self, change: Change) -> Result<Passage<'_, H>, IllegalTransition> {
        let Change { from, to } = change;
        if !from.may_become(to) {
            return Err(IllegalTransition { from, to });
        }
        Ok(Passage { hooks: self, change, moment: Moment::Before, next: 0, failures: Vec::new() })
    }

    /// Carries a change out with hooks that return at once. `action` gets each hook's action and the change.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] when the table does not allow the change, or a hook before it refused it.
    pub fn run(
        &self,
        change: Change,
        mut action: impl FnMut(&H, Change) -> Result<(), String>,
    ) -> Result<Changed, ChangeError> {
        let mut passage = self.begin(change)?;
        loop {
            match passage.step() {
                Step::Run(hook) => {
                    if let Err(why) = action(hook.action(), change) {
                        passage = passage.failed(hook, why)?;
                    }
                }
                Step::Change => {}
                Step::Over => return Ok(passage.finish()),
            }
        }
    }
}

/// A change that is under way.
#[derive(Clone, Debug)]
pub struct Passage<'a, H> {
    hooks: &'a Hooks<H>,
    change: Change,
    moment: Moment,
    next: usize,
    failures: Vec<HookFailure>,
}

/// What comes next in a change.
#[derive(Debug)]
#[must_use]
pub enum Step<'a, H> {
    /// This hook runs now. A failure of it is told by [`Passage::failed`]; of a success nothing need be told.
    Run(&'a Hook<H>),
    /// The state changes now.
    Change,
    /// Nothing. The change was made.
    Over,
}

impl<'a, H> Passage<'a, H> {
    /// The next step.
    pub fn step(&mut self) -> Step<'a, H> {
        let (moment, change) = (self.moment, self.change);
        let hooks = &self.hooks.0;
        let runs = |hook: &Hook<H>| hook.moment == moment && hook.on.includes(change);
        while let Some(hook) = hooks.get(self.next) {
            self.next += 1;
            if runs(hook) {
                return Step::Run(hook);
            }
        }
        match moment {
            Moment::Before => {
                (self.moment, self.next) = (Moment::After, 0);
                Step::Change
            }
            Moment::After => Step::Over,
        }
    }

    /// A hook failed: its own error, its panic, or its silence. The passage goes on, or the change is refused.
    ///
    /// # Errors
    ///
    /// [`Refused`] when it ran before a change that can be refused.
    pub fn failed(mut self, hook: &Hook<H>, why: String) -> Result<Self, Refused> {
        let failure = HookFailure { hook: hook.name().to_owned(), why };
        if hook.moment == Moment::Before && self.change.to != StateName::Terminated {
            return Err(Refused { change: self.change, by: failure });
        }
        self.failures.push(failure);
        Ok(self)
    }

    /// What came of a change that was made.
    #[must_use]
    pub fn finish(self) -> Changed {
        Changed { change: self.change, failures: self.failures }
    }
}

/// A change was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub change: Change,
    /// The hooks that failed and changed nothing by it, in the order in which they ran. To be reported.
    pub failures: Vec<HookFailure>,
}

/// A hook that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFailure {
    /// Its name.
    pub hook: String,
    /// Why.
    pub why: String,
}

/// A hook refused a change. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hook `{}` refused {change}: {}", by.hook, by.why)]
pub struct Refused {
    /// The change that was not made.
    pub change: Change,
    /// The hook, and why.
    pub by: HookFailure,
}

/// A change was not made. The agent is in the state in which it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The table does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// A hook refused it.
    #[error(transparent)]
    Refused(#[from] Refused),
}

#[cfg(test)]
mod tests;
