//! What [`Files`], [`Commands`], [`Artifacts`] and [`Requests`](crate::seam::requests::Requests) promise, as tests that the
//! real world and the one of tests pass alike.
//!
//! A suite panics at the first promise that is broken, and names it. Real files and real programs run in real time.

mod requests;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::seam::artifacts::{self, ArtifactError, Artifacts};
use crate::seam::commands::{BASE_VARIABLES, CommandError, Commands, Completed, Exit, Invocation, STDERR_TAIL};
use crate::seam::files::{Digest, Files, FilesError, Globs, Part};

pub use requests::requests;

/// A promise of a seam.
#[derive(Clone, Copy)]
struct Clause(&'static str);

impl Clause {
    #[track_caller]
    fn holds(self, holds: bool, found: impl FnOnce() -> String) {
        assert!(holds, "the seam breaks its contract. Promised: {}. Found: {}", self.0, found());
    }

    #[track_caller]
    fn is<T: PartialEq<U> + Debug, U: Debug>(self, what: &str, found: &T, expected: &U) {
        self.holds(found == expected, || format!("{what}: {found:?}, expected {expected:?}"));
    }

    #[track_caller]
    fn ok<T>(self, what: &str, outcome: Result<T, FilesError>) -> T {
        outcome.unwrap_or_else(|error| panic!("the seam breaks its contract. Promised: {}. {what}: {error}", self.0))
    }
}

/// Holds files to what [`Files`] promises. They are empty at first.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn files(files: &dyn Files) {
    the_root_is_there(files).await;
    what_was_written_is_read(files).await;
    lists_are_sorted(files).await;
    digests_follow_from_contents(files).await;
    nothing_outside_is_reached(files).await;
    what_is_something_else_is_named(files).await;
}

async fn the_root_is_there(files: &dyn Files) {
    let clause = Clause("the root is a folder, also where it has no files");
    clause.is("whether it exists", &clause.ok("it", files.exists("").await), &true);
    clause.is("its path", &clause.ok("it", files.folder("").await), &files.root().to_path_buf());
    let Digest { bytes, files, .. } = clause.ok("its digest", files.digest("").await);
    clause.is("bytes and files", &(bytes, files), &(0, 0));
}

async fn what_was_written_is_read(files: &dyn Files) {
    let clause = Clause("what was written is read, as a whole or in part, and missing folders are made");
    let content: Vec<u8> = (0..=255).collect();
    clause.ok("a write", files.write("deep/er/bytes", b"old").await);
    clause.ok("a write over it", files.write("deep/er/bytes", &content).await);
    clause.is("it", &clause.ok("a read", files.read("deep/er/bytes", 256).await), &content);
    clause.is("it, by another spelling", &clause.ok("a read", files.read("./deep//er/bytes", 256).await), &content);
    let part =
        async |offset, length| clause.ok("a part", files.read_part("deep/er/bytes", Part { offset, length }).await);
    clause.is("a part", &part(10, 3).await, &vec![10, 11, 12]);
    clause.is("the last of it", &part(254, 100).await, &vec![254, 255]);
    clause.is("behind its end", &part(1000, 3).await, &Vec::<u8>::new());
    clause.is("its folder exists", &clause.ok("a look", files.exists("deep/er").await), &true);
    clause.is("another exists", &clause.ok("a look", files.exists("deep/other").await), &false);

    let clause = Clause("a file is read up to a limit, and refused above it");
    let outcome = files.read("deep/er/bytes", 255).await;
    clause.holds(matches!(outcome, Err(FilesError::TooLarge { limit: 255, .. })), || format!("{outcome:?}"));
}

async fn lists_are_sorted(files: &dyn Files) {
    let clause = Clause("a list has the paths that match, sorted, each once");
    for path in ["b.rs", "a/c.rs", "a-b.rs", "a/d/e.rs", ".hidden/x.rs"] {
        clause.ok("a write", files.write(path, b"").await);
    }
    let list = async |globs: &[&str]| {
        let globs = clause.ok("globs", Globs::parse(globs));
        clause.ok("a list", files.list(&globs).await)
    };
    let all = [".hidden/x.rs", "a-b.rs", "a/c.rs", "a/d/e.rs", "b.rs"];
    clause.is("all of a kind", &list(&["**/*.rs"]).await, &all);
    clause.is("those of the root", &list(&["*.rs"]).await, &["a-b.rs", "b.rs"]);
    clause.is("without some", &list(&["**/*.rs", "!a/**"]).await, &[all[0], all[1], all[4]]);
    clause.is("none", &list(&["none"]).await, &[""; 0]);
}

