//! The trace that a message belongs to, in the form of W3C Trace Context.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use crate::id::MessageId;
use crate::id::place::{Place, Shown};

/// Where a message stands in a trace: what `traceparent` of W3C Trace Context says.
///
/// Parses from a `traceparent` of any version but `ff`, which the standard forbids, and prints as version `00`: of a
/// later version only what `00` knows is kept.
///
/// ```
/// use steadfast::message::TraceContext;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let trace: TraceContext = text.parse()?;
/// assert!(trace.is_sampled());
/// assert_eq!(trace.to_string(), text);
///
/// let error = "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01".parse::<TraceContext>().unwrap_err();
/// assert_eq!(error.at, 38);
/// # Ok::<(), steadfast::message::InvalidTraceParent>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace: NonZeroU128,
    /// The span in it that the message was sent in.
    pub span: NonZeroU64,
    /// The flags; the lowest bit says that the trace is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// The flag of a trace that is recorded.
    pub const SAMPLED: u8 = 1;

    /// The trace that begins with a message which came without one: it follows from the message's id, so that all who ask
    /// for it begin the same. Not recorded.
    ///
    /// ```
    /// use steadfast::MessageId;
    /// use steadfast::message::TraceContext;
    ///
    /// let id: MessageId = MessageId::new(uuid::Uuid::from_u128(0x7b34_da6a_3ce9_29d0));
    /// assert_eq!(TraceContext::of(id).to_string(), "00-00000000000000007b34da6a3ce929d0-7b34da6a3ce929d0-00");
    /// ```
    #[must_use]
    pub fn of(first: MessageId) -> Self {
        let id = first.uuid().as_u128();
        let (_, low) = first.uuid().as_u64_pair();
        // No id that anybody gives out is nothing; the standard allows no trace that is.
        Self {
            trace: NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN),
            span: NonZeroU64::new(low).unwrap_or(NonZeroU64::MIN),
            flags: 0,
        }
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// The same trace, in another span: that of the agent that handles the message, for what it sends.
    #[must_use]
    pub const fn in_span(self, span: NonZeroU64) -> Self {
        Self { span, ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// How long a `traceparent` of version 00 is. Later versions may only add to it, after another dash.
const LENGTH: usize = 55;

impl FromStr for TraceContext {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let error = |at, problem| InvalidTraceParent { text: text.to_owned(), at, problem };
        check_shape(text).map_err(|(at, problem)| error(at, problem))?;
        // What was checked is ASCII and long enough, and hexadecimal between the dashes.
        let number = |from: usize, to: usize| u128::from_str_radix(&text[from..to], 16).unwrap_or_default();
        let byte = |from: usize| number(from, from + 2).to_le_bytes()[0];
        let version = byte(0);
        if version == u8::MAX {
            return Err(error(0, TraceParentProblem::ForbiddenVersion));
        }
        match text.as_bytes().get(LENGTH) {
            Some(_) if version == 0 => return Err(error(LENGTH, TraceParentProblem::Longer)),
            Some(sign) if *sign != b'-' => return Err(error(LENGTH, TraceParentProblem::Dash)),
            _ => {}
        }
        let trace = NonZeroU128::new(number(3, 35)).ok_or_else(|| error(3, TraceParentProblem::AllZero))?;
        let span = u64::try_from(number(36, 52)).ok().and_then(NonZeroU64::new);
        let span = span.ok_or_else(|| error(36, TraceParentProblem::AllZero))?;
        // Of a later version it is only known what the flag of version 00 means.
        let known = if version == 0 { u8::MAX } else { Self::SAMPLED };
        Ok(Self { trace, span, flags: byte(53) & known })
    }
}

/// Whether a text begins like a `traceparent`, or where it does not.
fn check_shape(text: &str) -> Result<(), (usize, TraceParentProblem)> {
    for (place, byte) in text.bytes().take(LENGTH).enumerate() {
        let (fits, problem) = match place {
            2 | 35 | 52 => (byte == b'-', TraceParentProblem::Dash),
            _ => (matches!(byte, b'0'..=b'9' | b'a'..=b'f'), TraceParentProblem::Digit),
        };
        if !fits {
            return Err((place, problem));
        }
    }
    if text.len() < LENGTH { Err((text.len(), TraceParentProblem::Shorter)) } else { Ok(()) }
}

/// A text that is not a `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a traceparent; at {}: {problem}", Shown(.text), Place(.text, *.at))]
pub struct InvalidTraceParent {
    /// The refused text.
    pub text: String,
    /// The byte at which it ceases to be one.
    pub at: usize,
    /// What is wrong there.
    pub problem: TraceParentProblem,
}

/// What is wrong with a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceParentProblem {
    /// Something else stands where a digit belongs.
    #[error("expected a digit or one of `a` to `f`, in lower case")]
    Digit,
    /// Something else stands where a dash belongs.
    #[error("expected `-`")]
    Dash,
    /// It ends too early.
    #[error("expected {LENGTH} characters, as in `00-<32 digits>-<16 digits>-<2 digits>`")]
    Shorter,
    /// Version 00 goes on after its flags.
    #[error("a traceparent of version 00 has {LENGTH} characters and no more")]
    Longer,
    /// The version is `ff`.
    #[error("the version `ff` is forbidden")]
    ForbiddenVersion,
    /// The id of the trace or of the span is 0.
    #[error("an id of zeros alone names nothing")]
    AllZero,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[track_caller]
    fn refused(text: &str, at: usize, problem: TraceParentProblem) {
        let error = text.parse::<TraceContext>().expect_err("it is refused");
        assert_eq!((error.at, error.problem), (at, problem), "{error}");
    }

    proptest! {
        #[test]
        fn a_trace_survives_printing_and_parsing(trace in 1_u128.., span in 1_u64.., flags in any::<u8>()) {
            let trace = NonZeroU128::new(trace).expect("it is not 0");
            let context = TraceContext { trace, span: NonZeroU64::new(span).expect("it is not 0"), flags };
            prop_assert_eq!(context.to_string().len(), LENGTH);
            prop_assert_eq!(context.to_string().parse(), Ok(context));
        }

        #[test]
        fn a_text_with_one_other_character_is_read_otherwise_or_refused_at_a_character(
            place in 0..LENGTH, to in any::<char>(),
        ) {
            let text = format!("00-{TRACE}-{SPAN}-01");
            let changed: String = text.char_indices().map(|(at, c)| if at == place { to } else { c }).collect();
            match changed.parse::<TraceContext>() {
                Ok(context) if changed.starts_with("00") => prop_assert_eq!(context.to_string(), changed),
                Ok(context) => prop_assert_eq!(context.to_string(), text),
                Err(error) => assert!(changed.is_char_boundary(error.at)),
            }
        }
    }

    #[test]
    fn what_the_standard_calls_invalid_is_refused_at_the_character() {
        use TraceParentProblem::{AllZero, Dash, Digit, ForbiddenVersion, Longer, Shorter};
        refused("", 0, Shorter);
        refused(&format!("00-{TRACE}-{SPAN}-0"), 54, Shorter);
        refused(&format!("00-{TRACE}-{SPAN}-01-more"), 55, Longer);
        refused(&format!("01-{TRACE}-{SPAN}-01more"), 55, Dash);
        refused(&format!("ff-{TRACE}-{SPAN}-01"), 0, ForbiddenVersion);
        refused(&format!("00-{:032}-{SPAN}-01", 0), 3, AllZero);
        refused(&format!("00-{TRACE}-{:016}-01", 0), 36, AllZero);
        refused(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), 4, Digit);
        refused(&format!("00_{TRACE}-{SPAN}-01"), 2, Dash);
        refused(&format!("00-{TRACE}-{SPAN}-+1"), 53, Digit);
    }

    #[test]
    fn of_a_later_version_what_version_00_knows_is_kept() {
        let later: TraceContext = format!("cc-{TRACE}-{SPAN}-ff-what-comes").parse().expect("a later version");
        assert_eq!(later.to_string(), format!("00-{TRACE}-{SPAN}-01"));
    }

    #[test]
    fn another_span_is_of_the_same_trace() {
        let parent: TraceContext = format!("00-{TRACE}-{SPAN}-01").parse().expect("a traceparent");
        let child = parent.in_span(NonZeroU64::MIN);
        assert_eq!(child.to_string(), format!("00-{TRACE}-0000000000000001-01"));
    }
}
