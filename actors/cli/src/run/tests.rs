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

fn setting(folder: &Path) -> Setting {
    use clap::Parser;
    let goal = folder.join("goal.toml");
    std::fs::write(&goal, "name = 'g'\n[[tasks]]\nid = 'a'\ncollect = 1\n").expect("a goal is written");
    let report = folder.join("report");
    let args = ["steadfast".as_ref(), "run".as_ref(), goal.as_os_str(), "--input".as_ref(), folder.as_os_str()];
    let args = args.into_iter().chain(["--volatile".as_ref(), "--report".as_ref(), report.as_os_str()]);
    let Verb::Run(args) = Cli::parse_from(args).verb else { panic!("it is a run") };
    Setting::of(&args, &Screen::open()).expect("it can run")
}

fn outcome_of(setting: &Setting) -> Outcome {
    let runtime = Builder::new_multi_thread().enable_all().worker_threads(2).build().expect("a runtime");
    let ran = runtime.block_on(carry_out(setting));
    assert!(setting.leave_nothing(runtime).is_none());
    ran.map_or_else(|outcome| outcome, |ran| setting.outcome(&ran))
}

#[test]
fn a_tree_that_does_not_start_ends_the_run_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let setting = Setting { journal: Breaking::after(0), ..setting(folder.path()) };
    let outcome = outcome_of(&setting);
    assert_eq!(outcome.status, Status::GaveUp, "{outcome:?}");
    assert!(outcome.problems[0].what.contains("the disk is gone"), "{outcome:?}");
}

#[test]
fn a_tree_that_gives_up_ends_the_run_with_its_reason_and_a_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let setting = Setting { journal: Breaking::after(2), ..setting(folder.path()) };
    let outcome = outcome_of(&setting);
    assert_eq!(outcome.status, Status::GaveUp, "{outcome:?}");
    assert!(outcome.problems[0].what.contains("the disk is gone"), "{outcome:?}");
    let report = std::fs::read_to_string(setting.report.join("report.json")).expect("a report");
    assert!(report.contains("\"status\": \"gave_up\""), "{report}");
}

#[test]
fn a_run_that_reached_its_goal_without_a_report_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let setting = setting(folder.path());
    std::fs::remove_dir(&setting.report).and_then(|()| std::fs::write(&setting.report, "")).expect("it is in the way");
    let outcome = outcome_of(&setting);
    assert_eq!((outcome.status, outcome.folder), (Status::Failed, None));
    assert!(outcome.problems[0].place.starts_with("--report "), "{:?}", outcome.problems);
}
