//! Looks for files that no licence covers.

use std::collections::BTreeSet;

use super::{Failure, Tools};
use crate::seam::files::{Globs, Part};

/// How many lines of a file may name its licence.
const LINES: usize = 30;

/// How much of a file is read for these lines.
const HEAD: usize = 16 * 1024;

/// What licence texts and notices say, in lower case.
const NOTICES: [&str; 12] = [
    "spdx-license-identifier:",
    "licensed under",
    "licenced under",
    "permission is hereby granted",
    "redistribution and use in source and binary forms",
    "apache license",
    "mit license",
    "bsd license",
    "mozilla public license",
    "gnu general public license",
    "gnu lesser general public license",
    "released into the public domain",
];

/// Those of the files which name no licence in their first lines and have no licence file in their folder or above.
pub(super) async fn uncovered(paths: &[String], tools: Tools<'_>) -> Result<Vec<String>, Failure> {
    let all = tools.files.list(&Globs::parse(["**"])?).await?;
    let covered: BTreeSet<&str> = all.iter().filter(|path| is_licence(name(path))).map(|path| folder(path)).collect();
    let mut found = Vec::new();
    for path in paths {
        tools.beat();
        if is_licence(name(path)) || folders_above(path).any(|folder| covered.contains(folder)) {
            continue;
        }
        let head = tools.files.read_part(path, Part { offset: 0, length: HEAD }).await?;
        if !names_a_licence(&String::from_utf8_lossy(&head)) {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The folder of the file, the one above it, and so on to the root.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder(path)), |below| (!below.is_empty()).then(|| folder(below)))
}

fn is_licence(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["LICENSE", "LICENCE", "COPYING"].iter().any(|prefix| name.starts_with(prefix))
}

fn names_a_licence(head: &str) -> bool {
    head.lines().take(LINES).any(|line| {
        let line = line.to_lowercase();
        NOTICES.iter().any(|notice| line.contains(notice))
    })
}
