//! Faults as data: what goes wrong, and when.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PathPattern, Point};

/// Faults on purpose, as a value: it can be written down, sent in, made smaller.
///
/// Each fault comes at most once, unless it says otherwise. The text of a plan has one fault after the other, between
/// semicolons:
///
/// | text | what goes wrong |
/// |---|---|
/// | `panic at before-message of root/a` | `root/a` panics at the first message that it takes |
/// | `error at before-start of root/workers/* #2` | the second start of any of the workers fails |
/// | `hang at during-message of root/a about build.1` | it never goes on with what is about `build`, attempt 1 |
/// | `slow 200ms at before-message of root/** from 1s to 2s` | within that second all that is handled takes longer |
/// | `kill root/b at after-message of root/a #3` | `root/b` is killed when `root/a` has handled its third message |
/// | `kill root/b at 2500ms` | `root/b` is killed at that time |
///
/// ```
/// use steadfast::fault::Plan;
///
/// let plan: Plan = "panic at before-message of root/a #3; kill root/b at 2s".parse()?;
/// assert_eq!(plan.to_string(), "panic at before-message of root/a #3; kill root/b at 2s");
/// assert_eq!(plan.faults.len(), 2);
/// let error = "panic at before-messge of root/a".parse::<Plan>().unwrap_err();
/// assert!(error.to_string().contains("there are before-start, after-start"));
/// # Ok::<(), steadfast::fault::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The faults. Of two that are for the same moment the first comes, and the other waits for the next time.
    pub faults: Vec<Planned>,
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// What goes wrong.
    pub action: Action,
    /// When.
    pub trigger: Trigger,
}

/// What a fault of a plan does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// The code of the agent panics.
    Panic,
    /// It fails with an error.
    Error,
    /// It never goes on; in the stop hook, it ignores that it is asked to end.
    Hang,
    /// It goes on so much later.
    Slow(Duration),
    /// The life at the point is killed.
    Kill,
    /// The agent or supervisor at this path is killed.
    KillOther(PathPattern),
}

/// When a fault comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// So long after the beginning.
    Time(Duration),
    /// When somebody comes to a point.
    Point {
        /// The point.
        point: Point,
        /// Who.
        path: PathPattern,
        /// What the message is about: `about`, or `about.attempt`. Anything where nothing is said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<String>,
        /// Which of the times.
        #[serde(default)]
        when: When,
    },
}

/// Which of the times that somebody comes to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum When {
    /// The n-th of all times, from 1 on; of all that the pattern means together.
    Nth(u64),
    /// Each time between these two moments after the beginning, the first one included.
    Between(Duration, Duration),
    /// Each time.
    Always,
}

impl Default for When {
    fn default() -> Self {
        Self::Nth(1)
    }
}

impl Action {
    /// Whether it needs an agent at a point: a moment alone is not enough.
    const fn is_of_a_point(&self) -> bool {
        !matches!(self, Self::KillOther(_))
    }
}

/// What is wrong with a plan, and with which part of its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` in a fault plan: {problem}")]
pub struct PlanError {
    /// The part that cannot be read.
    pub text: String,
    /// Why, and what was expected.
    pub problem: String,
}

