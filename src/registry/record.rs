//! What is known about an offer.

use std::any::TypeId;

use semver::{Comparator, Op, Version, VersionReq};

use crate::registry::attribute::{Attributes, InvalidAttribute};
use crate::registry::capability::{Capability, Wire};
use crate::registry::name::CapabilityName;
use crate::registry::syntax::SyntaxError;

/// An offer of a capability, checked, without its types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRecord {
    /// The capability's name.
    pub capability: CapabilityName,
    /// The version that is offered.
    pub version: Version,
    /// What tells it from other offers of that name.
    pub attributes: Attributes,
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
    /// ```
    /// use steadfast::Capability;
    /// use steadfast::registry::record::OfferRecord;
    ///
    /// let offered: Capability<u8, u8> = Capability::new("math.sum", "1.4.0").with(&[("region", "eu")]);
    /// let record = OfferRecord::of(&offered)?;
    /// assert_eq!((record.capability.as_str(), record.version.minor), ("math.sum", 4));
    ///
    /// let wrong: Capability<u8, u8> = Capability::new("math sum", "1.4.0");
    /// assert!(OfferRecord::of(&wrong).is_err());
    /// # Ok::<(), steadfast::registry::record::InvalidOffer>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the capability's name, version or attributes are not written as such.
    pub fn of<Request: Wire, Reply: Wire>(capability: &Capability<Request, Reply>) -> Result<Self, InvalidOffer> {
        Ok(Self {
            capability: CapabilityName::new(capability.name()).map_err(InvalidOffer::Name)?,
            version: capability.version().parse().map_err(InvalidOffer::Version)?,
            attributes: Attributes::new(capability.attributes()).map_err(InvalidOffer::Attribute)?,
            types: WireTypes::of::<Request, Reply>(),
        })
    }
}

/// A capability cannot be offered as it is written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOffer {
    /// Its name is not one.
    #[error("the name of the capability: {0}")]
    Name(SyntaxError),
    /// Its version is not a semantic version.
    #[error("the version of the capability: {0}")]
    Version(semver::Error),
    /// One of its attributes is not one.
    #[error(transparent)]
    Attribute(InvalidAttribute),
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
    compatible_with(wanted).matches(offered)
}

/// The versions that may answer a caller that asks for this one: the caret rule. For whoever asks [`serves`] of many.
#[must_use]
pub fn compatible_with(wanted: &Version) -> VersionReq {
    let caret = Comparator {
        op: Op::Caret,
        major: wanted.major,
        minor: Some(wanted.minor),
        patch: Some(wanted.patch),
        pre: wanted.pre.clone(),
    };
    VersionReq { comparators: vec![caret] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(capability: &Capability<u8, u8>) -> String {
        OfferRecord::of(capability).expect_err("it is refused").to_string()
    }

    #[test]
    fn the_name_the_version_and_the_attributes_are_checked_in_that_order() {
        let wrong = Capability::new("a..b", "1").with(&[("c", "")]);
        assert_eq!(
            refusal(&wrong),
            "the name of the capability: expected a letter, digit, `-` or `_` at character 3 of `a..b`, found `.`"
        );
        let wrong = Capability::new("a.b", "1").with(&[("c", "")]);
        assert!(refusal(&wrong).starts_with("the version of the capability: "));
        let wrong = Capability::new("a.b", "1.0.0").with(&[("c", "")]);
        assert!(refusal(&wrong).starts_with("the value of the attribute `c`: "));
    }

    #[test]
    fn attributes_of_a_constant_and_those_added_are_offered_together_and_none_twice() {
        const ENGLISH: Capability<u8, u8> = Capability::new("a.b", "1.0.0").with(&[("lang", "en")]);
        let record = OfferRecord::of(&ENGLISH.attribute("gpu", "yes")).expect("an offer");
        assert_eq!(record.attributes.to_string(), "gpu=yes lang=en");
        assert_eq!(refusal(&ENGLISH.attribute("lang", "de")), "the attribute `lang` is given twice; give it one value");
    }

    #[test]
    fn an_offer_with_other_attributes_is_another_offer() {
        let plain: Capability<u8, u8> = Capability::new("a.b", "1.0.0");
        let record = |capability: &Capability<u8, u8>| OfferRecord::of(capability).expect("an offer");
        assert_eq!(record(&plain), record(&plain.clone()));
        assert_ne!(record(&plain), record(&plain.clone().attribute("lang", "en")));
    }
}
