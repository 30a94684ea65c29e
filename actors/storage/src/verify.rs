//! Looks at everything that is kept, and says what is wrong and where.

use sqlx::Executor;
use sqlx::Row;
use steadfast::id::StreamId;
use steadfast::seam::Seq;
use steadfast_orchestration::seam::artifacts::{ArtifactError, Artifacts, Digest};

use crate::artifacts::DiskArtifacts;
use crate::error::StoreError;
use crate::journal::{Found, Look, streams};
use crate::readers::Readers;

/// What a look at everything found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// How many streams there are, those included that hold nothing any more.
    pub streams: usize,
    /// How many records.
    pub records: usize,
    /// How many artifacts.
    pub artifacts: usize,
    /// What is wrong; empty where nothing is.
    pub findings: Vec<Finding>,
}

/// Something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// With a record.
    Record {
        /// Its stream.
        stream: StreamId,
        /// Its number.
        seq: Seq,
        /// What is wrong with it.
        what: String,
    },
    /// With an artifact.
    Artifact {
        /// Its name, and what is wrong with it.
        what: String,
    },
    /// With the database file.
    File {
        /// What SQLite says.
        what: String,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record { stream, seq, what } => write!(f, "record {seq} of the stream `{stream}`: {what}"),
            Self::Artifact { what } => f.write_str(what),
            Self::File { what } => write!(f, "the database file: {what}"),
        }
    }
}

/// Says what is wrong with a record's bytes; nothing, where they are as they were written.
pub type CheckRecord<'a> = dyn Fn(&StreamId, &[u8]) -> Result<(), String> + Send + Sync + 'a;

/// Looks at everything.
pub(crate) async fn verify(
    readers: &Readers,
    artifacts: &DiskArtifacts,
    check: &CheckRecord<'_>,
) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    file(readers, &mut verified).await?;
    let known = readers.read(async |conn| streams(conn, "").await).await;
    for (stream, _) in known.map_err(StoreError::database(readers.path()))? {
        verified.streams += 1;
        let mut look = Look::new();
        loop {
            match readers.read(async |conn| look.next(conn, &stream).await).await {
                Ok(found) => {
                    let ended = found.block.is_none();
                    look_at(&stream, found, check, &mut verified);
                    if ended {
                        break;
                    }
                }
                Err(error) => {
                    let (stream, what) = (stream.clone(), error.to_string());
                    verified.findings.push(Finding::Record { stream, seq: look.expected, what });
                    break;
                }
            }
        }
    }
    look_at_artifacts(artifacts, &artifacts.list()?, &mut verified).await;
    Ok(verified)
}

fn look_at(stream: &StreamId, found: Found, check: &CheckRecord<'_>, verified: &mut Verified) {
    let mut wrong = found.wrong;
    for (seq, record) in &found.records {
        verified.records += 1;
        if let Err(what) = check(stream, record) {
            wrong.push((*seq, what));
        }
    }
    wrong.sort();
    let finding = |(seq, what)| Finding::Record { stream: stream.clone(), seq, what };
    verified.findings.extend(wrong.into_iter().map(finding));
}

/// What SQLite finds when it looks through its file.
async fn file(readers: &Readers, verified: &mut Verified) -> Result<(), StoreError> {
    let rows = readers.read(async |conn| conn.fetch_all(sqlx::query("PRAGMA integrity_check")).await).await;
    for row in rows.map_err(StoreError::database(readers.path()))? {
        let what: String = row.try_get(0).map_err(StoreError::database(readers.path()))?;
        if what != "ok" {
            verified.findings.push(Finding::File { what });
        }
    }
    Ok(())
}

async fn look_at_artifacts(artifacts: &DiskArtifacts, listed: &[Digest], verified: &mut Verified) {
    for digest in listed {
        let found = artifacts.get(digest).await;
        // The owner may have removed it since it was listed, and then no record names it.
        if matches!(found, Err(ArtifactError::Missing { .. })) {
            continue;
        }
        verified.artifacts += 1;
        if let Err(error) = found {
            verified.findings.push(Finding::Artifact { what: error.to_string() });
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast::seam::Level;

    use super::*;

    #[tokio::test]
    async fn an_artifact_that_was_removed_since_it_was_listed_is_not_damaged() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let artifacts = DiskArtifacts::open(folder.path(), Level::ProcessCrashSafe).expect("it opens");
        for bytes in [b"stays", b"swept"] {
            artifacts.put(bytes.to_vec()).await.expect("it is kept");
        }
        let listed = artifacts.list().expect("they are listed");
        let stays = [Digest::of(b"stays")].into();
        assert_eq!(artifacts.sweep(&stays, std::time::Duration::ZERO).await.expect("it is swept").artifacts, 1);
        let mut verified = Verified::default();
        look_at_artifacts(&artifacts, &listed, &mut verified).await;
        assert_eq!((verified.artifacts, verified.findings), (1, Vec::new()));
    }
}
