//! Any bytes are a value that can be written and read again, or an error.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use steadfast::message::codec::{Bincode, Codec, Json, Schema};

type Value = (String, Vec<u64>, BTreeMap<u32, Option<Vec<String>>>);

fuzz_target!(|bytes: &[u8]| {
    for frame in [bytes, &[&[Bincode::ID, 1], bytes].concat()] {
        if let Ok(value) = Bincode.decode::<Value>(Schema(1), frame) {
            let again = Bincode.encode(Schema(1), &value).expect("it was read");
            assert_eq!(Bincode.decode::<Value>(Schema(1), &again).expect("it was written"), value);
        }
    }
    let _ = Json.decode::<Value>(Schema(1), &[&[Json::ID, 1], bytes].concat());
});
