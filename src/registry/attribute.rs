//! Attributes of an offer, and what may be asked of them.
//!
//! | written | holds when the offer's attribute |
//! |---|---|
//! | `lang=en` | is `en` |
//! | `lang=en\|de` | is `en` or `de` |
//! | `region!=eu` | is not `eu`, or is not given |
//! | `region!=eu\|us` | is neither, or is not given |
//! | `gpu` | is given |
//! | `!gpu` | is not given |
//!
//! A key is written like the name of a capability. A value is letters, digits, and `-`, `_`, `.`, `:`, `/`, `+`. Both
//! have 1 to [`MAX_NAME`] bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::registry::name::{MAX_NAME, check_name};
use crate::registry::syntax::{SyntaxError, checked_text};

/// How many attributes an offer may have.
pub const MAX_ATTRIBUTES: usize = 64;

const IN_VALUE: &str = "a letter, digit, `-`, `_`, `.`, `:`, `/` or `+`";

fn in_value(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '+')
}

fn check_value(text: &str) -> Result<(), SyntaxError> {
    if text.len() > MAX_NAME {
        return Err(SyntaxError::too_long(text, MAX_NAME));
    }
    match text.find(|c| !in_value(c)) {
        Some(at) => Err(SyntaxError::new(text, at, IN_VALUE)),
        None if text.is_empty() => Err(SyntaxError::new(text, 0, IN_VALUE)),
        None => Ok(()),
    }
}

checked_text! {
    /// The key of an attribute, written like the name of a capability.
    ///
    /// ```
    /// use steadfast::registry::attribute::AttributeKey;
    ///
    /// assert!(AttributeKey::new("gpu.memory").is_ok());
    /// assert!(AttributeKey::new("gpu memory").is_err());
    /// ```
    AttributeKey, check_name
}

checked_text! {
    /// The value of an attribute: letters, digits, and `-`, `_`, `.`, `:`, `/`, `+`.
    ///
    /// ```
    /// use steadfast::registry::attribute::AttributeValue;
    ///
    /// assert!(AttributeValue::new("eu-west/2").is_ok());
    /// assert!(AttributeValue::new("en|de").is_err());
    /// ```
    AttributeValue, check_value
}

/// The attributes of an offer: at most one value for each key, sorted by key, at most [`MAX_ATTRIBUTES`].
///
/// ```
/// use steadfast::registry::attribute::Attributes;
///
/// let attributes = Attributes::new([("region", "eu"), ("lang", "en")])?;
/// assert_eq!(attributes.to_string(), "lang=en region=eu");
/// assert_eq!(attributes.get("lang").map(|value| value.as_str()), Some("en"));
/// # Ok::<(), steadfast::registry::attribute::InvalidAttribute>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Vec<(AttributeKey, AttributeValue)>);

impl Attributes {
    /// Checks keys and values.
    ///
    /// # Errors
    ///
    /// [`InvalidAttribute`] for the first pair that cannot be taken.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidAttribute> {
        let mut attributes = Self::default();
        for (key, value) in pairs {
            attributes.add(key, value)?;
        }
        Ok(attributes)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), InvalidAttribute> {
        let key = AttributeKey::new(key).map_err(InvalidAttribute::Key)?;
        let value =
            AttributeValue::new(value).map_err(|problem| InvalidAttribute::Value { key: key.clone(), problem })?;
        match self.0.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(_) => Err(InvalidAttribute::Twice { key }),
            Err(_) if self.0.len() == MAX_ATTRIBUTES => Err(InvalidAttribute::TooMany { key }),
            Err(place) => {
                self.0.insert(place, (key, value));
                Ok(())
            }
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&AttributeValue> {
        let place = self.0.binary_search_by(|(other, _)| other.as_str().cmp(key)).ok()?;
        Some(&self.0[place].1)
    }

    /// All of them, by key.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&AttributeKey, &AttributeValue)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, value)) in self.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(f, "{space}{key}={value}")?;
        }
        Ok(())
    }
}

/// An attribute cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAttribute {
    /// The key is not written as one.
    #[error("the key of an attribute: {0}")]
    Key(SyntaxError),
    /// The value is not written as one.
    #[error("the value of the attribute `{key}`: {problem}")]
    Value {
        /// The attribute.
        key: AttributeKey,
        /// What is wrong with its value.
        problem: SyntaxError,
    },
    /// There is a value for the key already.
    #[error("the attribute `{key}` is given twice; give it one value")]
    Twice {
        /// The attribute.
        key: AttributeKey,
    },
    /// There are as many attributes as there may be.
    #[error("the attribute `{key}` is one too many; an offer has at most {MAX_ATTRIBUTES}")]
    TooMany {
        /// The first attribute that is too many.
        key: AttributeKey,
    },
}

