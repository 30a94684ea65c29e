//! Guarantee: each of the 57 rules is shown by something that exists: docs/supervision.md names it, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const HEADER: &str = "## Every rule and what shows it";

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The code below a folder, in one text.
fn code(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            code(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            *text += &read(path);
        }
    }
}

/// The rows: the number of a rule, and what shows it.
fn rows() -> Vec<(u32, Vec<String>)> {
    let page = read("docs/supervision.md");
    let table = page.split_once(HEADER).expect("the page has the table").1.to_owned();
    let row = |line: &str| {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let number = cells.first()?.parse().ok()?;
        let names = cells.get(2)?.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some((number, names))
    };
    table.lines().filter_map(row).collect()
}

fn scenarios() -> BTreeSet<String> {
    let files = ["tests/data/otp/scenarios.jsonl", "tests/data/ours/scenarios.jsonl"].map(read);
    let name = |line: &str| {
        let scenario: serde_json::Value = serde_json::from_str(line).expect("a scenario");
        scenario["name"].as_str().expect("it has a name").to_owned()
    };
    files.iter().flat_map(|file| file.lines()).filter(|line| !line.is_empty()).map(name).collect()
}

#[test]
fn every_rule_has_a_row_of_its_own_that_names_what_shows_it() {
    let rows = rows();
    let numbers: Vec<_> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=57).collect::<Vec<_>>());
    let empty: Vec<_> = rows.iter().filter(|(_, names)| names.is_empty()).map(|(number, _)| number).collect();
    assert!(empty.is_empty(), "nothing shows the rules {empty:?}");
}

#[test]
fn whatever_the_table_of_rules_names_exists() {
    let scenarios = scenarios();
    let mut tests = String::new();
    for folder in ["tests", "src"] {
        code(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut tests);
    }
    let exists = |name: &str| match (name.strip_suffix('*'), name.contains('/')) {
        (Some(family), _) => scenarios.iter().any(|scenario| scenario.starts_with(family)),
        (None, true) => scenarios.contains(name),
        (None, false) => tests.contains(&format!("fn {name}(")),
    };
    let missing: Vec<_> =
        rows().into_iter().flat_map(|(number, names)| names.into_iter().map(move |name| (number, name))).collect();
    let missing: Vec<_> = missing.into_iter().filter(|(_, name)| !exists(name)).collect();
    assert!(missing.is_empty(), "docs/supervision.md names what does not exist: {missing:?}");
}

#[test]
fn no_two_scenarios_have_the_same_name() {
    let lines: usize = ["tests/data/otp/scenarios.jsonl", "tests/data/ours/scenarios.jsonl"]
        .map(|path| read(path).lines().filter(|line| !line.is_empty()).count())
        .iter()
        .sum();
    assert_eq!(scenarios().len(), lines);
}
