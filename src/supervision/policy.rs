//! What a supervisor is told about its children: strategy, restart types, shutdown, limits.

use std::time::Duration;

use super::intensity::Intensity;

/// Which children share a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Only the child that ended is started again (rule 25).
    OneForOne,
    /// All other children are stopped, then all are started (rule 26).
    OneForAll,
    /// The children after the one that ended are stopped, then it and they are started (rule 27).
    RestForOne,
}

/// Whether a child that ended comes back (rules 17 to 19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    #[default]
    Permanent,
    /// After an abnormal end only; otherwise its spec stays, stopped.
    Transient,
    /// Never; its spec is forgotten.
    Temporary,
}

/// How a supervisor ends a child (rule 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Killed at once. OTP's `brutal_kill`.
    Kill,
    /// Asked to stop, and killed when it has not ended after this time.
    Within(Duration),
    /// Asked to stop, and waited for without limit. OTP's `infinity`.
    Wait,
}

/// Whether a child is itself a supervisor. Only defaults and counters differ (rule 53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// An agent, an actor, a function or a task.
    Worker,
    /// A supervisor.
    Supervisor,
}

/// The rules of one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildRules {
    /// Whether it comes back.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// Worker or supervisor.
    pub kind: ChildKind,
}

/// The rules of one supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which children share a failure.
    pub strategy: Strategy,
    /// How many restarts are too many.
    pub intensity: Intensity,
    /// How many starts of one child may fail in a row before the supervisor gives up; no limit of its own when
    /// `None`, as in OTP, where only the intensity counts.
    pub failed_starts: Option<u32>,
}
