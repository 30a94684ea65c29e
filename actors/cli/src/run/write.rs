//! The report on disk.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::Value;
use steadfast_orchestration::goal::TaskKind;
use steadfast_orchestration::plan::Plan;
use steadfast_orchestration::run::Report;
use steadfast_orchestration::seam::files::{DiskFiles, Files};

use crate::outcome::Status;

/// Makes the folder, and tries whether it can be written to.
pub(crate) fn prepare(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(".steadfast-probe");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(&probe)
}

/// Writes report.json and report.md, each as a whole or not at all.
pub(crate) async fn report(folder: &Path, report: &Report, (status, plan): (Status, &Plan)) -> io::Result<()> {
    let files = DiskFiles::open(folder).map_err(io::Error::other)?;
    let mut object = serde_json::to_value(report).map_err(io::Error::other)?;
    // A report knows how the run ended; only we know that the tree gave up, or was stopped.
    object["status"] = Value::from(status.word());
    files.write("report.json", format!("{object:#}\n").as_bytes()).await.map_err(io::Error::other)?;
    let page = report.to_markdown(&collected(plan));
    let (_, rest) = page.split_once('\n').unwrap_or_default();
    let page = format!("# {}: {}\n{rest}", report.goal, status.word().replace('_', " "));
    files.write("report.md", page.as_bytes()).await.map_err(io::Error::other)
}

/// The tasks whose results people read in full: those that put results together.
fn collected(plan: &Plan) -> BTreeSet<String> {
    plan.tasks().filter(|task| task.kind() == TaskKind::Collect).map(|task| task.id().to_owned()).collect()
}
