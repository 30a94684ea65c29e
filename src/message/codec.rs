//! Bytes of messages, where they leave the process.
//!
//! A frame is `[codec id, schema version, payload]`. Wire types are plain structs and enums: tags, `flatten` and
//! defaults of serde need a format that describes itself, and bincode's does not.
//!
//! # Invariants
//!
//! * A length that a frame merely claims is not believed: it counts against a limit before anything is allocated.
//! * Whatever was encoded can be decoded.
//! * A frame is read whole or not at all: bytes after the value are refused.

use std::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::BoxError;

/// The most bytes of a payload, in both directions: 16 MiB.
pub const LIMIT: usize = 16 * 1024 * 1024;

/// The version of a message type's layout. Goes up whenever the layout changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Schema(pub u8);

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Turns values into bytes and back.
pub trait Codec {
    /// The first byte of each frame, different for each codec and never given to another.
    const ID: u8;

    /// Appends the bytes of a value to a frame.
    fn write<T: Serialize>(&self, value: &T, frame: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads a value from all of these bytes.
    fn read<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, DecodeError>;

    /// Makes a frame of a value.
    fn encode<T: Serialize>(&self, schema: Schema, value: &T) -> Result<Vec<u8>, EncodeError> {
        let mut frame = vec![Self::ID, schema.0];
        self.write(value, &mut frame)?;
        Ok(frame)
    }

    /// Reads the value of a frame with this schema.
    fn decode<T: DeserializeOwned>(&self, schema: Schema, frame: &[u8]) -> Result<T, DecodeError> {
        let [codec, version, payload @ ..] = frame else {
            return Err(DecodeError::NoHeader { len: frame.len() });
        };
        if *codec != Self::ID {
            return Err(DecodeError::UnknownCodec { id: *codec, expected: Self::ID });
        }
        if *version != schema.0 {
            return Err(DecodeError::UnknownSchema { found: Schema(*version), expected: schema });
        }
        self.read(payload)
    }
}

/// A value that has no bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The payload would be longer than the limit.
    #[error("the message is longer than {LIMIT} bytes; send a reference to it instead")]
    TooLong,
    /// The value's type cannot be written in this format.
    #[error("the message cannot be written; wire types are plain structs and enums")]
    Unsupported(#[source] BoxError),
}

/// Bytes that are not a frame of the expected kind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Too short to be a frame at all.
    #[error("{len} bytes are no frame; expected a codec id, a schema version and a payload")]
    NoHeader {
        /// How many bytes there were.
        len: usize,
    },
    /// Written by another codec.
    #[error("the frame was written by codec {id}, expected {expected}")]
    UnknownCodec {
        /// The codec that the frame names.
        id: u8,
        /// The codec that read it.
        expected: u8,
    },
    /// Written with another layout.
    #[error("the frame has schema version {found}, expected {expected}; update the older side")]
    UnknownSchema {
        /// The version that the frame names.
        found: Schema,
        /// The version that was expected.
        expected: Schema,
    },
    /// Longer than the limit, or it claims to be.
    #[error("the frame is, or claims to be, longer than {LIMIT} bytes")]
    TooLong,
    /// Something follows the value.
    #[error("{count} bytes follow the message")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The bytes are not a value of the expected type.
    #[error("the bytes are not a message of the expected type")]
    Malformed(#[source] BoxError),
}

/// The codec of the framework: bincode 2, standard configuration, with a [`LIMIT`].
///
/// ```
/// use steadfast::message::codec::{Bincode, Codec, Schema};
///
/// let frame = Bincode.encode(Schema(1), &("sum", [1_u32, 2, 3]))?;
/// assert_eq!(frame, [1, 1, 3, b's', b'u', b'm', 1, 2, 3]);
/// let value: (String, [u32; 3]) = Bincode.decode(Schema(1), &frame)?;
/// assert_eq!(value, ("sum".to_owned(), [1, 2, 3]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Bincode;

/// The codec's configuration, with the limit that reading is held to.
const fn within<const N: usize>() -> Configuration<LittleEndian, Varint, Limit<N>> {
    bincode::config::standard().with_limit::<N>()
}

/// bincode charges an integer by its width in memory, up to 16 bytes for one that takes a single byte in a frame.
const MOST_CHARGED_PER_BYTE: usize = 16;

impl Codec for Bincode {
    const ID: u8 = 1;

