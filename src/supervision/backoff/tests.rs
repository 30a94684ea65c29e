//! The delays of back-offs, case by case and for any setting.

use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn backoff() -> Backoff {
    Backoff::exponential(MS * 100).maximum(MS * 10_000)
}

#[track_caller]
fn check(backoff: Backoff, delays_in_ms: &[u32]) {
    let delays: Vec<Duration> = (0..).take(delays_in_ms.len()).map(|step| backoff.delay(step, 0)).collect();
    assert_eq!(delays, delays_in_ms.iter().map(|delay| MS * *delay).collect::<Vec<_>>());
}

#[test]
fn each_delay_is_longer_by_the_factor_up_to_the_maximum() {
    check(backoff(), &[100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    check(backoff().factor(1.5), &[100, 150, 225]);
    check(backoff().factor(1.0), &[100, 100, 100]);
    check(backoff().factor(1_000.0), &[100, 10_000, 10_000]);
    check(Backoff::constant(MS * 250), &[250, 250, 250]);
}

#[test]
fn jitter_cuts_a_delay_short_by_up_to_its_share() {
    let backoff = backoff().jitter(0.2);
    assert_eq!(backoff.delay(0, 0), MS * 100);
    assert_eq!(backoff.delay(0, u64::MAX), MS * 80);
    assert_eq!(backoff.delay(20, u64::MAX), MS * 8_000);
    let half = backoff.delay(0, u64::MAX / 2);
    assert!(half > MS * 89 && half < MS * 91, "{half:?}");
    assert_eq!(backoff.jitter(1.0).delay(20, u64::MAX), Duration::ZERO);
}

#[test]
fn the_delays_begin_anew_after_a_stable_time_which_is_the_maximum_unless_set() {
    assert!(backoff().resets_after(MS * 10_000));
    assert!(!backoff().resets_after(MS * 9_999));
    assert!(backoff().stable_after(MS * 5).resets_after(MS * 5));
    assert!(!backoff().stable_after(MS * 5).resets_after(MS * 4));
}

#[test]
fn a_first_delay_above_the_default_maximum_raises_it() {
    let backoff = Backoff::exponential(Duration::from_mins(1));
    assert_eq!(backoff.maximum, Duration::from_mins(1));
    assert_eq!(backoff.check(), Ok(()));
    assert_eq!(Backoff::exponential(MS).maximum, Backoff::DEFAULT_MAXIMUM);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    use BackoffProblem::{FactorBelowOne, InitialZero, JitterOutOfRange, MaximumBelowInitial, StableAfterZero};

    assert_eq!(backoff().factor(1.0).jitter(1.0).check(), Ok(()));
    assert_eq!(Backoff::exponential(Duration::ZERO).check(), Err(InitialZero));
    let below = MaximumBelowInitial { initial: MS * 100, maximum: MS };
    assert_eq!(backoff().maximum(MS).check(), Err(below));
    for factor in [0.99, 0.0, -2.0, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(backoff().factor(factor).check(), Err(FactorBelowOne), "{factor}");
    }
    for share in [1.01, -0.01, f64::NAN, f64::INFINITY] {
        assert_eq!(backoff().jitter(share).check(), Err(JitterOutOfRange), "{share}");
    }
    assert_eq!(backoff().stable_after(Duration::ZERO).check(), Err(StableAfterZero));
}

#[test]
fn a_problem_names_the_setting_and_the_remedy() {
    assert_eq!(
        backoff().maximum(MS).check().map_err(|problem| problem.to_string()),
        Err("the maximum of the back-off, 1ms, is below its initial delay, 100ms; raise the maximum".to_owned())
    );
}

#[test]
fn a_back_off_prints_as_one_phrase() {
    let printed = [
        backoff().jitter(0.2).stable_after(MS * 30_000).to_string(),
        backoff().factor(3.0).to_string(),
        backoff().factor(1.5).to_string(),
        Backoff::constant(MS * 250).to_string(),
    ];
    assert_eq!(
        printed,
        [
            "100ms, doubling up to 10s, 20 % jitter, reset after 30s up",
            "100ms, tripling up to 10s, reset after 10s up",
            "100ms, growing by 50 % up to 10s, reset after 10s up",
            "250ms each time, reset after 250ms up",
        ]
    );
}

#[test]
fn the_longest_delay_that_there_is_does_not_overflow() {
    let endless = Backoff::exponential(Duration::MAX).factor(f64::INFINITY).jitter(1.0);
    assert_eq!(endless.delay(u32::MAX, 0), Duration::MAX);
    assert_eq!(endless.delay(u32::MAX, u64::MAX), Duration::ZERO);
    let slow = Backoff::exponential(Duration::from_nanos(1)).factor(1.01).maximum(Duration::MAX);
    assert_eq!(slow.delay(u32::MAX, 0), Duration::MAX);
}

/// Lengths of every size, the shortest and the longest among them.
fn length() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0_u64..100).prop_map(Duration::from_nanos),
        (0_u64..100_000).prop_map(Duration::from_millis),
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    ]
}

