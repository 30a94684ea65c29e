//! The breaker case by case, whole as a table, and against a simple model.

use proptest::collection::vec;
use proptest::prelude::*;

use super::Outcome::{Failed, Succeeded, Unknown};
use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Opens when half of the last 4 calls failed, for 1 s; 2 probes.
fn rules() -> BreakerRules {
    BreakerRules::default().over(Span::Calls(4)).minimum_calls(4).probes(2)
}

fn breaker(rules: BreakerRules) -> Breaker {
    Breaker::new(rules, 0).expect("rules that make sense")
}

fn call(breaker: &mut Breaker, now: Moment, outcome: Outcome) -> Option<Change> {
    let pass = breaker.admit(now).expect("it lets a call through").pass;
    breaker.report(now, pass, outcome)
}

fn opened(rules: BreakerRules, now: Moment) -> Breaker {
    let mut breaker = breaker(rules);
    for _ in 0..rules.minimum_calls {
        let _ = call(&mut breaker, now, Failed);
    }
    assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    breaker
}

fn half_open(rules: BreakerRules) -> (Breaker, Pass, Moment) {
    let mut breaker = opened(rules, Moment::ZERO);
    let pass = breaker.admit(SECOND).expect("it was open long enough").pass;
    (breaker, pass, SECOND)
}

#[test]
fn it_opens_at_the_share_of_failures_and_not_before_the_minimum_of_calls() {
    let mut breaker = breaker(rules());
    assert_eq!([Failed, Failed, Succeeded].map(|outcome| call(&mut breaker, MS, outcome)), [None; 3]);
    let change = call(&mut breaker, MS, Succeeded).expect("2 of 4 failed");
    assert_eq!(change.why, Cause::Failures(Tally { calls: 4, failed: 2, slow: 0 }));
    assert_eq!((change.from, change.to), (BreakerState::Closed, BreakerState::Open { until: SECOND + MS }));
}

#[test]
fn below_the_share_it_stays_closed_and_old_calls_leave_the_window() {
    let mut breaker = breaker(rules());
    for outcome in [Failed, Succeeded, Succeeded, Succeeded].repeat(20) {
        assert_eq!(call(&mut breaker, MS, outcome), None);
    }
}

#[test]
fn a_call_that_takes_too_long_counts_as_slow_although_it_was_answered() {
    let mut breaker = breaker(rules().slow_calls(MS * 10, 75));
    let slow = |breaker: &mut Breaker, took| {
        let pass = breaker.admit(MS).expect("it lets a call through").pass;
        breaker.report(MS + took, pass, Succeeded)
    };
    assert_eq!([MS * 9, MS * 10, MS * 11].map(|took| slow(&mut breaker, took)), [None; 3]);
    let change = slow(&mut breaker, MS * 10).expect("3 of 4 were slow");
    assert_eq!(change.why, Cause::Slowness(Tally { calls: 4, failed: 0, slow: 3 }));
}

#[test]
fn what_says_nothing_of_the_provider_does_not_count() {
    let mut breaker = breaker(rules());
    for _ in 0..100 {
        assert_eq!(call(&mut breaker, MS, Unknown), None);
    }
    let outcomes = [Failed, Failed, Failed].map(|outcome| call(&mut breaker, MS, outcome));
    assert_eq!(outcomes, [None; 3]);
}

#[test]
fn no_call_passes_before_it_was_open_long_enough() {
    let mut breaker = opened(rules(), Moment::ZERO);
    let just_before = SECOND.saturating_sub(Duration::from_nanos(1));
    assert!(!breaker.would_admit(just_before));
    assert_eq!(breaker.admit(just_before), Err(BreakerOpen::Open { until: SECOND }));
    assert!(breaker.would_admit(SECOND));
    let change = breaker.admit(SECOND).expect("it was open long enough").change.expect("it is half open now");
    assert_eq!((change.to, change.why), (BreakerState::HalfOpen, Cause::Waited));
}

