//! How well an offer suits a requirement, or why it does not.

use std::cmp::Ordering;
use std::fmt;

use semver::{Version, VersionReq};

use crate::registry::attribute::{AttributeValue, Predicate};
use crate::registry::name::{CapabilityName, Pattern};

/// Whether an offer suits a requirement: how well, or why not.
///
/// | more suitable | than |
/// |---|---|
/// | one that fits | one that does not |
/// | one that meets an earlier preference | one that meets only later ones, however many |
/// | of those equal in that, the higher version | the lower one |
///
/// Those that do not fit are ordered by how far they came: name, version, then the needed attributes in the order of
/// the requirement. [`by_suitability`](Self::by_suitability) is this order, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suitability {
    /// All that is needed is there.
    Fits(Fit),
    /// Something that is needed is not there.
    Unfit(Unfit),
}

impl Suitability {
    /// Whether all that is needed is there.
    #[must_use]
    pub const fn fits(&self) -> bool {
        matches!(self, Self::Fits(_))
    }

    /// Compares for sorting, the most suitable first. `Equal` means that neither suits better, not that both are the
    /// same; whoever sorts breaks the tie, by path.
    #[must_use]
    pub fn by_suitability(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Fits(this), Self::Fits(other)) => other.cmp(this),
            (Self::Unfit(this), Self::Unfit(other)) => other.progress().cmp(&this.progress()),
            (Self::Fits(_), Self::Unfit(_)) => Ordering::Less,
            (Self::Unfit(_), Self::Fits(_)) => Ordering::Greater,
        }
    }
}

impl fmt::Display for Suitability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fits(fit) => fit.fmt(f),
            Self::Unfit(unfit) => unfit.fmt(f),
        }
    }
}

/// How well an offer fits. The greater one fits better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit {
    // The order of the fields is the order of their weight.
    met: Vec<bool>,
    version: Version,
}

impl Fit {
    pub(super) fn new(met: Vec<bool>, version: Version) -> Self {
        Self { met, version }
    }

    /// For each preference of the requirement, in its order, whether it is met.
    #[must_use]
    pub fn met(&self) -> &[bool] {
        &self.met
    }

    /// The version that is offered.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fits with version {}", self.version)?;
        if self.met.is_empty() {
            return Ok(());
        }
        let met: Vec<_> = (1..).zip(&self.met).filter(|(_, met)| **met).map(|(number, _): (usize, _)| number).collect();
        match &met[..] {
            [] => write!(f, ", meets none of {} preferences", self.met.len()),
            all if all.len() == self.met.len() => write!(f, ", meets all of {} preferences", self.met.len()),
            some => {
                let numbers: Vec<_> = some.iter().map(ToString::to_string).collect();
                write!(f, ", meets of {} preferences number {}", self.met.len(), numbers.join(", "))
            }
        }
    }
}

/// Why an offer does not fit: the first thing that is needed and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// It is another capability.
    Name {
        /// The names that are wanted.
        wanted: Pattern,
        /// The name that is offered.
        offered: CapabilityName,
    },
    /// It is offered in another version.
    Version {
        /// The versions that are wanted.
        wanted: VersionReq,
        /// The version that is offered.
        offered: Version,
    },
    /// A predicate does not hold.
    Attribute {
        /// The first one that does not hold.
        wanted: Predicate,
        /// The value of that attribute in the offer.
        offered: Option<AttributeValue>,
        /// How many predicates before it hold.
        held: usize,
    },
}

impl Unfit {
    /// How far it came: the greater, the nearer.
    fn progress(&self) -> (u8, usize) {
        match self {
            Self::Name { .. } => (0, 0),
            Self::Version { .. } => (1, 0),
            Self::Attribute { held, .. } => (2, *held),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { wanted, offered } => write!(f, "offers `{offered}`, not `{wanted}`"),
            Self::Version { wanted, offered } => write!(f, "offers version {offered}, not `{wanted}`"),
            Self::Attribute { wanted, offered: Some(value), .. } => {
                write!(f, "has `{}={value}`, not `{wanted}`", wanted.key())
            }
            Self::Attribute { wanted, offered: None, .. } => {
                write!(f, "has no attribute `{}`, not `{wanted}`", wanted.key())
            }
        }
    }
}
