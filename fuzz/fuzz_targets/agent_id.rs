//! Any text is the id of an agent that survives printing, or an error at a character of it; likewise any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfast::AgentId;
use steadfast::message::codec::{Bincode, Codec};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(id) = Bincode.read::<AgentId>(bytes) {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<AgentId>() {
        Ok(id) => assert_eq!(id.to_string().parse(), Ok(id)),
        Err(error) => assert!(text.is_char_boundary(error.at)),
    }
});
