//! Results that are too large for the journal: where they are in a record, and where they are not.
//!
//! A result of more than [`LARGE`] bytes is kept as an artifact, whose name is the digest of the result, and the record
//! only names it. Whoever appends takes the value [out](take) and keeps it first; whoever reads finds what is
//! [missing](stored) and puts it [back](put_back). The fold and the decisions see records that are whole.

use crate::run::digest::sha256_hex;
use crate::run::id::TaskId;
use crate::run::record::{Outcome, Record};

/// From how many bytes of canonical JSON on a result is not in its record.
pub const LARGE: usize = 64 * 1024;

/// Whether a record holds a large value.
#[must_use]
pub fn holds(record: &Record) -> bool {
    matches!(record, Record::Recorded { outcome: Outcome::Succeeded { value, .. }, .. } if value.len() > LARGE)
}

/// Takes a large value out of a record. It is to be kept before the record is.
pub fn take(record: &mut Record) -> Option<Vec<u8>> {
    if !holds(record) {
        return None;
    }
    let Record::Recorded { outcome, .. } = record else { return None };
    let Outcome::Succeeded { value, digest } = outcome else { return None };
    let (value, digest) = (std::mem::take(value), std::mem::take(digest));
    *outcome = Outcome::Stored { digest, bytes: value.len() as u64 };
    Some(value.into_bytes())
}

/// The task whose value is not in this record, with the digest of the value.
#[must_use]
pub fn stored(record: &Record) -> Option<(&TaskId, &str)> {
    match record {
        Record::Recorded { task, outcome: Outcome::Stored { digest, .. }, .. } => Some((task, digest)),
        _ => None,
    }
}

/// Puts a value back into its record.
///
/// # Errors
///
/// Says what these bytes are instead, where they are not the value; the record stays as it is.
pub fn put_back(record: &mut Record, value: Vec<u8>) -> Result<(), String> {
    let Record::Recorded { outcome, .. } = record else { return Ok(()) };
    let Outcome::Stored { digest, bytes } = outcome else { return Ok(()) };
    if value.len() as u64 != *bytes {
        return Err(format!("it has {} bytes instead of {bytes}", value.len()));
    }
    let found = sha256_hex(&value);
    if found != *digest {
        return Err(format!("its digest is {found}"));
    }
    let value = String::from_utf8(value).map_err(|error| format!("it is no text: {error}"))?;
    let digest = std::mem::take(digest);
    *outcome = Outcome::Succeeded { value, digest };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Millis;

    fn recorded(length: usize) -> Record {
        let value = format!("\"{}\"", "x".repeat(length - 2));
        let digest = sha256_hex(value.as_bytes());
        let task = "a".parse().expect("a task");
        Record::Recorded { task, attempt: 1, outcome: Outcome::Succeeded { value, digest }, wall: Millis(7) }
    }

    #[test]
    fn a_large_value_is_taken_out_and_put_back_and_a_smaller_one_stays() {
        let whole = recorded(LARGE + 1);
        let mut record = whole.clone();
        let value = take(&mut record).expect("it is large");
        let digest = sha256_hex(&value);
        assert_eq!(stored(&record), Some((&"a".parse().expect("a task"), digest.as_str())));
        assert_eq!((take(&mut record), stored(&whole)), (None, None));
        assert_eq!(put_back(&mut record, value), Ok(()));
        assert_eq!(record, whole);
        let mut small = recorded(LARGE);
        assert_eq!((take(&mut small), small), (None, recorded(LARGE)));
    }

    #[test]
    fn what_is_not_the_value_is_not_put_back() {
        let mut record = recorded(LARGE + 1);
        let value = take(&mut record).expect("it is large");
        let before = record.clone();
        assert_eq!(put_back(&mut record, value[1..].to_vec()), Err("it has 65536 bytes instead of 65537".to_owned()));
        let mut other = value;
        other[9] = b'y';
        assert!(put_back(&mut record, other).is_err_and(|why| why.starts_with("its digest is ")));
        assert_eq!(record, before);
    }
}
