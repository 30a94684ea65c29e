//! What is listed, read and digested of the input folder, and that nothing outside of it is.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use steadfast_orchestration::seam::files::{Digest, DiskFiles, Files, FilesError, Globs, Part};
use steadfast_orchestration::seam::testing::MemoryFiles;
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, content) in files {
        put(folder.path(), path, content);
    }
    folder
}

fn put(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder is made");
    fs::write(path, content).expect("the file is written");
}

fn open(folder: &TempDir) -> DiskFiles {
    DiskFiles::open(folder.path()).expect("the folder is there")
}

async fn list(files: &dyn Files, globs: &[&str]) -> Vec<String> {
    let globs = Globs::parse(globs).expect("they are globs");
    files.list(&globs).await.expect("it is listed")
}

async fn digest(files: &dyn Files, path: &str) -> Digest {
    files.digest(path).await.expect("it is there")
}

#[tokio::test]
async fn paths_are_sorted_and_relative_and_hidden_files_are_listed() {
    let folder = folder(&[("b.rs", ""), ("a/c.rs", ""), (".hidden/x.rs", ""), ("a-b.rs", ""), (".git/config", "")]);
    assert_eq!(list(&open(&folder), &["**"]).await, [".hidden/x.rs", "a-b.rs", "a/c.rs", "b.rs"]);
}

#[tokio::test]
async fn globs_are_by_folder_and_an_exclamation_mark_leaves_out() {
    let disk = folder(&[("b.rs", ""), ("a/c.rs", ""), ("a/d/e.rs", ""), ("a/d/f.md", "")]);
    let disk = open(&disk);
    let memory = MemoryFiles::new().with("b.rs", "").with("a/c.rs", "").with("a/d/e.rs", "").with("a/d/f.md", "");
    for files in [&disk as &dyn Files, &memory] {
        assert_eq!(list(files, &["*.rs"]).await, ["b.rs"]);
        assert_eq!(list(files, &["**/*.rs"]).await, ["a/c.rs", "a/d/e.rs", "b.rs"]);
        assert_eq!(list(files, &["a/*"]).await, ["a/c.rs"]);
        assert_eq!(list(files, &["!a/d/**", "**/*.{rs,md}"]).await, ["a/c.rs", "b.rs"]);
        assert_eq!(list(files, &["none"]).await, [""; 0]);
    }
    assert!(matches!(Globs::parse(["!a"]), Err(FilesError::NoGlob)));
    assert!(matches!(Globs::parse(["a["]), Err(FilesError::Glob { .. })));
}

#[tokio::test]
async fn gitignore_is_honoured_without_a_repository_and_ignore_files_of_other_tools_are_not() {
    let folder = folder(&[
        (".gitignore", "target/\n*.log\n!keep.log\n"),
        (".ignore", "a.txt\n"),
        ("target/x", ""),
        ("a.txt", ""),
        ("b.log", ""),
        ("sub/keep.log", ""),
        ("sub/.gitignore", "deep\n"),
        ("sub/deep/x", ""),
    ]);
    let all = list(&open(&folder), &["**"]).await;
    assert_eq!(all, [".gitignore", ".ignore", "a.txt", "sub/.gitignore", "sub/keep.log"]);
}

#[tokio::test]
async fn gitignore_above_the_root_counts_within_its_repository_only() {
    let outer = folder(&[(".gitignore", "*.log\n"), ("project/a.log", ""), ("project/a.rs", "")]);
    let project = outer.path().join("project");
    let files = DiskFiles::open(&project).expect("it is there");
    assert_eq!(list(&files, &["**"]).await, ["a.log", "a.rs"]);
    put(outer.path(), ".git/HEAD", "");
    let files = DiskFiles::open(&project).expect("it is there");
    assert_eq!(list(&files, &["**"]).await, ["a.rs"]);
    put(outer.path(), "project/.git/HEAD", "");
    assert_eq!(list(&files, &["**"]).await, ["a.log", "a.rs"], "a repository in a repository stands alone");
}

#[tokio::test]
async fn excluded_folders_are_left_out_of_lists_and_digests() {
    let folder = folder(&[("a", ""), ("report/r.md", ""), ("sub/report/r.md", ""), ("reports", "")]);
    let absolute = folder.path().join("sub/state");
    let files = open(&folder).excluding([Path::new("report"), &absolute, Path::new("/elsewhere"), folder.path()]);
    let before = digest(&files, "").await;
    put(folder.path(), "sub/state/journal", "1");
    put(folder.path(), "report/r.md", "changed");
    assert_eq!(list(&files, &["**"]).await, ["a", "reports", "sub/report/r.md"]);
    assert_eq!(digest(&files, "").await, before);
}

#[tokio::test]
async fn what_leads_out_of_the_root_is_refused() {
    let outer = folder(&[("secret", "x"), ("root/a", "x"), ("root/sub/b", "x")]);
    let root = outer.path().join("root");
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, root.join(name)).expect("a link");
    link("../secret", "out");
    link("..", "up");
    link("a", "inside");
    let files = DiskFiles::open(&root).expect("it is there");
    let refused = |result: Result<Vec<u8>, FilesError>| matches!(result, Err(FilesError::Escapes { .. }));
    for path in ["../secret", "/etc/passwd", "sub/../../secret", "out", "up/secret", "a\0b"] {
        assert!(refused(files.read(path, 10).await), "{path}");
        assert!(matches!(files.digest(path).await, Err(FilesError::Escapes { .. })), "{path}");
        assert!(matches!(files.exists(path).await, Err(FilesError::Escapes { .. })), "{path}");
    }
    for path in ["../new", "up/new", "up/folder/new", "/tmp/new"] {
        assert!(matches!(files.write(path, b"x").await, Err(FilesError::Escapes { .. })), "{path}");
    }
    assert!(!outer.path().join("new").exists() && !outer.path().join("folder").exists());
    assert_eq!(files.read("inside", 10).await.expect("it stays inside"), b"x");
    assert_eq!(files.read("./sub//b", 10).await.expect("it is there"), b"x");
    assert_eq!(list(&files, &["**"]).await, ["a", "sub/b"], "links are not listed");
    assert!(refused(MemoryFiles::new().read("../x", 1).await));
}

