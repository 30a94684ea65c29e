//! Large results on their way to the artifact store and back.

use std::borrow::Cow;

use crate::run::{Record, TaskId, large};
use crate::seam::artifacts::{ArtifactError, Artifacts, InvalidDigest};

/// A result that a record names is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("the result of task `{task}`, artifact {digest}, is not to be had")]
pub struct NotWhole {
    /// The task.
    pub task: TaskId,
    /// The digest of its result.
    pub digest: String,
    /// What is wrong.
    pub source: Lacks,
}

/// What is wrong with an artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lacks {
    /// The store does not have it.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// The record does not name one.
    #[error(transparent)]
    Name(#[from] InvalidDigest),
    /// The store has something else.
    #[error("what is kept is not what was recorded: {0}")]
    Other(String),
}

/// Puts a large result that is kept beside the journal back into its record; any other record stays as it is.
///
/// # Errors
///
/// [`NotWhole`] where it is missing or damaged; the record stays as it is.
pub async fn make_whole(record: &mut Record, artifacts: &dyn Artifacts) -> Result<(), NotWhole> {
    let Some((task, digest)) = large::stored(record) else { return Ok(()) };
    let (task, digest) = (task.clone(), digest.to_owned());
    let done = match get(&digest, artifacts).await {
        Ok(value) => large::put_back(record, value).map_err(Lacks::Other),
        Err(lacks) => Err(lacks),
    };
    done.map_err(|source| NotWhole { task, digest, source })
}

async fn get(digest: &str, artifacts: &dyn Artifacts) -> Result<Vec<u8>, Lacks> {
    Ok(artifacts.get(&digest.parse()?).await?)
}

/// The record as it goes to the journal, once its result is kept where it is too large for that.
pub(super) async fn keep<'r>(record: &'r Record, artifacts: &dyn Artifacts) -> Result<Cow<'r, Record>, ArtifactError> {
    if !large::holds(record) {
        return Ok(Cow::Borrowed(record));
    }
    let mut named = record.clone();
    if let Some(value) = large::take(&mut named) {
        // Its name is the digest in the record: both are the SHA-256 of the same bytes.
        artifacts.put(value).await?;
    }
    Ok(Cow::Owned(named))
}
