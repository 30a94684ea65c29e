//! A plan for eyes and for tools: as text, as Mermaid, as dot, as JSON.
//!
//! The critical path is marked in all of them. The same plan gives the same characters.

mod outlook;

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Plan, PlannedTask};
use crate::goal::model::{Condition, Take, Wait};
use crate::goal::span::Span;
use crate::goal::work::Work;

pub use outlook::{Outlook, json_with, text_with};

/// How many characters of a question a line shows.
const LINE: usize = 60;

/// The plan as a table, in order, with `*` before the tasks of the critical path.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut rows = vec![["", "", "task", "kind", "after", "at least", "notes"].map(str::to_owned)];
    for task in plan.tasks() {
        let at_least = task.task().at_least.map_or_else(String::new, |span| span.to_string());
        rows.push([
            if task.is_critical() { "*" } else { "" }.to_owned(),
            (task.position() + 1).to_string(),
            task.id().to_owned(),
            task.kind().to_string(),
            task.dependencies().join(", "),
            at_least,
            notes(task),
        ]);
    }
    let widths: Vec<usize> =
        (0..7).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let mut out = format!("goal {}: {} tasks\n\n", plan.goal().name, plan.len());
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            if *width > 0 {
                let _ = write!(line, "{cell:width$}  ");
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let _ = writeln!(out, "\n* critical path, at least {}: {}", length(plan), plan.critical_path().join(" -> "));
    out
}

/// What else there is to know about a task in one line.
fn notes(task: PlannedTask<'_>) -> String {
    let mut notes = Vec::new();
    if let Some(list) = &task.task().for_each {
        notes.push(format!("for each of {list}"));
    }
    if let Some(when) = &task.task().when {
        notes.extend(condition(when));
    }
    notes.extend(waits_for(task));
    if task.capability() != task.kind().capability() {
        notes.extend(task.capability().map(|capability| format!("needs {capability}")));
    }
    notes.join("; ")
}

/// What a task waits for that no agent carries out.
fn waits_for(task: PlannedTask<'_>) -> Option<String> {
    let most = |limit: Option<Span>| limit.map_or_else(String::new, |limit| format!(", at most {limit}"));
    Some(match task.work() {
        Work::Approve(approve) => format!("asks: {}{}", line(&approve.prompt), most(approve.timeout)),
        Work::Wait(Wait { span: Some(span), .. }) => format!("waits {span}"),
        Work::Wait(wait) => format!("waits until {}", wait.until.as_deref().unwrap_or_default()),
        Work::Signal(signal) => format!("waits for a signal {}{}", signal.name, most(signal.timeout)),
        Work::Gather(gather) => match gather.take {
            Take::All => "takes all".to_owned(),
            Take::First => "takes the first".to_owned(),
            Take::Quorum(count) => format!("takes the first {count}"),
        },
        Work::Goal(child) => {
            let goal = child.inline.as_ref()?;
            let from = child.file.as_ref().map_or_else(String::new, |file| format!(" of {file}"));
            let count = goal.tasks.len();
            format!("goal {}{from}, {count} task{}", goal.name, if count == 1 { "" } else { "s" })
        }
        _ => return None,
    })
}

/// The first line of a text, cut where it is long.
fn line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let short: String = first.chars().take(LINE).collect();
    if short.len() < text.trim_end().len() { format!("{short}…") } else { short }
}

/// What a condition says, in words.
fn condition(when: &Condition) -> Option<String> {
    let exists = when.exists.iter().map(|path| format!("only where {path} exists"));
    let missing = when.missing.iter().map(|path| format!("only where {path} is missing"));
    let value = || Some(shown(when.value.as_ref()?));
    let claims = [
        when.equals.as_ref().map(|wanted| format!("is {}", shown(wanted))),
        when.not_equals.as_ref().map(|wanted| format!("is not {}", shown(wanted))),
        when.at_least.map(|least| format!("is at least {least}")),
        when.at_most.map(|most| format!("is at most {most}")),
        when.matches.as_ref().map(|pattern| format!("matches {pattern}")),
        when.contains.as_ref().map(|part| format!("contains {}", shown(part))),
    ];
    let claim = claims.into_iter().flatten().next();
    let about = claim.and_then(|claim| Some(format!("only where {} {claim}", value()?)));
    exists.chain(missing).chain(about).next()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn length(plan: &Plan) -> Span {
    Span::of(plan.critical_length())
}

/// The plan as a flow chart for Mermaid. Nodes are numbered, since an id may be a word of Mermaid's own.
#[must_use]
pub fn mermaid(plan: &Plan) -> String {
    let mut out = String::from("flowchart TD\n");
    for task in plan.tasks() {
        let each = if task.task().for_each.is_some() { ", for each" } else { "" };
        let _ = writeln!(out, "    t{}[\"{}<br/>{}{each}\"]", task.position(), task.id(), task.kind());
    }
    for (from, to) in edges(plan) {
        let arrow = if on_critical_path(plan, from, to) { "==>" } else { "-->" };
        let _ = writeln!(out, "    t{} {arrow} t{}", from.position(), to.position());
    }
    let critical: Vec<String> =
        plan.tasks().filter(PlannedTask::is_critical).map(|task| format!("t{}", task.position())).collect();
    let _ = writeln!(out, "    classDef critical stroke-width:3px\n    class {} critical", critical.join(","));
    out
}

/// The plan as a directed graph for Graphviz.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let mut out = format!("digraph \"{}\" {{\n    node [shape=box];\n", plan.goal().name);
    for task in plan.tasks() {
        let style = if task.is_critical() { ", penwidth=3" } else { "" };
        let _ = writeln!(out, "    \"{0}\" [label=\"{0}\\n{1}\"{style}];", task.id(), task.kind());
    }
    for (from, to) in edges(plan) {
        let style = if on_critical_path(plan, from, to) { " [penwidth=3]" } else { "" };
        let _ = writeln!(out, "    \"{}\" -> \"{}\"{style};", from.id(), to.id());
    }
    out.push_str("}\n");
    out
}