prop_compose! {
    /// Any back-off, also one that makes no sense.
    fn any_backoff()(
        (initial, maximum) in (length(), length()),
        factor_percent in prop_oneof![0_u32..1_000, any::<u32>()],
        jitter_percent in prop_oneof![0_u32..=100, any::<u32>()],
        stable_after in proptest::option::of(length()),
    ) -> Backoff {
        Backoff { initial, factor_percent, maximum, jitter_percent, stable_after }
    }
}

/// The nearest back-off that makes sense.
fn mended(backoff: Backoff) -> Backoff {
    let Backoff { initial, factor_percent, maximum, jitter_percent, stable_after } = backoff;
    let initial = initial.max(Duration::from_nanos(1));
    Backoff {
        initial,
        factor_percent: factor_percent.max(100),
        maximum: maximum.max(initial),
        jitter_percent: jitter_percent.min(100),
        stable_after: stable_after.filter(|up| !up.is_zero()),
    }
}

fn any_step() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..40, any::<u32>()]
}

proptest! {
    #[test]
    fn no_delay_of_any_setting_is_above_the_maximum(
        backoff in any_backoff(), step in any_step(), random in any::<u64>(),
    ) {
        prop_assert!(backoff.delay(step, random) <= backoff.maximum);
    }

    #[test]
    fn without_jitter_no_delay_is_below_the_one_before_it(backoff in any_backoff(), step in any_step()) {
        prop_assert!(backoff.delay(step, 0) <= backoff.delay(step.saturating_add(1), 0));
    }

    #[test]
    fn a_larger_random_number_never_makes_the_wait_longer(
        backoff in any_backoff(), step in any_step(), numbers in any::<[u64; 2]>(),
    ) {
        let [low, high] = [numbers[0].min(numbers[1]), numbers[0].max(numbers[1])];
        prop_assert!(backoff.delay(step, high) <= backoff.delay(step, low));
    }

    #[test]
    fn a_valid_setting_delays_by_at_least_what_jitter_leaves_of_the_first_delay(
        backoff in any_backoff().prop_map(mended), step in any_step(), random in any::<u64>(),
    ) {
        prop_assert_eq!(backoff.check(), Ok(()));
        let least = backoff.delay(0, u64::MAX);
        prop_assert!(backoff.delay(step, random) >= least);
        prop_assert!(backoff.jitter_percent == 100 || !least.is_zero());
    }

    #[test]
    fn any_float_as_factor_and_as_jitter_gives_a_delay(factor in any::<f64>(), share in any::<f64>()) {
        let backoff = backoff().factor(factor).jitter(share);
        prop_assert!(backoff.delay(3, 1 << 63) <= backoff.maximum);
        prop_assert!(!backoff.to_string().is_empty());
    }
}
