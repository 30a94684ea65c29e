//! Ends of a run that cannot be brought about from outside.

use std::sync::atomic::{AtomicI64, Ordering};

use steadfast::StreamId;
use steadfast::seam::{BoxFuture, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};

use super::*;
use crate::args::{Cli, Verb};

/// A journal that takes so many appends, and then nothing more.
struct Breaking(MemoryJournal, AtomicI64);

impl Breaking {
    fn after(appends: i64) -> Arc<Self> {
        Arc::new(Self(MemoryJournal::default(), AtomicI64::new(appends)))
    }
}

impl Journal for Breaking {
    fn level(&self) -> Level {
        self.0.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        let appends = batch.iter().filter(|write| write.records() > 0).count();
        let appends = i64::try_from(appends).expect("a few");
        if self.1.fetch_sub(appends, Ordering::Relaxed) > 0 {
            return self.0.write(batch);
        }
        let gone = || Err(JournalError::Unavailable("the disk is gone".to_owned()));
        Box::pin(async move { batch.iter().map(|_| gone()).collect() })
    }

    fn read(&self, stream: &StreamId, after: Seq) -> BoxFuture<'_, Result<Vec<Vec<u8>>, JournalError>> {
        self.0.read(stream, after)
    }

    fn snapshot(&self, stream: &StreamId) -> BoxFuture<'_, Result<Option<Snapshot>, JournalError>> {
        self.0.snapshot(stream)
    }

    fn list(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<StreamInfo>, JournalError>> {
        self.0.list(prefix)
    }
}

fn errand(folder: &Path) -> Errand {
    use clap::Parser;
    let goal = folder.join("goal.toml");
    std::fs::write(&goal, "name = 'g'\n[[tasks]]\nid = 'a'\ncollect = 1\n").expect("a goal is written");
    let report = folder.join("report");
    let args = ["steadfast".as_ref(), "run".as_ref(), goal.as_os_str(), "--input".as_ref(), folder.as_os_str()];
    let args = args.into_iter().chain(["--volatile".as_ref(), "--report".as_ref(), report.as_os_str()]);
    let Verb::Run(args) = Cli::parse_from(args).verb else { panic!("it is a run") };
    Errand::of_goal(&args, &Screen::open()).expect("it can run")
}

fn breaking(folder: &Path, appends: i64) -> Errand {
    let mut errand = errand(folder);
    errand.setting.journal = Some(Breaking::after(appends));
    errand
}

#[test]
fn a_tree_that_does_not_start_ends_the_run_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = breaking(folder.path(), 0).carried();
    assert_eq!(outcome.status, Status::GaveUp, "{outcome:?}");
    assert!(outcome.problems[0].what.contains("the disk is gone"), "{outcome:?}");
}

#[test]
fn a_tree_that_gives_up_ends_the_run_with_its_reason_and_a_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = breaking(folder.path(), 3).carried();
    assert_eq!(outcome.status, Status::GaveUp, "{outcome:?}");
    assert!(outcome.problems[0].what.contains("the disk is gone"), "{outcome:?}");
    let report = std::fs::read_to_string(folder.path().join("report/report.json")).expect("a report");
    assert!(report.contains("\"status\": \"gave_up\""), "{report}");
}

#[test]
fn a_run_that_reached_its_goal_without_a_report_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let errand = errand(folder.path());
    std::fs::remove_dir(&errand.report).and_then(|()| std::fs::write(&errand.report, "")).expect("it is in the way");
    let outcome = errand.carried();
    assert_eq!((outcome.status, outcome.folder), (Status::Failed, None));
    assert!(outcome.problems[0].place.starts_with("--report "), "{:?}", outcome.problems);
}
