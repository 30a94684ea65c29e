//! What ends a lease is recorded before its holder is told to drop it: where the process ends between the two, the next one
//! knows what became of it.

mod common;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{RUN, World};
use steadfast::seam::{BoxFuture, Journal, JournalError, Level, Seq, Snapshot, StreamInfo, Write, Written};
use steadfast::{MemoryJournal, RunId, StreamId};
use steadfast_orchestration::agents::orchestrator::OrchestratorMessage;
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Outcome, Record, SkipCause, decode};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};
use tokio::sync::Notify;

const ONE: &str = "name = 'one'\n[[tasks]]\nid = 'only'\ncommand = { program = 'x' }\n";

/// What happened, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<&'static str>>>);

impl Seen {
    fn note(&self, what: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Notes when the command is dropped.
struct Guard(Seen);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

/// A journal that takes its time.
struct Slow(MemoryJournal, Seen);

impl Journal for Slow {
    fn level(&self) -> Level {
        self.0.level()
    }

    fn write(&self, batch: Vec<Write>) -> BoxFuture<'_, Vec<Result<Written, JournalError>>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let records = batch.iter().flat_map(|write| match write {
                Write::Append { records, .. } => records.as_slice(),
                _ => &[],
            });
            let closes = |frame: &Vec<u8>| {
                matches!(
                    decode(frame),
                    Ok(Record::Recorded { outcome: Outcome::Skipped { cause: SkipCause::Closed, .. }, .. })
                )
            };
            let is_closed = records.into_iter().any(closes);
            let answers = self.0.write(batch).await;
            if is_closed {
                self.1.note("recorded");
            }
            answers
        })
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

#[tokio::test(start_paused = true)]
async fn what_a_cancellation_ends_is_recorded_before_its_holder_drops_it() {
    let (mut world, _) = World::new(ONE, MemoryFiles::new());
    let (seen, started) = (Seen::default(), Arc::new(Notify::new()));
    let (noted, begun) = (seen.clone(), Arc::clone(&started));
    world.commands = Arc::new(ScriptedCommands::later(move |_| {
        let (guard, begun) = (Guard(noted.clone()), Arc::clone(&begun));
        Box::pin(async move {
            begun.notify_one();
            let _guard = guard;
            std::future::pending().await
        })
    }));
    let journal = Slow(MemoryJournal::default(), seen.clone());
    let running = world.start_in(preset::builder().journal(Arc::new(journal))).await;
    started.notified().await;
    let cancel = || OrchestratorMessage::Cancel { undo: false, who: "ann".to_owned(), why: "enough".to_owned() };
    preset::order(&running.system, RunId::new(RUN), cancel).await.expect("it hears");
    for _ in 0..1_000 {
        if seen.all().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(seen.all(), ["recorded", "dropped"]);
    running.finish().await;
}