/// Something that is asked of an offer's attributes.
///
/// ```
/// use steadfast::registry::attribute::{Attributes, Predicate};
///
/// let offered = Attributes::new([("lang", "en")]).expect("attributes");
/// let holds = |text: &str| text.parse::<Predicate>().expect("a predicate").holds(&offered);
/// assert!(holds("lang=de|en") && holds("region!=eu") && holds("lang") && holds("!gpu"));
/// assert!(!holds("lang=de") && !holds("lang!=en") && !holds("gpu") && !holds("!lang"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Predicate {
    key: AttributeKey,
    test: Test,
}

/// The values of `OneOf` and `NoneOf` are never none at all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Test {
    Present,
    Absent,
    OneOf(Vec<AttributeValue>),
    NoneOf(Vec<AttributeValue>),
}

impl Predicate {
    /// The attribute is given: `key`.
    #[must_use]
    pub const fn present(key: AttributeKey) -> Self {
        Self { key, test: Test::Present }
    }

    /// The attribute is not given: `!key`.
    #[must_use]
    pub const fn absent(key: AttributeKey) -> Self {
        Self { key, test: Test::Absent }
    }

    /// The attribute has this value: `key=value`.
    #[must_use]
    pub fn is(key: AttributeKey, value: AttributeValue) -> Self {
        Self { key, test: Test::OneOf(vec![value]) }
    }

    /// The attribute has another value than this, or is not given: `key!=value`.
    #[must_use]
    pub fn is_not(key: AttributeKey, value: AttributeValue) -> Self {
        Self { key, test: Test::NoneOf(vec![value]) }
    }

    /// Adds a value to those of [`is`](Self::is) or [`is_not`](Self::is_not): `key=value|other`. A predicate that only
    /// asks whether the attribute is given stays as it is.
    #[must_use]
    pub fn or(mut self, other: AttributeValue) -> Self {
        match &mut self.test {
            Test::OneOf(values) | Test::NoneOf(values) => values.push(other),
            Test::Present | Test::Absent => {}
        }
        self
    }

    /// The attribute that is asked about.
    #[must_use]
    pub fn key(&self) -> &AttributeKey {
        &self.key
    }

    /// Whether it holds for an offer with these attributes.
    #[must_use]
    pub fn holds(&self, attributes: &Attributes) -> bool {
        let found = attributes.get(self.key.as_str());
        match &self.test {
            Test::Present => found.is_some(),
            Test::Absent => found.is_none(),
            Test::OneOf(values) => found.is_some_and(|found| values.contains(found)),
            Test::NoneOf(values) => found.is_none_or(|found| !values.contains(found)),
        }
    }
}

impl FromStr for Predicate {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        if let Some(key) = text.strip_prefix('!') {
            return Ok(Self::absent(key_at(text, 1, key)?));
        }
        let Some(end) = text.find(['=', '!']) else {
            return key_at(text, 0, text).map(Self::present);
        };
        let key = key_at(text, 0, &text[..end])?;
        if let Some(values) = text[end..].strip_prefix("!=") {
            return Ok(Self { key, test: Test::NoneOf(values_at(text, end + 2, values)?) });
        }
        let Some(values) = text[end..].strip_prefix('=') else {
            return Err(SyntaxError::new(text, end + 1, "`=` after `!`"));
        };
        Ok(Self { key, test: Test::OneOf(values_at(text, end + 1, values)?) })
    }
}

fn key_at(whole: &str, offset: usize, key: &str) -> Result<AttributeKey, SyntaxError> {
    AttributeKey::new(key).map_err(|error| error.within(whole, offset))
}

fn values_at(whole: &str, mut offset: usize, values: &str) -> Result<Vec<AttributeValue>, SyntaxError> {
    let mut all = Vec::new();
    for value in values.split('|') {
        all.push(AttributeValue::new(value).map_err(|error| error.within(whole, offset))?);
        offset += value.len() + 1;
    }
    Ok(all)
}

impl TryFrom<String> for Predicate {
    type Error = SyntaxError;

    fn try_from(text: String) -> Result<Self, SyntaxError> {
        text.parse()
    }
}

