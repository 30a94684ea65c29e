//! The files and the commands of tests keep the same contract as the real ones; and the suites that say so notice what is
//! broken.

use std::path::{Path, PathBuf};
use std::time::Duration;

use steadfast_orchestration::seam::BoxFuture;
use steadfast_orchestration::seam::artifacts::{self, ArtifactError, Artifacts, MemoryArtifacts};
use steadfast_orchestration::seam::commands::{CommandError, Completed, Exit, Invocation, OsCommands};
use steadfast_orchestration::seam::files::{Digest, DiskFiles, Files, FilesError, Globs, Part};
use steadfast_orchestration::seam::requests::{MemoryRequests, Request, Requests, RequestsError};
use steadfast_orchestration::seam::testing::conformance::{self, scripts};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use uuid::Uuid;

#[tokio::test]
async fn files_on_disk_keep_their_contract() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    conformance::files(&DiskFiles::open(folder.path()).expect("it is there")).await;
}

#[tokio::test(start_paused = true)]
async fn files_in_memory_keep_the_same_contract() {
    conformance::files(&MemoryFiles::new()).await;
}

#[tokio::test]
async fn programs_of_the_operating_system_keep_their_contract() {
    let commands = OsCommands::new();
    conformance::commands(&commands).await;
    commands.none_left().await;
}

#[tokio::test(start_paused = true)]
async fn artifacts_in_memory_keep_their_contract() {
    conformance::artifacts(&MemoryArtifacts::new()).await;
}

#[derive(Clone, Copy)]
enum Fault {
    NamesByLength,
    KeepsNothing,
    MakesUp,
}

/// Artifacts that are wrong in one thing.
struct WrongArtifacts(Fault, MemoryArtifacts);

impl Artifacts for WrongArtifacts {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<artifacts::Digest, ArtifactError>> {
        match self.0 {
            Fault::NamesByLength => self.1.put(bytes.len().to_le_bytes().to_vec()),
            Fault::KeepsNothing => Box::pin(async move { Ok(artifacts::Digest::of(&bytes)) }),
            Fault::MakesUp => self.1.put(bytes),
        }
    }

    fn get(&self, digest: &artifacts::Digest) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        let given = self.1.get(digest);
        if matches!(self.0, Fault::MakesUp) {
            return Box::pin(async { Ok(given.await.unwrap_or_default()) });
        }
        given
    }
}

#[test]
fn artifacts_that_are_wrong_are_noticed() {
    for (wrong, promise) in [
        (Fault::NamesByLength, "what was put is given"),
        (Fault::KeepsNothing, "what was put is given"),
        (Fault::MakesUp, "what was never put is missing"),
    ] {
        is_noticed(
            promise,
            async move { conformance::artifacts(&WrongArtifacts(wrong, MemoryArtifacts::new())).await },
        );
    }
}

/// Answers as a shell would.
fn shell(invocation: Invocation) -> BoxFuture<'static, Result<Completed, CommandError>> {
    Box::pin(async move {
        let Invocation { program, args, env, stdin, .. } = invocation;
        if program != "/bin/sh" {
            return Err(CommandError::NoProgram { program, path: String::new() });
        }
        let done = Completed::new(Exit::Code(0));
        let variable = |name| env.get(name).map_or("unset", String::as_str);
        Ok(match args[1].as_str() {
            scripts::SAYS => Completed::new(Exit::Code(3)).stdout(*b"out").stderr(*b"err"),
            scripts::REPEATS => done.stdout(stdin.unwrap_or_default()),
            scripts::VARIABLES => done.stdout(format!("{} {}", variable("GIVEN"), variable("HOME"))),
            scripts::SAYS_MUCH => done.stdout(vec![b'0'; 100]),
            scripts::COMPLAINS => done.stderr(format!("{}1", "0".repeat(9_999))),
            scripts::LIVES => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                done
            }
            other => panic!("there is no answer for {other}"),
        })
    })
}

#[tokio::test(start_paused = true)]
async fn commands_by_script_keep_the_same_contract() {
    let commands = ScriptedCommands::later(shell).variable("PATH", "/bin").variable("OTHER", "x");
    conformance::commands(&commands).await;
}

/// Whether a suite notices something, with these words of the promise.
#[track_caller]
fn is_noticed(promise: &str, suite: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let outcome = runtime.expect("a runtime").block_on(async { tokio::spawn(suite).await });
    let payload = outcome.expect_err("the suite notices it").into_panic();
    let text = payload.downcast_ref::<String>().expect("it panics with a sentence");
    assert!(text.contains("breaks its contract") && text.contains(promise), "noticed was {text}");
}

