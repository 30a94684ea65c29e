//! What `--chaos` says: agents that fail, and a process that is killed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use steadfast_orchestration::chaos::{ChaosRates, InvalidRates};
use steadfast_orchestration::goal::Span;

/// How a part that kills begins.
const KILL: &str = "kill9=";

/// Failures on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChaosArg {
    /// Of agents.
    pub(crate) rates: Option<ChaosRates>,
    /// How often the whole process is killed, on average.
    pub(crate) kill: Option<Duration>,
}

/// A text that says no failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidChaos(String);

impl fmt::Display for InvalidChaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidChaos {}

impl From<InvalidRates> for InvalidChaos {
    fn from(error: InvalidRates) -> Self {
        Self(error.to_string())
    }
}

impl FromStr for ChaosArg {
    type Err = InvalidChaos;

    fn from_str(text: &str) -> Result<Self, InvalidChaos> {
        let (kills, others): (Vec<_>, Vec<_>) = text.split(',').map(str::trim).partition(|part| part.starts_with(KILL));
        let kill = match kills.as_slice() {
            [] => None,
            [kill] => Some(every(&kill[KILL.len()..])?),
            _ => return Err(InvalidChaos(format!("`{text}` says `kill9` twice; say it once"))),
        };
        let rates = if others.is_empty() { None } else { Some(others.join(",").parse()?) };
        Ok(Self { rates, kill })
    }
}

fn every(text: &str) -> Result<Duration, InvalidChaos> {
    let invalid = || InvalidChaos(format!("`{KILL}{text}` says no time; write for example `kill9=every:3s`"));
    let span: Span = text.strip_prefix("every:").and_then(|span| span.parse().ok()).ok_or_else(invalid)?;
    let time = span.duration();
    if time.is_zero() { Err(invalid()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_that_fail_and_a_process_that_is_killed_stand_in_any_order() {
        let three = Some(Duration::from_secs(3));
        let chaos = |text: &str| text.parse::<ChaosArg>();
        assert_eq!(chaos("kill9=every:3s"), Ok(ChaosArg { rates: None, kill: three }));
        let rates = "crash=10%,hang=2%".parse().ok();
        assert_eq!(chaos("crash=10%,hang=2%"), Ok(ChaosArg { rates, kill: None }));
        for text in ["crash=10%,kill9=every:3s,hang=2%", "kill9=every:3s, crash=10%, hang=2%"] {
            assert_eq!(chaos(text), Ok(ChaosArg { rates, kill: three }));
        }
    }

    #[test]
    fn what_says_no_failures_is_refused() {
        for text in ["", "kill9", "kill9=3s", "kill9=every:", "kill9=every:0s", "kill9=every:3s,kill9=every:4s", "x=1%"]
        {
            assert!(text.parse::<ChaosArg>().is_err(), "{text:?}");
        }
    }
}
