//! Comparing what was recorded with what a driver saw, as the format says.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::format::{Expect, Recorded, Step};

/// What differs, for people; `None` when nothing that counts does.
pub(crate) fn compare(recorded: &Recorded, seen: &Expect) -> Option<String> {
    let relaxed = |what: &str| recorded.relax.iter().any(|relaxed| relaxed == what);
    let expected = &recorded.expect;
    let mut page = Page::default();
    for number in 0..expected.steps.len().max(seen.steps.len()) {
        let missing = Step { result: json!("no such step"), events: Vec::new() };
        let wanted = expected.steps.get(number).unwrap_or(&missing);
        let got = seen.steps.get(number).unwrap_or(&missing);
        let what = match number {
            0 => "start".to_owned(),
            _ => recorded.scenario.ops.get(number - 1).map_or_else(|| "nothing".to_owned(), |op| format!("{op:?}")),
        };
        page.title(&format!("step {number}: {what}"));
        page.row(&wanted.result.to_string(), &got.result.to_string(), same_result(wanted, got, relaxed("why")));
        page.events(&wanted.events, &got.events, relaxed("events"));
    }
    page.title("final");
    page.map(&expected.end, &seen.end);
    page.title("stop");
    page.events(&expected.stop, &seen.stop, relaxed("events"));
    page.differs.then(|| format!("{}\n{}", recorded.scenario.name, page.text))
}

/// What an invalid spec is refused for counts only where it is not relaxed; its other fields inform.
fn same_result(wanted: &Step, got: &Step, relaxed: bool) -> bool {
    let is = |step: &Step, what: &str| step.result.get("error").is_some_and(|error| error == what);
    let is_error = got.result.get("error").is_some();
    match () {
        () if relaxed && wanted.result.get("error").is_some() => is_error,
        () if is(wanted, "invalid_spec") => {
            is(got, "invalid_spec") && wanted.result.get("why") == got.result.get("why")
        }
        () => wanted.result == got.result,
    }
}

/// How many of the events seen match this one that was recorded, if they do: several for an unordered group.
fn matched(wanted: &Value, seen: &[Value]) -> Option<usize> {
    let Some(group) = wanted.get("unordered").and_then(Value::as_array) else {
        return (seen.first() == Some(wanted)).then_some(1);
    };
    let as_set = |events: &[Value]| {
        let mut words: Vec<_> = events.iter().map(Value::to_string).collect();
        words.sort();
        words
    };
    let candidates = seen.get(..group.len())?;
    (as_set(group) == as_set(candidates)).then_some(group.len())
}

/// The two sides, line by line.
#[derive(Default)]
struct Page {
    text: String,
    differs: bool,
}

impl Page {
    fn title(&mut self, title: &str) {
        let short: String = title.chars().take(150).collect();
        let _ = writeln!(self.text, "  {short}");
    }

    fn row(&mut self, wanted: &str, got: &str, same: bool) {
        let mark = match (same, self.differs) {
            (true, _) => ' ',
            (false, false) => '>',
            (false, true) => '!',
        };
        self.differs |= !same;
        let _ = writeln!(self.text, "  {mark}   {wanted:<48} | {got}");
    }

    fn events(&mut self, wanted: &[Value], got: &[Value], relaxed: bool) {
        let mut rest = got;
        for event in wanted {
            let many = if let Some(group) = event.get("unordered").and_then(Value::as_array) { group.len() } else { 1 };
            let found = matched(event, rest);
            let (here, later) = rest.split_at(many.min(rest.len()));
            self.row(&event.to_string(), &line_of(here), relaxed || found.is_some());
            rest = later;
        }
        for event in rest {
            self.row("", &event.to_string(), relaxed);
        }
    }

    fn map(&mut self, wanted: &Value, got: &Value) {
        let empty = Map::new();
        let (wanted, got) = (wanted.as_object().unwrap_or(&empty), got.as_object().unwrap_or(&empty));
        let mut names: Vec<_> = wanted.keys().chain(got.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let side = |map: &Map<String, Value>| map.get(name).map_or("-".to_owned(), Value::to_string);
            self.row(&format!("{name}: {}", side(wanted)), &side(got), wanted.get(name) == got.get(name));
        }
    }
}

