//! Names of tasks in a run, and moments as records hold them.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::goal::Moment;

/// A task of a run: a task of the goal, `build`, or one item of a task with `for_each`, `digest[3]`.
///
/// Items sort by their number, so `digest[2]` comes before `digest[10]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId {
    task: String,
    item: Option<u32>,
}

impl TaskId {
    /// The run's task for a task of the goal.
    #[must_use]
    pub fn single(task: &str) -> Self {
        Self { task: task.to_owned(), item: None }
    }

    /// The run's task for one item, from 0, of a task with `for_each`.
    #[must_use]
    pub fn item(task: &str, item: u32) -> Self {
        Self { task: task.to_owned(), item: Some(item) }
    }

    /// The id of the task in the goal.
    #[must_use]
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The number of the item, from 0, or `None` for a task without `for_each`.
    #[must_use]
    pub fn index(&self) -> Option<u32> {
        self.item
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            None => f.write_str(&self.task),
            Some(item) => write!(f, "{}[{item}]", self.task),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no task of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no task of a run; expected `task` or `task[3]`")]
pub struct InvalidTaskId {
    /// The refused text.
    pub text: String,
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let invalid = || InvalidTaskId { text: text.to_owned() };
        match text.strip_suffix(']') {
            None if text.is_empty() || text.contains('[') => Err(invalid()),
            None => Ok(Self::single(text)),
            Some(rest) => {
                let (task, item) = rest.split_once('[').ok_or_else(invalid)?;
                if task.is_empty() {
                    return Err(invalid());
                }
                Ok(Self::item(task, item.parse().map_err(|_| invalid())?))
            }
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: String) -> Result<Self, InvalidTaskId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

/// A moment of the day's clock: milliseconds since 1970-01-01T00:00:00Z.
///
/// Prints as ISO 8601 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// The moment of a wall clock; the start of 1970 for anything before it.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment so much later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; nothing when it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<Moment> for Millis {
    fn from(moment: Moment) -> Self {
        Self(moment.unix_ms())
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// The Gregorian date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    // Eras of 400 years start on 1 March of year 0, so that the leap day is the last day of its year.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_prints_as_it_was_parsed() {
        for text in ["build", "digest[0]", "digest[4294967295]"] {
            assert_eq!(text.parse::<TaskId>().expect("a task id").to_string(), text);
        }
        for text in ["", "[3]", "a[", "a[x]", "a]", "a[-1]"] {
            assert!(text.parse::<TaskId>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn items_sort_by_their_number() {
        assert!(TaskId::item("a", 2) < TaskId::item("a", 10));
        assert!(TaskId::single("a") < TaskId::item("a", 0));
    }

    #[test]
    fn a_moment_prints_as_a_date_in_utc() {
        assert_eq!(Millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Millis(951_782_399_999).to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(Millis(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Millis(1_795_176_107_042).to_string(), "2026-11-20T12:01:47.042Z");
    }
}
