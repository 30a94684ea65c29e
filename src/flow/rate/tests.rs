//! The bucket case by case, and against the plain formula over any window.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NS: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

fn bucket(rate: Rate) -> TokenBucket {
    TokenBucket::new(rate).expect("a rate")
}

#[test]
fn a_burst_passes_at_once_and_the_next_waits_for_its_token() {
    let mut bucket = bucket(Rate::per_second(10).burst(3));
    assert_eq!([3, 1].map(|tokens| bucket.try_take(SECOND, tokens)), [Ok(()), Err(Wait::Until(SECOND + SECOND / 10))]);
}

#[test]
fn what_waited_as_long_as_it_was_told_passes_and_a_nanosecond_earlier_does_not() {
    // A token each third of a second is no whole number of nanoseconds.
    let mut bucket = bucket(Rate::per_second(3).burst(1));
    assert_eq!(bucket.try_take(Moment::ZERO, 1), Ok(()));
    let Err(Wait::Until(at)) = bucket.try_take(Moment::ZERO, 1) else { panic!("it is empty") };
    assert_eq!(at, Duration::from_nanos(333_333_334));
    assert_eq!(bucket.try_take(at.saturating_sub(NS), 1), Err(Wait::Until(at)));
    assert_eq!(bucket.try_take(at, 1), Ok(()));
}

#[test]
fn all_or_none_are_taken() {
    let mut bucket = bucket(Rate::per_second(1).burst(5));
    assert_eq!(bucket.try_take(Moment::ZERO, 3), Ok(()));
    assert!(bucket.try_take(Moment::ZERO, 3).is_err());
    assert_eq!(bucket.available(Moment::ZERO), 2);
}

#[test]
fn more_than_the_burst_never_passes_at_once_and_is_told_so() {
    let mut bucket = bucket(Rate::per_second(10).burst(3));
    assert_eq!(bucket.try_take(SECOND * 1_000, 4), Err(Wait::Never { asked: 4, burst: 3 }));
}

#[test]
fn a_clock_that_goes_back_adds_nothing() {
    let mut bucket = bucket(Rate::per_second(1).burst(1));
    assert_eq!(bucket.try_take(SECOND * 5, 1), Ok(()));
    assert_eq!(bucket.try_take(SECOND, 1), Err(Wait::Until(SECOND * 6)));
    assert_eq!(bucket.try_take(SECOND * 5, 1), Err(Wait::Until(SECOND * 6)));
}

#[test]
fn what_is_put_back_may_be_taken_again_and_never_exceeds_the_burst() {
    let mut bucket = bucket(Rate::per_second(1).burst(3));
    assert_eq!(bucket.try_take(Moment::ZERO, 3), Ok(()));
    bucket.put_back(2);
    assert_eq!(bucket.available(Moment::ZERO), 2);
    bucket.put_back(u32::MAX);
    assert_eq!(bucket.available(Moment::ZERO), 3);
}

#[test]
fn a_hundred_thousand_a_second_are_exact_over_a_million_takes() {
    let mut bucket = bucket(Rate::per_second(100_000).burst(1));
    let (mut now, mut taken) = (Moment::ZERO, 0_u64);
    while now < SECOND * 10 {
        match bucket.try_take(now, 1) {
            Ok(()) => taken += 1,
            Err(Wait::Until(at)) => now = at,
            Err(never) => panic!("{never}"),
        }
    }
    assert_eq!(taken, 1_000_000);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert_eq!(Rate::per_second(0).check(), Err(RateProblem::CountZero));
    assert_eq!(Rate::new(1, Duration::ZERO).check(), Err(RateProblem::PeriodZero));
    assert_eq!(Rate::per_second(1).burst(0).check(), Err(RateProblem::BurstZero));
    assert_eq!(Rate::per_second(1).check(), Ok(()));
}

#[test]
fn the_largest_numbers_overflow_nothing() {
    let mut bucket = bucket(Rate::new(u32::MAX, Duration::MAX).burst(u32::MAX));
    assert_eq!(bucket.try_take(Moment::MAX, u32::MAX), Ok(()));
    assert_eq!(bucket.try_take(Moment::MAX, 1), Err(Wait::Until(Moment::MAX)));
    bucket.put_back(u32::MAX);
    assert_eq!(bucket.available(Moment::MAX), u32::MAX);
    let mut slow = TokenBucket::new(Rate::new(1, Duration::MAX).burst(3)).expect("a rate");
    assert_eq!([3, 3].map(|tokens| slow.try_take(Moment::ZERO, tokens)), [Ok(()), Err(Wait::Until(Moment::MAX))]);
}

fn rates() -> impl Strategy<Value = Rate> {
    (1..50_u32, 1..2_000_u64, 1..20_u32)
        .prop_map(|(count, period, burst)| Rate::new(count, NS * u32::try_from(period).expect("small")).burst(burst))
}

proptest! {
    #[test]
    fn within_any_window_at_most_the_burst_and_the_rate_pass(
        rate in rates(),
        asked in vec((0..500_u32, 1..5_u32), 1..200),
    ) {
        let mut bucket = bucket(rate);
        let (mut now, mut admitted) = (Moment::ZERO, Vec::new());
        for (pause, tokens) in asked {
            now += NS * pause;
            if bucket.try_take(now, tokens).is_ok() {
                admitted.push((now, u128::from(tokens)));
            }
        }
        for (place, (from, _)) in admitted.iter().enumerate() {
            let mut sum = 0;
            for (to, tokens) in &admitted[place..] {
                sum += tokens;
                let window = to.saturating_sub(*from).as_nanos();
                let (count, period) = (u128::from(rate.count), rate.period.as_nanos());
                // Without a division, so that nothing is rounded here either.
                prop_assert!(sum * period <= u128::from(rate.burst) * period + count * window);
            }
        }
    }

    #[test]
    fn whoever_takes_each_token_as_soon_as_told_gets_exactly_the_rate(rate in rates(), tokens in 1..400_u32) {
        // Room for one token beside those of the nanosecond by which what was told is rounded up.
        let period = u32::try_from(rate.period.as_nanos()).expect("small");
        let rate = rate.burst(rate.burst + rate.count.div_ceil(period));
        let mut bucket = bucket(rate);
        let mut now = Moment::ZERO;
        for _ in 0..rate.burst + tokens {
            while let Err(wait) = bucket.try_take(now, 1) {
                let Wait::Until(at) = wait else { panic!("{wait}") };
                prop_assert!(at > now);
                now = at;
            }
        }
        // The last of them came exactly when the rate says, however often was rounded up on the way.
        let exact = (u128::from(tokens) * rate.period.as_nanos()).div_ceil(u128::from(rate.count));
        prop_assert_eq!(now.as_nanos(), exact);
    }
}
