//! Guarantee: the house is built as its architecture page draws it; these are the directions that cargo cannot check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the workspace, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code, with their numbers: no comments, and nothing from the unit tests on.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().enumerate().map(|(number, line)| (number + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this ending, in the order of their paths.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), ending, &mut found);
    found.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        path: path.strip_prefix(root()).expect("it is below the root").display().to_string(),
    };
    found.into_iter().map(read).collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        // What cargo builds, and what only looks like a part of the workspace.
        if path.ends_with("target") || path.ends_with("examples/projects") || path.ends_with("tests/ui") {
            continue;
        }
        if path.is_dir() {
            collect(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// The library code of the workspace: the framework, and the crates of the domains.
fn library() -> Vec<Source> {
    let mut sources = files("src", ".rs");
    sources.extend(files("actors", ".rs").into_iter().filter(|source| source.path.contains("/src/")));
    sources
}

/// The lines of code that hold one of these texts, as `path:line`.
fn lines_with(sources: &[Source], texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.code() {
            if texts.iter().any(|text| line.contains(text)) {
                found.push(format!("{}:{number}", source.path));
            }
        }
    }
    found
}

#[test]
fn only_the_runtime_knows_of_ractor_and_tokio() {
    let mut sources = files("src", ".rs");
    sources.retain(|source| !source.path.starts_with("src/runtime"));
    let offenders = lines_with(&sources, &["ractor::", "tokio::", "use ractor", "use tokio"]);
    assert!(offenders.is_empty(), "only `src/runtime` may use ractor and tokio: {offenders:?}");
}

#[test]
fn the_core_does_not_import_the_runtime() {
    const CORE: [&str; 18] = [
        "src/exit.rs",
        "src/flow",
        "src/id",
        "src/error.rs",
        "src/event.rs",
        "src/fault",
        "src/fault.rs",
        "src/lifecycle",
        "src/message",
        "src/number.rs",
        "src/registry",
        "src/registry.rs",
        "src/seam",
        "src/seam.rs",
        "src/sourcing",
        "src/sourcing.rs",
        "src/supervision",
        "src/text.rs",
    ];
    let mut sources = files("src", ".rs");
    sources.retain(|source| CORE.iter().any(|part| source.path.starts_with(part)));
    let offenders = lines_with(&sources, &["crate::runtime", "crate::testing", "crate::telemetry", "thread::spawn"]);
    assert!(offenders.is_empty(), "the core is pure and does not know the runtime: {offenders:?}");
}

#[test]
fn the_agents_never_use_ractor() {
    let offenders = lines_with(&files("actors", ".rs"), &["ractor::", "use ractor"]);
    assert!(offenders.is_empty(), "crates under `actors` stand on steadfast alone: {offenders:?}");
    for manifest in files("actors", "Cargo.toml") {
        assert!(!manifest.text.contains("ractor"), "{} names ractor", manifest.path);
    }
}

#[test]
fn the_store_alone_knows_sqlite_and_spawns_nothing() {
    const PURE: [&str; 4] = ["block.rs", "journal/draft.rs", "journal/heads.rs", "journal/tail.rs"];
    for manifest in files("actors", "Cargo.toml") {
        let knows = manifest.text.contains("sqlx") || manifest.text.contains("rusqlite");
        assert!(!knows || manifest.path.starts_with("actors/storage"), "{}: one binding of SQLite", manifest.path);
    }
    let sources = files("actors/storage/src", ".rs");
    let offenders = lines_with(&sources, &["tokio::spawn", "spawn_blocking", "thread::spawn", "runtime::"]);
    assert!(offenders.is_empty(), "SQLite's threads are enough: {offenders:?}");
    let pure: Vec<_> =
        sources.into_iter().filter(|source| PURE.iter().any(|part| source.path.ends_with(part))).collect();
    assert_eq!(pure.len(), PURE.len());
    let offenders = lines_with(&pure, &["sqlx", "tokio", "async "]);
    assert!(offenders.is_empty(), "what a batch makes of the streams is a function of values: {offenders:?}");
}

#[test]
fn no_file_of_a_library_is_longer_than_five_hundred_lines() {
    let long = |source: &Source| source.text.lines().count() > 500;
    let offenders: Vec<_> = library().into_iter().filter(long).map(|source| source.path).collect();
    assert!(offenders.is_empty(), "split these files by what they are about: {offenders:?}");
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let mut sources = library();
    sources.extend(files("tests", ".rs"));
    sources.extend(files("examples", ".rs"));
    let silent = |source: &Source| !source.text.starts_with("//!");
    let offenders: Vec<_> = sources.into_iter().filter(silent).map(|source| source.path).collect();
    assert!(offenders.is_empty(), "these files have no header: {offenders:?}");
}

#[test]
fn library_code_unwraps_nothing_and_leaves_nothing_undone() {
    let offenders = lines_with(&library(), &[".unwrap()", "todo!(", "unimplemented!(", "dbg!("]);
    assert!(offenders.is_empty(), "return an error, or `expect` with the proof: {offenders:?}");
}

#[test]
fn no_test_is_ignored() {
    let mut sources = files("tests", ".rs");
    sources.extend(files("actors", ".rs"));
    sources.extend(files("src", ".rs"));
    // In two parts, so that this line is not one of them.
    let offenders = lines_with(&sources, &[concat!("#[", "ignore")]);
    assert!(offenders.is_empty(), "a test that does not run is none: {offenders:?}");
}

#[test]
fn every_select_is_biased() {
    let mut sources = library();
    sources.extend(files("tests", ".rs"));
    sources.extend(files("examples", ".rs"));
    for source in sources {
        // In two parts, so that this line is not one of them.
        let opening = concat!("select", "! {");
        for (place, _) in source.text.match_indices(opening) {
            let body = source.text[place + opening.len()..].trim_start();
            assert!(body.starts_with("biased;"), "{}: a `select!` without `biased` draws lots", source.path);
        }
    }
}

/// A supervisor that ractor ends takes its subtree along in an order of ractor's own, which differs from run to run.
#[test]
fn ractor_kills_nobody_but_a_worker_and_a_node_that_crashes() {
    let kills = [".kill()", "kill_and_wait", "stop_children", "kill_children"];
    let mut sources = files("src/runtime", ".rs");
    sources.retain(|source| !["src/runtime/life.rs", "src/runtime/system/crash.rs"].contains(&source.path.as_str()));
    let offenders = lines_with(&sources, &kills);
    assert!(offenders.is_empty(), "use `Life::kill`, or `System::kill` for a supervisor: {offenders:?}");
}

/// The section of a manifest, without its header.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<&'a str> {
    let header = format!("[{name}]");
    let lines = manifest.lines().skip_while(|line| *line != header).skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_framework_has_its_nine_dependencies_and_two_optional_ones() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let (optional, needed): (Vec<_>, Vec<_>) =
        section(&manifest, "dependencies").into_iter().partition(|line| line.contains("optional = true"));
    let names = |lines: Vec<&str>| -> BTreeSet<String> {
        lines.iter().filter_map(|line| line.split([' ', '.', '=']).next()).map(str::to_owned).collect()
    };
    let expected = ["bincode", "dashmap", "ractor", "semver", "serde", "thiserror", "tokio", "tracing", "uuid"];
    assert_eq!(names(needed), expected.map(str::to_owned).into());
    assert_eq!(names(optional), ["serde_json", "steadfast-macros"].map(str::to_owned).into());
    assert!(section(&manifest, "features").contains(&"default = []"), "features are off by default");
}

