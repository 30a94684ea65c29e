//! Values and texts in messages: redacted first, then cut to what a line can bear.

use serde_json::Value;

use crate::redact::Redactor;

/// How many characters of a value a message shows.
const SHOWN: usize = 120;

/// The value as JSON, redacted and short.
pub(super) fn value(redactor: &Redactor, value: &Value) -> String {
    // Cut after redacting: half of a secret is not recognised any more.
    short(&redactor.value(value).to_string())
}

/// The text, cut to one short line.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The end of a text: at most `lines` lines and `bytes` bytes, beginning at a line where it can.
pub(super) fn tail(text: &str, lines: usize, bytes: usize) -> &str {
    let text = text.trim_end();
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    if start > 0
        && let Some(newline) = text[start..].find('\n')
    {
        start += newline + 1;
    }
    let cut = text[start..].rmatch_indices('\n').nth(lines.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
    &text[start + cut..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_within_the_bytes() {
        assert_eq!(tail("one\ntwo\nthree\n", 2, 100), "two\nthree");
        assert_eq!(tail("one\ntwo\nthree\n", 9, 8), "three");
        assert_eq!(tail("äöü", 1, 3), "ü");
        assert_eq!(tail("", 3, 10), "");
    }

    #[test]
    fn a_long_value_is_cut_after_it_was_redacted() {
        let long = format!("{} password=hunter2", "x ".repeat(56));
        let shown = value(&Redactor::new(), &Value::from(long));
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.chars().count() <= SHOWN + 1);
    }
}
