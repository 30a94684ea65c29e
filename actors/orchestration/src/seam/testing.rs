//! A world in memory, for tests: [`MemoryFiles`] and [`ScriptedCommands`]. They keep the contract of the real one, which
//! [`conformance`] holds both to.

pub mod conformance;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::BoxFuture;
use super::commands::{CommandError, Commands, Completed, Invocation, STDERR_TAIL};
use super::files::{Digest, Files, FilesError, Globs, Hasher, Part, of_folder, plain};

/// Files in memory. Nothing is ignored or excluded, and there are no links.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl MemoryFiles {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Has this file too.
    ///
    /// # Panics
    ///
    /// Panics when the path leads out of the root.
    #[must_use]
    pub fn with(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let path = plain(path).expect("a test names its files below the root");
        self.table().insert(path, content.into());
        self
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn below(&self, folder: &str) -> Vec<(String, Digest)> {
        let inside = |path: &str| {
            if folder.is_empty() {
                Some(path.to_owned())
            } else {
                Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned())
            }
        };
        let table = self.table();
        table.iter().filter_map(|(path, bytes)| Some((inside(path)?, digest(path, bytes)))).collect()
    }

    fn content(&self, path: &str) -> Result<Vec<u8>, FilesError> {
        let name = plain(path)?;
        let found = self.table().get(&name).cloned();
        found.ok_or_else(|| {
            let path = path.to_owned();
            if self.is_folder(&name) { FilesError::NotAFile { path } } else { FilesError::Missing { path } }
        })
    }

    /// The root is there without files too; any other folder is by what is in it.
    fn is_folder(&self, name: &str) -> bool {
        name.is_empty() || !self.below(name).is_empty()
    }

    /// A path at which a file may be: nothing is a file and a folder at once.
    fn place(&self, path: &str) -> Result<String, FilesError> {
        let name = plain(path)?;
        if self.is_folder(&name) {
            return Err(FilesError::NotAFile { path: path.to_owned() });
        }
        let table = self.table();
        match name.match_indices('/').map(|(end, _)| &name[..end]).find(|folder| table.contains_key(*folder)) {
            Some(file) => Err(FilesError::NotAFolder { path: file.to_owned() }),
            None => Ok(name),
        }
    }
}

fn digest(path: &str, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.add(bytes);
    hasher.file(path)
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Files for MemoryFiles {
    fn root(&self) -> &Path {
        Path::new("/")
    }

    fn list<'a>(&'a self, globs: &'a Globs) -> BoxFuture<'a, Result<Vec<String>, FilesError>> {
        ready(Ok(self.table().keys().filter(|path| globs.matches(path)).cloned().collect()))
    }

    fn exists<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>> {
        ready(plain(path).map(|name| self.table().contains_key(&name) || self.is_folder(&name)))
    }

    fn read<'a>(&'a self, path: &'a str, limit: u64) -> BoxFuture<'a, Result<Vec<u8>, FilesError>> {
        ready(self.content(path).and_then(|bytes| {
            if bytes.len() as u64 > limit {
                Err(FilesError::TooLarge { path: path.to_owned(), limit })
            } else {
                Ok(bytes)
            }
        }))
    }

    fn read_part<'a>(&'a self, path: &'a str, part: Part) -> BoxFuture<'a, Result<Vec<u8>, FilesError>> {
        let skipped = usize::try_from(part.offset).unwrap_or(usize::MAX);
        ready(self.content(path).map(|bytes| bytes.into_iter().skip(skipped).take(part.length).collect()))
    }

    fn digest<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Digest, FilesError>> {
        let found = match self.content(path) {
            Ok(bytes) => Ok(digest(path, &bytes)),
            Err(FilesError::NotAFile { .. }) => plain(path).map(|name| of_folder(path, &self.below(&name))),
            Err(error) => Err(error),
        };
        ready(found)
    }

    fn folder<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<PathBuf, FilesError>> {
        let found = plain(path).and_then(|name| {
            let path = path.to_owned();
            if self.table().contains_key(&name) {
                Err(FilesError::NotAFolder { path })
            } else if self.is_folder(&name) {
                Ok(Path::new("/").join(name))
            } else {
                Err(FilesError::Missing { path })
            }
        });
        ready(found)
    }

    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>> {
        ready(self.place(path).map(|name| {
            self.table().insert(name, bytes.to_vec());
        }))
    }
}

/// How often a program whose answer waits is told to live.
const BEAT: Duration = Duration::from_millis(50);

/// What is kept of what a program wrote: of stdout the beginning, of stderr the end.
fn within(mut completed: Completed, limit: u64) -> Completed {
    let kept = usize::try_from(limit).unwrap_or(usize::MAX).min(completed.stdout.len());
    completed.stdout_dropped += (completed.stdout.len() - kept) as u64;
    completed.stdout.truncate(kept);
    let surplus = completed.stderr_tail.len().saturating_sub(STDERR_TAIL);
    completed.stderr_tail.drain(..surplus);
    completed.stderr_dropped += surplus as u64;
    completed
}

type Script = dyn Fn(Invocation) -> BoxFuture<'static, Result<Completed, CommandError>> + Send + Sync;

/// Commands that are answered by a function, in an environment that is given.
///
/// What the function gives is cut off at the limits, and while its future waits the program is told to live, as with
/// real ones.
#[derive(Clone)]
pub struct ScriptedCommands {
    script: Arc<Script>,
    variables: BTreeMap<String, String>,
}

impl fmt::Debug for ScriptedCommands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedCommands").field("variables", &self.variables.keys()).finish_non_exhaustive()
    }
}

impl ScriptedCommands {
    /// Answers every run with what `script` gives for it.
    #[must_use]
    pub fn new(script: impl Fn(Invocation) -> Result<Completed, CommandError> + Send + Sync + 'static) -> Self {
        Self::later(move |invocation| ready(script(invocation)))
    }

    /// Answers every run with the future that `script` gives for it.
    #[must_use]
    pub fn later(
        script: impl Fn(Invocation) -> BoxFuture<'static, Result<Completed, CommandError>> + Send + Sync + 'static,
    ) -> Self {
        Self { script: Arc::new(script), variables: BTreeMap::new() }
    }

    /// Has this variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Commands for ScriptedCommands {
    fn run(&self, invocation: Invocation) -> BoxFuture<'_, Result<Completed, CommandError>> {
        let (limit, heartbeat) = (invocation.stdout_limit, invocation.heartbeat.clone());
        let mut answer = (self.script)(invocation);
        Box::pin(async move {
            let answered = loop {
                tokio::select! {
                    biased;
                    answered = &mut answer => break answered,
                    () = tokio::time::sleep(BEAT), if heartbeat.is_some() => {
                        if let Some(heartbeat) = &heartbeat {
                            heartbeat();
                        }
                    }
                }
            };
            answered.map(|completed| within(completed, limit))
        })
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}
