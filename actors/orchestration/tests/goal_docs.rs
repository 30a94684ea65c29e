//! The page about goal files shows every key, and each of its examples can be planned.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use steadfast_orchestration::goal;
use steadfast_orchestration::preset;

const PAGE: &str = include_str!("../../../docs/goals.md");

/// The examples of the page: the name of each file, where it has one, and its text.
fn examples() -> Vec<(Option<&'static str>, &'static str)> {
    let blocks = PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let named = |text: &'static str| text.lines().next().and_then(|line| line.strip_prefix("# file: "));
    blocks.map(|(text, _)| (named(text), text)).collect()
}

#[test]
fn every_example_of_the_page_can_be_planned() {
    let examples = examples();
    assert!(examples.len() > 8, "{}", examples.len());
    let files: BTreeMap<_, _> = examples.iter().filter_map(|(name, text)| Some(((*name)?, *text))).collect();
    for (name, text) in &examples {
        let text_of =
            |path: &str| files.get(path).map(|text| (*text).to_owned()).ok_or_else(|| "no such file".to_owned());
        let file = name.unwrap_or("example.toml");
        let loaded = goal::read(file, text).and_then(|loaded| loaded.embed(text_of));
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}\n\n{text}"));
        let needed = loaded.goal.params.iter().filter(|(_, param)| param.default.is_none());
        let params = needed.map(|(name, _)| (name.clone(), Value::from("given"))).collect();
        loaded.plan(params, &preset::offered()).unwrap_or_else(|errors| panic!("{errors}\n\n{text}"));
    }
}

#[test]
fn every_key_of_a_goal_file_is_shown_by_an_example() {
    let schema = goal::json_schema();
    let types =
        std::iter::once(&schema).chain(schema["$defs"].as_object().into_iter().flat_map(|types| types.values()));
    let alternatives = |kind: &Value| {
        let either = ["anyOf", "oneOf"].into_iter().filter_map(|key| kind[key].as_array().cloned()).flatten();
        either.chain(std::iter::once(kind.clone())).collect::<Vec<_>>()
    };
    let keys: BTreeSet<String> = types
        .flat_map(alternatives)
        .flat_map(|kind| kind["properties"].as_object().cloned().unwrap_or_default())
        .map(|(key, _)| key)
        .collect();
    assert!(keys.contains("quorum") && keys.contains("deadline"), "{keys:?}");
    let mut shown = BTreeSet::new();
    for (_, text) in examples() {
        keys_of(&toml::from_str(text).expect("an example is TOML"), &mut shown);
    }
    let missing: Vec<_> = keys.difference(&shown).collect();
    assert!(missing.is_empty(), "no example on the page shows {missing:?}");
}

fn keys_of(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            keys.insert(key.clone());
            keys_of(value, keys);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys_of(item, keys)),
        _ => {}
    }
}
