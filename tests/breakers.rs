//! Guarantee: the breaker before a provider opens where too many of its answers are slow, and a breaker of a
//! configuration does as it says there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::flow::{BreakerRules, RouteLimits};
use steadfast::registry::selection::Selection;
use steadfast::testing::Recorder;
use steadfast::{
    Backoff, BoxError, Capability, ChildSpec, EventKind, Intensity, Route, RouteBuilder, Strategy, SupervisorSpec,
    System,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

const NAME: Capability<(), String> = Capability::new("test.name", "1.0.0");

/// Where a provider fails instead of answering.
const SICK: u64 = u64::MAX;

/// After how many milliseconds `a` answers; or that it is [`SICK`].
#[derive(Clone, Default)]
struct Mood(Arc<AtomicU64>);

impl Mood {
    fn set(&self, mood: u64) {
        self.0.store(mood, Ordering::SeqCst);
    }
}

/// A system with a provider `a` that is asked first, and `b`, which answers at once.
async fn begun(mood: &Mood) -> (System, Recorder) {
    let mood = mood.clone();
    let a = ChildSpec::serve("a", NAME, move |_, ()| {
        let mood = mood.0.load(Ordering::SeqCst);
        async move {
            if mood == SICK {
                return Err(BoxError::from("it is sick"));
            }
            tokio::time::sleep(Duration::from_millis(mood)).await;
            Ok("a".to_owned())
        }
    });
    let b = ChildSpec::serve("b", NAME, |_, ()| async { Ok::<_, BoxError>("b".to_owned()) });
    let root = SupervisorSpec::new("root", Strategy::OneForOne).intensity(Intensity::at_most(100));
    let system = System::start(root.child(a).child(b)).await.expect("the tree starts");
    let events = Recorder::of(&system);
    (system, events)
}

fn route(
    system: &System,
    with: impl FnOnce(RouteBuilder<(), String>) -> RouteBuilder<(), String>,
) -> Route<(), String> {
    with(system.route(&NAME).selection(Selection::InOrder)).build().expect("a route")
}

/// Who answers, so often; `-` where nobody does.
async fn answers(route: &Route<(), String>, count: usize) -> String {
    let mut names = String::new();
    for _ in 0..count {
        names.push_str(&route.ask(()).await.unwrap_or_else(|_| "-".to_owned()));
    }
    names
}

/// How many changes of breakers there were since the last look.
fn changes(events: &mut Recorder) -> usize {
    let count = events.seen().iter().filter(|event| matches!(event.kind, EventKind::BreakerChanged(_))).count();
    events.forget();
    count
}

#[tokio::test(start_paused = true)]
async fn a_provider_whose_answers_are_slow_is_spared_and_used_again_once_it_is_quick() {
    let mood = Mood::default();
    let (system, mut events) = begun(&mood).await;
    let rules = BreakerRules::default()
        .minimum_calls(2)
        .slow_calls(SECOND, 50)
        .probes(1)
        .open_for(Backoff::constant(5 * SECOND));
    let guarded = route(&system, |route| route.breaker(rules));
    let other = route(&system, |route| route.breaker(BreakerRules::default().minimum_calls(2)));
    mood.set(999);
    assert_eq!(answers(&guarded, 2).await, "aa", "that is not slow yet");
    mood.set(1000);
    // One slow of three, then two of four: half of them.
    assert_eq!((answers(&guarded, 2).await.as_str(), changes(&mut events)), ("aa", 1));
    assert_eq!(answers(&guarded, 3).await, "bbb");
    assert_eq!(answers(&other, 3).await, "aaa", "to it no answer is too slow");

    tokio::time::advance(5 * SECOND).await;
    // Half open: the probe is answered, and slowly; so it is open again.
    assert_eq!(answers(&guarded, 3).await, "abb");
    assert_eq!(changes(&mut events), 2);
    mood.set(0);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(answers(&guarded, 3).await, "aaa");
    assert_eq!(changes(&mut events), 2, "half open, and closed");
    system.shutdown().await.expect("an orderly end");
}

#[tokio::test(start_paused = true)]
async fn a_breaker_of_a_configuration_opens_and_heals_before_a_provider_as_it_says_there() {
    let text = r#"{
        "breaker": {
            "calls": 3, "minimum_calls": 3, "failure_percent": 100, "slow_after_ms": 500, "slow_percent": 100,
            "open_for_ms": 4000, "open_at_most_ms": 6000, "probes": 2
        }
    }"#;
    let limits: RouteLimits = serde_json::from_str(text).expect("limits of a route");
    for (mood_of_a, answer) in [(SICK, "-"), (500, "a")] {
        let mood = Mood::default();
        let (system, mut events) = begun(&mood).await;
        let guarded = route(&system, |route| route.limits(&limits));
        assert_eq!(answers(&guarded, 1).await, "a", "it is well at first");
        mood.set(mood_of_a);
        assert_eq!(
            answers(&guarded, 4).await,
            format!("{answer}{answer}{answer}b"),
            "{mood_of_a}: of the last three all"
        );
        assert_eq!(changes(&mut events), 1);

        // After 4 s a probe, which goes no better; then after 6 s, since twice as long would be more than it may.
        tokio::time::advance(Duration::from_millis(3999)).await;
        assert_eq!(answers(&guarded, 1).await, "b", "{mood_of_a}");
        tokio::time::advance(MS).await;
        assert_eq!(answers(&guarded, 2).await, format!("{answer}b"), "{mood_of_a}");
        tokio::time::advance(Duration::from_millis(5999)).await;
        assert_eq!(answers(&guarded, 1).await, "b", "{mood_of_a}");
        mood.set(499);
        tokio::time::advance(MS).await;
        changes(&mut events);
        // Two probes that go well close it, and not one.
        assert_eq!((answers(&guarded, 1).await.as_str(), changes(&mut events)), ("a", 1), "{mood_of_a}: half open");
        assert_eq!((answers(&guarded, 1).await.as_str(), changes(&mut events)), ("a", 1), "{mood_of_a}: closed");
        system.shutdown().await.expect("an orderly end");
    }
}
