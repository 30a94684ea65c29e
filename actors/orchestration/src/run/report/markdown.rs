//! A report as a page for people.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde_json::Value;

use crate::run::report::{Report, TaskReport};

/// How many characters of a result a table shows.
const SHOWN: usize = 80;

/// How many rows the table of tasks has; `report.json` holds all of them.
const ROWS: usize = 200;

pub(super) fn render(report: &Report, whole: &BTreeSet<String>) -> String {
    let mut page = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_page(&mut page, report, whole);
    page
}

fn write_page(page: &mut String, report: &Report, whole: &BTreeSet<String>) -> fmt::Result {
    let is_over = report.phase.is_final();
    let status = if is_over { report.status.as_str() } else { report.phase.as_str() };
    writeln!(page, "# {}: {status}\n", report.goal)?;
    if let Some(description) = &report.description {
        writeln!(page, "{}\n", description.trim())?;
    }
    if let Some(problem) = &report.problem {
        writeln!(page, "The goal could not be planned: {}\n", problem.trim())?;
    }
    write_halts(page, report)?;
    write_totals(page, report)?;
    write_undos(page, report)?;
    write_budgets(page, report)?;
    write_troubles(page, report)?;
    write_wholes(page, report, whole)?;
    write_tasks(page, report)
}

/// Why the run stands still, or was cancelled.
fn write_halts(page: &mut String, report: &Report) -> fmt::Result {
    for note in &report.paused {
        writeln!(page, "Paused by {} at {} ({}): {}", note.who, note.since, note.cause, indented(&note.message))?;
        writeln!(page, "What to do: {}.\n", note.remedy)?;
    }
    match &report.cancelled {
        Some(note) => writeln!(page, "Cancelled by {}: {}\n", note.who, indented(&note.why)),
        None => Ok(()),
    }
}

/// What could not be undone.
fn write_undos(page: &mut String, report: &Report) -> fmt::Result {
    let notes = report.results.iter().filter_map(|task| Some((task, task.undo.as_ref()?.failure.as_ref()?)));
    let notes: Vec<_> = notes.collect();
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(page, "## What needs a person\n")?;
    for (task, note) in notes.iter().take(ROWS) {
        let message = indented(&note.message);
        writeln!(page, "* `{}` could not be undone ({}): {message}", task.id, note.class)?;
        if let Some(remedy) = &note.remedy {
            writeln!(page, "  What to do: {remedy}.")?;
        }
    }
    more(page, notes.len())?;
    writeln!(page)
}

fn write_totals(page: &mut String, report: &Report) -> fmt::Result {
    let tasks = report.tasks;
    writeln!(page, "| | |\n|---|---|")?;
    writeln!(
        page,
        "| tasks | {} in all: {} succeeded, {} failed, {} skipped, {} unfinished |",
        tasks.total, tasks.succeeded, tasks.failed, tasks.skipped, tasks.unfinished
    )?;
    let undone = report.undone;
    if undone.undone + undone.failed > 0 {
        writeln!(page, "| undone | {} undone, {} could not be |", undone.undone, undone.failed)?;
    }
    writeln!(page, "| result digest | `{}` |", report.result_digest)?;
    writeln!(page, "| run | `{}`, started {}, took {} ms |", report.run, report.started, report.elapsed_ms)?;
    if let Some(estimate) = &report.estimate {
        writeln!(page, "| expected | {} |", estimate.spoken())?;
    }
    writeln!(
        page,
        "| agents | {} used, {} restarts, {} leases given out again, {} reports refused |",
        report.agents_used, report.restarts.total, report.reissued, report.refused
    )?;
    writeln!(page, "| context | {} from the cache, {} from its source |", report.context.hits, report.context.misses)?;
    writeln!(page, "| lost, run again after the end | {}, {} |\n", report.lost, report.completed_rerun)
}

fn write_budgets(page: &mut String, report: &Report) -> fmt::Result {
    if let Some(spent) = &report.budget_spent {
        writeln!(page, "The run ended with its budget: {}.\n", indented(&spent.message))?;
    }
    if report.budgets.is_empty() {
        return Ok(());
    }
    writeln!(page, "## Budgets\n\n| budget | used | limit | the most |\n|---|---|---|---|")?;
    for account in &report.budgets {
        let limit = account.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        let most = account.most.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let unit = if account.budget == "wall" { " ms" } else { "" };
        writeln!(page, "| {}{unit} | {} | {limit} | {most} |", account.budget, account.used)?;
    }
    writeln!(page)
}

fn write_troubles(page: &mut String, report: &Report) -> fmt::Result {
    let troubles: Vec<_> = report.results.iter().filter(|task| task.failure.is_some()).collect();
    if troubles.is_empty() {
        return Ok(());
    }
    writeln!(page, "## What did not succeed\n")?;
    for task in troubles.iter().take(ROWS) {
        let Some(note) = &task.failure else { continue };
        writeln!(page, "* `{}` {} ({}): {}", task.id, task.outcome, note.class, indented(&note.message))?;
        if let Some(remedy) = &note.remedy {
            writeln!(page, "  What to do: {remedy}.")?;
        }
    }
    more(page, troubles.len())?;
    writeln!(page)
}

fn write_wholes(page: &mut String, report: &Report, whole: &BTreeSet<String>) -> fmt::Result {
    for task in report.results.iter().filter(|task| whole.contains(&task.id)) {
        let Some(value) = &task.value else { continue };
        // A fence longer than any run of backticks inside cannot be closed by the value.
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        let fence = "`".repeat(longest_run(&text).max(2) + 1);
        writeln!(page, "## Result of `{}`\n\n{fence}json\n{text}\n{fence}\n", task.id)?;
    }
    Ok(())
}

fn write_tasks(page: &mut String, report: &Report) -> fmt::Result {
    writeln!(page, "## Tasks\n\n| task | outcome | attempts | recorded | agent | result |\n|---|---|---|---|---|---|")?;
    for task in report.results.iter().take(ROWS) {
        writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            task.id,
            shown_outcome(task),
            task.attempts,
            task.recorded.as_deref().unwrap_or("-"),
            task.agent.as_deref().unwrap_or("-"),
            shown(task)
        )?;
    }
    more(page, report.results.len())
}

fn more(page: &mut String, all: usize) -> fmt::Result {
    if all > ROWS { writeln!(page, "\n{} more are in `report.json`.", all - ROWS) } else { Ok(()) }
}

/// The outcome, or what came of it since.
fn shown_outcome(task: &TaskReport) -> &str {
    if task.undo.is_some() || task.outcome == "unfinished" { task.status.as_str() } else { &task.outcome }
}

/// A result in a cell: one line, cut, with nothing that would end the cell.
fn shown(task: &TaskReport) -> String {
    let Some(value) = &task.value else { return "-".to_owned() };
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut cut: String = line.trim().chars().take(SHOWN).collect();
    if cut.len() < line.trim().len() {
        cut.push('…');
    }
    format!("`{}`", cut.replace('`', "'").replace('|', "\\|"))
}

fn indented(message: &str) -> String {
    message.trim().replace('\n', "\n  ")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
