//! The files of a real folder.

use std::collections::BTreeSet;
use std::io::{ErrorKind, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ignore::WalkBuilder;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::{BoxFuture, Digest, Files, FilesError, Globs, Hasher, Part, of_folder, plain};

/// How many entries of a folder are looked at before others get their turn.
const STEP: usize = 128;

/// How much of a file is read at once.
const CHUNK: usize = 64 * 1024;

/// The files below a folder on disk.
///
/// `.gitignore` is honoured, also where there is no git repository; in one, that of the folders above the root too.
/// Hidden files are listed. `.git` and the excluded folders are not.
#[derive(Clone, Debug)]
pub struct DiskFiles {
    root: PathBuf,
    excluded: Arc<BTreeSet<String>>,
    /// The root lies in a git repository.
    repository: bool,
    writes: Arc<AtomicU64>,
}

/// What a walk found.
struct Entry {
    path: String,
    link: bool,
}

impl DiskFiles {
    /// The files below `root`, which exists.
    pub fn open(root: &Path) -> Result<Self, FilesError> {
        let shown = root.display().to_string();
        let root = std::fs::canonicalize(root).map_err(|source| FilesError::io(&shown, source))?;
        if !root.is_dir() {
            return Err(FilesError::NotAFolder { path: shown });
        }
        let repository = root.ancestors().any(|folder| folder.join(".git").exists());
        Ok(Self { root, excluded: Arc::default(), repository, writes: Arc::default() })
    }

    /// Leaves these folders out of every list and digest: the state folder, the report folder.
    ///
    /// A folder is named relative to the root, or absolutely; one that lies elsewhere changes nothing, and so does the
    /// root itself. It need not exist yet.
    #[must_use]
    pub fn excluding<I>(mut self, folders: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<Path>,
    {
        let found = folders.into_iter().filter_map(|folder| self.relative(folder.as_ref()));
        self.excluded = Arc::new(self.excluded.iter().cloned().chain(found).collect());
        self
    }

    /// The path below the root that this folder has, or will have once it exists.
    fn relative(&self, folder: &Path) -> Option<String> {
        let absolute = self.root.join(folder);
        let existing = absolute.ancestors().find(|ancestor| ancestor.exists())?;
        let missing = absolute.strip_prefix(existing).ok()?;
        let real = std::fs::canonicalize(existing).ok()?.join(missing);
        let below = plain(real.strip_prefix(&self.root).ok()?.to_str()?).ok()?;
        (!below.is_empty()).then_some(below)
    }

    /// The real path of something that exists below the root.
    async fn real(&self, path: &str) -> Result<PathBuf, FilesError> {
        let wanted = self.root.join(plain(path)?);
        let real = tokio::fs::canonicalize(&wanted).await.map_err(|source| FilesError::io(path, source))?;
        if real.starts_with(&self.root) { Ok(real) } else { Err(FilesError::Escapes { path: path.to_owned() }) }
    }

    async fn open_file(&self, path: &str) -> Result<(File, u64), FilesError> {
        let real = self.real(path).await?;
        // Looked at before it is opened: opening a pipe would wait for its other end.
        let kind = tokio::fs::metadata(&real).await.map_err(|source| FilesError::io(path, source))?;
        if !kind.is_file() {
            return Err(FilesError::NotAFile { path: path.to_owned() });
        }
        let file = File::open(&real).await.map_err(|source| FilesError::io(path, source))?;
        Ok((file, kind.len()))
    }

    /// Every file and link below `folder`, sorted. The walk begins at the root, so that all rules count.
    async fn walk(&self, folder: &str) -> Result<Vec<Entry>, FilesError> {
        let mut found = Vec::new();
        for (step, entry) in self.walker(folder).enumerate() {
            if step % STEP == STEP - 1 {
                tokio::task::yield_now().await;
            }
            let entry = match entry {
                Ok(entry) => entry,
                // What vanished between being listed and being looked at is not there.
                Err(error) if error.io_error().is_some_and(|error| error.kind() == ErrorKind::NotFound) => continue,
                Err(error) => return Err(self.unwalked(&error, folder)),
            };
            let Some(kind) = entry.file_type().filter(|kind| kind.is_file() || kind.is_symlink()) else { continue };
            let path = self.below(entry.path())?;
            if within(&path, folder) {
                found.push(Entry { path, link: kind.is_symlink() });
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// What could not be looked at, by its own path.
    fn unwalked(&self, error: &ignore::Error, folder: &str) -> FilesError {
        let path = at(error).and_then(|path| self.below(path).ok()).unwrap_or_else(|| folder.to_owned());
        // The error of the walk repeats the path and the cause; its kind is the cause alone.
        let kind = error.io_error().map_or(ErrorKind::Other, std::io::Error::kind);
        FilesError::io(if path.is_empty() { "." } else { &path }, kind.into())
    }

    fn walker(&self, folder: &str) -> ignore::Walk {
        let (root, excluded, folder) = (self.root.clone(), Arc::clone(&self.excluded), folder.to_owned());
        let entered = move |entry: &ignore::DirEntry| {
            let Some(path) = entry.path().strip_prefix(&root).ok().and_then(Path::to_str) else { return true };
            let wanted = path.is_empty() || within(path, &folder) || within(&folder, path);
            entry.file_name() != ".git" && !excluded.contains(path) && wanted
        };
        WalkBuilder::new(&self.root)
            .standard_filters(false)
            .git_ignore(true)
            // In a repository the rules end at its top. Elsewhere nothing would end them but the top of the disk, so
            // that there only those below the root count.
            .require_git(self.repository)
            .parents(self.repository)
            .follow_links(false)
            .filter_entry(entered)
            .build()
    }

    fn below(&self, absolute: &Path) -> Result<String, FilesError> {
        let relative = absolute.strip_prefix(&self.root).unwrap_or(absolute);
        let unnamed = || FilesError::Name { path: relative.display().to_string() };
        let parts = relative.components().map(|part| match part {
            Component::Normal(part) => part.to_str().ok_or_else(unnamed),
            _ => Err(unnamed()),
        });
        Ok(parts.collect::<Result<Vec<_>, _>>()?.join("/"))
    }

    async fn digest_file(&self, path: &str) -> Result<Digest, FilesError> {
        let (mut file, _) = self.open_file(path).await?;
        let mut hasher = Hasher::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = file.read(&mut chunk).await.map_err(|source| FilesError::io(path, source))?;
            if length == 0 {
                return Ok(hasher.file(path));
            }
            hasher.add(&chunk[..length]);
        }
    }

    async fn digest_folder(&self, path: &str) -> Result<Digest, FilesError> {
        let folder = plain(path)?;
        let mut entries = Vec::new();
        for entry in self.walk(&folder).await? {
            let digest =
                if entry.link { self.digest_link(&entry.path).await? } else { self.digest_file(&entry.path).await? };
            let name = entry.path[folder.len()..].trim_start_matches('/').to_owned();
            entries.push((name, digest));
        }
        Ok(of_folder(path, &entries))
    }

    /// A link counts by where it points, whether or not anything is there.
    async fn digest_link(&self, path: &str) -> Result<Digest, FilesError> {
        let target = tokio::fs::read_link(self.root.join(path)).await.map_err(|source| FilesError::io(path, source))?;
        let mut hasher = Hasher::default();
        hasher.add(b"link\0");
        hasher.add(target.as_os_str().as_encoded_bytes());
        Ok(Digest { bytes: 0, ..hasher.file(path) })
    }

    async fn write_whole(&self, path: &str, bytes: &[u8]) -> Result<(), FilesError> {
        let name = plain(path)?;
        let target = self.root.join(&name);
        let (Some(parent), false) = (target.parent(), name.is_empty()) else {
            return Err(FilesError::NotAFile { path: path.to_owned() });
        };
        let failed = |source| FilesError::io(path, source);
        // Looked at before folders are made: a link that leads out must not make folders elsewhere either.
        let existing = parent.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&self.root);
        let real = tokio::fs::canonicalize(existing).await.map_err(failed)?;
        if !real.starts_with(&self.root) {
            return Err(FilesError::Escapes { path: path.to_owned() });
        }
        tokio::fs::create_dir_all(parent).await.map_err(failed)?;
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let temporary = Temporary(parent.join(format!(".steadfast-{}-{number}.tmp", std::process::id())));
        let mut file = File::create(&temporary.0).await.map_err(failed)?;
        file.write_all(bytes).await.map_err(failed)?;
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&temporary.0, &target).await.map_err(failed)
    }
}

/// The path that an error of the walk is about.
fn at(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => at(err),
        _ => None,
    }
}

/// A file that is removed unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether `path` is `folder` or lies in it. Everything lies in the root, which is the empty path.
fn within(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Files for DiskFiles {
    fn root(&self) -> &Path {
        &self.root
    }

    fn list<'a>(&'a self, globs: &'a Globs) -> BoxFuture<'a, Result<Vec<String>, FilesError>> {
        Box::pin(async move {
            let found = self.walk("").await?;
            Ok(found
                .into_iter()
                .filter(|entry| !entry.link && globs.matches(&entry.path))
                .map(|entry| entry.path)
                .collect())
        })
    }

    fn exists<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>> {
        Box::pin(async move {
            match self.real(path).await {
                Ok(_) => Ok(true),
                Err(FilesError::Missing { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    fn read<'a>(&'a self, path: &'a str, limit: u64) -> BoxFuture<'a, Result<Vec<u8>, FilesError>> {
        Box::pin(async move {
            let too_large = || FilesError::TooLarge { path: path.to_owned(), limit };
            let (file, length) = self.open_file(path).await?;
            if length > limit {
                return Err(too_large());
            }
            let mut bytes = Vec::new();
            // One byte more than allowed tells whether the file has grown meanwhile.
            let mut bounded = file.take(limit.saturating_add(1));
            bounded.read_to_end(&mut bytes).await.map_err(|source| FilesError::io(path, source))?;
            if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
        })
    }

    fn read_part<'a>(&'a self, path: &'a str, part: Part) -> BoxFuture<'a, Result<Vec<u8>, FilesError>> {
        Box::pin(async move {
            let failed = |source| FilesError::io(path, source);
            let (mut file, _) = self.open_file(path).await?;
            file.seek(SeekFrom::Start(part.offset)).await.map_err(failed)?;
            let mut bytes = Vec::new();
            file.take(part.length as u64).read_to_end(&mut bytes).await.map_err(failed)?;
            Ok(bytes)
        })
    }

    fn digest<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Digest, FilesError>> {
        Box::pin(async move {
            let real = self.real(path).await?;
            let kind = tokio::fs::metadata(&real).await.map_err(|source| FilesError::io(path, source))?;
            if kind.is_dir() { self.digest_folder(path).await } else { self.digest_file(path).await }
        })
    }

    fn folder<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<PathBuf, FilesError>> {
        Box::pin(async move {
            let real = self.real(path).await?;
            let kind = tokio::fs::metadata(&real).await.map_err(|source| FilesError::io(path, source))?;
            if kind.is_dir() { Ok(real) } else { Err(FilesError::NotAFolder { path: path.to_owned() }) }
        })
    }

    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>> {
        Box::pin(self.write_whole(path, bytes))
    }
}
