//! What else is said of a message, as text: few, short and in order.

use std::fmt;

/// The most headers of a message.
pub const MOST_HEADERS: usize = 32;
/// The longest name of a header, in bytes.
pub const LONGEST_NAME: usize = 64;
/// The longest value of a header, in bytes.
pub const LONGEST_VALUE: usize = 1024;

/// The headers of a message: names and values, ordered by name, at most [`MOST_HEADERS`] of them.
///
/// A name has 1 to [`LONGEST_NAME`] letters, digits, `-`, `_` and `.`, and its case counts. A value has at most
/// [`LONGEST_VALUE`] bytes and no control characters, so that it can travel in the headers of other protocols.
///
/// ```
/// use steadfast::message::Headers;
///
/// let mut headers = Headers::new();
/// headers.set("tenant", "acme")?;
/// assert_eq!(headers.get("tenant"), Some("acme"));
/// assert!(headers.set("two words", "no").is_err());
/// # Ok::<(), steadfast::message::HeaderError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    /// No headers. Allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a header, in place of an earlier one of that name.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] when the name or the value is not one, or there are as many already as there may be.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        check_name(name)?;
        check_value(name, value)?;
        match self.find(name) {
            Ok(place) => self.0[place].1 = value.into(),
            Err(_) if self.0.len() >= MOST_HEADERS => return Err(HeaderError::TooMany),
            Err(place) => self.0.insert(place, (name.into(), value.into())),
        }
        Ok(())
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).ok().map(|place| &*self.0[place].1)
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) -> Option<Box<str>> {
        self.find(name).ok().map(|place| self.0.remove(place).1)
    }

    /// All names and values, ordered by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(allowed) {
        return Err(HeaderError::Name { name: name.chars().take(LONGEST_NAME).collect() });
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<(), HeaderError> {
    if value.len() > LONGEST_VALUE || value.chars().any(char::is_control) {
        return Err(HeaderError::Value { name: name.to_owned(), length: value.len() });
    }
    Ok(())
}

/// A header was not set. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not one.
    #[error("`{}` names no header; use 1 to {LONGEST_NAME} letters, digits, `-`, `_` and `.`", name.escape_debug())]
    Name {
        /// The refused name, or its beginning.
        name: String,
    },
    /// The value is too long, or holds a control character.
    #[error(
        "the value of the header `{name}` has {length} bytes; at most {LONGEST_VALUE}, and no control characters, travel in a header: put it into the payload"
    )]
    Value {
        /// The header.
        name: String,
        /// How long the value is.
        length: usize,
    },
    /// There is no room for another.
    #[error("a message has at most {MOST_HEADERS} headers; put it into the payload")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn headers_are_a_map_in_the_order_of_names(sets in vec(("[a-c]{1,2}", "[x-z]{0,3}", any::<bool>()), 0..40)) {
            let (mut headers, mut model) = (Headers::new(), BTreeMap::new());
            for (name, value, set) in sets {
                if set {
                    headers.set(&name, &value).expect("there is room for these few");
                    model.insert(name, value);
                } else {
                    let removed = headers.remove(&name).map(String::from);
                    prop_assert_eq!(removed, model.remove(&name));
                }
            }
            prop_assert!(headers.iter().eq(model.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
        }
    }

    #[test]
    fn more_than_the_bound_are_refused_and_one_that_is_there_can_still_be_set() {
        let mut headers = Headers::new();
        for number in 0..MOST_HEADERS {
            headers.set(&format!("h{number}"), "x").expect("there is room");
        }
        assert_eq!(headers.set("more", "x"), Err(HeaderError::TooMany));
        assert_eq!(headers.set("h0", "y"), Ok(()));
        assert_eq!((headers.len(), headers.get("h0")), (MOST_HEADERS, Some("y")));
    }

    #[test]
    fn names_and_values_that_cannot_travel_are_refused_and_change_nothing() {
        let mut headers = Headers::new();
        for name in ["", "a b", "a:b", "ä", &"n".repeat(LONGEST_NAME + 1)] {
            assert!(matches!(headers.set(name, "x"), Err(HeaderError::Name { .. })), "{name:?} was accepted");
        }
        for value in ["a\r\nb", "\0", &"v".repeat(LONGEST_VALUE + 1)] {
            assert!(matches!(headers.set("a", value), Err(HeaderError::Value { .. })), "{value:?} was accepted");
        }
        assert!(headers.is_empty());
        headers.set(&"n".repeat(LONGEST_NAME), &"v".repeat(LONGEST_VALUE)).expect("as long as it may be");
    }
}
