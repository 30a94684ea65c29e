//! How large a result may be, so that whatever is recorded can be written and read back.

use std::io;

use serde_json::Value;

use super::Failure;

/// How many bytes of JSON a result may have. A frame of a journal holds twice that.
const RESULT_LIMIT: u64 = 8 * 1024 * 1024;

/// How many lists and objects within each other a result may have. What is nested 128 times is not read back.
const DEPTH_LIMIT: usize = 100;

/// Fails for a result that could not be recorded, or not be read back.
pub(crate) fn bounded(value: &Value) -> Result<(), Failure> {
    if !fits(value, DEPTH_LIMIT) {
        return Err(Failure::output(format!(
            "the result is nested more than {DEPTH_LIMIT} levels deep; give a flatter one"
        )));
    }
    let size = size(value);
    if size > RESULT_LIMIT {
        return Err(Failure::output(format!(
            "the result is {size} bytes, at most {} MiB; declare `files`, or a smaller output",
            RESULT_LIMIT / 1024 / 1024
        )));
    }
    Ok(())
}

/// Whether a value has at most so many levels.
fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
        Value::Object(entries) => levels > 0 && entries.values().all(|item| fits(item, levels - 1)),
        _ => true,
    }
}

/// The bytes of its JSON, which are the same in every order of its keys.
fn size(value: &Value) -> u64 {
    let mut count = Count(0);
    // Counting does not fail, and the keys of a value are text.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(u64);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::canonical;

    #[test]
    fn a_result_as_deep_as_is_allowed_is_read_back_and_a_deeper_one_fails() {
        let mut value = (0..DEPTH_LIMIT).fold(json!(1), |value, _| json!([value]));
        assert_eq!(bounded(&value), Ok(()));
        assert_eq!(serde_json::from_str::<Value>(&canonical(&value)).ok().as_ref(), Some(&value));
        value = json!({ "deeper": value });
        assert!(bounded(&value).is_err_and(|failure| failure.message.contains("100 levels")));
    }

    #[test]
    fn the_size_of_a_result_is_that_of_its_canonical_form() {
        let value = json!({ "b": [1, 2.5, null, "ä\n"], "a": { "d": true } });
        assert_eq!(size(&value), canonical(&value).len() as u64);
    }
}