impl From<Predicate> for String {
    fn from(predicate: Predicate) -> Self {
        predicate.to_string()
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, values) = match &self.test {
            Test::Present => return write!(f, "{}", self.key),
            Test::Absent => return write!(f, "!{}", self.key),
            Test::OneOf(values) => ("=", values),
            Test::NoneOf(values) => ("!=", values),
        };
        write!(f, "{}{sign}", self.key)?;
        for (number, value) in values.iter().enumerate() {
            let bar = if number == 0 { "" } else { "|" };
            write!(f, "{bar}{value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(pairs: &[(&str, &str)]) -> Result<Attributes, InvalidAttribute> {
        Attributes::new(pairs.iter().copied())
    }

    #[test]
    fn attributes_are_sorted_and_found_by_key_whatever_their_order() {
        let attributes = offered(&[("c", "3"), ("a", "1"), ("b.x", "2")]).expect("attributes");
        assert_eq!(attributes.to_string(), "a=1 b.x=2 c=3");
        assert_eq!(attributes.get("b.x").map(AttributeValue::as_str), Some("2"));
        assert_eq!((attributes.get("b"), attributes.len()), (None, 3));
        assert_eq!(attributes, offered(&[("b.x", "2"), ("c", "3"), ("a", "1")]).expect("attributes"));
    }

    #[test]
    fn a_refused_attribute_is_named_with_what_is_wrong() {
        let text = |pairs: &[(&str, &str)]| offered(pairs).expect_err("it is refused").to_string();
        assert_eq!(
            text(&[("a b", "1")]),
            "the key of an attribute: expected a letter, digit, `-`, `_` or `.` at character 2 of `a b`, found ` `"
        );
        assert_eq!(
            text(&[("a", "x|y")]),
            "the value of the attribute `a`: expected a letter, digit, `-`, `_`, `.`, `:`, `/` or `+` at character 2 \
             of `x|y`, found `|`"
        );
        assert_eq!(text(&[("a", "1"), ("a", "2")]), "the attribute `a` is given twice; give it one value");
        let keys: Vec<_> = (0..=MAX_ATTRIBUTES).map(|number| format!("k{number}")).collect();
        let many: Vec<_> = keys.iter().map(|key| (key.as_str(), "1")).collect();
        assert_eq!(text(&many), "the attribute `k64` is one too many; an offer has at most 64");
        assert!(offered(&many[1..]).is_ok());
    }

    #[test]
    fn a_predicate_holds_as_its_table_says() {
        let offers = [&[][..], &[("lang", "en")], &[("lang", "de")], &[("lang", "fr")]];
        let row = |predicate: &str| {
            let predicate: Predicate = predicate.parse().expect("a predicate");
            let holds = |pairs: &&[_]| predicate.holds(&offered(pairs).expect("attributes"));
            offers.iter().map(|pairs| if holds(pairs) { 'x' } else { '.' }).collect::<String>()
        };
        // Without the attribute, then with `en`, `de` and `fr`.
        assert_eq!(row("lang"), ".xxx");
        assert_eq!(row("!lang"), "x...");
        assert_eq!(row("lang=en"), ".x..");
        assert_eq!(row("lang=en|de"), ".xx.");
        assert_eq!(row("lang!=en"), "x.xx");
        assert_eq!(row("lang!=en|de"), "x..x");
    }

    #[test]
    fn a_refused_predicate_is_pointed_at_where_it_is_wrong() {
        let points = |text: &str| {
            let error = text.parse::<Predicate>().expect_err("it is refused");
            assert_eq!(error.text(), text);
            error.byte()
        };
        assert_eq!(points(""), 0);
        assert_eq!(points("!"), 1);
        assert_eq!(points("!a=b"), 2);
        assert_eq!(points("=b"), 0);
        assert_eq!(points("a="), 2);
        assert_eq!(points("a=b|"), 4);
        assert_eq!(points("a=b||c"), 4);
        assert_eq!(points("a=b=c"), 3);
        assert_eq!(points("a!b"), 2);
        assert_eq!(points("a!=b c"), 4);
    }

    #[test]
    fn a_built_predicate_prints_as_it_would_be_written() {
        let key = || AttributeKey::new("lang").expect("a key");
        let value = |text| AttributeValue::new(text).expect("a value");
        let built = [
            Predicate::present(key()).or(value("en")),
            Predicate::absent(key()),
            Predicate::is(key(), value("en")).or(value("de")),
            Predicate::is_not(key(), value("en")).or(value("de")),
        ];
        assert_eq!(built.each_ref().map(ToString::to_string), ["lang", "!lang", "lang=en|de", "lang!=en|de"]);
        for predicate in built {
            assert_eq!(predicate.to_string().parse(), Ok(predicate));
        }
    }
}
