//! How an error points at the place in a text that it is about.

use std::fmt;

/// How much of a refused text an error repeats. It may come from outside, and be of any length.
const SHOWN: usize = 120;

/// A refused text, as an error repeats it: its beginning, where it is long.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => write!(f, "`{}..`", text[..end].escape_debug()),
            None => write!(f, "`{}`", text.escape_debug()),
        }
    }
}

/// The character of a text that begins at a byte, or the text's end, as an error names it.
pub(crate) struct Place<'a>(pub(crate) &'a str, pub(crate) usize);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text, at) = self;
        let (before, rest) = text.split_at_checked(*at).unwrap_or((text, ""));
        match rest.chars().next() {
            Some(c) => write!(f, "character {}, `{}`", before.chars().count() + 1, c.escape_debug()),
            None => f.write_str("the end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_characters_from_one_and_knows_the_end() {
        assert_eq!(Place("äb", 2).to_string(), "character 2, `b`");
        assert_eq!(Place("äb", 3).to_string(), "the end");
        assert_eq!(Place("äb", 99).to_string(), "the end");
        assert_eq!(Place("a\nb", 1).to_string(), "character 2, `\\n`");
    }

    #[test]
    fn of_a_long_text_an_error_shows_the_beginning() {
        assert_eq!(Shown("short").to_string(), "`short`");
        assert_eq!(Shown(&"ä".repeat(SHOWN + 1)).to_string(), format!("`{}..`", "ä".repeat(SHOWN)));
    }
}
