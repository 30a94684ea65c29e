//! Large values beside the journal, by their digest.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::BoxFuture;
use crate::run::sha256_hex;

/// The SHA-256 of an artifact, in hexadecimal: its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// A text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no digest, expected 64 digits of 0 to 9 and a to f")]
pub struct InvalidDigest {
    /// The text.
    pub text: String,
}

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256_hex(bytes).into())
    }

    /// Its 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 64 && digits { Ok(Self(text.into())) } else { Err(InvalidDigest { text: text.to_owned() }) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An artifact was not kept, or is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Nothing with this digest is kept.
    #[error("the artifact {digest} is missing")]
    Missing {
        /// What was asked for.
        digest: Digest,
    },
    /// What is kept under this digest has another one.
    #[error("the artifact {digest} is damaged: what is kept has the digest {found}")]
    Damaged {
        /// What was asked for.
        digest: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// The store does not work.
    #[error("the store of artifacts is not available: {0}")]
    Unavailable(String),
}

/// Keeps large values by their digest.
///
/// | promise | |
/// |---|---|
/// | `Ok` of a put | what was put is kept as long as what the journal beside it keeps, and was so before that `Ok` |
/// | the same bytes again | are `Ok`, and kept once |
/// | a get | gives what was put, or says that it is missing or damaged; never something else |
///
/// `seam::testing::conformance::artifacts` holds an implementation to it.
///
/// # Cancel safety
///
/// What a put was dropped with is kept as a whole or not at all.
pub trait Artifacts: Send + Sync {
    /// Keeps these bytes, and gives their digest.
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Digest, ArtifactError>>;

    /// Gives the bytes of this digest.
    fn get(&self, digest: &Digest) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>>;
}

/// Artifacts that are kept as long as this value and its clones.
#[derive(Clone, Default)]
pub struct MemoryArtifacts(Arc<Mutex<BTreeMap<Digest, Vec<u8>>>>);

impl MemoryArtifacts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has something else under this digest from now on, or nothing: what happens to a disk, for tests.
    pub fn damage(&self, digest: &Digest, becomes: Option<Vec<u8>>) {
        match becomes {
            Some(bytes) => self.table().insert(digest.clone(), bytes),
            None => self.table().remove(digest),
        };
    }

    /// What is kept.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.table().keys().cloned().collect()
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Digest, Vec<u8>>> {
        // Every change of the table is one call, so a panic elsewhere cannot have left half of one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Artifacts for MemoryArtifacts {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Digest, ArtifactError>> {
        let digest = Digest::of(&bytes);
        self.table().insert(digest.clone(), bytes);
        Box::pin(async { Ok(digest) })
    }

    fn get(&self, digest: &Digest) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        let found = match self.table().get(digest) {
            None => Err(ArtifactError::Missing { digest: digest.clone() }),
            Some(bytes) => match Digest::of(bytes) {
                found if found == *digest => Ok(bytes.clone()),
                found => Err(ArtifactError::Damaged { digest: digest.clone(), found }),
            },
        };
        Box::pin(async { found })
    }
}

impl fmt::Debug for MemoryArtifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.digests()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_its_text_and_nothing_else_is_one() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
        for wrong in ["", "ba78", &digest.as_str().to_uppercase(), &format!("{digest}0"), &"../".repeat(22)[..64]] {
            assert_eq!(wrong.parse::<Digest>(), Err(InvalidDigest { text: wrong.to_owned() }));
        }
    }
}
