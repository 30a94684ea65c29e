//! What a message is about: subjects, and patterns of them.
//!
//! A subject is a row of tokens with dots between: `agents.data.cache.evicted`. A pattern may have `*` for exactly one
//! token, and `>` at its end for one or more.
//!
//! | pattern | matches | and not |
//! |---|---|---|
//! | `agents.data.cache.evicted` | itself | anything else |
//! | `agents.*.cache.evicted` | `agents.data.cache.evicted` | `agents.cache.evicted`, `agents.a.b.cache.evicted` |
//! | `agents.data.>` | `agents.data.cache`, `agents.data.cache.evicted` | `agents.data` |
//! | `>` | every subject | |
//!
//! A token has printable ASCII characters, but no space, `.`, `*` or `>`.

use std::borrow::Borrow;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::place::{Place, Shown};
use crate::id::{AgentId, ChildId};
use crate::text::{is_its_text, prints_its_text};

/// The most tokens of a subject or a pattern.
pub const MOST_TOKENS: usize = 32;
/// The longest subject or pattern, in bytes.
pub const LONGEST_SUBJECT: usize = 512;

/// What a message is about.
///
/// ```
/// use steadfast::message::Subject;
///
/// let subject: Subject = "agents.data.cache.evicted".parse()?;
/// assert_eq!(subject.tokens().count(), 4);
///
/// let error = "agents.da ta.cache".parse::<Subject>().unwrap_err();
/// assert_eq!(error.at, "agents.da".len());
/// # Ok::<(), steadfast::message::InvalidSubject>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(Arc<str>);

/// Which subjects somebody wants to hear of.
///
/// ```
/// use steadfast::message::{Pattern, Subject};
///
/// let pattern: Pattern = "agents.*.cache.>".parse()?;
/// assert!(pattern.matches(&"agents.data.cache.evicted".parse()?));
/// assert!(!pattern.matches(&"agents.data.cache".parse()?));
/// # Ok::<(), steadfast::message::InvalidSubject>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Arc<str>);

impl Subject {
    /// The subject of what an agent does: `agents.{domain}.{name}.{action}`.
    ///
    /// A name may hold a dot, which would end the token: it is written as `%2E`. An action is a token of its own. So no two
    /// names of a domain share a subject; agents of one domain that have the same name, under different supervisors, do.
    ///
    /// ```
    /// use steadfast::message::Subject;
    ///
    /// let id = "data/cache.v2@1.0.0#00000000-0000-0000-0000-000000000007".parse().unwrap();
    /// assert_eq!(Subject::of_agent(&id, "evicted")?.as_str(), "agents.data.cache%2Ev2.evicted");
    /// # Ok::<(), steadfast::message::InvalidSubject>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSubject`] when the action is not one token, or the whole is longer than [`LONGEST_SUBJECT`].
    pub fn of_agent(id: &AgentId, action: &str) -> Result<Self, InvalidSubject> {
        if let Some(at) = action.find('.') {
            return Err(InvalidSubject { text: action.to_owned(), at, problem: SubjectProblem::Character });
        }
        let token = |name: &ChildId| name.as_str().replace('.', "%2E");
        format!("agents.{}.{}.{action}", token(&id.domain), token(&id.name)).parse()
    }

    /// The tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pattern {
    /// Whether a subject is one of those.
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        let mut tokens = subject.tokens();
        for wanted in self.tokens() {
            match (wanted, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// The tokens, `*` and `>` among them.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every subject is a pattern that matches it alone.
impl From<Subject> for Pattern {
    fn from(subject: Subject) -> Self {
        Self(subject.0)
    }
}

/// A subject compares as its text, so a table by subject can be asked with text.
impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What may stand in a text besides the characters of tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcards {
    Refused,
    Allowed,
}

/// Where a text ceases to be a subject or a pattern, and why.
fn check(text: &str, wildcards: Wildcards) -> Result<(), (usize, SubjectProblem)> {
    if text.len() > LONGEST_SUBJECT {
        // The boundary before it, if a character lies across the limit.
        return Err((text.floor_char_boundary(LONGEST_SUBJECT), SubjectProblem::TooLong));
    }
    let mut start = 0;
    for (number, token) in text.split('.').enumerate() {
        if number == MOST_TOKENS {
            return Err((start, SubjectProblem::TooManyTokens));
        }
        let is_last = start + token.len() == text.len();
        check_token(token, is_last, wildcards).map_err(|(at, problem)| (start + at, problem))?;
        start += token.len() + 1;
    }
    Ok(())
}

fn check_token(token: &str, is_last: bool, wildcards: Wildcards) -> Result<(), (usize, SubjectProblem)> {
    if wildcards == Wildcards::Allowed {
        match token {
            "*" => return Ok(()),
            ">" if is_last => return Ok(()),
            ">" => return Err((0, SubjectProblem::RestNotLast)),
            _ => {}
        }
    }
    if token.is_empty() {
        return Err((0, SubjectProblem::EmptyToken));
    }
    for (at, byte) in token.bytes().enumerate() {
        match byte {
            b'*' | b'>' if wildcards == Wildcards::Allowed => return Err((at, SubjectProblem::WildcardInToken)),
            b'*' | b'>' => return Err((at, SubjectProblem::Wildcard)),
            _ if byte.is_ascii_graphic() => {}
            _ => return Err((at, SubjectProblem::Character)),
        }
    }
    Ok(())
}

impl FromStr for Subject {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        check(text, Wildcards::Refused).map_err(|at| InvalidSubject::new(text, at))?;
        Ok(Self(text.into()))
    }
}

impl FromStr for Pattern {
    type Err = InvalidSubject;

    fn from_str(text: &str) -> Result<Self, InvalidSubject> {
        check(text, Wildcards::Allowed).map_err(|at| InvalidSubject::new(text, at))?;
        Ok(Self(text.into()))
    }
}

/// A text that is not a subject, or not a pattern of subjects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a subject; at {}: {problem}", Shown(.text), Place(.text, *.at))]
pub struct InvalidSubject {
    /// The refused text.
    pub text: String,
    /// The byte at which it ceases to be one.
    pub at: usize,
    /// What is wrong there.
    pub problem: SubjectProblem,
}

impl InvalidSubject {
    fn new(text: &str, (at, problem): (usize, SubjectProblem)) -> Self {
        Self { text: text.to_owned(), at, problem }
    }
}

/// What is wrong with a subject or a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubjectProblem {
    /// Nothing stands before a dot, after one, or at all.
    #[error("expected a token: nothing may be empty between dots")]
    EmptyToken,
    /// A character that no token holds.
    #[error("a token holds printable ASCII characters, but no space, `.`, `*` or `>`")]
    Character,
    /// A wildcard in a subject.
    #[error("a subject has no wildcards; they belong into the pattern of who listens")]
    Wildcard,
    /// A wildcard in a pattern that is only a part of its token.
    #[error("a wildcard stands for a whole token: put it between dots")]
    WildcardInToken,
    /// Something follows `>`.
    #[error("`>` stands for all that follows: nothing may come after it")]
    RestNotLast,
    /// More tokens than there may be.
    #[error("a subject has at most {MOST_TOKENS} tokens")]
    TooManyTokens,
    /// More bytes than there may be.
    #[error("a subject has at most {LONGEST_SUBJECT} bytes")]
    TooLong,
}

is_its_text!(InvalidSubject: Subject, Pattern);
prints_its_text!(Subject, Pattern);

#[cfg(test)]
mod tests;
