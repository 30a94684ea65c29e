//! Names of capabilities, and patterns over them.
//!
//! | text | is |
//! |---|---|
//! | `text.summarize` | a name: segments of letters, digits, `-` and `_`, with dots between them |
//! | `text.*` | a pattern: `*` stands for one segment |
//! | `text.>` | a pattern: `>` at the end stands for the rest, at least one segment |
//!
//! These are the wildcards of message subjects, so that there is one rule to learn. Names are compared letter by
//! letter; upper and lower case differ.

use crate::registry::syntax::{SyntaxError, checked_text};

/// How many bytes a name, a pattern, or the key or value of an attribute may have.
pub const MAX_NAME: usize = 255;

const IN_SEGMENT: &str = "a letter, digit, `-` or `_`";
const IN_NAME: &str = "a letter, digit, `-`, `_` or `.`";

fn in_segment(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Checks segments with dots between them. `wild` says what is wrong with a segment that begins with a wildcard, if
/// anything is; given are the byte at which it begins, and the segment.
fn check_dotted(text: &str, wild: impl Fn(usize, &str) -> Option<SyntaxError>) -> Result<(), SyntaxError> {
    if text.len() > MAX_NAME {
        return Err(SyntaxError::too_long(text, MAX_NAME));
    }
    let mut begin = 0;
    for segment in text.split('.') {
        if segment.starts_with(['*', '>']) {
            wild(begin, segment).map_or(Ok(()), Err)?;
        } else if let Some((at, _)) = segment.char_indices().find(|(_, c)| !in_segment(*c)) {
            let expected = if at == 0 { IN_SEGMENT } else { IN_NAME };
            return Err(SyntaxError::new(text, begin + at, expected));
        } else if segment.is_empty() {
            return Err(SyntaxError::new(text, begin, IN_SEGMENT));
        }
        begin += segment.len() + 1;
    }
    Ok(())
}

/// A name: segments of letters, digits, `-` and `_`, with dots between them.
pub(super) fn check_name(text: &str) -> Result<(), SyntaxError> {
    check_dotted(text, |begin, _| Some(SyntaxError::new(text, begin, IN_SEGMENT)))
}

fn check_pattern(text: &str) -> Result<(), SyntaxError> {
    check_dotted(text, |begin, segment| match segment {
        "*" => None,
        ">" if begin + 1 == text.len() => None,
        ">" => Some(SyntaxError::new(text, begin + 1, "nothing after `>`, which stands for the rest")),
        // A wildcard stands for a whole segment.
        _ => Some(SyntaxError::new(text, begin + 1, format!("a dot after `{}`", &segment[..1]))),
    })
}

checked_text! {
    /// The name of a capability: segments of letters, digits, `-` and `_`, with dots between them; at most
    /// [`MAX_NAME`] bytes.
    ///
    /// ```
    /// use steadfast::registry::name::CapabilityName;
    ///
    /// let name = CapabilityName::new("text.summarize")?;
    /// assert_eq!(name.segments().collect::<Vec<_>>(), ["text", "summarize"]);
    ///
    /// let error = CapabilityName::new("text summarize").unwrap_err();
    /// assert_eq!(error.byte(), 4);
    /// assert_eq!(error.marked(), "text summarize\n    ^");
    /// # Ok::<(), steadfast::registry::syntax::SyntaxError>(())
    /// ```
    CapabilityName, check_name
}

impl CapabilityName {
    /// The segments, first first.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

checked_text! {
    /// Which names are meant: a name, or one with wildcards. `*` stands for one segment, `>` at the end for the rest.
    ///
    /// ```
    /// use steadfast::registry::name::{CapabilityName, Pattern};
    ///
    /// let name = |text| CapabilityName::new(text).expect("a name");
    /// let pattern = Pattern::new("text.*")?;
    /// assert!(pattern.matches(&name("text.summarize")));
    /// assert!(!pattern.matches(&name("text")));
    /// assert!(!pattern.matches(&name("text.summarize.short")));
    /// assert!(Pattern::new("text.>")?.matches(&name("text.summarize.short")));
    /// # Ok::<(), steadfast::registry::syntax::SyntaxError>(())
    /// ```
    Pattern, check_pattern
}

impl Pattern {
    /// Whether this name is meant.
    #[must_use]
    pub fn matches(&self, name: &CapabilityName) -> bool {
        let mut segments = name.segments();
        for wanted in self.0.split('.') {
            match (wanted, segments.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }

    /// The one name that is meant, or `None` where there are wildcards.
    #[must_use]
    pub fn exact(&self) -> Option<CapabilityName> {
        let wild = self.0.split('.').any(|segment| matches!(segment, "*" | ">"));
        (!wild).then(|| CapabilityName(self.0.clone()))
    }
}

impl From<CapabilityName> for Pattern {
    fn from(name: CapabilityName) -> Self {
        Self(name.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn name(text: &str) -> CapabilityName {
        CapabilityName::new(text).expect("a name")
    }

    #[track_caller]
    fn points(error: Result<impl Sized, SyntaxError>, at: usize, expected: &str) {
        let Err(error) = error else { panic!("it was accepted") };
        assert_eq!((error.byte(), error.expected()), (at, expected), "{error:#}");
    }

    #[test]
    fn a_name_is_segments_with_dots_between_them() {
        for text in ["a", "math.sum", "Text.Sum-2.x_y", "0.1"] {
            assert_eq!(name(text).as_str(), text);
        }
    }

    #[test]
    fn a_refused_name_is_pointed_at_where_it_is_wrong() {
        points(CapabilityName::new(""), 0, IN_SEGMENT);
        points(CapabilityName::new("."), 0, IN_SEGMENT);
        points(CapabilityName::new("a."), 2, IN_SEGMENT);
        points(CapabilityName::new("a..b"), 2, IN_SEGMENT);
        points(CapabilityName::new("a.b c"), 3, IN_NAME);
        points(CapabilityName::new("a.ä"), 2, IN_SEGMENT);
        points(CapabilityName::new("a.*"), 2, IN_SEGMENT);
        points(CapabilityName::new("a.b@1"), 3, IN_NAME);
        points(CapabilityName::new(&"a".repeat(256)), 255, "at most 255 bytes");
        assert!(CapabilityName::new(&"a".repeat(255)).is_ok());
    }

    #[test]
    fn a_wildcard_stands_for_whole_segments_and_the_rest_comes_last() {
        for text in ["*", ">", "a.*", "*.b", "a.>", "*.>", "a.b"] {
            assert_eq!(Pattern::new(text).expect("a pattern").as_str(), text);
        }
        points(Pattern::new("a.>.b"), 3, "nothing after `>`, which stands for the rest");
        points(Pattern::new("a.*b"), 3, "a dot after `*`");
        points(Pattern::new("a.>b"), 3, "a dot after `>`");
        points(Pattern::new("a*"), 1, IN_NAME);
        points(Pattern::new(""), 0, IN_SEGMENT);
    }

    #[test]
    fn patterns_mean_the_names_that_the_table_says() {
        let names = ["a", "a.b", "a.b.c", "x.b"].map(name);
        let row = |pattern: &str| {
            let pattern = Pattern::new(pattern).expect("a pattern");
            names.iter().map(|name| if pattern.matches(name) { 'x' } else { '.' }).collect::<String>()
        };
        assert_eq!(row("a"), "x...");
        assert_eq!(row("a.b"), ".x..");
        assert_eq!(row("*"), "x...");
        assert_eq!(row("a.*"), ".x..");
        assert_eq!(row("*.b"), ".x.x");
        assert_eq!(row("a.>"), ".xx.");
        assert_eq!(row("*.*.>"), "..x.");
        assert_eq!(row(">"), "xxxx");
    }

    #[test]
    fn only_a_pattern_without_wildcards_is_one_name() {
        assert_eq!(Pattern::new("a.b").expect("a pattern").exact(), Some(name("a.b")));
        assert_eq!(Pattern::new("a.*").expect("a pattern").exact(), None);
        assert_eq!(Pattern::new(">").expect("a pattern").exact(), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_an_error_points_into_it(text in any::<String>()) {
            for outcome in [CapabilityName::new(&text).map(String::from), Pattern::new(&text).map(String::from)] {
                match outcome {
                    Ok(same) => assert_eq!(same, text),
                    Err(error) => {
                        assert!(error.text().is_char_boundary(error.byte()) && text.starts_with(error.text()));
                        assert_eq!(error.marked().lines().count(), 2, "{error:#}");
                    }
                }
            }
        }

        #[test]
        fn a_name_is_meant_by_itself_and_by_the_rest(text in "[a-z]{1,3}(\\.[a-z]{1,3}){0,4}") {
            let name = name(&text);
            assert!(Pattern::from(name.clone()).matches(&name));
            assert!(Pattern::new(">").expect("a pattern").matches(&name));
            let stars = vec!["*"; name.segments().count()].join(".");
            assert!(Pattern::new(&stars).expect("a pattern").matches(&name));
            assert!(!Pattern::new(&format!("{stars}.*")).expect("a pattern").matches(&name));
            assert!(!Pattern::new(&format!("{stars}.>")).expect("a pattern").matches(&name));
        }
    }
}
