//! To whom a key belongs: rendezvous hashing (Thaler and Ravishankar 1998).
//!
//! Each candidate has a score for the key, and the highest has the key. A score depends on the key and on that candidate
//! alone. So when a candidate leaves, only its keys get another owner, and when one comes, keys move to nobody but it.
//!
//! The hash is part of what is promised: the same key belongs to the same candidate in every process, on every platform
//! and in every later version. It is FNV-1a with 64 bits, followed by the finaliser of `SplitMix64`, because FNV alone
//! hardly mixes the last bytes of a short text into its high bits. It is not made against keys that are chosen to
//! collide.

/// The hash by which a candidate, by its path, or a key is known in a [`score`].
///
/// ```
/// use steadfast::registry::selection::identity;
///
/// assert_eq!(identity(b""), 0xf52a_15e9_a9b5_e89b);
/// assert_eq!(identity(b"root/a"), 0x6667_0deb_6577_0e7e);
/// ```
#[must_use]
pub fn identity(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The score of a candidate for a key, both given by their [`identity`]. Of several candidates the highest has the key.
///
/// ```
/// use steadfast::registry::selection::{identity, score};
///
/// assert_eq!(score(identity(b"customer-42"), identity(b"root/a")), 0x9c07_d4a1_c8d3_c310);
/// ```
#[must_use]
pub const fn score(key: u64, candidate: u64) -> u64 {
    mix(key ^ candidate)
}

/// Spreads every bit over all bits, and loses none: the finaliser of `SplitMix64` (Steele, Lea and Flood 2014).
const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
