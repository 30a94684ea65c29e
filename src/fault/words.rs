//! The words and times that plans and chaos are written with.

use std::fmt;
use std::time::Duration;

use super::PlanError;

/// The words of a text, one after the other.
pub(super) struct Words<'a> {
    /// All of it, for whoever is told what is wrong.
    text: &'a str,
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, rest: text }
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.rest.split_whitespace().next()
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        let begin = self.rest.len() - self.rest.trim_start().len();
        self.rest = &self.rest[begin + word.len()..];
        Some(word)
    }

    /// Takes the next word if it is this one. Returns whether it was.
    pub(super) fn takes(&mut self, word: &str) -> bool {
        let is_it = self.peek() == Some(word);
        if is_it {
            self.next();
        }
        is_it
    }

    /// Takes the next word, of which there must be one.
    pub(super) fn expect(&mut self, what: &str) -> Result<&'a str, PlanError> {
        let problem = || self.wrong(format!("{what} is missing at the end"));
        self.peek().ok_or_else(problem)?;
        Ok(self.next().unwrap_or_default())
    }

    /// Takes this word, which must be the next one.
    pub(super) fn need(&mut self, word: &str, problem: &str) -> Result<(), PlanError> {
        if self.takes(word) { Ok(()) } else { Err(self.wrong(problem)) }
    }

    pub(super) fn time(&mut self) -> Result<Duration, PlanError> {
        time(self.next().unwrap_or_default())
    }

    /// Takes a word, or a text between quotes.
    pub(super) fn quotable(&mut self) -> Result<String, PlanError> {
        let Some(quoted) = self.rest.trim_start().strip_prefix('"') else {
            return self.expect("what it is about").map(str::to_owned);
        };
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        Err(self.wrong("a quote has no end"))
    }

    /// Nothing is left.
    pub(super) fn end(&mut self) -> Result<(), PlanError> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(self.wrong(format!("`{word}` is one word too many"))),
        }
    }

    pub(super) fn wrong(&self, problem: impl Into<String>) -> PlanError {
        PlanError::new(self.text, problem)
    }
}

/// A word as it is, or between quotes where it would not be read as one.
pub(super) struct Quotable<'a>(pub(super) &'a str);

impl fmt::Display for Quotable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0;
        if !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || ";\"".contains(c)) {
            return f.write_str(text);
        }
        write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// The parts of a text between semicolons, but for those within quotes.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Writes parts with semicolons between them.
pub(super) fn write_parts<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T]) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        let between = if number == 0 { "" } else { "; " };
        write!(f, "{between}{part}")?;
    }
    Ok(())
}

const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

/// A time as a whole number of a unit.
pub(super) struct Time(pub(super) Duration);

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
