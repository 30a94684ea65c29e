//! Any text is a trace that survives printing, or an error at a character of it; kinds and priorities do not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::message::{Kind, Priority, TraceContext};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<TraceContext>() {
        Ok(trace) => assert_eq!(trace.to_string().parse(), Ok(trace)),
        Err(error) => assert!(text.is_char_boundary(error.at)),
    }
    let _ = (text.parse::<Kind>(), text.parse::<Priority>());
});
