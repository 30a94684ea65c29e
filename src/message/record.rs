//! Bytes of records that outlive their writer: checked, and readable by every later version.
//!
//! A frame is `[codec id, schema version, payload, checksum]`: a frame of the [codec](crate::message::codec), and the
//! CRC-32 of all of it, little-endian. What an earlier version wrote is read through an *upcaster*, which turns the layout
//! of that version into the present one.
//!
//! # Invariants
//!
//! * A frame with a changed byte is refused; every change of up to 32 bits in a row is noticed (CRC-32, IEEE 802.3).
//! * A frame of a later version is refused, and its error says so.

use crate::message::codec::{Bincode, Codec, DecodeError, EncodeError, Schema};

/// Four bytes of checksum.
const CHECKSUM: usize = 4;

/// A type that is written to journals.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use steadfast::message::codec::{Bincode, Codec, DecodeError, Schema};
/// use steadfast::message::record::{self, Record};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct Moved {
///     to: String,
///     /// New in layout 2.
///     by: String,
/// }
///
/// /// Layout 1, as journals have it.
/// #[derive(Serialize, Deserialize)]
/// struct MovedV1 {
///     to: String,
/// }
///
/// impl Record for Moved {
///     const LAYOUT: Schema = Schema(2);
///
///     fn upcast(layout: Schema, frame: &[u8]) -> Option<Result<Self, DecodeError>> {
///         let of_v1 = |old: MovedV1| Self { to: old.to, by: "nobody".to_owned() };
///         (layout == Schema(1)).then(|| Bincode.decode(layout, frame).map(of_v1))
///     }
/// }
///
/// let frame = record::encode(&Moved { to: "a".to_owned(), by: "me".to_owned() })?;
/// assert_eq!(record::decode::<Moved>(&frame)?.by, "me");
///
/// let old = record::seal(Bincode.encode(Schema(1), &MovedV1 { to: "b".to_owned() })?);
/// assert_eq!(record::decode::<Moved>(&old)?, Moved { to: "b".to_owned(), by: "nobody".to_owned() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Record: serde::Serialize + serde::de::DeserializeOwned {
    /// The layout in which records are written now. Goes up whenever the layout changes.
    const LAYOUT: Schema;

    /// Reads a frame of the codec that was written in an earlier layout; `None` where there was no such layout.
    #[must_use]
    fn upcast(layout: Schema, frame: &[u8]) -> Option<Result<Self, DecodeError>> {
        let _ = (layout, frame);
        None
    }
}

/// Bytes are no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Some of the bytes are not those that were written.
    #[error("the record is damaged: its checksum is {found:08x}, expected {expected:08x}")]
    Damaged {
        /// The checksum of the bytes that are there.
        found: u32,
        /// The checksum that was written.
        expected: u32,
    },
    /// Too short to hold a checksum.
    #[error("{len} bytes are no record; expected a frame and its checksum")]
    TooShort {
        /// How many bytes there are.
        len: usize,
    },
    /// It was written in a layout that is not known here.
    #[error(
        "the record has layout {found}, and this version reads layouts up to {latest}; use the version that wrote it, or a later one"
    )]
    UnknownLayout {
        /// The layout in which it was written.
        found: Schema,
        /// The latest layout that is known.
        latest: Schema,
    },
    /// It has its checksum, and is no record of this type.
    #[error("the record cannot be read")]
    Unreadable(#[from] DecodeError),
}

/// Makes the frame of a record.
///
/// # Errors
///
/// [`EncodeError`] where it is longer than [`LIMIT`](crate::message::codec::LIMIT), or its type has no bytes.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, EncodeError> {
    Ok(seal(Bincode.encode(R::LAYOUT, record)?))
}

/// Adds the checksum to a frame of the codec.
#[must_use]
pub fn seal(mut frame: Vec<u8>) -> Vec<u8> {
    let sum = crc32(&frame);
    frame.extend(sum.to_le_bytes());
    frame
}

/// Checks the checksum of a frame, and returns the frame of the codec.
///
/// # Errors
///
/// [`RecordError::Damaged`], or [`RecordError::TooShort`].
pub fn open(frame: &[u8]) -> Result<&[u8], RecordError> {
    let Some((frame, sum)) = frame.split_last_chunk::<CHECKSUM>() else {
        return Err(RecordError::TooShort { len: frame.len() });
    };
    let (found, expected) = (crc32(frame), u32::from_le_bytes(*sum));
    if found == expected { Ok(frame) } else { Err(RecordError::Damaged { found, expected }) }
}

/// Reads the record of a frame, in whichever layout it was written.
///
/// # Errors
///
/// [`RecordError`] says what is wrong with it.
pub fn decode<R: Record>(frame: &[u8]) -> Result<R, RecordError> {
    let frame = open(frame)?;
    let layout = frame.get(1).copied().map(Schema);
    match layout {
        Some(layout) if layout > R::LAYOUT => Err(RecordError::UnknownLayout { found: layout, latest: R::LAYOUT }),
        Some(layout) if layout < R::LAYOUT => match R::upcast(layout, frame) {
            Some(record) => Ok(record?),
            None => Err(RecordError::UnknownLayout { found: layout, latest: R::LAYOUT }),
        },
        _ => Ok(Bincode.decode(R::LAYOUT, frame)?),
    }
}

/// CRC-32 as in IEEE 802.3, one byte at a time: records are short.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let fold = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)];
    !bytes.iter().fold(!0, fold)
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u32;
    while byte < 256 {
        let (mut sum, mut bit) = (byte, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[byte as usize] = sum;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Note(String);

    impl Record for Note {
        const LAYOUT: Schema = Schema(3);

        fn upcast(layout: Schema, frame: &[u8]) -> Option<Result<Self, DecodeError>> {
            let of_number = |number: u32| Self(number.to_string());
            (layout == Schema(2)).then(|| Bincode.decode(layout, frame).map(of_number))
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn the_bytes_of_a_record_stay_what_they_are() {
        let frame = encode(&Note("ab".to_owned())).expect("it has bytes");
        assert_eq!(frame, [1, 3, 2, b'a', b'b', 0xbf, 0xff, 0x29, 0x35]);
    }

    #[test]
    fn an_earlier_layout_is_read_and_one_that_is_not_known_is_named() {
        let of = |layout: u8| seal(Bincode.encode(Schema(layout), &7_u32).expect("it has bytes"));
        assert_eq!(decode::<Note>(&of(2)).expect("it is known"), Note("7".to_owned()));
        for layout in [1, 4, 255] {
            let error = decode::<Note>(&of(layout)).expect_err("it is not known");
            assert!(matches!(error, RecordError::UnknownLayout { found, .. } if found == Schema(layout)), "{error}");
        }
        assert!(matches!(decode::<Note>(&[1, 2, 3]), Err(RecordError::TooShort { len: 3 })));
        assert!(matches!(decode::<Note>(&seal(vec![1])), Err(RecordError::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed_wherever_it_is(text in ".{0,50}", at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut frame = encode(&Note(text)).expect("it has bytes");
            let at = at.index(frame.len());
            frame[at] ^= flip;
            let is_damaged = matches!(decode::<Note>(&frame), Err(RecordError::Damaged { .. }));
            prop_assert!(is_damaged);
        }

        #[test]
        fn bytes_from_elsewhere_never_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let read = decode::<Note>(&seal(bytes.clone()));
            prop_assert!(decode::<Note>(&bytes).is_err() || bytes.len() > CHECKSUM);
            drop(read);
        }
    }
}
