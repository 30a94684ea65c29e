//! The literal texts of a goal, for whoever must refuse some of them.

use serde_json::Value;

use crate::goal::model::Goal;
use crate::goal::source::escaped;
use crate::goal::template;

/// A text that stands in a goal as it will be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Where it stands, as a JSON pointer; [`GoalError::at`](crate::goal::GoalError::at) takes it.
    pub pointer: String,
    /// The keys around it, outermost first. The default of a parameter stands under the parameter's name.
    pub keys: Vec<String>,
    /// The text; a number, true or false as JSON.
    pub text: String,
}

impl Literal {
    /// The key the text belongs to: the nearest one.
    #[must_use]
    pub fn key(&self) -> &str {
        self.keys.last().map_or("", String::as_str)
    }
}

/// Every literal of a goal, in the order of the file's structure. A text that is exactly one reference is none.
///
/// # Panics
///
/// Never: a goal came from text, so it can be written as text.
#[must_use]
pub fn literals(goal: &Goal) -> Vec<Literal> {
    let value = serde_json::to_value(goal).expect("a goal has only text as keys and no numbers that JSON cannot hold");
    let mut found = Vec::new();
    walk(&value, &Literal { pointer: String::new(), keys: Vec::new(), text: String::new() }, &mut found);
    found
}

fn walk(value: &Value, at: &Literal, found: &mut Vec<Literal>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let mut inner = at.clone();
                inner.pointer = format!("{}/{}", at.pointer, escaped(key));
                inner.keys.push(key.clone());
                trim_param(&mut inner.keys);
                walk(value, &inner, found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &Literal { pointer: format!("{}/{index}", at.pointer), ..at.clone() }, found);
            }
        }
        Value::String(text) => {
            if !matches!(template::only_reference(text), Ok(Some(_))) {
                found.push(Literal { text: text.clone(), ..at.clone() });
            }
        }
        Value::Number(_) | Value::Bool(_) => found.push(Literal { text: value.to_string(), ..at.clone() }),
        Value::Null => {}
    }
}

/// A parameter's default is known by the parameter's name, and its description is not; so it is in a goal inside this one.
fn trim_param(keys: &mut Vec<String>) {
    let [around @ .., params, name, field] = keys.as_slice() else { return };
    let of_goal = around.chunks(3).all(|around| around == ["tasks", "goal", "inline"]);
    if params == "params" && of_goal {
        let kept = if field == "default" { name.clone() } else { field.clone() };
        keys.truncate(keys.len() - 2);
        keys.push(kept);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_literal_is_listed_with_its_keys_and_place() {
        let goal: Goal = serde_json::from_value(json!({
            "name": "g",
            "params": { "token": { "description": "what for", "default": "abc" } },
            "tasks": [{
                "id": "a",
                "inputs": { "secret": { "deep": 5 }, "ref": "${params.token}" },
                "command": { "program": "echo", "args": ["one", "of ${params.token}"], "env": { "KEY": "v" } },
            }],
        }))
        .expect("a goal");
        let all = literals(&goal);
        let find = |pointer: &str| all.iter().find(|literal| literal.pointer == pointer);
        assert_eq!(find("/params/token/default").expect("listed").keys, ["params", "token"]);
        assert_eq!(find("/params/token/description").expect("listed").key(), "description");
        let deep = find("/tasks/0/inputs/secret/deep").expect("listed");
        assert_eq!((deep.key(), deep.text.as_str()), ("deep", "5"));
        assert!(deep.keys.contains(&"secret".to_owned()));
        assert_eq!(find("/tasks/0/command/args/1").expect("listed").text, "of ${params.token}");
        assert_eq!(find("/tasks/0/command/args/0").expect("listed").key(), "args");
        assert_eq!(find("/tasks/0/command/env/KEY").expect("listed").key(), "KEY");
        assert_eq!(find("/tasks/0/inputs/ref"), None, "a reference is no literal");
    }

    #[test]
    fn a_goal_inside_another_is_looked_at_like_any_other() {
        let inner = json!({
            "name": "inner",
            "params": { "token": { "description": "what for", "default": "abc" } },
            "tasks": [{ "id": "a", "goal": { "inline": {
                "name": "deep", "params": { "key": { "description": "why" } }, "tasks": [],
            } } }],
        });
        let goal = json!({ "name": "g", "tasks": [{ "id": "a", "goal": { "inline": inner } }] });
        let all = literals(&serde_json::from_value(goal).expect("a goal"));
        let keys =
            |pointer: &str| all.iter().find(|literal| literal.pointer == pointer).expect("listed").keys.join(".");
        let inside = "/tasks/0/goal/inline";
        assert_eq!(keys(&format!("{inside}/params/token/description")), "tasks.goal.inline.params.description");
        assert_eq!(keys(&format!("{inside}/params/token/default")), "tasks.goal.inline.params.token");
        let deep = format!("{inside}{inside}/params/key/description");
        assert_eq!(keys(&deep), "tasks.goal.inline.tasks.goal.inline.params.description");
    }
}
