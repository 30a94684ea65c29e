//! Chaos as a value: what may go wrong, and how likely.

mod draws;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::draws::Draws;
use super::action::Needs;
use super::plan::mismatch;
use super::trigger::read_window;
use super::words::{Time, Words, parts, write_parts};
use super::{Action, Place, PlanError};
use crate::text::is_its_text;

/// What may go wrong, and how likely: a seed draws a plan of it.
///
/// The text has one line after the other, between semicolons:
///
/// | text | what may go wrong |
/// |---|---|
/// | `panic 1% at before-message of root/**` | one of a hundred messages makes its agent panic |
/// | `slow 200ms 5% at before-message of root/a about build from 1s to 2s` | only what is about `build`, only within that second |
/// | `drop 0.5% at link * to *` | one of two hundred messages between nodes never arrives |
/// | `kill root/** every 2s` | somebody is killed every two seconds on the average, whoever of those is there |
/// | `crash * for 1s every 30s` | a node that is up goes down, and comes back |
/// | `power-cut * 0.1% at after-append of system/journal` | the node goes down at the point |
/// | `swarm` | each seed has its own mix: each line is in it or not, with between none and twice of its chance |
///
/// What is drawn at a place depends on the seed, on the line, on the node, path and point, and on how often that one came
/// there; on nothing else. So a line less, or an agent less, shifts nothing of the others. A line is never missing: what
/// it did not do, it need not do.
///
/// ```
/// use steadfast::fault::Chaos;
///
/// let chaos: Chaos = "panic 0.5% at before-message of root/**; kill root/** every 2s; swarm".parse()?;
/// assert_eq!(chaos.to_string(), "panic 0.5% at before-message of root/**; kill root/** every 2s; swarm");
/// let error = "panic often at before-message of root/a".parse::<Chaos>().unwrap_err();
/// assert!(error.to_string().contains("such as `0.5%`"));
/// # Ok::<(), steadfast::fault::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chaos {
    /// The lines. Of two that are drawn for the same moment the first comes, and the other does not.
    pub lines: Vec<ChaosLine>,
}

/// One line of chaos.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChaosLine {
    /// It may go wrong each time that somebody, or a message, comes to a place.
    Sometimes {
        /// What goes wrong.
        action: Action,
        /// How likely.
        chance: Chance,
        /// Where.
        place: Place,
        /// Between which moments after the beginning, the first one included; at any where nothing is said.
        #[serde(default)]
        window: Option<(Duration, Duration)>,
    },
    /// It goes wrong again and again, at moments that nobody knows beforehand, for one of those that are there then.
    Every {
        /// What goes wrong, and among whom its victim is drawn.
        action: Action,
        /// How much time is between two on the average.
        mean: Duration,
    },
    /// Each seed has its own mix of the other lines.
    Swarm,
}

/// How likely: a percentage with at most four decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Chance {
    per_million: u32,
}

/// How many of a million are a hundredth.
const PERCENT: u32 = 10_000;

impl Chance {
    /// So many of a million; all of them where it is more.
    #[must_use]
    pub fn per_million(number: u32) -> Self {
        Self { per_million: number.min(100 * PERCENT) }
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.per_million / PERCENT, self.per_million % PERCENT);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{rest:04}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Chance {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let read = || {
            let number = text.strip_suffix('%')?;
            let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
            if !is_number(whole) || !is_number(decimals) || decimals.len() > 4 {
                return None;
            }
            let per_million = whole.parse::<u32>().ok()?.checked_mul(PERCENT)?;
            let per_million = per_million.checked_add(format!("{decimals:0<4}").parse().ok()?)?;
            (per_million <= 100 * PERCENT).then_some(Self { per_million })
        };
        let problem = "how likely is a percentage such as `0.5%`: at most `100%`, with at most four decimals";
        read().ok_or_else(|| PlanError::new(text, problem))
    }
}

is_its_text!(PlanError: Chance);

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(f, &self.lines)
    }
}

impl fmt::Display for ChaosLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sometimes { action, chance, place, window } => {
                write!(f, "{action} {chance} at {place}")?;
                window.map_or(Ok(()), |(from, to)| write!(f, " from {} to {}", Time(from), Time(to)))
            }
            Self::Every { action, mean } => write!(f, "{action} every {}", Time(*mean)),
            Self::Swarm => f.write_str("swarm"),
        }
    }
}

impl FromStr for Chaos {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        Ok(Self { lines: parts(text).into_iter().map(str::parse).collect::<Result<_, _>>()? })
    }
}

impl FromStr for ChaosLine {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let words = &mut Words::of(text);
        if words.takes("swarm") {
            words.end()?;
            return Ok(Self::Swarm);
        }
        let action = Action::read(words)?;
        if words.takes("every") {
            return Self::read_every(action, words);
        }
        let chance = words.expect("how likely, such as `0.5%`, or `every`")?;
        if chance == "at" {
            let problem = "how likely is missing before `at`, such as `0.5%`; only a plan says exactly when";
            return Err(PlanError::new(text, problem));
        }
        let chance = chance.parse()?;
        words.need("at", "`at` is missing, with a point or a link behind it")?;
        let place = Place::read(words)?;
        let window = read_window(words)?;
        words.end()?;
        let problem = if action == Action::Partition {
            Some("a partition has no chance, since it lasts; `drop` is for one message")
        } else {
            mismatch(&action, &place)
        };
        problem.map_or(Ok(Self::Sometimes { action, chance, place, window }), |problem| Err(words.wrong(problem)))
    }
}

impl ChaosLine {
    fn read_every(action: Action, words: &mut Words<'_>) -> Result<Self, PlanError> {
        let mean = words.time()?;
        words.end()?;
        if action.needs() != Needs::Nobody {
            return Err(words.wrong("`every` is for `kill` with a path, crash, power-cut, tear and skew"));
        }
        if mean.is_zero() {
            return Err(words.wrong("`every` needs a time: without one it would never stop"));
        }
        Ok(Self::Every { action, mean })
    }
}

#[cfg(test)]
mod tests;
