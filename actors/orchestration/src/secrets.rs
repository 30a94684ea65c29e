//! Looks for secrets in raw bytes, and tells only where and of what kind.
//!
//! The table of what a secret looks like is the [`Redactor`](crate::redact::Redactor)'s. What only may be a secret by
//! its surroundings is redacted where it is written, but not named here.

use serde::{Deserialize, Serialize};

use crate::redact::Kind;
use crate::redact::patterns::{self, Certainty};

/// A place that looks like a secret. It never holds the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// The file, relative to the input folder.
    pub path: String,
    /// The line, counted from 1.
    pub line: u64,
    /// What it looks like.
    pub kind: Kind,
}

/// Looks through the bytes of one file.
///
/// The findings are sorted by line; several of one kind in one line are one finding.
#[must_use]
pub fn scan(path: &str, bytes: &[u8]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for hit in patterns::hits(bytes).into_iter().filter(|hit| hit.certainty == Certainty::Likely) {
        line += newlines(&bytes[counted..hit.range.start]);
        counted = hit.range.start;
        findings.push(Finding { path: path.to_owned(), line, kind: hit.kind });
    }
    findings.sort();
    findings.dedup();
    findings
}

/// How many lines end in these bytes.
#[must_use]
pub(crate) fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |lines, byte| lines + u64::from(*byte == b'\n'))
}
