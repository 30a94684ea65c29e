//! Guarantee: what somebody should look at is logged as a warning, also where nobody reads the events.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use steadfast::testing::{Log, Order, Probe};
use steadfast::{ExitReason, Intensity, Strategy, SupervisorSpec, System};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// Keeps what is logged as a warning or worse.
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("steadfast")
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("nobody panics with it").push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

// Alone in its program: the subscriber is the whole process's, since the level of the log is.
#[tokio::test(start_paused = true)]
async fn a_quarantine_after_an_ordinary_end_is_a_warning_and_the_ordinary_end_before_it_is_none() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::set_global_default(Warnings(Arc::clone(&lines))).expect("the first one");
    let child = Probe::spec("a", &Log::default()).budget(Intensity::at_most(1));
    let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne).child(child)).await.expect("it starts");
    let agent = Probe::at(&system, "root/a");
    agent.ask(Order::Stop(ExitReason::Normal)).await.expect("it answers, and ends");
    agent.ask(Order::Stop(ExitReason::Normal)).await.expect("it came back, answers, and ends");
    system.shutdown().await.expect("an orderly end");
    let lines = lines.lock().expect("nobody panics with it").clone();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert!(line.starts_with("WARN") && line.contains("root/a") && line.contains("quarantined"), "{line}");
}
