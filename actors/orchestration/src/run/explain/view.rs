//! Who asks about a run, and when.

use super::words::quoted;
use crate::run::id::Millis;

/// Who asks about a run, and when: what an answer needs that no record has.
///
/// ```
/// use steadfast_orchestration::run::Millis;
/// use steadfast_orchestration::run::explain::View;
///
/// let view = View::at(Millis(0)).state("my runs");
/// assert_eq!(view.command("approve", &["0198f", "digest[3]"]), "steadfast approve 0198f 'digest[3]' --state 'my runs'");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct View {
    now: Millis,
    program: String,
    state: Option<String>,
    carried: Option<bool>,
    left_behind: Option<String>,
}

impl View {
    /// Somebody asks at `now`, of whom nothing else is known.
    pub fn at(now: Millis) -> Self {
        Self { now, program: "steadfast".to_owned(), state: None, carried: None, left_behind: None }
    }

    /// The same, where commands begin with this program, as a shell takes it.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// The same, where the runs are in this folder and not in the usual one.
    pub fn state(mut self, folder: impl Into<String>) -> Self {
        self.state = Some(folder.into());
        self
    }

    /// The same, where it is known that a process carries runs on now.
    pub fn carried(mut self) -> Self {
        self.carried = Some(true);
        self
    }

    /// The same, where it is known that no process carries runs on now.
    pub fn abandoned(mut self) -> Self {
        self.carried = Some(false);
        self
    }

    /// The same, where it is known that nobody will ever carry the run, and why: see
    /// [`left_behind`](crate::host::left_behind).
    pub fn left_behind(mut self, why: Option<String>) -> Self {
        self.left_behind = why;
        self
    }

    /// When.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Whether a process carries runs on now, where that is known.
    #[must_use]
    pub fn is_carried(&self) -> Option<bool> {
        self.carried
    }

    /// Why nobody will ever carry the run, where that is so.
    #[must_use]
    pub fn why_left_behind(&self) -> Option<&str> {
        self.left_behind.as_deref()
    }

    /// The command line of a verb with these arguments, as a shell takes it.
    #[must_use]
    pub fn command(&self, verb: &str, arguments: &[&str]) -> String {
        let mut words = vec![self.program.clone(), verb.to_owned()];
        words.extend(arguments.iter().map(|argument| quoted(argument)));
        if let Some(folder) = &self.state {
            words.extend(["--state".to_owned(), quoted(folder)]);
        }
        words.join(" ")
    }
}