    fn write<T: Serialize>(&self, value: &T, frame: &mut Vec<u8>) -> Result<(), EncodeError> {
        let bounded = Bounded { frame, room: LIMIT };
        bincode::serde::encode_into_writer(value, bounded, within::<LIMIT>()).map_err(|error| match error {
            bincode::error::EncodeError::UnexpectedEnd => EncodeError::TooLong,
            other => EncodeError::Unsupported(other.into()),
        })
    }

    fn read<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, DecodeError> {
        if payload.len() > LIMIT {
            return Err(DecodeError::TooLong);
        }
        // What was encoded must be readable, also many small numbers. Only a frame that is long itself gets more room,
        // so that a short one cannot claim it.
        let decoded = if payload.len() * MOST_CHARGED_PER_BYTE <= LIMIT {
            bincode::serde::decode_from_slice(payload, within::<LIMIT>())
        } else {
            bincode::serde::decode_from_slice(payload, within::<{ LIMIT * MOST_CHARGED_PER_BYTE }>())
        };
        let (value, read) = decoded.map_err(|error| match error {
            bincode::error::DecodeError::LimitExceeded => DecodeError::TooLong,
            other => DecodeError::Malformed(other.into()),
        })?;
        match payload.len() - read {
            0 => Ok(value),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }
}

/// JSON, for peers that have no bincode. Longer and slower; its frames can be read by people.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl Codec for Json {
    const ID: u8 = 2;

    fn write<T: Serialize>(&self, value: &T, frame: &mut Vec<u8>) -> Result<(), EncodeError> {
        let text = serde_json::to_vec(value).map_err(|error| EncodeError::Unsupported(error.into()))?;
        if text.len() > LIMIT {
            return Err(EncodeError::TooLong);
        }
        frame.extend_from_slice(&text);
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, payload: &[u8]) -> Result<T, DecodeError> {
        if payload.len() > LIMIT {
            return Err(DecodeError::TooLong);
        }
        let mut values = serde_json::Deserializer::from_slice(payload).into_iter();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(DecodeError::Malformed(error.into())),
            None => return Err(DecodeError::Malformed("the payload is empty".into())),
        };
        match payload.len() - values.byte_offset() {
            0 => Ok(value),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }
}

/// Appends to a frame until the limit. bincode looks at its limit when it reads, not when it writes.
struct Bounded<'a> {
    frame: &'a mut Vec<u8>,
    room: usize,
}

