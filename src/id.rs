//! Names of things: paths, children, agents, incarnations, runs.
//!
//! Each is a type of its own, so that one cannot be passed for another. All are cheap to clone and print as their
//! value.

mod agent;
mod message;
pub(crate) mod place;
mod stream;

use std::borrow::Borrow;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::agent::{AgentId, AgentIdProblem, InvalidAgentId};
pub use self::message::MessageId;
pub use self::stream::{InvalidStreamId, StreamId};

/// The name of a child, unique in its supervisor.
///
/// Letters, digits, `-`, `_`, `.` and `:`, at least one of them; a slash separates names in a [`Path`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the name is empty or holds a character that a name may not hold.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let id = Self::unchecked(name);
        id.check()?;
        Ok(id)
    }

    /// A name that is checked later, or only compared with others, which are names.
    pub(crate) fn unchecked(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Checks a name that was not.
    pub(crate) fn check(&self) -> Result<(), InvalidName> {
        if self.0.is_empty() || !self.0.bytes().all(Self::may_hold) {
            return Err(InvalidName { name: self.0.as_ref().to_owned() });
        }
        Ok(())
    }

    /// Whether a name may hold this byte.
    pub(crate) fn may_hold(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')
    }

    /// A number as a name.
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number.to_string().into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChildId {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(&name)
    }
}

impl From<ChildId> for String {
    fn from(id: ChildId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that is empty or holds a character that a name may not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a name: use letters, digits, `-`, `_`, `.` and `:`, at least one of them")]
pub struct InvalidName {
    /// The refused name.
    pub name: String,
}

/// Where a child stands in its tree: the names from the root down.
///
/// Prints as `root/exec/worker-2`; parsing accepts a leading slash.
///
/// ```
/// use steadfast::Path;
///
/// let path: Path = "/root/exec/worker-2".parse()?;
/// assert_eq!(path.to_string(), "root/exec/worker-2");
/// assert_eq!(path.parent().map(|parent| parent.to_string()).as_deref(), Some("root/exec"));
/// assert_eq!(path.name(), "worker-2");
/// # Ok::<(), steadfast::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Path(Arc<str>);

impl Path {
    /// The path of a root.
    #[must_use]
    pub fn root(name: &ChildId) -> Self {
        Self(name.0.clone())
    }

    /// The path of a child of the one that this path names.
    #[must_use]
    pub fn child(&self, name: &ChildId) -> Self {
        Self([&*self.0, "/", name.as_str()].concat().into())
    }

    /// The path of the supervisor, or `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The last name of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Whether this path is `other` or lies below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The domain of what stands at this path, unless it says otherwise: the first name below the root. What stands
    /// directly below the root has no domain of its own, and is of the root's.
    ///
    /// ```
    /// use steadfast::Path;
    ///
    /// let path: Path = "root/data/pool/cache".parse()?;
    /// assert_eq!(path.domain().as_str(), "data");
    /// # Ok::<(), steadfast::InvalidName>(())
    /// ```
    #[must_use]
    pub fn domain(&self) -> ChildId {
        let root = Self(self.0.split('/').next().unwrap_or(&self.0).into());
        self.domain_below(&root).unwrap_or(ChildId(root.0))
    }

    /// The domain of what stands at this path, where domains are the children of `base`: the first name below it.
    /// `None` where this path does not lie below such a child.
    #[must_use]
    pub fn domain_below(&self, base: &Self) -> Option<ChildId> {
        let below = self.0.strip_prefix(&*base.0)?.strip_prefix('/')?;
        below.split_once('/').map(|(domain, _)| ChildId::unchecked(domain))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Path {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A path hashes and compares as its text, so a table by path can be asked with text.
impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Path {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.strip_prefix('/').unwrap_or(text);
        for name in text.split('/') {
            ChildId::new(name)?;
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Path {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.0.as_ref().to_owned()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a child: 1 for its first start, one more for each further start. Numbers are not reused, also not
/// when the child's supervisor is itself restarted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(NonZeroU64);

impl Incarnation {
    /// The first life of a child.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The incarnation with this number, or `None` for 0.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number of the incarnation, from 1 on.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One execution of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// The run with this id.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id itself.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_it_was_parsed_without_the_leading_slash() {
        let path: Path = "/root/exec/worker-2".parse().expect("a path");
        assert_eq!(path.to_string(), "root/exec/worker-2");
        assert_eq!(path, "root/exec/worker-2".parse().expect("a path"));
    }

    #[test]
    fn a_path_with_an_empty_or_strange_name_is_refused() {
        for text in ["", "/", "root//a", "root/", "root/a b", "root/ä"] {
            assert!(text.parse::<Path>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_sibling_with_a_longer_name_is_not_within() {
        let path = |text: &str| text.parse::<Path>().expect("a path");
        assert!(path("root/a/b").is_within(&path("root/a")));
        assert!(path("root/a").is_within(&path("root/a")));
        assert!(!path("root/ab").is_within(&path("root/a")));
    }

    #[test]
    fn the_domain_of_a_path_is_the_first_name_below_the_root_or_the_root_for_what_stands_directly_below() {
        let domain = |text: &str| text.parse::<Path>().expect("a path").domain().to_string();
        assert_eq!(domain("root/data/pool/cache"), "data");
        assert_eq!(domain("root/data/cache"), "data");
        assert_eq!(domain("root/cache"), "root");
        assert_eq!(domain("root"), "root");
    }

    #[test]
    fn the_domain_below_another_supervisor_is_the_first_name_below_that() {
        let path = |text: &str| text.parse::<Path>().expect("a path");
        let below = |base: &str, text: &str| path(text).domain_below(&path(base)).map(|domain| domain.to_string());
        assert_eq!(below("root/domains", "root/domains/data/cache").as_deref(), Some("data"));
        assert_eq!(below("root/domains", "root/domains/data"), None);
        assert_eq!(below("root/domains", "root/domains2/data/cache"), None);
        assert_eq!(below("root/domains", "root/system/bus"), None);
    }
}
