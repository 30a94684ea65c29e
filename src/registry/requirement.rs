//! What is asked for: which capability, in which versions, with which attributes.
//!
//! ```text
//! text.summarize@^1.2 lang=en|de region!=eu gpu !beta ~lang=de ~fast
//! name or pattern
//!               @version range, without spaces
//!                     what must hold                  what is preferred, the first most
//! ```

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::registry::attribute::Predicate;
use crate::registry::name::{CapabilityName, Pattern};
use crate::registry::record::{OfferRecord, compatible_with};
use crate::registry::suitability::{Fit, Suitability, Unfit};
use crate::registry::syntax::SyntaxError;

/// How many bytes the text of a requirement may have.
pub const MAX_REQUIREMENT: usize = 4096;

/// What is asked for: a name or a pattern, a range of versions, what must hold of the attributes, and what is preferred.
///
/// | part | written | when it is left out |
/// |---|---|---|
/// | name or pattern | `text.summarize`, `text.*`, `text.>`, see [`name`](crate::registry::name) | cannot be |
/// | range | `@^1.2`, `@>=1.2,<2`, `@=1.2.3`, as in Cargo, without spaces | any version that is not a pre-release |
/// | needed | `lang=en`, `region!=eu`, `gpu`, `!gpu`, see [`attribute`](crate::registry::attribute) | nothing is needed |
/// | preferred | `~` before what could be needed: `~lang=de` | nothing is preferred |
///
/// What is needed and what is preferred may stand mixed. All that is needed must hold. A preference refuses nobody; an
/// earlier one outweighs all later ones. A text and the requirement that it stands for are printed as each other, apart
/// from spaces and from how a range is written (`1.2` prints as `^1.2`).
///
/// ```
/// use steadfast::Capability;
/// use steadfast::registry::record::OfferRecord;
/// use steadfast::registry::requirement::Requirement;
///
/// let wanted: Requirement = "text.summarize@^1.2 lang=en region!=eu ~gpu".parse()?;
/// let offer = |version, attributes| {
///     let offered: Capability<String, String> = Capability::new("text.summarize", version).with(attributes);
///     OfferRecord::of(&offered).expect("an offer")
/// };
/// let judge = |version, attributes| wanted.matches(&offer(version, attributes)).to_string();
///
/// assert_eq!(judge("1.4.0", &[("lang", "en")]), "fits with version 1.4.0, meets none of 1 preferences");
/// assert_eq!(judge("2.0.0", &[("lang", "en")]), "offers version 2.0.0, not `^1.2`");
/// assert_eq!(judge("1.4.0", &[("lang", "en"), ("region", "eu")]), "has `region=eu`, not `region!=eu`");
/// # Ok::<(), steadfast::registry::syntax::SyntaxError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement {
    pattern: Pattern,
    version: VersionReq,
    needed: Vec<Predicate>,
    preferred: Vec<Predicate>,
}

impl Requirement {
    /// Any version of the capabilities that are meant, with any attributes.
    #[must_use]
    pub fn of(pattern: impl Into<Pattern>) -> Self {
        let pattern = pattern.into();
        Self { pattern, version: VersionReq::STAR, needed: Vec::new(), preferred: Vec::new() }
    }

    /// What a caller asks for that knows this name and version: the same version, or a compatible later one.
    #[must_use]
    pub fn compatible(name: CapabilityName, version: &Version) -> Self {
        Self::of(name).version(compatible_with(version))
    }

    /// Only versions in this range.
    #[must_use]
    pub fn version(mut self, range: VersionReq) -> Self {
        self.version = range;
        self
    }

    /// Only offers for which this holds too.
    #[must_use]
    pub fn needs(mut self, predicate: Predicate) -> Self {
        self.needed.push(predicate);
        self
    }

    /// Rather offers for which this holds. It weighs less than all preferences before it.
    #[must_use]
    pub fn prefers(mut self, predicate: Predicate) -> Self {
        self.preferred.push(predicate);
        self
    }

    /// The names that are meant.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The versions that will do.
    #[must_use]
    pub fn range(&self) -> &VersionReq {
        &self.version
    }

    /// What must hold.
    #[must_use]
    pub fn needed(&self) -> &[Predicate] {
        &self.needed
    }

    /// What is preferred, the first most.
    #[must_use]
    pub fn preferred(&self) -> &[Predicate] {
        &self.preferred
    }

