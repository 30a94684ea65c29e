//! What is known of a plan beyond itself: how long it takes, and what may go wrong.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Plan, json, text};
use crate::goal::span::Span;
use crate::plan::notes::Note;
use crate::run::Estimate;

/// How many notes of one kind are written out for people.
const SHOWN: usize = 5;

/// What is known of a plan beyond itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// How long it takes, from earlier runs.
    pub estimate: Estimate,
    /// What may go wrong.
    pub notes: Vec<Note>,
}

/// The plan as a table, then how long it takes, then what may go wrong.
#[must_use]
pub fn text_with(plan: &Plan, outlook: &Outlook) -> String {
    let mut out = text(plan);
    let _ = writeln!(out, "\nexpected: {}", outlook.estimate.spoken());
    for task in &outlook.estimate.tasks {
        let took = task.attempt.map_or_else(
            || "none succeeded".to_owned(),
            |took| {
                format!("half within {}, 95 of 100 within {}", Span::from_millis(took.p50), Span::from_millis(took.p95))
            },
        );
        let _ = writeln!(out, "   {}: {took}; {} of {} attempts failed", task.task, task.failed, task.tries);
    }
    if !outlook.estimate.tasks.is_empty() && !outlook.estimate.unknown.is_empty() {
        let _ = writeln!(out, "   no attempt is recorded of {}", outlook.estimate.unknown.join(", "));
    }
    write_notes(&mut out, &outlook.notes);
    out
}

/// What may go wrong, by kind of risk; those of one kind have one remedy.
fn write_notes(out: &mut String, notes: &[Note]) {
    for group in notes.chunk_by(|note, next| note.risk == next.risk) {
        let _ = writeln!(out, "\nnote: {}", group[0].risk);
        for note in group.iter().take(SHOWN) {
            let _ = writeln!(out, "   {}", note.message);
        }
        if group.len() > SHOWN {
            let _ = writeln!(out, "   and {} more", group.len() - SHOWN);
        }
        let _ = writeln!(out, "   help: {}", group[0].remedy);
    }
}

/// The plan as [`json`](super::json()), with `"estimate"` and `"notes": [{ "risk", "task", "message", "remedy" }]`.
#[must_use]
pub fn json_with(plan: &Plan, outlook: &Outlook) -> Value {
    let mut object = json(plan);
    object["estimate"] = json!(outlook.estimate);
    object["notes"] = json!(outlook.notes);
    object
}
