//! What is wrong with a text of the registry, and where.

use std::borrow::Cow;
use std::fmt;

/// A name, a pattern, an attribute or a requirement is not written as one.
///
/// It names what was expected and points at the character; printed with `{:#}` it draws the text with a caret under
/// that character.
///
/// ```
/// use steadfast::registry::requirement::Requirement;
///
/// let error = "text.summarize@^1.2 lang=en region!eu".parse::<Requirement>().unwrap_err();
/// assert_eq!(
///     format!("{error:#}"),
///     "expected `=` after `!` at character 36 of `text.summarize@^1.2 lang=en region!eu`, found `e`\n\
///      \x20 text.summarize@^1.2 lang=en region!eu\n\
///      \x20                                    ^"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    text: String,
    at: usize,
    expected: Cow<'static, str>,
}

impl SyntaxError {
    /// In `text`, at this byte, something else was expected. The byte begins a character or is the end.
    pub(super) fn new(text: &str, at: usize, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.to_owned(), at, expected: expected.into() }
    }

    /// `text` has more bytes than it may. What comes after the first character too many is not kept.
    pub(super) fn too_long(text: &str, most: usize) -> Self {
        let at = text.floor_char_boundary(most);
        let end = text.ceil_char_boundary(at + 1);
        Self::new(&text[..end], at, format!("at most {most} bytes"))
    }

    /// The same error, where the refused text is the part of `whole` that begins at this byte.
    pub(super) fn within(self, whole: &str, offset: usize) -> Self {
        Self { text: whole.to_owned(), at: self.at + offset, expected: self.expected }
    }

    /// The refused text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The byte of the text at which something else was expected; its length where more was expected.
    #[must_use]
    pub fn byte(&self) -> usize {
        self.at
    }

    /// As [`byte`](Self::byte), counted in characters from 1 on.
    #[must_use]
    pub fn character(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    /// What was expected there.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What stands there, or `None` where the text ends.
    #[must_use]
    pub fn found(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// The text on one line, and a caret under the character on the next.
    ///
    /// A control character is drawn as `\u{fffd}`. The caret stands under the right one where all characters before it
    /// are of one width, as in every text that is accepted.
    #[must_use]
    pub fn marked(&self) -> String {
        format!("{}\n{:>width$}", self.printable(), '^', width = self.character())
    }

    fn printable(&self) -> String {
        self.text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.printable();
        write!(f, "expected {} at character {} of `{text}`, found ", self.expected, self.character())?;
        match self.found() {
            Some(found) if found.is_control() => write!(f, "`{}`", found.escape_default())?,
            Some(found) => write!(f, "`{found}`")?,
            None => f.write_str("its end")?,
        }
        if f.alternate() {
            for line in self.marked().lines() {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for SyntaxError {}

/// A text type that is checked when it is made, cheap to clone, and printed, compared and serialised as its text.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            ///
            /// A [`SyntaxError`](crate::registry::syntax::SyntaxError) that points at the character that does not
            /// belong there.
            pub fn new(text: &str) -> Result<Self, $crate::registry::syntax::SyntaxError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::registry::syntax::SyntaxError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::registry::syntax::SyntaxError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.as_ref().to_owned()
            }
        }

        /// Hashes and compares as its text, so that a table by it can be asked with text.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        crate::text::prints_its_text!($name);
    };
}

pub(super) use checked_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_counts_in_characters_and_keeps_the_byte() {
        let error = SyntaxError::new("ä.ö.x", 3, "a letter");
        assert_eq!((error.byte(), error.character(), error.found()), (3, 3, Some('ö')));
        assert_eq!(error.marked(), "ä.ö.x\n  ^");
    }

    #[test]
    fn an_error_at_the_end_says_so_and_points_behind_the_text() {
        let error = SyntaxError::new("ab", 2, "a dot");
        assert_eq!(error.to_string(), "expected a dot at character 3 of `ab`, found its end");
        assert_eq!(error.marked(), "ab\n  ^");
    }

    #[test]
    fn a_text_that_is_too_long_is_not_kept_in_the_error() {
        let error = SyntaxError::too_long(&"ä".repeat(1000), 5);
        assert_eq!((error.text(), error.byte()), ("äää", 4));
        assert_eq!(error.to_string(), "expected at most 5 bytes at character 3 of `äää`, found `ä`");
    }

    #[test]
    fn a_control_character_does_not_break_the_line() {
        let error = SyntaxError::new("a\nb", 1, "a letter");
        assert_eq!(error.to_string(), "expected a letter at character 2 of `a\u{fffd}b`, found `\\n`");
        assert_eq!(error.marked().lines().count(), 2);
    }

    #[test]
    fn an_error_in_a_part_points_into_the_whole() {
        let error = SyntaxError::new("b", 0, "a digit").within("a=b", 2);
        assert_eq!((error.text(), error.byte()), ("a=b", 2));
    }
}