impl Writer for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        self.room = self.room.checked_sub(bytes.len()).ok_or(bincode::error::EncodeError::UnexpectedEnd)?;
        self.frame.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, proptest};
    use serde::Deserialize;

    use super::*;

    const V1: Schema = Schema(1);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Order {
        Cancel,
        Place { id: u64, items: Vec<(String, i32)>, note: Option<String> },
        Tagged(BTreeMap<String, bool>),
    }

    fn refused<T: DeserializeOwned + fmt::Debug>(frame: &[u8]) -> DecodeError {
        Bincode.decode::<T>(V1, frame).expect_err("the frame is refused")
    }

    #[test]
    fn the_bytes_of_messages_are_these_for_ever() {
        let place = Order::Place { id: 300, items: vec![("nut".to_owned(), -2)], note: None };
        let tagged = Order::Tagged(BTreeMap::from([("a".to_owned(), true)]));
        let golden: [(Order, &[u8]); 3] = [
            (Order::Cancel, &[1, 1, 0]),
            (place, &[1, 1, 1, 251, 44, 1, 1, 3, b'n', b'u', b't', 3, 0]),
            (tagged, &[1, 1, 2, 1, 1, b'a', 1]),
        ];
        for (value, bytes) in golden {
            assert_eq!(Bincode.encode(V1, &value).expect("it has bytes"), bytes);
            assert_eq!(Bincode.decode::<Order>(V1, bytes).expect("it is a frame"), value);
        }
    }

    #[test]
    fn bytes_after_the_message_are_refused() {
        assert!(matches!(refused::<Order>(&[1, 1, 0, 0, 0]), DecodeError::TrailingBytes { count: 2 }));
    }

    #[test]
    fn another_codec_another_schema_and_no_header_are_told_apart() {
        assert!(matches!(refused::<Order>(&[9, 1, 0]), DecodeError::UnknownCodec { id: 9, expected: 1 }));
        let newer = refused::<Order>(&[1, 2, 0]);
        assert_eq!(newer.to_string(), "the frame has schema version 2, expected 1; update the older side");
        assert!(matches!(refused::<Order>(&[1]), DecodeError::NoHeader { len: 1 }));
    }

    #[test]
    fn a_frame_that_ends_early_or_names_no_variant_is_malformed() {
        assert!(matches!(refused::<Order>(&[1, 1]), DecodeError::Malformed(_)));
        assert!(matches!(refused::<Order>(&[1, 1, 7]), DecodeError::Malformed(_)));
    }

    #[test]
    fn a_frame_that_claims_a_monstrous_length_is_refused_without_allocating_it() {
        let mut frame = vec![1, 1, 253];
        frame.extend_from_slice(&(u64::MAX / 2).to_le_bytes());
        frame.push(0);
        assert!(matches!(refused::<String>(&frame), DecodeError::TooLong));
        assert!(matches!(refused::<Vec<u64>>(&frame), DecodeError::Malformed(_) | DecodeError::TooLong));
        assert!(matches!(refused::<BTreeMap<u64, String>>(&frame), DecodeError::Malformed(_) | DecodeError::TooLong));
    }

    #[test]
    fn what_was_encoded_can_be_read_and_what_is_longer_than_the_limit_is_not_encoded() {
        let fits = "x".repeat(LIMIT - 5);
        let frame = Bincode.encode(V1, &fits).expect("it fits, with its length");
        assert_eq!(Bincode.decode::<String>(V1, &frame).expect("it fits"), fits);
        let numbers = vec![u128::from(7_u8); LIMIT / 8];
        let frame = Bincode.encode(V1, &numbers).expect("it fits: one byte each");
        assert_eq!(Bincode.decode::<Vec<u128>>(V1, &frame).expect("it fits"), numbers);
        let error = Bincode.encode(V1, &"x".repeat(LIMIT)).expect_err("it does not fit");
        assert!(matches!(error, EncodeError::TooLong));
    }

    #[test]
    fn a_type_that_needs_a_format_that_describes_itself_is_an_error_and_not_a_panic() {
        let frame = Bincode.encode(V1, &serde_json::json!({ "a": 1 })).expect("writing works");
        assert!(matches!(refused::<serde_json::Value>(&frame), DecodeError::Malformed(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(payload in any::<Vec<u8>>()) {
            let mut frame = vec![Bincode::ID, 1];
            frame.extend(payload);
            if let Ok(order) = Bincode.decode::<Order>(V1, &frame) {
                let again = Bincode.encode(V1, &order).expect("it was a message");
                assert_eq!(Bincode.decode::<Order>(V1, &again).expect("it was a message"), order);
            }
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn json_frames_are_read_back_and_refuse_what_follows_the_message() {
        let frame = Json.encode(V1, &Order::Cancel).expect("it has bytes");
        assert_eq!(frame, b"\x02\x01\"Cancel\"");
        assert_eq!(Json.decode::<Order>(V1, &frame).expect("it is a frame"), Order::Cancel);
        let longer = [&frame[..], b"1"].concat();
        assert!(matches!(Json.decode::<Order>(V1, &longer), Err(DecodeError::TrailingBytes { count: 1 })));
        assert!(matches!(Json.decode::<Order>(V1, &[2, 1]), Err(DecodeError::Malformed(_))));
        assert!(matches!(Bincode.decode::<Order>(V1, &frame), Err(DecodeError::UnknownCodec { id: 2, expected: 1 })));
    }
}
