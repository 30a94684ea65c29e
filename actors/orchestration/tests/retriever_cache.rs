//! What the retriever's cache keeps, for how long, and who fills it.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use steadfast_orchestration::cache::{Bounds, Cache, Source};
use tokio::sync::oneshot;

/// A moment to count from.
#[expect(clippy::disallowed_methods, reason = "any moment will do")]
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A clock that stands still until it is moved.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn cache(&self, bounds: Bounds) -> Cache {
        let seconds = Arc::clone(&self.0);
        Cache::new(bounds, Arc::new(move || *BEGIN + Duration::from_secs(seconds.load(Ordering::Relaxed))))
    }
}

const MINUTE: Duration = Duration::from_mins(1);

async fn get(cache: &Cache, key: &str, value: Value) -> (Value, Source) {
    let filled = cache.get_or_fill(key, MINUTE, ready(Ok::<_, Infallible>(value))).await;
    let (value, source) = filled.expect("it cannot fail");
    (Value::clone(&value), source)
}

#[tokio::test]
async fn what_is_empty_or_false_is_a_hit_too() {
    let cache = Clock::default().cache(Bounds::default());
    for value in [json!(false), json!(0), json!(null), json!(""), json!([]), json!({})] {
        let key = value.to_string();
        assert_eq!(get(&cache, &key, value.clone()).await, (value.clone(), Source::Miss));
        assert_eq!(get(&cache, &key, json!("other")).await, (value, Source::Hit));
    }
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.shared, stats.entries), (6, 6, 0, 6));
}

#[tokio::test]
async fn an_entry_lives_as_long_as_it_was_given_and_as_the_reader_allows() {
    let clock = Clock::default();
    let cache = clock.cache(Bounds::default());
    get(&cache, "k", json!(1)).await;
    clock.forward(59);
    assert_eq!(get(&cache, "k", json!(2)).await, (json!(1), Source::Hit));
    let strict = cache.get_or_fill("k", Duration::from_secs(30), ready(Ok::<_, Infallible>(json!(3)))).await;
    assert_eq!(*strict.expect("it cannot fail").0, json!(3));
    clock.forward(30);
    assert_eq!(get(&cache, "k", json!(4)).await, (json!(4), Source::Miss));
}

#[tokio::test]
async fn the_entry_used_least_recently_makes_room() {
    let cache = Clock::default().cache(Bounds { entries: 2, ..Bounds::default() });
    get(&cache, "a", json!(1)).await;
    get(&cache, "b", json!(2)).await;
    get(&cache, "a", json!(0)).await;
    get(&cache, "c", json!(3)).await;
    assert_eq!(get(&cache, "a", json!(0)).await.1, Source::Hit);
    assert_eq!(get(&cache, "b", json!(0)).await.1, Source::Miss);
    assert_eq!(cache.stats().evicted, 2);
}

#[tokio::test]
async fn the_bytes_are_bounded_and_what_is_larger_is_not_kept() {
    let cache = Clock::default().cache(Bounds { entries: 100, bytes: 100 });
    get(&cache, "a", json!("x".repeat(50))).await;
    get(&cache, "large", json!("x".repeat(200))).await;
    assert_eq!(get(&cache, "a", json!(0)).await.1, Source::Hit);
    get(&cache, "b", json!("x".repeat(60))).await;
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.evicted), (1, 1));
    assert!(stats.bytes <= 100);
}

#[tokio::test]
async fn of_callers_at_the_same_time_one_fills() {
    let cache = Clock::default().cache(Bounds { entries: 0, bytes: 0 });
    let fills = AtomicUsize::new(0);
    let (go, gone) = oneshot::channel::<()>();
    let first = cache.get_or_fill("k", MINUTE, async {
        fills.fetch_add(1, Ordering::Relaxed);
        gone.await.map_err(|_| "dropped")?;
        Ok(json!(7))
    });
    let other = || {
        cache.get_or_fill("k", MINUTE, async {
            fills.fetch_add(1, Ordering::Relaxed);
            Ok::<_, &str>(json!(8))
        })
    };
    let release = async { go.send(()).expect("the first waits") };
    let (first, second, third, ()) = tokio::join!(biased; first, other(), other(), release);
    let sources = [first, second, third].map(|result| result.expect("it is filled")).map(|(value, source)| {
        assert_eq!(*value, json!(7));
        source
    });
    assert_eq!(sources, [Source::Miss, Source::Shared, Source::Shared]);
    assert_eq!(fills.load(Ordering::Relaxed), 1);
    // Nothing may be kept in this cache, so that the next caller fills again.
    assert_eq!(other().await.expect("it is filled").1, Source::Miss);
}

#[tokio::test]
async fn when_the_one_who_fills_is_dropped_another_fills() {
    let cache = Clock::default().cache(Bounds::default());
    let mut first = Box::pin(cache.get_or_fill("k", MINUTE, pending::<Result<Value, Infallible>>()));
    let mut second = Box::pin(get(&cache, "k", json!(2)));
    let mut third = Box::pin(get(&cache, "k", json!(3)));
    tokio::select! {
        biased;
        _ = &mut first => panic!("it never fills"),
        _ = &mut second => panic!("it waits for the first"),
        _ = &mut third => panic!("it waits for the first"),
        () = ready(()) => {}
    }
    drop(first);
    assert_eq!(second.await, (json!(2), Source::Miss));
    assert_eq!(third.await, (json!(2), Source::Shared));
    assert_eq!(get(&cache, "k", json!(4)).await, (json!(2), Source::Hit));
}

#[tokio::test]
async fn an_error_is_given_to_the_one_who_ran_into_it_and_is_not_kept() {
    let cache = Clock::default().cache(Bounds::default());
    let failing = cache.get_or_fill("k", MINUTE, async {
        tokio::task::yield_now().await;
        Err("no")
    });
    let next = cache.get_or_fill("k", MINUTE, ready(Ok::<_, &str>(json!(1))));
    let (failed, filled) = tokio::join!(biased; failing, next);
    assert_eq!(failed.expect_err("it failed"), "no");
    assert_eq!(filled.expect("it is filled").1, Source::Miss);
    assert_eq!(get(&cache, "k", json!(2)).await, (json!(1), Source::Hit));
    assert_eq!(cache.stats().misses, 2);
}