async fn digests_follow_from_contents(files: &dyn Files) {
    // Of the three bytes "abc", from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let clause = Clause("a digest follows from names and contents alone");
    clause.ok("a write", files.write("digests/one", b"abc").await);
    clause.ok("a write", files.write("digests/sub/two", b"12345").await);
    let digest = async |path| clause.ok("a digest", files.digest(path).await);
    let file = Digest { path: "digests/one".to_owned(), sha256: ABC.to_owned(), bytes: 3, files: 1 };
    clause.is("that of a file", &digest("digests/one").await, &file);
    let folder = digest("digests").await;
    clause.is("bytes and files of a folder", &(folder.bytes, folder.files), &(8, 2));
    clause.ok("a write", files.write("digests/sub/two", b"12346").await);
    clause.holds(digest("digests").await != folder, || "the same after a byte changed".to_owned());
    clause.ok("a write", files.write("digests/sub/two", b"12345").await);
    clause.is("that of the folder as it was", &digest("digests").await, &folder);
}

async fn nothing_outside_is_reached(files: &dyn Files) {
    let clause = Clause("what leads out of the root is refused");
    let refused = |error: Option<FilesError>| matches!(error, Some(FilesError::Escapes { .. }));
    for path in ["../x", "/etc/passwd", "deep/../../x", "a\0b"] {
        let outcomes = [
            ("read", files.read(path, 10).await.err()),
            ("read in part", files.read_part(path, Part { offset: 0, length: 1 }).await.err()),
            ("looked for", files.exists(path).await.err()),
            ("digested", files.digest(path).await.err()),
            ("entered", files.folder(path).await.err()),
            ("written", files.write(path, b"x").await.err()),
        ];
        for (what, error) in outcomes {
            clause.holds(refused(error), || format!("{path:?} was {what}, or refused otherwise"));
        }
    }
}

async fn what_is_something_else_is_named(files: &dyn Files) {
    let clause = Clause("what is not there, no file or no folder is told apart, and named as it was asked for");
    clause.ok("a write", files.write("kinds/file", b"x").await);
    let missing = |error| matches!(error, Some(FilesError::Missing { path }) if path == "kinds/none");
    clause.holds(missing(files.read("kinds/none", 1).await.err()), || "a read of nothing".to_owned());
    clause.holds(missing(files.digest("kinds/none").await.err()), || "a digest of nothing".to_owned());
    clause.holds(missing(files.folder("kinds/none").await.err()), || "a folder that is none".to_owned());
    let below = files.read("kinds/file/x", 1).await.err();
    clause.holds(matches!(below, Some(FilesError::Missing { .. })), || format!("below a file: {below:?}"));
    for folder in ["kinds", ""] {
        let error = files.read(folder, 1).await.err();
        clause.holds(matches!(error, Some(FilesError::NotAFile { .. })), || format!("a read of a folder: {error:?}"));
    }
    let error = files.folder("kinds/file").await.err();
    clause.holds(matches!(error, Some(FilesError::NotAFolder { .. })), || format!("a file as a folder: {error:?}"));

    let clause = Clause("nothing is a file and a folder at once");
    for path in ["kinds", "", "kinds/file/below"] {
        clause.holds(files.write(path, b"x").await.is_err(), || format!("{path:?} was written"));
    }
    clause.is("the file that was there", &clause.ok("a read", files.read("kinds/file", 1).await), &b"x".to_vec());
}

/// What the suite of [`commands`] runs, with `/bin/sh -c`. One that is not a shell answers these as a shell does.
pub mod scripts {
    /// Says `out`, complains `err`, and ends with 3.
    pub const SAYS: &str = "printf out; printf err >&2; exit 3";
    /// Says what it is told.
    pub const REPEATS: &str = "cat";
    /// Says what it knows of two variables.
    pub const VARIABLES: &str = r#"printf '%s %s' "${GIVEN-unset}" "${HOME-unset}""#;
    /// Says a hundred zeros.
    pub const SAYS_MUCH: &str = "printf '%0100d' 0";
    /// Complains with 9,999 zeros and a 1.
    pub const COMPLAINS: &str = "printf '%010000d' 1 >&2";
    /// Lives for a second.
    pub const LIVES: &str = "sleep 1";
}

/// Holds commands to what [`Commands`] promises.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn commands(commands: &dyn Commands) {
    what_a_program_says_comes_back(commands).await;
    a_program_gets_what_it_is_given(commands).await;
    output_has_limits(commands).await;
    a_program_that_lives_is_progress(commands).await;
    what_is_not_there_is_named(commands).await;
    variables_are_those_that_are_set(commands);
}

