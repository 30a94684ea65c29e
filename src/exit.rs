//! How a life of a child ended, and why.
//!
//! ractor reports ends as strings that collide; these values are recorded by the shell of each child, so that a kill
//! is not taken for a stop nor a panic for an error.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{ChildId, Path};

/// An error of any type, as agents return it.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// The reason with which an incarnation ended.
///
/// `Display` is one line and names the cause chain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExitReason {
    /// It ended by itself, having done its work.
    Normal,
    /// It was asked to stop, or its supervisor decided to end in an orderly way. OTP's `shutdown`.
    Shutdown(ShutdownCause),
    /// It was aborted from outside, between two of its await points.
    Killed,
    /// Its code panicked.
    Panicked {
        /// The panic's text, from its payload.
        message: String,
        /// File and line, where the application installed [`panic_hook`](crate::panic_hook).
        location: Option<String>,
    },
    /// Its code returned an error.
    Failed(Failure),
    /// It did not finish starting: its start returned an error or panicked.
    StartFailed(Failure),
    /// It was noticed to be hung and was ended for that.
    Unresponsive {
        /// What made no progress: a handler, or a task of the agent.
        what: String,
        /// How long it may go without progress.
        limit: Duration,
    },
}

/// Why an orderly stop happened. All of these are OTP's class `shutdown`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ShutdownCause {
    /// The supervisor, or the owner of the system, asked for it.
    Requested,
    /// The child stopped itself, or was stopped, with a reason of its own. OTP's `{shutdown, Term}`.
    Because(String),
    /// A supervisor gave up: too many restarts.
    GaveUp(Arc<Escalation>),
    /// A supervisor shut down by itself, because a significant child ended (rules 39 to 42).
    AutoShutdown {
        /// The child that ended last.
        child: ChildId,
        /// How it ended.
        reason: Box<ExitReason>,
    },
    /// A supervisor's own start failed, because a child of it did not start.
    ChildFailedToStart {
        /// The child that did not start.
        child: ChildId,
        /// Why it did not.
        reason: Box<ExitReason>,
    },
}

/// A supervisor gave up. The first cause is found by following `reason`, which may itself be an escalation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Escalation {
    /// The child whose end was one too many.
    pub child: ChildId,
    /// How that child ended.
    pub reason: ExitReason,
    /// Which limit ran out, in words that name the setting: `more than 3 restarts in 5s (intensity)`.
    pub limit: String,
    /// The setting that this limit is.
    pub setting: &'static str,
}

impl Escalation {
    /// What a person would change, in one phrase that names the settings.
    #[must_use]
    pub fn remedy(&self) -> String {
        let (child, setting) = (&self.child, self.setting);
        // Failed starts in a row end the supervisor also where the child's budget allows more of them.
        let in_time = if setting == "failed_starts" { " that runs out before" } else { "" };
        format!(
            "mend what ends `{child}`; or allow more with `{setting}`, let its restarts wait with `backoff`, or give it a \
             `budget` of its own{in_time}, so that its siblings carry on"
        )
    }
}

/// The classes of reasons that restart types tell apart (rules 17 to 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitClass {
    /// `Normal`: done.
    Normal,
    /// `Shutdown`: ended in an orderly way.
    Shutdown,
    /// Anything else. A transient child is restarted only for this.
    Abnormal,
}

impl ExitReason {
    /// A request to stop, without more to say.
    pub const SHUTDOWN: Self = Self::Shutdown(ShutdownCause::Requested);

    /// The class that restart types look at.
    #[must_use]
    pub fn class(&self) -> ExitClass {
        match self {
            Self::Normal => ExitClass::Normal,
            Self::Shutdown(_) => ExitClass::Shutdown,
            Self::Killed
            | Self::Panicked { .. }
            | Self::Failed(_)
            | Self::StartFailed(_)
            | Self::Unresponsive { .. } => ExitClass::Abnormal,
        }
    }

    /// Whether the end was not an ordinary one: neither normal nor an orderly stop.
    #[must_use]
    pub fn is_abnormal(&self) -> bool {
        self.class() == ExitClass::Abnormal
    }