#[test]
fn half_open_lets_only_its_probes_through_and_closes_when_all_succeeded() {
    let (mut breaker, first, now) = half_open(rules());
    let second = breaker.admit(now).expect("the second probe").pass;
    assert!(!breaker.would_admit(now));
    assert_eq!(breaker.admit(now), Err(BreakerOpen::ProbesOut { probes: 2 }));
    assert_eq!(breaker.report(now, first, Succeeded), None);
    let change = breaker.report(now, second, Succeeded).expect("both succeeded");
    assert_eq!((change.to, change.why), (BreakerState::Closed, Cause::ProbesSucceeded));
}

#[test]
fn a_probe_of_which_nothing_is_known_gives_its_place_back() {
    let (mut breaker, mut pass, now) = half_open(rules().probes(1));
    for _ in 0..10 {
        assert_eq!(breaker.report(now, pass, Unknown), None);
        pass = breaker.admit(now).expect("the place is free").pass;
    }
    assert!(breaker.report(now, pass, Succeeded).is_some());
}

#[test]
fn a_probe_that_fails_or_is_slow_opens_it_again_for_longer() {
    for (took, outcome) in [(MS, Failed), (MS * 10, Succeeded)] {
        let (mut breaker, pass, now) = half_open(rules().slow_calls(MS * 10, 100));
        let change = breaker.report(now + took, pass, outcome).expect("it opens");
        assert_eq!(change.why, Cause::ProbeFailed);
        assert_eq!(change.to, BreakerState::Open { until: now + took + SECOND * 2 });
    }
}

#[test]
fn one_that_flaps_opens_for_longer_each_time_and_one_that_was_well_for_long_begins_anew() {
    let flap = |pause: Duration| {
        let (mut breaker, pass, now) = half_open(rules().probes(1));
        assert!(breaker.report(now, pass, Succeeded).is_some());
        let changes = [Failed; 4].map(|outcome| call(&mut breaker, now + pause, outcome));
        let Some(Change { at, to: BreakerState::Open { until }, .. }) = changes[3] else { panic!("{changes:?}") };
        until.saturating_sub(at)
    };
    assert_eq!([SECOND, SECOND * 29, SECOND * 30].map(flap), [SECOND * 2, SECOND * 2, SECOND]);
}

#[test]
fn a_result_of_an_earlier_period_does_not_count() {
    let mut breaker = breaker(rules().probes(1));
    let mut late: Vec<Pass> = (0..8).map(|_| breaker.admit(Moment::ZERO).expect("it is closed").pass).collect();
    for pass in late.drain(..4) {
        let _ = breaker.report(Moment::ZERO, pass, Failed);
    }
    let mut later = |breaker: &mut Breaker, outcome| breaker.report(SECOND, late.pop().expect("one more"), outcome);
    assert_eq!(later(&mut breaker, Succeeded), None);
    let probe = breaker.admit(SECOND).expect("it was open long enough").pass;
    assert_eq!([Succeeded, Failed].map(|outcome| later(&mut breaker, outcome)), [None; 2]);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(!breaker.would_admit(SECOND), "a late result gave a place back that was not its own");
    assert!(breaker.report(SECOND, probe, Succeeded).is_some());
    assert_eq!(later(&mut breaker, Failed), None);
}

