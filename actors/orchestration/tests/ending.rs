//! What ends a lease is recorded before its holder is told to drop it: where the process ends between the two, the next one
//! knows what became of it.

mod common;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::reads::Writes;
use common::{RUN, World};
use steadfast::RunId;
use steadfast::seam::Write;
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

/// That an append closes the task.
fn closed(write: &Write) -> Option<String> {
    let Write::Append { records, .. } = write else { return None };
    let closes = |frame: &Vec<u8>| {
        let outcome = decode(frame);
        matches!(outcome, Ok(Record::Recorded { outcome: Outcome::Skipped { cause: SkipCause::Closed, .. }, .. }))
    };
    records.iter().any(closes).then(String::new)
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
    let told = seen.clone();
    let journal = Writes::in_memory(Duration::from_millis(20), closed, move |_| told.note("recorded"));
    let running = world.start_in(preset::builder().journal(journal)).await;
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