#[tokio::test]
async fn one_changed_byte_changes_a_digest_and_a_changed_time_does_not() {
    let folder = folder(&[("a/x.txt", "hello"), ("a/y/z.txt", "world"), ("b", "")]);
    let files = open(&folder);
    let (file, whole) = (digest(&files, "a/x.txt").await, digest(&files, "a").await);
    assert_eq!(file.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!((file.bytes, file.files), (5, 1));
    assert_eq!((whole.bytes, whole.files), (10, 2));

    let opened = fs::File::options().write(true).open(folder.path().join("a/x.txt")).expect("it is there");
    opened.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(7)).expect("the time is set");
    assert_eq!((digest(&files, "a/x.txt").await, digest(&files, "a").await), (file.clone(), whole.clone()));

    put(folder.path(), "b", "other");
    assert_eq!(digest(&files, "a").await, whole, "a sibling does not count");

    put(folder.path(), "a/x.txt", "hellp");
    assert_ne!(digest(&files, "a/x.txt").await.sha256, file.sha256);
    let changed = digest(&files, "a").await;
    assert_ne!(changed.sha256, whole.sha256);
    fs::rename(folder.path().join("a/x.txt"), folder.path().join("a/w.txt")).expect("it is renamed");
    assert_ne!(digest(&files, "a").await.sha256, changed.sha256, "a name counts");
}

#[tokio::test]
async fn the_digest_of_a_folder_does_not_depend_on_where_it_is() {
    let disk = folder(&[("one/x", "1"), ("one/y/z", "2"), ("two/y/z", "2"), ("two/x", "1")]);
    let memory = MemoryFiles::new().with("one/x", "1").with("one/y/z", "2");
    let files = open(&disk);
    assert_eq!(digest(&files, "one").await.sha256, digest(&files, "two").await.sha256);
    assert_eq!(digest(&files, "one").await, digest(&memory, "one").await);
}

#[tokio::test]
async fn where_a_link_points_counts_in_the_digest_of_its_folder() {
    let folder = folder(&[("a/x", "1")]);
    let files = open(&folder);
    let without = digest(&files, "a").await;
    std::os::unix::fs::symlink("/nowhere", folder.path().join("a/link")).expect("a link");
    assert_ne!(digest(&files, "a").await.sha256, without.sha256);
}

#[tokio::test]
async fn a_large_file_is_digested_whole_and_read_in_part_or_not_at_all() {
    let folder = folder(&[]);
    fs::write(folder.path().join("big"), vec![b'x'; 200_000]).expect("it is written");
    let files = open(&folder);
    assert_eq!(digest(&files, "big").await.bytes, 200_000);
    let error = files.read("big", 199_999).await.expect_err("it is larger");
    assert_eq!(error.to_string(), "`big` is larger than 199999 bytes, which is all that is read of one file");
    assert_eq!(files.read("big", 200_000).await.expect("it is not larger").len(), 200_000);
    assert_eq!(files.read_part("big", Part { offset: 199_998, length: 10 }).await.expect("it is there"), b"xx");
    assert_eq!(files.read_part("big", Part { offset: 300_000, length: 10 }).await.expect("it is there"), b"");
}

#[tokio::test]
async fn what_is_not_there_or_is_something_else_is_named() {
    let disk = folder(&[("a/x", "1")]);
    let memory = MemoryFiles::new().with("a/x", "1");
    let disk = open(&disk);
    for files in [&disk as &dyn Files, &memory] {
        assert!(matches!(files.read("b", 1).await, Err(FilesError::Missing { .. })));
        assert!(matches!(files.read("a", 1).await, Err(FilesError::NotAFile { .. })));
        assert!(matches!(files.digest("b").await, Err(FilesError::Missing { .. })));
        assert!(matches!(files.folder("a/x").await, Err(FilesError::NotAFolder { .. })));
        assert!(matches!(files.folder("b").await, Err(FilesError::Missing { .. })));
        assert!(
            files.exists("a").await.expect("it stays inside") && files.exists("a/x").await.expect("it stays inside")
        );
        assert!(
            !files.exists("b").await.expect("it stays inside")
                && !files.exists("a/x/y").await.expect("it stays inside")
        );
        assert_eq!(files.folder("").await.expect("the root is there"), files.root());
    }
    let gone = DiskFiles::open(Path::new("/no/such/folder")).expect_err("there is none");
    assert!(matches!(gone, FilesError::Missing { .. }));
}

#[tokio::test]
async fn a_file_is_written_as_a_whole_and_leaves_nothing_else() {
    let folder = folder(&[("out/report.md", "old")]);
    let files = open(&folder);
    files.write("out/report.md", b"new").await.expect("it is written");
    files.write("out/deep/er/report.json", b"{}").await.expect("folders are made");
    assert_eq!(list(&files, &["**"]).await, ["out/deep/er/report.json", "out/report.md"]);
    assert_eq!(fs::read(folder.path().join("out/report.md")).expect("it is there"), b"new");
    drop(files.write("out/report.md", b"dropped"));
    assert!(files.write("out", b"x").await.is_err(), "a folder is not replaced by a file");
    assert_eq!(list(&files, &["**"]).await, ["out/deep/er/report.json", "out/report.md"]);
}
