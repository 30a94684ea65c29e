//! What an agent can be asked to do.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What travels in a request or a reply of a capability: it must be able to cross a process boundary, also where it
/// does not.
///
/// Implemented for every type that qualifies.
pub trait Wire: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Wire for T {}

/// Something an agent can be asked to do: a name and a version, with the types of request and reply.
///
/// A constant of this type is what callers ask with and agents offer; a route by it is checked by type. An agent that
/// offers version 1.4.0 answers to callers that ask for 1.0.0 (caret rule of semantic versions), not the other way.
///
/// An offer may also have attributes, by which a [`Requirement`](crate::registry::requirement::Requirement) tells
/// offers of one name apart. They do not matter where somebody asks by the constant.
///
/// | part | written as | checked |
/// |---|---|---|
/// | name | segments of letters, digits, `-`, `_`, with dots between them | when it is offered |
/// | version | a semantic version, `1.2.3` | when it is offered |
/// | attribute | see [`attribute`](crate::registry::attribute) | when it is offered |
///
/// ```
/// use steadfast::Capability;
///
/// const SUM: Capability<Vec<i64>, i64> = Capability::new("math.sum", "1.0.0");
/// assert_eq!(SUM.to_string(), "math.sum@1.0.0");
///
/// const SUMMARIZE: Capability<String, String> =
///     Capability::new("text.summarize", "1.2.0").with(&[("lang", "en")]);
/// let here = SUMMARIZE.attribute("region", "eu");
/// assert_eq!(here.attributes().collect::<Vec<_>>(), [("lang", "en"), ("region", "eu")]);
/// ```
pub struct Capability<Request, Reply> {
    name: Cow<'static, str>,
    version: Cow<'static, str>,
    /// Those of a constant. Apart from the others, because a constant can hold no list that is allocated.
    attributes: &'static [(&'static str, &'static str)],
    added: Vec<(String, String)>,
    types: PhantomData<fn(Request) -> Reply>,
}

impl<Request, Reply> Capability<Request, Reply> {
    /// The capability of this name and semantic version. Both are checked when the capability is offered.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self::of(Cow::Borrowed(name), Cow::Borrowed(version))
    }

    /// As [`new`](Self::new), for a name that is only known at run time.
    #[must_use]
    pub fn named(name: String, version: String) -> Self {
        Self::of(Cow::Owned(name), Cow::Owned(version))
    }

    const fn of(name: Cow<'static, str>, version: Cow<'static, str>) -> Self {
        Self { name, version, attributes: &[], added: Vec::new(), types: PhantomData }
    }

    /// Gives the offer these attributes, in place of others given so; in a constant too. They are checked when the
    /// capability is offered.
    #[must_use]
    pub const fn with(mut self, attributes: &'static [(&'static str, &'static str)]) -> Self {
        self.attributes = attributes;
        self
    }

    /// Adds an attribute that is only known at run time. It is checked when the capability is offered.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.added.push((key.into(), value.into()));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, as it was given.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The attributes, as they were given.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let added = self.added.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        self.attributes.iter().copied().chain(added)
    }
}

impl<Request, Reply> Clone for Capability<Request, Reply> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            version: self.version.clone(),
            attributes: self.attributes,
            added: self.added.clone(),
            types: PhantomData,
        }
    }
}

impl<Request, Reply> fmt::Display for Capability<Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl<Request, Reply> fmt::Debug for Capability<Request, Reply> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