fn shell(script: &str) -> Invocation {
    let mut invocation = Invocation::new("/bin/sh", "/");
    invocation.args = vec!["-c".to_owned(), script.to_owned()];
    invocation.env.insert("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned());
    invocation
}

async fn ran(commands: &dyn Commands, clause: Clause, invocation: Invocation) -> Completed {
    let outcome = commands.run(invocation).await;
    outcome.unwrap_or_else(|error| panic!("the seam breaks its contract. Promised: {}. Found: {error}", clause.0))
}

async fn what_a_program_says_comes_back(commands: &dyn Commands) {
    let clause = Clause("what a program says, complains and ends with comes back");
    let expected = Completed::new(Exit::Code(3)).stdout(*b"out").stderr(*b"err");
    clause.is("it", &ran(commands, clause, shell(scripts::SAYS)).await, &expected);
}

async fn a_program_gets_what_it_is_given(commands: &dyn Commands) {
    let clause = Clause("a program reads what it is given, and nothing where nothing is given");
    let mut told = shell(scripts::REPEATS);
    told.stdin = Some(b"hello".to_vec());
    clause.is("what it said", &ran(commands, clause, told).await.stdout, &b"hello".to_vec());
    let silent = ran(commands, clause, shell(scripts::REPEATS)).await;
    clause.is("what it said", &silent, &Completed::new(Exit::Code(0)));

    let clause = Clause("a program has the variables that it is given, and no other");
    let mut given = shell(scripts::VARIABLES);
    given.env.insert("GIVEN".to_owned(), "this".to_owned());
    let said = ran(commands, clause, given).await.stdout;
    clause.is("what it knew", &String::from_utf8_lossy(&said), &"this unset");
}

async fn output_has_limits(commands: &dyn Commands) {
    let clause = Clause("of stdout the beginning is kept up to the limit, and the rest counted");
    let mut limited = shell(scripts::SAYS_MUCH);
    limited.stdout_limit = 10;
    let Completed { stdout, stdout_dropped, exit, .. } = ran(commands, clause, limited).await;
    clause.is("what was kept, and the rest", &(stdout, stdout_dropped), &(vec![b'0'; 10], 90));
    clause.is("its end", &exit, &Exit::Code(0));

    let clause = Clause("of stderr the end is kept, and what came before is counted");
    let Completed { stderr_tail, stderr_dropped, .. } = ran(commands, clause, shell(scripts::COMPLAINS)).await;
    clause.is("length, last byte, and the rest", &(stderr_tail.len(), stderr_tail.last()), &(STDERR_TAIL, Some(&b'1')));
    clause.is("what came before", &stderr_dropped, &(10_000 - STDERR_TAIL as u64));
}

async fn a_program_that_lives_is_progress(commands: &dyn Commands) {
    let clause = Clause("a program that lives is told to, over and over");
    let beats = Arc::new(AtomicU32::new(0));
    let mut lives = shell(scripts::LIVES);
    let heard = Arc::clone(&beats);
    lives.heartbeat = Some(Arc::new(move || {
        heard.fetch_add(1, Ordering::Relaxed);
    }));
    ran(commands, clause, lives).await;
    let beats = beats.load(Ordering::Relaxed);
    // At least ten in its second; on a machine that is busy, some come late.
    clause.holds(beats >= 5, || format!("{beats} times in a second"));
}

async fn what_is_not_there_is_named(commands: &dyn Commands) {
    let clause = Clause("a program that is not there is named");
    let outcome = commands.run(Invocation::new("/bin/there-is-no-such-program", "/")).await;
    let named =
        matches!(&outcome, Err(CommandError::NoProgram { program, .. }) if program.ends_with("no-such-program"));
    clause.holds(named, || format!("{outcome:?}"));
}

fn variables_are_those_that_are_set(commands: &dyn Commands) {
    let clause = Clause("the environment of every command is the base variables that are set");
    let base = commands.base_environment();
    let expected = BASE_VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), commands.variable(name)?)));
    clause.is("it", &base, &expected.collect());
    let unset = commands.variable("STEADFAST_NOBODY_SETS_THIS");
    clause.is("one that nobody sets", &unset, &None::<String>);
}

/// Holds artifacts to what [`Artifacts`] promises. Nothing that the suite puts was there before.
///
/// # Panics
///
/// With the promise that is broken.
pub async fn artifacts(artifacts: &dyn Artifacts) {
    let clause = Clause("what was put is given, under the SHA-256 of it");
    let large: Vec<u8> = (0..256 * 1024_u32).flat_map(u32::to_le_bytes).collect();
    let empty = Vec::new();
    for bytes in [&large, &empty, &b"abc".to_vec()] {
        let digest = artifacts.put(bytes.clone()).await;
        clause.is("its digest", &digest, &Ok(artifacts::Digest::of(bytes)));
        let given = artifacts.get(&artifacts::Digest::of(bytes)).await;
        clause.holds(given.as_ref() == Ok(bytes), || {
            format!("{} bytes became {:?}", bytes.len(), given.map(|b| b.len()))
        });
    }

    let clause = Clause("what was put is put again without effect");
    clause.is("its digest", &artifacts.put(large.clone()).await, &Ok(artifacts::Digest::of(&large)));
    let given = artifacts.get(&artifacts::Digest::of(&large)).await;
    clause.holds(given == Ok(large), || "something else is given afterwards".to_owned());

    let clause = Clause("what was never put is missing, and named");
    let digest = artifacts::Digest::of(b"nobody puts this");
    let given = artifacts.get(&digest).await;
    clause.is("it", &given, &Err(ArtifactError::Missing { digest }));
}