/// The plan as JSON: `{ "goal", "tasks": [{ "id", "kind", "capability", "after", "at_least_ms", "critical", … }],
/// "critical_path": { "tasks", "at_least_ms" } }`.
#[must_use]
pub fn json(plan: &Plan) -> Value {
    let millis = |span: Span| u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX);
    let tasks: Vec<Value> = plan
        .tasks()
        .map(|task| {
            json!({
                "id": task.id(),
                "kind": task.kind().name(),
                "capability": task.capability(),
                "after": task.dependencies(),
                "for_each": task.task().for_each,
                "when": task.task().when,
                "waits_for": waits_for(task),
                "at_least_ms": task.task().at_least.map(millis),
                "critical": task.is_critical(),
            })
        })
        .collect();
    json!({
        "goal": plan.goal().name,
        "tasks": tasks,
        "critical_path": { "tasks": plan.critical_path(), "at_least_ms": millis(length(plan)) },
    })
}

/// Every dependency, from the task that comes first to the one that waits.
fn edges(plan: &Plan) -> impl Iterator<Item = (PlannedTask<'_>, PlannedTask<'_>)> {
    plan.tasks().flat_map(|to| to.dependencies().iter().filter_map(|id| plan.task(id)).map(move |from| (from, to)))
}

fn on_critical_path(plan: &Plan, from: PlannedTask<'_>, to: PlannedTask<'_>) -> bool {
    plan.critical_path().windows(2).any(|pair| pair[0] == from.id() && pair[1] == to.id())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn plan() -> Plan {
        let goal = json!({
            "name": "demo",
            "tasks": [
                { "id": "pack", "at_least": "5s", "collect": ["${tasks.build.result}", "${tasks.list.result}"] },
                { "id": "list", "retrieve": { "files": ["**"] } },
                { "id": "build", "at_least": "10s", "when": { "exists": "Cargo.toml" }, "capability": "rust.build",
                  "command": { "program": "cargo" } },
                { "id": "each", "for_each": "${tasks.list.result}", "retrieve": { "digest": "${item}" } },
            ],
        });
        Plan::rebuild(serde_json::from_value(goal).expect("a goal"), BTreeMap::new()).expect("a plan")
    }

    #[test]
    fn the_text_is_a_table_in_order_with_the_critical_path_marked() {
        let expected = "\
goal demo: 4 tasks

      task   kind      after        at least  notes
   1  list   retrieve
*  2  build  command                10s       only where Cargo.toml exists; needs rust.build
*  3  pack   collect   list, build  5s
   4  each   retrieve  list                   for each of ${tasks.list.result}

* critical path, at least 15s: build -> pack
";
        assert_eq!(text(&plan()), expected);
    }

    #[test]
    fn mermaid_and_dot_draw_the_critical_path_thick() {
        let mermaid = mermaid(&plan());
        assert!(mermaid.starts_with("flowchart TD\n    t0[\"list<br/>retrieve\"]\n"), "{mermaid}");
        assert!(mermaid.contains("    t1 ==> t2\n") && mermaid.contains("    t0 --> t2\n"), "{mermaid}");
        assert!(mermaid.ends_with("    class t1,t2 critical\n"), "{mermaid}");
        let dot = dot(&plan());
        assert!(dot.starts_with("digraph \"demo\" {\n") && dot.ends_with("}\n"), "{dot}");
        assert!(dot.contains("    \"build\" -> \"pack\" [penwidth=3];\n    \"list\" -> \"each\";\n"), "{dot}");
    }

    #[test]
    fn json_names_the_order_and_the_critical_path() {
        let json = json(&plan());
        assert_eq!(json["tasks"][1]["id"], "build");
        assert_eq!(json["tasks"][1]["capability"], "rust.build");
        assert_eq!(json["critical_path"], json!({ "tasks": ["build", "pack"], "at_least_ms": 15_000 }));
    }
}