impl PlanError {
    pub(super) fn new(text: &str, problem: impl Into<String>) -> Self {
        Self { text: text.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.faults.iter().enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.action, self.trigger)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Error => f.write_str("error"),
            Self::Hang => f.write_str("hang"),
            Self::Slow(by) => write!(f, "slow {}", Time(*by)),
            Self::Kill => f.write_str("kill"),
            Self::KillOther(path) => write!(f, "kill {path}"),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => Time(*at).fmt(f),
            Self::Point { point, path, about, when } => {
                write!(f, "{point} of {path}")?;
                if let Some(about) = about {
                    let is_plain =
                        !about.is_empty() && !about.contains(|c: char| c.is_whitespace() || ";\"".contains(c));
                    if is_plain { write!(f, " about {about}") } else { write!(f, " about {about:?}") }?;
                }
                match when {
                    When::Nth(1) => Ok(()),
                    When::Nth(number) => write!(f, " #{number}"),
                    When::Between(from, to) => write!(f, " from {} to {}", Time(*from), Time(*to)),
                    When::Always => f.write_str(" always"),
                }
            }
        }
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self { faults: parts.map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl FromStr for Planned {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let words = &mut Words(text);
        let action = action(text, words)?;
        let trigger = trigger(text, words)?;
        if let Some(word) = words.next() {
            return Err(PlanError::new(text, format!("`{word}` is one word too many")));
        }
        if matches!(trigger, Trigger::Time(_)) && action.is_of_a_point() {
            let problem = "at a time only `kill` with a path makes sense; the others need `at POINT of PATH`";
            return Err(PlanError::new(text, problem));
        }
        Ok(Self { action, trigger })
    }
}

fn action(text: &str, words: &mut Words<'_>) -> Result<Action, PlanError> {
    let action = match words.next() {
        Some("panic") => Action::Panic,
        Some("error") => Action::Error,
        Some("hang") => Action::Hang,
        Some("slow") => Action::Slow(words.time()?),
        Some("kill") if words.peek() == Some("at") => Action::Kill,
        Some("kill") => Action::KillOther(words.expect(text, "a path, or `at`")?.parse()?),
        _ => return Err(PlanError::new(text, "it begins with panic, error, hang, slow, or kill")),
    };
    match words.next() {
        Some("at") => Ok(action),
        _ => Err(PlanError::new(text, "`at` is missing, with a point or a time behind it")),
    }
}

fn trigger(text: &str, words: &mut Words<'_>) -> Result<Trigger, PlanError> {
    let first = words.expect(text, "a point or a time")?;
    if words.peek().is_none() && first.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(Trigger::Time(time(first)?));
    }
    let point = first.parse()?;
    match words.next() {
        Some("of") => {}
        _ => return Err(PlanError::new(text, "`of` is missing behind the point, with a path")),
    }
    let path = words.expect(text, "a path")?.parse()?;
    let about = if words.peek() == Some("about") {
        words.next();
        Some(words.text()?)
    } else {
        None
    };
    let when = match words.next() {
        None => When::default(),
        Some("always") => When::Always,
        Some("from") => {
            let from = words.time()?;
            match words.next() {
                Some("to") => When::Between(from, words.time()?),
                _ => return Err(PlanError::new(text, "`to` is missing behind `from`")),
            }
        }
        Some(word) => {
            let number = word.strip_prefix('#').and_then(|number| number.parse().ok()).filter(|number| *number > 0);
            let problem = "which of the times is `#2` (from 1 on), `from 1s to 2s`, or `always`";
            When::Nth(number.ok_or_else(|| PlanError::new(word, problem))?)
        }
    };
    Ok(Trigger::Point { point, path, about, when })
}

/// The words of a text, one after the other.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.0.split_whitespace().next()
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        let begin = self.0.len() - self.0.trim_start().len();
        self.0 = &self.0[begin + word.len()..];
        Some(word)
    }

    fn expect(&mut self, text: &str, what: &str) -> Result<&'a str, PlanError> {
        self.next().ok_or_else(|| PlanError::new(text, format!("{what} is missing at the end")))
    }

    fn time(&mut self) -> Result<Duration, PlanError> {
        time(self.next().unwrap_or_default())
    }

    /// A word, or a text between quotes.
    fn text(&mut self) -> Result<String, PlanError> {
        let rest = self.0.trim_start();
        let Some(quoted) = rest.strip_prefix('"') else {
            return self.expect(rest, "what it is about").map(str::to_owned);
        };
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        Err(PlanError::new(rest, "a quote has no end"))
    }
}

const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

/// A time as a whole number of a unit.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, size) =
            UNITS.into_iter().find(|(_, size)| nanos.is_multiple_of(u128::from(*size))).unwrap_or(("ns", 1));
        write!(f, "{}{unit}", nanos / u128::from(size))
    }
}

fn time(text: &str) -> Result<Duration, PlanError> {
    let wrong = || PlanError::new(text, "a time is a whole number with s, ms, us or ns, such as `250ms`");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let size = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
    let nanos = number.parse::<u64>().ok().and_then(|number| number.checked_mul(size)).ok_or_else(wrong)?;
    Ok(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests;
