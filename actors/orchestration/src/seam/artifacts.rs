//! Large results, kept by what they are: under the digest of their bytes.
//!
//! An artifact is put before the record that names it is written, so that whoever reads the record finds it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::BoxFuture;
use super::files::Hasher;

/// The name of an artifact: the SHA-256 of its bytes, in hexadecimal.
///
/// ```
/// use steadfast_orchestration::seam::artifacts::ArtifactId;
///
/// let id = ArtifactId::of(b"abc");
/// assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert!("ba78".parse::<ArtifactId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactId(String);

/// A text that names no artifact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no digest; expected the 64 hexadecimal digits of a SHA-256, in lower case")]
pub struct InvalidArtifactId {
    /// The refused text.
    pub text: String,
}

impl ArtifactId {
    /// The name of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.add(bytes);
        Self(hasher.hex())
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ArtifactId {
    type Err = InvalidArtifactId;

    fn from_str(text: &str) -> Result<Self, InvalidArtifactId> {
        let digits = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits { Ok(Self(text.to_owned())) } else { Err(InvalidArtifactId { text: text.to_owned() }) }
    }
}

impl TryFrom<String> for ArtifactId {
    type Error = InvalidArtifactId;

    fn try_from(text: String) -> Result<Self, InvalidArtifactId> {
        text.parse()
    }
}

impl From<ArtifactId> for String {
    fn from(id: ArtifactId) -> Self {
        id.0
    }
}

/// Keeps bytes under their digest.
///
/// | promise | |
/// |---|---|
/// | what was put | is there from then on, as durable as the journal beside it |
/// | the same bytes again | have the same name, and are kept once |
/// | what is given | has the digest that was asked for: what is damaged is an error |
///
/// # Cancel safety
///
/// A put whose future was dropped has kept the whole or nothing.
pub trait Artifacts: Send + Sync {
    /// Keeps bytes, and says under which name.
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<ArtifactId, ArtifactError>>;

    /// Gives the bytes of this name.
    fn get<'a>(&'a self, id: &'a ArtifactId) -> BoxFuture<'a, Result<Vec<u8>, ArtifactError>>;
}

/// Something about an artifact did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// There is none of this name.
    #[error("there is no artifact {id}")]
    Missing {
        /// Its name.
        id: ArtifactId,
    },
    /// What is kept under this name is something else.
    #[error("the artifact {id} is damaged: what is kept under this name has the digest {found}")]
    Damaged {
        /// Its name.
        id: ArtifactId,
        /// The digest of what is there.
        found: ArtifactId,
    },
    /// The system refused.
    #[error("the artifact {id} cannot be read or written")]
    Io {
        /// Its name.
        id: ArtifactId,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Artifacts in memory: for as long as the process lives.
#[derive(Clone, Debug, Default)]
pub struct MemoryArtifacts {
    kept: Arc<Mutex<BTreeMap<ArtifactId, Vec<u8>>>>,
}

impl MemoryArtifacts {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Artifacts for MemoryArtifacts {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<ArtifactId, ArtifactError>> {
        let id = ArtifactId::of(&bytes);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), bytes);
        Box::pin(async move { Ok(id) })
    }

    fn get<'a>(&'a self, id: &'a ArtifactId) -> BoxFuture<'a, Result<Vec<u8>, ArtifactError>> {
        let found = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        Box::pin(async move { found.ok_or_else(|| ArtifactError::Missing { id: id.clone() }) })
    }
}