fn line_of(events: &[Value]) -> String {
    let words: Vec<_> = events.iter().map(Value::to_string).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(steps: &Value, relax: &[&str]) -> Recorded {
        let tree = json!({ "id": "root", "type": "supervisor", "restart": "permanent", "shutdown": "infinity" });
        let expect = json!({ "steps": steps, "final": { "root": 1 }, "stop": [] });
        let whole = json!({ "name": "x/y", "tree": tree, "ops": [], "expect": expect, "relax": relax });
        serde_json::from_value(whole).expect("a scenario")
    }

    fn seen(result: Value, events: &Value) -> Expect {
        let events = events.as_array().expect("events").clone();
        Expect { steps: vec![Step { result, events }], end: json!({ "root": 1 }), stop: Vec::new() }
    }

    #[track_caller]
    fn check(wanted: &Value, got: &Value, same: bool) {
        let recorded = recorded(&json!([{ "result": "ok", "events": wanted }]), &[]);
        assert_eq!(compare(&recorded, &seen(json!("ok"), got)).is_none(), same);
    }

    #[test]
    fn events_are_compared_in_order_but_for_unordered_groups() {
        check(&json!([["start", "a", 1], ["start", "b", 1]]), &json!([["start", "a", 1], ["start", "b", 1]]), true);
        check(&json!([["start", "a", 1], ["start", "b", 1]]), &json!([["start", "b", 1], ["start", "a", 1]]), false);
        let group = json!([{ "unordered": [["x"], ["y"], ["y"]] }, ["z"]]);
        check(&group, &json!([["y"], ["x"], ["y"], ["z"]]), true);
        check(&group, &json!([["y"], ["x"], ["x"], ["z"]]), false);
        check(&group, &json!([["y"], ["x"], ["z"], ["y"]]), false);
        check(&group, &json!([["y"], ["x"], ["y"]]), false);
        check(&json!([["z"]]), &json!([["z"], ["z"]]), false);
    }

    #[test]
    fn of_a_relaxed_spec_error_only_that_it_is_one_counts() {
        let wanted = json!([{ "result": { "error": "invalid_spec", "why": "x" }, "events": [["start", "root", 1]] }]);
        let relaxed = recorded(&wanted, &["events", "why"]);
        assert!(compare(&relaxed, &seen(json!({ "error": "invalid_spec", "why": "y" }), &json!([]))).is_none());
        assert!(compare(&relaxed, &seen(json!({ "ok": null }), &json!([]))).is_some());
        let strict = recorded(&wanted, &["events"]);
        assert!(compare(&strict, &seen(json!({ "error": "invalid_spec", "why": "y" }), &json!([]))).is_some());
        let informed = seen(json!({ "error": "invalid_spec", "why": "x", "id": "a" }), &json!([]));
        assert!(compare(&strict, &informed).is_none());
    }

    #[test]
    fn the_first_difference_is_marked_and_a_step_that_is_missing_is_one() {
        let recorded = recorded(&json!([{ "result": "ok", "events": [] }, { "result": 1, "events": [["a"]] }]), &[]);
        let text = compare(&recorded, &seen(json!("ok"), &json!([]))).expect("it differs");
        let marked: Vec<_> = text.lines().filter(|line| line.starts_with("  >")).collect();
        assert_eq!(marked.len(), 1);
        assert!(marked[0].contains("no such step"), "{text}");
    }

    #[test]
    fn what_is_alive_at_the_end_is_compared_by_name() {
        let recorded = recorded(&json!([]), &[]);
        let nothing = Expect { end: json!({}), ..Expect::default() };
        assert!(compare(&recorded, &nothing).is_some());
        assert!(compare(&recorded, &Expect { end: json!({ "root": 1 }), ..Expect::default() }).is_none());
    }
}