    /// Whether the offer has all that is needed. Allocates nothing.
    #[must_use]
    pub fn fits(&self, offer: &OfferRecord) -> bool {
        self.pattern.matches(&offer.capability)
            && self.version.matches(&offer.version)
            && self.needed.iter().all(|predicate| predicate.holds(&offer.attributes))
    }

    /// How well the offer suits, or why it does not: `Fits` exactly when [`fits`](Self::fits).
    #[must_use]
    pub fn matches(&self, offer: &OfferRecord) -> Suitability {
        if let Some(unfit) = self.unfit(offer) {
            return Suitability::Unfit(unfit);
        }
        let met = self.preferred.iter().map(|predicate| predicate.holds(&offer.attributes)).collect();
        Suitability::Fits(Fit::new(met, offer.version.clone()))
    }

    fn unfit(&self, offer: &OfferRecord) -> Option<Unfit> {
        if !self.pattern.matches(&offer.capability) {
            return Some(Unfit::Name { wanted: self.pattern.clone(), offered: offer.capability.clone() });
        }
        if !self.version.matches(&offer.version) {
            return Some(Unfit::Version { wanted: self.version.clone(), offered: offer.version.clone() });
        }
        let held = self.needed.iter().position(|predicate| !predicate.holds(&offer.attributes))?;
        let wanted = self.needed[held].clone();
        let offered = offer.attributes.get(wanted.key().as_str()).cloned();
        Some(Unfit::Attribute { wanted, offered, held })
    }
}

impl FromStr for Requirement {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_REQUIREMENT {
            return Err(SyntaxError::too_long(text, MAX_REQUIREMENT));
        }
        let mut words = words(text);
        let Some((offset, head)) = words.next() else {
            return Err(SyntaxError::new(text, text.len(), "the name of a capability, or a pattern"));
        };
        let mut requirement = head_of(head).map_err(|error| error.within(text, offset))?;
        for (offset, word) in words {
            let (list, sign) = match word.strip_prefix('~') {
                Some(_) => (&mut requirement.preferred, 1),
                None => (&mut requirement.needed, 0),
            };
            let predicate = word[sign..].parse::<Predicate>();
            list.push(predicate.map_err(|error| error.within(text, offset + sign))?);
        }
        Ok(requirement)
    }
}

/// The words of a text, and at which byte each begins.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let begin = text.len() - rest.len();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some((begin, word))
    })
}

/// A name or pattern, with or without a range.
fn head_of(head: &str) -> Result<Requirement, SyntaxError> {
    let (pattern, range) = match head.split_once('@') {
        Some((pattern, range)) => (pattern, Some(range)),
        None => (head, None),
    };
    let requirement = Requirement::of(Pattern::new(pattern).map_err(|error| error.within(head, 0))?);
    match range {
        None => Ok(requirement),
        Some(range) => {
            let range = parse_range(range).map_err(|error| error.within(head, pattern.len() + 1))?;
            Ok(requirement.version(range))
        }
    }
}

fn parse_range(text: &str) -> Result<VersionReq, SyntaxError> {
    text.parse().map_err(|error: semver::Error| {
        SyntaxError::new(text, wrong_in(text), format!("a range of versions such as `^1.2` or `>=1.2,<2` ({error})"))
    })
}

/// Where a range goes wrong. The crate that parses it does not say, so it is asked about ever shorter beginnings: what
/// follows the longest one that is a range is wrong, or what follows the sign where none is.
fn wrong_in(text: &str) -> usize {
    let mut begin = 0;
    for part in text.split(',') {
        if VersionReq::parse(part).is_err() {
            let longest =
                (1..part.len()).rev().find(|end| part.get(..*end).is_some_and(|p| VersionReq::parse(p).is_ok()));
            let sign = part.len() - part.trim_start_matches(['^', '~', '=', '<', '>']).len();
            return begin + longest.unwrap_or(sign);
        }
        begin += part.len() + 1;
    }
    // Each part is a range, and together they are not: there are too many, or one of them is `*`.
    0
}

impl TryFrom<String> for Requirement {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Self, SyntaxError> {
        text.parse()
    }
}

impl From<Requirement> for String {
    fn from(requirement: Requirement) -> Self {
        requirement.to_string()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.pattern)?;
        for (number, comparator) in self.version.comparators.iter().enumerate() {
            write!(f, "{}{comparator}", if number == 0 { '@' } else { ',' })?;
        }
        self.needed.iter().try_for_each(|predicate| write!(f, " {predicate}"))?;
        self.preferred.iter().try_for_each(|predicate| write!(f, " ~{predicate}"))
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
