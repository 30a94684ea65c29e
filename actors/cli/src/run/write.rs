//! The report on disk.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::Value;
use steadfast_orchestration::goal::TaskKind;
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::run::Report;

use crate::outcome::Status;

/// Makes the folder, and tries whether it can be written to.
pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(".steadfast-probe");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

/// Writes report.json and report.md, each as a whole or not at all.
pub(crate) fn report(folder: &Path, report: &Report, (status, plan): (Status, &Plan)) -> io::Result<()> {
    let mut object = serde_json::to_value(report).map_err(io::Error::other)?;
    // A report knows how the run ended; only we know that the tree gave up, or was stopped.
    object["status"] = Value::from(status.word());
    whole(folder, "report.json", &format!("{object:#}\n"))?;
    let page = report.to_markdown(&collected(plan));
    let (_, rest) = page.split_once('\n').unwrap_or_default();
    whole(folder, "report.md", &format!("# {}: {}\n{rest}", report.goal, status.word().replace('_', " ")))
}

/// The tasks whose results people read in full: those that put results together.
fn collected(plan: &Plan) -> BTreeSet<String> {
    plan.tasks().filter(|task| task.kind() == TaskKind::Collect).map(|task| task.id().to_owned()).collect()
}

fn whole(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let (half, whole) = (folder.join(format!(".{name}.part")), folder.join(name));
    std::fs::write(&half, text)?;
    std::fs::rename(half, whole)
}
