//! Any text is a subject or a pattern, or an error at a character of it; a subject is a pattern that matches it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::message::{Pattern, Subject};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (subject, pattern) = (text.parse::<Subject>(), text.parse::<Pattern>());
    if let Ok(subject) = &subject {
        assert!(pattern.as_ref().expect("every subject is a pattern").matches(subject));
    }
    for error in [subject.err(), pattern.err()].into_iter().flatten() {
        assert!(text.is_char_boundary(error.at));
    }
});
