//! Durations as people write them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration written for people: `"250ms"`, `"5s"`, `"1m30s"`, `"1.5h"`, `"1d"`.
///
/// It is kept to the millisecond and printed in the shortest form without a fraction, so that a span reads back as
/// what was printed.
///
/// ```
/// use steadfast_orchestration::goal::Span;
///
/// let span: Span = "90s".parse()?;
/// assert_eq!(span.to_string(), "1m30s");
/// assert!("90".parse::<Span>().is_err());
/// # Ok::<(), steadfast_orchestration::goal::SpanError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

/// The units, largest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// What a span looks like, for schemas.
const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$";

impl Span {
    /// A span of so many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A span of so many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The span as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The span of a duration, to the millisecond.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        Self::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: {problem}; expected a number with a unit (ms, s, m, h, d), such as \"1m30s\"")]
pub struct SpanError {
    text: String,
    problem: &'static str,
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let fail = |problem| SpanError { text: text.to_owned(), problem };
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        let mut millis: u64 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(number_len);
            let unit_len = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_len);
            if number.is_empty() {
                return Err(fail("a number is missing"));
            }
            if unit.is_empty() {
                return Err(fail("the unit is missing"));
            }
            let (_, factor) =
                UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(|| fail("the unit is unknown"))?;
            let part = scaled(number, *factor).ok_or_else(|| fail("the number is not plain or too large"))?;
            millis = millis.checked_add(part).ok_or_else(|| fail("it is too long"))?;
            rest = tail;
        }
        Ok(Self::from_millis(millis))
    }
}

/// `number` times `factor`, where `number` is decimal with at most three places, without going through floats.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let thousandths = fraction.parse::<u64>().ok()? * 10_u64.pow(3 - u32::try_from(fraction.len()).ok()?);
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(thousandths * factor / 1000)
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if left == 0 {
            return out.write_str("0s");
        }
        for (unit, millis) in UNITS {
            if left >= millis {
                write!(out, "{}{unit}", left / millis)?;
                left %= millis;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

struct SpanVisitor;

impl serde::de::Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a duration such as \"250ms\", \"5s\" or \"1m30s\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration such as \"250ms\", \"5s\" or \"1m30s\".",
            "pattern": PATTERN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: u64, printed: &str) {
        let span: Span = text.parse().expect("a duration");
        assert_eq!(span, Span::from_millis(millis));
        assert_eq!(span.to_string(), printed);
        assert_eq!(printed.parse::<Span>(), Ok(span), "what is printed reads back");
    }

    #[test]
    fn a_span_is_read_in_parts_and_with_a_fraction_and_printed_without_one() {
        check("250ms", 250, "250ms");
        check("5s", 5000, "5s");
        check("1m30s", 90_000, "1m30s");
        check("1.5s", 1500, "1s500ms");
        check("0.25h", 900_000, "15m");
        check("2d", 172_800_000, "2d");
        check("0s", 0, "0s");
    }

    #[test]
    fn a_text_that_is_no_span_says_what_was_expected() {
        for text in ["", "5", "s", "5 s", "5parsecs", "-5s", "1.s", "1.2345s", "1.2.3s", "99999999999999999999d"] {
            let error = text.parse::<Span>().expect_err("no duration").to_string();
            assert!(error.contains("expected a number with a unit"), "{text}: {error}");
        }
    }

    #[test]
    fn the_pattern_of_the_schema_accepts_what_the_parser_accepts() {
        let pattern = regex::Regex::new(PATTERN).expect("a valid pattern");
        for text in ["250ms", "1m30s", "1.5s"] {
            assert!(pattern.is_match(text), "{text}");
        }
        assert!(!pattern.is_match("5"));
    }
}