#[test]
fn the_features_of_ractor_that_break_others_are_off() {
    let mut manifests = files("actors", "Cargo.toml");
    manifests.push(Source {
        path: "Cargo.toml".to_owned(),
        text: fs::read_to_string(root().join("Cargo.toml")).expect("a manifest"),
    });
    for manifest in manifests {
        for line in manifest.text.lines().filter(|line| line.trim_start().starts_with("ractor")) {
            let breaks = line.contains("async-trait") || line.contains("cluster");
            assert!(!breaks, "{}: each of these features changes the traits of the whole graph", manifest.path);
        }
    }
    // Nobody else in the graph may switch them on either, so nobody else may depend on ractor.
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("a lock file");
    let depends = |package: &&str| package.lines().any(|line| line.trim() == "\"ractor\",");
    let dependants: Vec<_> = lock.split("[[package]]").filter(depends).collect();
    assert_eq!(dependants.len(), 1, "steadfast alone depends on ractor");
    assert!(dependants[0].contains("name = \"steadfast\""));
}

#[test]
fn every_example_says_its_point_and_how_to_run_it_in_under_a_hundred_lines() {
    for example in files("examples", ".rs") {
        let name = example.path.trim_start_matches("examples/").trim_end_matches(".rs");
        let run = format!("//! Run with `cargo run --example {name}`.");
        assert!(example.text.lines().any(|line| line == run), "{} does not say how to run it", example.path);
        assert!(example.text.lines().count() < 100, "{} has more than one idea", example.path);
    }
}

#[test]
fn every_test_that_the_guarantees_name_exists() {
    let code: String =
        ["tests", "src", "actors"].into_iter().flat_map(|folder| files(folder, ".rs")).map(|file| file.text).collect();
    let page = &files("docs", "guarantees.md")[0].text;
    let names = page.split('`').skip(1).step_by(2).filter(|word| {
        word.len() > 15 && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    });
    let missing: Vec<_> = names.filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/guarantees.md names tests that do not exist: {missing:?}");
}
