//! Guarantee: the page of the lifecycle shows the table that the code declares.

use steadfast::StateName;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lifecycle.md");
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_diagram_on_the_page_is_the_one_that_the_table_draws() {
    let page = page();
    let drawn = page.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(drawn, Some(StateName::diagram().as_str()));
}

#[test]
fn the_table_of_pairs_on_the_page_is_the_one_of_the_code() {
    let page = page();
    for from in StateName::ALL {
        let cells = StateName::ALL.map(|to| if from.may_become(to) { "x" } else { "." });
        let row = format!("| {from} | {} |", cells.join(" | "));
        assert!(page.lines().any(|line| line == row), "the page does not say: {row}");
    }
}
