//! What is known about an offer.

use std::any::TypeId;

use semver::{Comparator, Op, Version, VersionReq};

use crate::registry::capability::{Capability, Wire};

/// An offer of a capability, without its types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRecord {
    /// The capability's name.
    pub capability: String,
    /// The version that is offered.
    pub version: Version,
    /// The types of request and reply, to check a route by constant.
    pub types: WireTypes,
}

/// The types of a capability's request and reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireTypes {
    request: TypeId,
    reply: TypeId,
}

impl WireTypes {
    /// The types of a capability.
    #[must_use]
    pub fn of<Request: Wire, Reply: Wire>() -> Self {
        Self { request: TypeId::of::<Request>(), reply: TypeId::of::<Reply>() }
    }
}

impl OfferRecord {
    /// The record of an offer.
    ///
    /// # Errors
    ///
    /// When the capability's version is not a semantic version.
    pub fn of<Request: Wire, Reply: Wire>(capability: &Capability<Request, Reply>) -> Result<Self, semver::Error> {
        Ok(Self {
            capability: capability.name().to_owned(),
            version: capability.version().parse()?,
            types: WireTypes::of::<Request, Reply>(),
        })
    }
}

/// Whether a caller that asks for `wanted` may be answered by `offered`: the same, or a compatible later version.
///
/// ```
/// use steadfast::registry::record::serves;
///
/// let version = |text: &str| text.parse().expect("a version");
/// assert!(serves(&version("1.4.0"), &version("1.0.0")));
/// assert!(!serves(&version("1.0.0"), &version("1.4.0")));
/// assert!(!serves(&version("2.0.0"), &version("1.0.0")));
/// ```
#[must_use]
pub fn serves(offered: &Version, wanted: &Version) -> bool {
    let caret = Comparator {
        op: Op::Caret,
        major: wanted.major,
        minor: Some(wanted.minor),
        patch: Some(wanted.patch),
        pre: wanted.pre.clone(),
    };
    VersionReq { comparators: vec![caret] }.matches(offered)
}
