//! Moments as people write them.

use std::str::FromStr;

/// A moment in UTC as RFC 3339 writes it: `2026-12-01T00:00:00Z`, kept to the millisecond.
///
/// ```
/// use steadfast_orchestration::goal::Moment;
///
/// let moment: Moment = "2026-12-01T06:30:00Z".parse()?;
/// assert_eq!(moment.unix_ms(), 1_796_106_600_000);
/// assert!("2026-12-01".parse::<Moment>().is_err());
/// # Ok::<(), steadfast_orchestration::goal::MomentError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// Milliseconds since 1970.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }
}

/// A text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no moment: {problem}; expected one in UTC, such as \"2026-12-01T00:00:00Z\"")]
pub struct MomentError {
    text: String,
    problem: &'static str,
}

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        read(text).map(Self).map_err(|problem| MomentError { text: text.to_owned(), problem })
    }
}

fn read(text: &str) -> Result<u64, &'static str> {
    let local = text.strip_suffix('Z').ok_or("it does not end with `Z`, which stands for UTC")?;
    let (date, time) = local.split_once('T').ok_or("the `T` between date and time is missing")?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2]).ok_or("the date is not written as YYYY-MM-DD")?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2]).ok_or("the time is not written as HH:MM:SS")?;
    let millis = thousandths(fraction).ok_or("the part of a second is no number of at most nine digits")?;
    if year < 1970 || !(1..=12).contains(&month) || day == 0 || day > days_of(year, month) {
        return Err("there is no such day from 1970 on");
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err("there is no such time of day");
    }
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Ok(seconds * 1000 + millis)
}

/// Three numbers of so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part =
            parts.next().filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Digits after a point, cut to the millisecond.
fn thousandths(digits: &str) -> Option<u64> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<3}")[..3].parse().ok()
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The days from 1970-01-01 to this one.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    years + (1..month).map(|month| days_of(year, month)).sum::<u64>() + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Millis;

    fn printed(text: &str) -> String {
        Millis::from(text.parse::<Moment>().expect("a moment")).to_string()
    }

    #[test]
    fn a_moment_reads_back_as_it_prints() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2000-02-29T23:59:59.999Z",
            "2026-12-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert_eq!(printed(text), text);
        }
        assert_eq!(printed("2100-03-01T00:00:00.5Z"), "2100-03-01T00:00:00.500Z");
    }

    #[test]
    fn a_text_that_is_no_moment_says_what_was_expected() {
        let cases = [
            ("2026-12-01", "does not end with `Z`"),
            ("2026-12-01T00:00:00+01:00", "does not end with `Z`"),
            ("2026-12-01Z", "the `T`"),
            ("26-12-01T00:00:00Z", "YYYY-MM-DD"),
            ("2026-12-01T0:00:00Z", "HH:MM:SS"),
            ("2026-12-01T00:00:00.Z", "the part of a second"),
            ("2026-02-29T00:00:00Z", "no such day"),
            ("2026-13-01T00:00:00Z", "no such day"),
            ("1969-12-31T00:00:00Z", "no such day"),
            ("2026-12-01T24:00:00Z", "no such time"),
        ];
        for (text, problem) in cases {
            let error = text.parse::<Moment>().expect_err(text).to_string();
            assert!(error.contains(problem) && error.contains("expected one in UTC"), "{text}: {error}");
        }
    }
}
