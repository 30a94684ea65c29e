//! Many records in one row: the form in which all but the youngest records are kept.
//!
//! A block is for each of its records the epoch that wrote it, its length, and its bytes, the two numbers in groups of
//! seven bits with the lowest first. A row for each record would take 30 bytes more, and several times the time.

/// A record, and the epoch that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) epoch: u64,
    pub(crate) body: Vec<u8>,
}

/// Writes records in a row.
pub(crate) fn encode(records: &[Kept]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.iter().map(|kept| kept.body.len() + 4).sum());
    for Kept { epoch, body } in records {
        put(&mut bytes, *epoch);
        put(&mut bytes, body.len() as u64);
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Reads what [`encode`] wrote. Where the bytes are something else, gives the records before that place, and what is
/// wrong there.
pub(crate) fn decode(mut bytes: &[u8]) -> (Vec<Kept>, Option<String>) {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let Some(kept) = take(&mut bytes) else {
            return (records, Some("its block is cut off or overwritten here".to_owned()));
        };
        records.push(kept);
    }
    (records, None)
}

fn take(bytes: &mut &[u8]) -> Option<Kept> {
    let epoch = number(bytes)?;
    let length = usize::try_from(number(bytes)?).ok()?;
    let (body, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Kept { epoch, body: body.to_vec() })
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        number |= bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn kept(epoch: u64, body: &[u8]) -> Kept {
        Kept { epoch, body: body.to_vec() }
    }

    #[test]
    fn a_block_is_these_bytes() {
        let bytes = encode(&[kept(1, b"ab"), kept(300, b""), kept(u64::MAX, &[7])]);
        let mut expected = vec![1, 2, b'a', b'b', 0xac, 0x02, 0];
        expected.extend([0xff; 9]);
        expected.extend([0x01, 1, 7]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_block_that_was_cut_off_gives_what_is_whole_and_says_so() {
        let bytes = encode(&[kept(1, b"abc"), kept(1, b"def")]);
        for length in 6..bytes.len() {
            let (records, wrong) = decode(&bytes[..length]);
            assert_eq!((records, wrong.is_some()), (vec![kept(1, b"abc")], true), "{length} bytes");
        }
        assert!(decode(&[0xff; 20]).1.is_some(), "a number of more than 64 bits");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(records in vec((any::<u64>(), vec(any::<u8>(), 0..300)), 0..20)) {
            let records: Vec<_> = records.iter().map(|(epoch, body)| kept(*epoch, body)).collect();
            prop_assert_eq!(decode(&encode(&records)), (records, None));
        }

        #[test]
        fn whatever_is_read_never_panics(bytes in vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes);
        }
    }
}
