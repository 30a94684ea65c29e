//! Who an agent is, apart from where it runs.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::id::place::{Place, Shown};
use crate::id::{ChildId, Path};

/// Who an agent is, apart from where it runs: the same over restarts.
///
/// Prints as `domain/name@version#instance` and parses from exactly that: `name@version` reads as with a capability.
/// Ids are ordered by domain, then name, then instance, then version, so that the agents of a domain stand together.
///
/// To `serde` it is that text where the format is read by people, and a struct of its four parts where it is not.
///
/// ```
/// use steadfast::AgentId;
///
/// let id: AgentId = "data/kv-cache@1.2.0#00000000-0000-0000-0000-000000000007".parse()?;
/// assert_eq!((id.domain.as_str(), id.name.as_str(), id.version.minor), ("data", "kv-cache", 2));
/// assert_eq!(id.to_string().parse(), Ok(id));
///
/// let error = "data/kv cache@1.2.0#00000000-0000-0000-0000-000000000007".parse::<AgentId>().unwrap_err();
/// assert_eq!(error.at, "data/kv".len());
/// # Ok::<(), steadfast::InvalidAgentId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    /// The domain, which is a namespace and a failure boundary.
    pub domain: ChildId,
    /// The name in the domain.
    pub name: ChildId,
    /// Tells agents of one name apart.
    pub instance: Uuid,
    /// The version of the agent's code.
    pub version: Version,
}

impl AgentId {
    /// The id of an agent of which only its place and its offers are known.
    ///
    /// | part | is |
    /// |---|---|
    /// | domain | [`Path::domain`]: the first name below the root |
    /// | name | the last name of the path |
    /// | instance | as given: whoever makes ids is asked for one, nothing is drawn here |
    /// | version | that of the first capability it offers; 0.0.0 where it offers none |
    ///
    /// ```
    /// use steadfast::{AgentId, Path};
    /// use uuid::Uuid;
    ///
    /// let path: Path = "root/data/cache".parse()?;
    /// let id = AgentId::by_default(&path, [&"1.4.0".parse().unwrap()], Uuid::from_u128(7));
    /// assert_eq!(id.to_string(), "data/cache@1.4.0#00000000-0000-0000-0000-000000000007");
    /// # Ok::<(), steadfast::InvalidName>(())
    /// ```
    #[must_use]
    pub fn by_default<'a>(path: &Path, offered: impl IntoIterator<Item = &'a Version>, instance: Uuid) -> Self {
        let version = offered.into_iter().next().cloned().unwrap_or_else(|| Version::new(0, 0, 0));
        Self { domain: path.domain(), name: ChildId::unchecked(path.name()), instance, version }
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}#{}", self.domain, self.name, self.version, self.instance)
    }
}

impl FromStr for AgentId {
    type Err = InvalidAgentId;

    fn from_str(text: &str) -> Result<Self, InvalidAgentId> {
        let error = |at, problem| InvalidAgentId { text: text.to_owned(), at, problem };
        // None of the parts holds the sign that ends it.
        let find = |from: usize, sign, problem| {
            text[from..].find(sign).map(|length| from + length).ok_or_else(|| error(text.len(), problem))
        };
        let slash = find(0, '/', AgentIdProblem::NoSlash)?;
        let domain = name(&text[..slash]).map_err(|at| error(at, AgentIdProblem::Name))?;
        let at_sign = find(slash + 1, '@', AgentIdProblem::NoVersion)?;
        let name = name(&text[slash + 1..at_sign]).map_err(|at| error(slash + 1 + at, AgentIdProblem::Name))?;
        let hash = find(at_sign + 1, '#', AgentIdProblem::NoInstance)?;
        let version = version(&text[at_sign + 1..hash])
            .map_err(|(at, why)| error(at_sign + 1 + at, AgentIdProblem::Version(why)))?;
        let instance = instance(&text[hash + 1..]).map_err(|at| error(hash + 1 + at, AgentIdProblem::Instance))?;
        Ok(Self { domain, name, instance, version })
    }
}

/// A name, or where it ceases to be one.
fn name(text: &str) -> Result<ChildId, usize> {
    ChildId::new(text).map_err(|_| text.bytes().position(|byte| !ChildId::may_hold(byte)).unwrap_or(text.len()))
}

/// A version, or where it ceases to be one, and why.
fn version(text: &str) -> Result<Version, (usize, String)> {
    // Longer ones could be read. They are no versions that people give, and are not searched for the place.
    const LONGEST: usize = 256;
    if text.len() > LONGEST {
        return Err((LONGEST, format!("a version has at most {LONGEST} characters")));
    }
    text.parse().map_err(|error: semver::Error| (version_fault(text), error.to_string()))
}

/// Where a text ceases to be the beginning of a version. The parser of versions does not say.
fn version_fault(text: &str) -> usize {
    const REST: [&str; 6] = ["", "0", ".0", "0.0", ".0.0", "0.0.0"];
    let viable = |end: usize| REST.iter().any(|rest| Version::parse(&[&text[..end], rest].concat()).is_ok());
    let mut ends = text.char_indices().map(|(start, c)| (start, start + c.len_utf8()));
    ends.find(|(_, end)| !viable(*end)).map_or(text.len(), |(start, _)| start)
}

/// An instance in the one form in which it is printed, or where it ceases to be one.
fn instance(text: &str) -> Result<Uuid, usize> {
    const LENGTH: usize = 36;
    let fits = |place: usize, byte: u8| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => place < LENGTH && byte.is_ascii_hexdigit(),
    };
    match text.bytes().enumerate().find(|(place, byte)| !fits(*place, *byte)) {
        Some((place, _)) => Err(place),
        None => text.parse().map_err(|_| text.len()),
    }
}

/// A text that is not an agent's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not an agent id; at {}: {problem}", Shown(.text), Place(.text, *.at))]
pub struct InvalidAgentId {
    /// The refused text.
    pub text: String,
    /// The byte at which it ceases to be an id.
    pub at: usize,
    /// What is wrong there.
    pub problem: AgentIdProblem,
}

/// What is wrong with the text of an agent's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentIdProblem {
    /// Nothing ends the domain.
    #[error("expected `/` after the domain, as in `domain/name@1.2.3#uuid`")]
    NoSlash,
    /// Nothing ends the name.
    #[error("expected `@` and a version after the name, as in `domain/name@1.2.3#uuid`")]
    NoVersion,
    /// Nothing ends the version.
    #[error("expected `#` and an instance after the version, as in `domain/name@1.2.3#uuid`")]
    NoInstance,
    /// The domain or the name is empty or holds what a name may not hold.
    #[error("a name holds letters, digits, `-`, `_`, `.` and `:`, at least one of them")]
    Name,
    /// The version is not a semantic version.
    #[error("{0}")]
    Version(String),
    /// The instance is not a UUID.
    #[error("expected a UUID of 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12")]
    Instance,
}

/// The form for formats that are not read by people.
#[derive(Serialize, Deserialize)]
#[serde(rename = "AgentId")]
struct Parts<D, V> {
    domain: D,
    name: D,
    instance: Uuid,
    version: V,
}

impl Serialize for AgentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(self);
        }
        let Self { domain, name, instance, version } = self;
        Parts { domain, name, instance: *instance, version }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        let Parts { domain, name, instance, version } = Parts::<ChildId, Version>::deserialize(deserializer)?;
        Ok(Self { domain, name, instance, version })
    }
}

#[cfg(test)]
mod tests;