#[test]
fn commands_that_are_wrong_are_noticed() {
    type Wrong = fn(Invocation) -> Invocation;
    let wrongs: [(Wrong, &str); 3] = [
        (|wrong| Invocation { stdin: None, ..wrong }, "a program reads what it is given"),
        (|wrong| Invocation { env: [("HOME".to_owned(), "/".to_owned())].into(), ..wrong }, "and no other"),
        (|wrong| Invocation { program: "/bin/sh".to_owned(), ..with(wrong) }, "a program that is not there is named"),
    ];
    for (wrong, promise) in wrongs {
        is_noticed(promise, async move {
            conformance::commands(&ScriptedCommands::later(move |invocation| shell(wrong(invocation)))).await;
        });
    }
    is_noticed("what a program says", async {
        conformance::commands(&ScriptedCommands::new(|_| Ok(Completed::new(Exit::Code(0))))).await;
    });
}

/// Something to run, where nothing was said.
fn with(mut invocation: Invocation) -> Invocation {
    if invocation.args.is_empty() {
        invocation.args = vec!["-c".to_owned(), scripts::SAYS.to_owned()];
    }
    invocation
}

#[derive(Clone, Copy, Debug)]
enum Bug {
    ListsBackwards,
    ReadsBeyondTheLimit,
    LetsOut,
    DigestsByPath,
    WritesNothing,
}

/// Files that are wrong in one thing.
struct WrongFiles(MemoryFiles, Bug);

impl Files for WrongFiles {
    fn root(&self) -> &Path {
        self.0.root()
    }

    fn list<'a>(&'a self, globs: &'a Globs) -> BoxFuture<'a, Result<Vec<String>, FilesError>> {
        Box::pin(async move {
            let mut list = self.0.list(globs).await?;
            if matches!(self.1, Bug::ListsBackwards) {
                list.reverse();
            }
            Ok(list)
        })
    }

    fn exists<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<bool, FilesError>> {
        self.0.exists(path)
    }

    fn read<'a>(&'a self, path: &'a str, limit: u64) -> BoxFuture<'a, Result<Vec<u8>, FilesError>> {
        match self.1 {
            Bug::ReadsBeyondTheLimit => self.0.read(path, u64::MAX),
            Bug::LetsOut if path == "../x" => Box::pin(async { Ok(Vec::new()) }),
            _ => self.0.read(path, limit),
        }
    }

    fn read_part<'a>(&'a self, path: &'a str, part: Part) -> BoxFuture<'a, Result<Vec<u8>, FilesError>> {
        self.0.read_part(path, part)
    }

    fn digest<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Digest, FilesError>> {
        Box::pin(async move {
            let mut digest = self.0.digest(path).await?;
            if matches!(self.1, Bug::DigestsByPath) {
                path.clone_into(&mut digest.sha256);
            }
            Ok(digest)
        })
    }

    fn folder<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<PathBuf, FilesError>> {
        self.0.folder(path)
    }

    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), FilesError>> {
        if matches!(self.1, Bug::WritesNothing) { self.0.write(path, b"") } else { self.0.write(path, bytes) }
    }
}

#[test]
fn files_that_are_wrong_are_noticed() {
    for (bug, promise) in [
        (Bug::ListsBackwards, "a list has the paths that match, sorted"),
        (Bug::ReadsBeyondTheLimit, "a file is read up to a limit"),
        (Bug::LetsOut, "what leads out of the root is refused"),
        (Bug::DigestsByPath, "a digest follows from names and contents alone"),
        (Bug::WritesNothing, "what was written is read"),
    ] {
        is_noticed(promise, async move { conformance::files(&WrongFiles(MemoryFiles::new(), bug)).await });
    }
}

#[tokio::test(start_paused = true)]
async fn requests_in_memory_keep_their_contract() {
    conformance::requests(&MemoryRequests::new()).await;
}

#[derive(Clone, Copy, Debug)]
enum RequestsBug {
    ForgetOrder,
    KeepTheLast,
    AreNeverDone,
}

/// Requests that are wrong in one thing.
struct WrongRequests(MemoryRequests, RequestsBug);

impl Requests for WrongRequests {
    fn put(&self, request: Request) -> BoxFuture<'_, Result<(), RequestsError>> {
        Box::pin(async move {
            if matches!(self.1, RequestsBug::KeepTheLast) {
                self.0.done(request.id).await?;
            }
            self.0.put(request).await
        })
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<Request>, RequestsError>> {
        Box::pin(async move {
            let mut pending = self.0.pending().await?;
            if matches!(self.1, RequestsBug::ForgetOrder) {
                pending.reverse();
            }
            Ok(pending)
        })
    }

    fn done(&self, id: Uuid) -> BoxFuture<'_, Result<(), RequestsError>> {
        if matches!(self.1, RequestsBug::AreNeverDone) { Box::pin(async { Ok(()) }) } else { self.0.done(id) }
    }
}

#[test]
fn requests_that_are_wrong_are_noticed() {
    for (bug, promise) in [
        (RequestsBug::ForgetOrder, "in the order of the ids"),
        (RequestsBug::AreNeverDone, "until it is done"),
        (RequestsBug::KeepTheLast, "a request that was asked for already changes nothing"),
    ] {
        is_noticed(promise, async move { conformance::requests(&WrongRequests(MemoryRequests::new(), bug)).await });
    }
}
