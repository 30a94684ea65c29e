//! A result is appended together with what follows from it by itself, and does not wait for anybody who is slow to say what
//! that is.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::World;
use common::reads::Writes;
use steadfast::fault::Point;
use steadfast::seam::{Clock, Write};
use steadfast::{Fault, FaultPlan, FaultPoint, TokioClock};
use steadfast_orchestration::preset;
use steadfast_orchestration::run::{Record, Status, decode};
use steadfast_orchestration::seam::commands::{Completed, Exit};
use steadfast_orchestration::seam::testing::{MemoryFiles, ScriptedCommands};

const CHAIN: &str = r#"
name = "chain"
[[tasks]]
id = "a"
command = { program = "a" }
[[tasks]]
id = "b"
after = ["a"]
command = { program = "b" }
[[tasks]]
id = "c"
after = ["b"]
command = { program = "c" }
"#;

/// What happened, in order: the records of each append once it is acknowledged, and each command that began.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(Instant, String)>>>);

impl Seen {
    fn note(&self, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((TokioClock.now(), what));
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(_, what)| what.clone()).collect()
    }

    fn when(&self, what: &str) -> Instant {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().find(|(_, seen)| seen.starts_with(what)).expect("it happened").0
    }
}

/// What an append keeps of steps.
fn words(write: &Write) -> Option<String> {
    let Write::Append { records, .. } = write else { return None };
    let word = |bytes: &Vec<u8>| match decode(bytes).expect("a record") {
        Record::Leased(leased) => Some(format!("leased {}", leased.task)),
        Record::Recorded { task, .. } => Some(format!("recorded {task}")),
        Record::Ended { .. } => Some("ended".to_owned()),
        _ => None,
    };
    let words: Vec<_> = records.iter().filter_map(word).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Carries the chain out and returns what happened.
async fn carry_out(faults: Option<Arc<dyn FaultPlan>>) -> Seen {
    let (mut world, _) = World::new(CHAIN, MemoryFiles::new());
    let seen = Seen::default();
    let noted = seen.clone();
    world.commands = Arc::new(ScriptedCommands::new(move |invocation| {
        noted.note(format!("{} begins", invocation.program));
        Ok(Completed::new(Exit::Code(0)))
    }));
    let told = seen.clone();
    let journal = Writes::in_memory(Duration::from_millis(5), words, move |words| told.note(words));
    let builder = preset::builder().journal(journal);
    let builder = if let Some(faults) = faults { builder.faults(faults) } else { builder };
    let report = world.start_in(builder).await.finish().await;
    assert_eq!((report.status, report.reissued, report.completed_rerun), (Status::Reached, 0, 0));
    seen
}

#[tokio::test(start_paused = true)]
async fn a_result_is_appended_together_with_the_next_lease_and_the_last_one_with_the_end() {
    let seen = carry_out(None).await.all();
    let expected = [
        "leased a",
        "a begins",
        "recorded a, leased b",
        "b begins",
        "recorded b, leased c",
        "c begins",
        "recorded c, ended",
    ];
    assert_eq!(seen, expected);
}

/// The router hangs the first time it is asked about `b`.
#[derive(Default)]
struct RouterHangs(AtomicBool);

impl FaultPlan for RouterHangs {
    fn at(&self, at: &FaultPoint<'_>) -> Option<Fault> {
        let is_asked = *at.point == Point::BeforeMessage && at.path.as_str().ends_with("/router");
        let is_its = at.subject.is_some_and(|subject| subject.about == "b");
        (is_asked && is_its && !self.0.swap(true, Ordering::Relaxed)).then_some(Fault::Hang)
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_does_not_wait_for_a_router_that_hangs() {
    let seen = carry_out(Some(Arc::new(RouterHangs::default()))).await;
    let (begun, recorded, next) = (seen.when("a begins"), seen.when("recorded a"), seen.when("leased b"));
    assert!(recorded - begun < Duration::from_millis(30), "{:?}", recorded - begun);
    assert!(next - recorded > Duration::from_millis(100), "{:?}", next - recorded);
}

/// Notes what an agent is asked about, by a part of its path.
struct Asked(&'static str, Mutex<Vec<String>>);

impl Asked {
    fn of(part: &'static str) -> Arc<Self> {
        Arc::new(Self(part, Mutex::default()))
    }

    fn all(&self) -> Vec<String> {
        let mut asked = self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        asked.sort();
        asked
    }
}

impl FaultPlan for Asked {
    fn at(&self, at: &FaultPoint<'_>) -> Option<Fault> {
        let is_its = *at.point == Point::BeforeMessage && at.path.as_str().contains(self.0);
        if let Some(subject) = at.subject.filter(|_| is_its) {
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(subject.about.clone());
        }
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_reported_once() {
    let asked = Asked::of("/goals/");
    carry_out(Some(Arc::clone(&asked) as _)).await;
    let reports = asked.all().into_iter().filter(|about| ["a", "b", "c"].contains(&about.as_str()));
    assert_eq!(reports.collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn the_retriever_is_asked_for_lists_for_what_is_large_and_refused_and_for_nothing_else() {
    const GOAL: &str = r#"
name = "asks"
params.who = { default = "ann" }
params.list = { default = [1] }
[[tasks]]
id = "small"
result = "stdout"
command = { program = "print", args = ["${params.who}"] }
[[tasks]]
id = "large"
result = "stdout"
command = { program = "large" }
[[tasks]]
id = "of_small"
collect = "of ${tasks.small.result}"
[[tasks]]
id = "of_large"
collect = "${tasks.large.result}"
[[tasks]]
id = "each"
for_each = "${params.list}"
collect = "${item}"
[[tasks]]
id = "refused"
collect = "${tasks.small.result.name}"
"#;
    let (mut world, _) = World::new(GOAL, MemoryFiles::new());
    world.commands = Arc::new(ScriptedCommands::new(|invocation| {
        let large = "x".repeat(20_000);
        let stdout = if invocation.program == "large" { large } else { invocation.args.join(" ") };
        Ok(Completed::new(Exit::Code(0)).stdout(stdout))
    }));
    let asked = Asked::of("/agents/retriever");
    let report = world.run(Some(Arc::clone(&asked) as _)).await;
    let value = |id: &str| report.results.iter().find(|task| task.id == id).and_then(|task| task.value.clone());
    assert_eq!((value("of_small"), value("each[0]")), (Some("of ann".into()), Some(1.into())));
    assert_eq!(value("of_large"), Some("x".repeat(20_000).into()));
    let refused = report.results.iter().find(|task| task.id == "refused").expect("it has an outcome");
    assert_eq!(refused.failure.as_ref().map(|failure| failure.class.as_str()), Some("plan"));
    // Those of the two tasks that refer to a result and were given out.
    assert_eq!((report.context.hits, report.context.misses), (0, 2));
    assert_eq!(asked.all(), ["each", "of_large", "refused"]);
}