    /// A word for the kind of reason, for counting and for logs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Shutdown(_) => "shutdown",
            Self::Killed => "killed",
            Self::Panicked { .. } => "panicked",
            Self::Failed(_) => "failed",
            Self::StartFailed(_) => "start_failed",
            Self::Unresponsive { .. } => "unresponsive",
        }
    }

    /// The supervisor that gave up first, where this reason goes back to one: the one nearest to the failure.
    #[must_use]
    pub fn first_escalation(&self) -> Option<&Escalation> {
        let (mut first, mut reason) = (None, self);
        loop {
            reason = match reason {
                Self::Shutdown(ShutdownCause::GaveUp(escalation)) => {
                    first = Some(&**escalation);
                    &escalation.reason
                }
                Self::Shutdown(
                    ShutdownCause::ChildFailedToStart { reason, .. } | ShutdownCause::AutoShutdown { reason, .. },
                ) => reason,
                _ => return first,
            };
        }
    }

    /// The chain of causes from this reason down to the first failure, for people: one line each, outermost first.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let mut lines = vec![self.to_string()];
        let mut reason = self;
        loop {
            reason = match reason {
                Self::Shutdown(ShutdownCause::GaveUp(escalation)) => {
                    lines.push(format!("child `{}` {}", escalation.child, escalation.reason));
                    &escalation.reason
                }
                Self::Shutdown(
                    ShutdownCause::ChildFailedToStart { child, reason } | ShutdownCause::AutoShutdown { child, reason },
                ) => {
                    lines.push(format!("child `{child}` {reason}"));
                    reason
                }
                _ => return lines,
            };
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("ended normally"),
            Self::Shutdown(cause) => cause.fmt(f),
            Self::Killed => f.write_str("was killed"),
            Self::Panicked { message, location: None } => write!(f, "panicked: {message}"),
            Self::Panicked { message, location: Some(location) } => write!(f, "panicked at {location}: {message}"),
            Self::Failed(failure) => write!(f, "failed: {failure}"),
            Self::StartFailed(failure) => write!(f, "did not start: {failure}"),
            Self::Unresponsive { what, limit } => write!(f, "was unresponsive: {what} made no progress for {limit:?}"),
        }
    }
}

impl fmt::Display for ShutdownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("was stopped"),
            Self::Because(reason) => write!(f, "was stopped: {reason}"),
            Self::GaveUp(escalation) => write!(f, "gave up: {}", escalation.limit),
            Self::AutoShutdown { child, reason } => {
                write!(f, "shut down by itself, since its significant child `{child}` {reason}")
            }
            Self::ChildFailedToStart { child, reason } => write!(f, "did not start, since `{child}` {reason}"),
        }
    }
}

/// An error that an agent ended with. Keeps the original; cheap to clone.
///
/// `Display` prints the error and its causes on one line.
#[derive(Clone)]
pub struct Failure {
    error: Arc<dyn Error + Send + Sync>,
    // Rendered once, where the error came from: an error whose `Display` panics must not end whoever reports it.
    text: Arc<str>,
}

impl Failure {
    /// Wraps an error.
    #[must_use]
    pub fn new(error: impl Into<BoxError>) -> Self {
        let error: Arc<dyn Error + Send + Sync> = Arc::from(error.into());
        let text = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| chain_text(&*error)));
        Self { text: text.unwrap_or_else(|_| "an error that panics when it is printed".to_owned()).into(), error }
    }

    /// The original error, to be inspected or downcast.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn chain_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = text + ": " + &error.to_string();
        cause = error.source();
    }
    text
}

/// A system ended because its root, or the supervisor of its own services, gave up.
#[derive(Clone, Debug, thiserror::Error)]
#[error("`{path}` {reason}{}", first_cause(reason))]
#[non_exhaustive]
pub struct GaveUp {
    /// The supervisor that gave up last.
    pub path: Path,
    /// Its reason, which holds the chain down to the first failure.
    pub reason: ExitReason,
}

/// The chain down to the first failure, and what a person would change there.
fn first_cause(reason: &ExitReason) -> String {
    let chain = reason.chain().iter().skip(1).fold(String::new(), |text, line| text + "; " + line);
    match reason.first_escalation() {
        Some(escalation) => chain + ". To keep it up: " + &escalation.remedy(),
        None => chain,
    }
}
