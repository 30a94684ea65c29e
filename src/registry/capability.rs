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
/// ```
/// use steadfast::Capability;
///
/// const SUM: Capability<Vec<i64>, i64> = Capability::new("math.sum", "1.0.0");
/// assert_eq!(SUM.to_string(), "math.sum@1.0.0");
/// ```
pub struct Capability<Request, Reply> {
    name: Cow<'static, str>,
    version: Cow<'static, str>,
    types: PhantomData<fn(Request) -> Reply>,
}

impl<Request, Reply> Capability<Request, Reply> {
    /// The capability of this name and semantic version. The version is checked when the capability is offered.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), version: Cow::Borrowed(version), types: PhantomData }
    }

    /// As [`new`](Self::new), for a name that is only known at run time.
    #[must_use]
    pub fn named(name: String, version: String) -> Self {
        Self { name: Cow::Owned(name), version: Cow::Owned(version), types: PhantomData }
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
}

impl<Request, Reply> Clone for Capability<Request, Reply> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), version: self.version.clone(), types: PhantomData }
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
