//! The files of the input folder, and the files a run writes.
//!
//! Every path is relative to one root and uses `/`. What would leave the root (an absolute path, `..`, a symbolic link
//! that leads out) is refused with [`FilesError::Escapes`]. Somebody who exchanges folders for links while a run reads
//! them is not guarded against.

mod disk;

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

pub use disk::DiskFiles;

use super::BoxFuture;

/// What a file or a folder holds, as a digest. Times and permissions are no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The path that was asked for.
    pub path: String,
    /// SHA-256 in hexadecimal: of the content of a file; of the sorted relative paths and digests of a folder.
    pub sha256: String,
    /// The number of bytes, over all files.
    pub bytes: u64,
    /// The number of files; 1 for a file.
    pub files: u64,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u64,
    /// How long it is at most; less is given at the end of the file.
    pub length: usize,
}

/// The files below one folder.
///
/// # Cancel safety
///
/// Every future may be dropped at any time. A write that was dropped has either happened as a whole or not at all.
pub trait Files: Send + Sync {
    /// The folder that all paths are relative to.
    fn root(&self) -> &Path;

    /// The sorted paths of the regular files that match; see [`Globs`]. Ignored and excluded files are left out, and so
    /// are symbolic links.
    fn list<'a>(&'a self, globs: &'a Globs) -> BoxFuture<'a, Result<Vec<String>, FilesError>>;

    /// Whether there is a file or folder at this path. It may be one that [`list`](Self::list) leaves out.
    fn exists<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>>;

    /// The content of a file of at most `limit` bytes.
    fn read<'a>(&'a self, path: &'a str, limit: u64) -> BoxFuture<'a, Result<Vec<u8>, FilesError>>;

    /// A part of a file; empty behind its end.
    fn read_part<'a>(&'a self, path: &'a str, part: Part) -> BoxFuture<'a, Result<Vec<u8>, FilesError>>;

    /// The digest of a file, or of a folder with everything in it that is not ignored or excluded.
    fn digest<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Digest, FilesError>>;

    /// The absolute path of a folder, for a command to run in. An empty path is the root.
    fn folder<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<PathBuf, FilesError>>;

    /// Writes a file as a whole: a reader sees the old content or the new one. Missing folders are made.
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>>;
}

/// Which paths are meant: at least one glob, and `!` globs for what is left out of them.
///
/// `*` and `?` stay within one folder, `**` crosses folders, `{a,b}` is either and `[ab]` one of the characters.
/// `*.rs` are the files of the root alone; `**/*.rs` are all, the root's included. The order of the globs does not
/// matter.
#[derive(Clone, Debug)]
pub struct Globs {
    wanted: GlobSet,
    unwanted: GlobSet,
}

impl Globs {
    /// Reads globs.
    pub fn parse<I>(globs: I) -> Result<Self, FilesError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let (mut wanted, mut unwanted) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut some = false;
        for glob in globs {
            let glob = glob.as_ref();
            let (pattern, set) = match glob.strip_prefix('!') {
                Some(pattern) => (pattern, &mut unwanted),
                None => (glob, &mut wanted),
            };
            some |= pattern.len() == glob.len();
            let refused = |source| FilesError::Glob { glob: glob.to_owned(), source };
            set.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(refused)?);
        }
        if !some {
            return Err(FilesError::NoGlob);
        }
        let built =
            |set: &GlobSetBuilder| set.build().map_err(|source| FilesError::Glob { glob: "**".to_owned(), source });
        Ok(Self { wanted: built(&wanted)?, unwanted: built(&unwanted)? })
    }

    /// Whether this path is meant.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.wanted.is_match(path) && !self.unwanted.is_match(path)
    }
}

/// Something about a file did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The path leads out of the root.
    #[error("`{path}` leads out of the input folder; name a path below it, without `..`")]
    Escapes {
        /// The path as given.
        path: String,
    },
    /// There is nothing at this path.
    #[error("`{path}` does not exist in the input folder")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// The path is no regular file.
    #[error("`{path}` is not a file")]
    NotAFile {
        /// The path as given.
        path: String,
    },
    /// The path is no folder.
    #[error("`{path}` is not a folder")]
    NotAFolder {
        /// The path as given.
        path: String,
    },
    /// The file is larger than what may be read.
    #[error("`{path}` is larger than {limit} bytes, which is all that is read of one file")]
    TooLarge {
        /// The path as given.
        path: String,
        /// How many bytes would have been read.
        limit: u64,
    },
    /// The name of a file is not text.
    #[error("the name of the file `{path}` is not UTF-8; rename it, or leave it out with `.gitignore`")]
    Name {
        /// The path, with what is not text replaced.
        path: String,
    },
    /// A glob cannot be read.
    #[error("the glob `{glob}` cannot be read")]
    Glob {
        /// The glob as given.
        glob: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// Nothing says which files are meant.
    #[error("no glob says which files are meant, only which are not; add `**` for all")]
    NoGlob,
    /// The system refused.
    #[error("`{path}` cannot be read or written")]
    Io {
        /// The path as given.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl FilesError {
    fn io(path: &str, source: std::io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Self::Missing { path },
            _ => Self::Io { path, source },
        }
    }
}

/// The path without `.` and doubled separators, if it stays below the root by its text alone.
pub(super) fn plain(path: &str) -> Result<String, FilesError> {
    let escapes = || FilesError::Escapes { path: path.to_owned() };
    if path.starts_with('/') || path.contains('\0') || (cfg!(windows) && path.contains([':', '\\'])) {
        return Err(escapes());
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(escapes());
    }
    Ok(parts.join("/"))
}

/// SHA-256, and how many bytes went in.
#[derive(Default)]
pub(super) struct Hasher {
    state: sha2::Sha256,
    bytes: u64,
}

impl Hasher {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.state, bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(super) fn hex(self) -> String {
        use std::fmt::Write;
        sha2::Digest::finalize(self.state).iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The digest of one file.
    pub(super) fn file(self, path: &str) -> Digest {
        Digest { path: path.to_owned(), bytes: self.bytes, files: 1, sha256: self.hex() }
    }
}

/// The digest of a folder from what is in it: `(path within the folder, digest)`, sorted by path.
pub(super) fn of_folder(path: &str, entries: &[(String, Digest)]) -> Digest {
    let mut hasher = Hasher::default();
    for (name, entry) in entries {
        // A path cannot hold a zero byte, so that no two folders give the same text.
        hasher.add(name.as_bytes());
        hasher.add(b"\0");
        hasher.add(entry.sha256.as_bytes());
        hasher.add(b"\n");
    }
    let bytes = entries.iter().map(|(_, entry)| entry.bytes).sum();
    Digest { path: path.to_owned(), sha256: hasher.hex(), bytes, files: entries.len() as u64 }
}