#[test]
fn settings_that_make_no_sense_are_refused_with_their_name() {
    let refused = [
        rules().over(Span::Calls(0)),
        rules().minimum_calls(5),
        rules().minimum_calls(0),
        rules().over(Span::Time(Duration::ZERO)),
        rules().failure_percent(101),
        rules().slow_calls(SECOND, 0),
        rules().slow_calls(Duration::ZERO, 1),
        rules().probes(0),
        rules().open_for(Backoff::exponential(Duration::ZERO)),
    ];
    let told = refused.map(|rules| rules.check().expect_err("no sense").to_string());
    let beginnings = [
        "`span` of the breaker is 0; expected at least 1",
        "`minimum_calls` of the breaker is 5; expected from 1 to 4",
        "`minimum_calls` of the breaker is 0; expected from 1 to 4",
        "`span` of the breaker is no time; expected a length such as 10s",
        "`failure_percent` of the breaker is 101; expected from 1 to 100",
        "`slow_percent` of the breaker is 0; expected from 1 to 100",
        "`slow_after` of the breaker is no time; expected a length such as 10s",
        "`probes` of the breaker is 0; expected at least 1",
        "`open_for` of the breaker: the initial delay of the back-off is zero",
    ];
    for (told, beginning) in told.iter().zip(beginnings) {
        assert!(told.starts_with(beginning), "{told}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit,
    Report(prop::sample::Index, Outcome),
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![4 => Just(Succeeded), 4 => Just(Failed), 1 => Just(Unknown)];
    let report = (any::<prop::sample::Index>(), outcome).prop_map(|(which, outcome)| Step::Report(which, outcome));
    vec(prop_oneof![4 => Just(Step::Admit), 4 => report, 1 => (0..1_500_u32).prop_map(Step::Pass)], 0..300)
}

/// The breaker as one would tell it: what passed in this period, and how it ended.
struct Model {
    state: BreakerState,
    period: usize,
    out: usize,
    ends: Vec<bool>,
}

impl Model {
    fn change(&mut self, state: BreakerState) {
        *self = Self { state, period: self.period + 1, out: 0, ends: Vec::new() };
    }

    fn admits(&mut self, now: Moment) -> bool {
        if let BreakerState::Open { until } = self.state {
            if now < until {
                return false;
            }
            self.change(BreakerState::HalfOpen);
        }
        if self.state == BreakerState::HalfOpen && self.out == 2 {
            return false;
        }
        self.out += 1;
        true
    }

    /// The state it should be in now; how long it is open is the back-off's affair.
    fn ends(&mut self, outcome: Outcome) -> &'static str {
        self.out -= 1;
        if outcome != Unknown {
            self.ends.push(outcome == Succeeded);
        }
        let failed = |ends: &[bool]| ends.iter().filter(|succeeded| !**succeeded).count();
        match self.state {
            BreakerState::HalfOpen if failed(&self.ends) > 0 => "open",
            BreakerState::HalfOpen if self.ends.len() == 2 => "closed",
            BreakerState::Closed if outcome != Unknown && self.ends.len() >= 4 => {
                let last = &self.ends[self.ends.len() - 4..];
                ["same", "open"][usize::from(failed(last) >= 2)]
            }
            _ => "same",
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_simple_model_does_and_never_lets_a_call_through_while_open(steps in steps()) {
        let mut breaker = breaker(rules());
        let mut model = Model { state: BreakerState::Closed, period: 0, out: 0, ends: Vec::new() };
        let (mut now, mut passes) = (Moment::ZERO, Vec::new());
        for step in steps {
            match step {
                Step::Pass(ms) => now += MS * ms,
                Step::Admit => {
                    let (looks, should) = (breaker.would_admit(now), model.admits(now));
                    let admitted = breaker.admit(now);
                    prop_assert_eq!((looks, admitted.is_ok()), (should, should));
                    passes.extend(admitted.ok().map(|admitted| (model.period, admitted.pass)));
                }
                Step::Report(_, _) if passes.is_empty() => {}
                Step::Report(which, outcome) => {
                    let (period, pass) = passes.swap_remove(which.index(passes.len()));
                    let change = breaker.report(now, pass, outcome);
                    let expected = if period == model.period { model.ends(outcome) } else { "same" };
                    match change {
                        None => prop_assert_eq!(expected, "same"),
                        Some(change) => {
                            let closed = change.to == BreakerState::Closed;
                            prop_assert_eq!(expected, if closed { "closed" } else { "open" });
                            model.change(change.to);
                        }
                    }
                }
            }
            prop_assert_eq!(breaker.state(), model.state);
        }
    }
}
