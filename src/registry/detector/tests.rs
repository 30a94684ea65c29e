//! Tests of the failure detector: what it says of regular, irregular and missing heartbeats.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn rules() -> DetectorRules {
    DetectorRules { acceptable_pause: Duration::ZERO, ..DetectorRules::default() }
}

/// Watches from 0 on and hears heartbeats after these intervals in milliseconds; with it comes the last moment.
fn heard(rules: DetectorRules, intervals: &[u32]) -> (Detector, Duration) {
    let mut now = Duration::ZERO;
    let mut detector = Detector::new(rules, now).expect("the settings make sense");
    for interval in intervals {
        now += *interval * MILLI;
        detector.heartbeat(now);
    }
    (detector, now)
}

/// How long a silence it takes to be taken for dead.
fn patience(detector: &Detector) -> Duration {
    detector.becomes(Liveness::Dead).saturating_sub(detector.last)
}

#[test]
fn phi_is_the_logarithm_of_how_rare_such_a_silence_is() {
    // The normal distribution leaves 0.5, 0.1587, 0.0228 and 0.00135 above 0, 1, 2 and 3 deviations.
    for (deviations, probability) in [(0.0, 0.5_f64), (1.0, 0.1587), (2.0, 0.0228), (3.0, 0.00135)] {
        let phi = phi_of(deviations);
        assert!((phi + probability.log10()).abs() < 0.05, "{deviations}: {phi}");
    }
    assert!(phi_of(-50.0) < 1e-9 && phi_of(1e6).is_finite());
}

#[test]
fn a_sender_that_never_sends_is_found() {
    let (mut detector, _) = heard(rules(), &[]);
    assert_eq!(detector.look(SECOND), None);
    assert_eq!(detector.look(10 * SECOND), Some(Change { from: Liveness::Alive, to: Liveness::Dead }));
    assert_eq!(detector.look(11 * SECOND), None);
    assert_eq!(detector.state(), Liveness::Dead);
}

#[test]
fn silence_makes_suspect_then_dead_and_a_heartbeat_alive() {
    let (mut detector, now) = heard(rules(), &[1000; 50]);
    let mut changes = Vec::new();
    for step in 0..300 {
        changes.extend(detector.look(now + step * 10 * MILLI).map(|change| (step * 10, change.to)));
    }
    assert_eq!(changes, [(1310, Liveness::Suspect), (1530, Liveness::Dead)], "a deviation is 100 ms at least");
    assert_eq!(detector.heartbeat(now + 3 * SECOND), Some(Change { from: Liveness::Dead, to: Liveness::Alive }));
    assert_eq!(detector.heartbeat(now + 4 * SECOND), None);
}

#[test]
fn the_acceptable_pause_puts_every_alarm_off_by_as_much() {
    let at = |pause| heard(DetectorRules { acceptable_pause: pause, ..rules() }, &[1000; 9]).0.becomes(Liveness::Dead);
    assert_eq!(at(5 * SECOND), at(Duration::ZERO) + 5 * SECOND);
}

#[test]
fn irregular_heartbeats_are_waited_for_longer_than_regular_ones() {
    let after = |intervals: &[u32]| patience(&heard(rules(), intervals).0);
    assert!(after(&[1500, 500, 1500, 500, 1500, 500]) > 2 * after(&[1000; 6]));
}

#[test]
fn what_was_long_ago_is_forgotten() {
    let window = DetectorRules { window: 10, ..rules() };
    let recent = [[5000; 40], [1000; 40]].concat();
    assert_eq!(patience(&heard(window, &recent).0), patience(&heard(window, &[1000; 40]).0));
}

#[test]
fn a_failure_of_any_length_teaches_no_more_than_the_silence_that_it_took_to_be_seen() {
    let (mut short, now) = heard(rules(), &[1000; 10]);
    let mut long = short.clone();
    let before = patience(&short);
    short.heartbeat(now + 2 * SECOND);
    long.heartbeat(now + 20_000 * SECOND);
    assert_eq!(patience(&long), patience(&short));
    assert!(before < patience(&long) && patience(&long) < 2 * before, "{before:?} {:?}", patience(&long));
}

#[test]
fn a_sender_that_has_become_slower_is_taken_for_dead_a_few_times_and_then_known() {
    let (mut detector, mut now) = heard(rules(), &[500; 200]);
    let mut deaths = 0;
    for _ in 0..200 {
        now += 2 * SECOND;
        deaths += usize::from(detector.look(now).is_some_and(|change| change.to == Liveness::Dead));
        detector.heartbeat(now);
    }
    assert!((1..30).contains(&deaths), "{deaths}");
    detector.look(now + 2 * SECOND);
    assert_eq!(detector.state(), Liveness::Alive);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let problem = |rules: DetectorRules| Detector::new(rules, Duration::ZERO).map(|_| ()).expect_err("it is refused");
    let good = rules();
    assert_eq!(problem(DetectorRules { interval: Duration::ZERO, ..good }), DetectorProblem::Interval);
    assert_eq!(problem(DetectorRules { window: 0, ..good }), DetectorProblem::Window);
    assert_eq!(problem(DetectorRules { window: 10_001, ..good }), DetectorProblem::Window);
    assert_eq!(problem(DetectorRules { min_deviation: Duration::ZERO, ..good }), DetectorProblem::Deviation);
    assert_eq!(problem(DetectorRules { acceptable_pause: Duration::MAX, ..good }), DetectorProblem::Pause);
    for (suspect, dead) in [(0.0, 8.0), (9.0, 8.0), (f64::NAN, 8.0), (3.0, f64::NAN), (3.0, f64::INFINITY)] {
        assert_eq!(problem(DetectorRules { suspect, dead, ..good }), DetectorProblem::Thresholds);
    }
}

fn any_rules() -> impl Strategy<Value = DetectorRules> {
    (1_u32..5000, 1_usize..40, 1_u32..500, 0_u32..3000, 0.1_f64..6.0, 0.0_f64..10.0).prop_map(
        |(interval, window, deviation, pause, suspect, more)| DetectorRules {
            interval: interval * MILLI,
            window,
            min_deviation: deviation * MILLI,
            acceptable_pause: pause * MILLI,
            suspect,
            dead: suspect + more,
        },
    )
}

fn intervals() -> impl Strategy<Value = Vec<u32>> {
    vec(prop_oneof![9 => 0_u32..3000, 1 => 0_u32..200_000], 0..80)
}

proptest! {
    #[test]
    fn phi_grows_with_silence_and_is_never_negative(
        rules in any_rules(),
        intervals in intervals(),
        mut silences in vec(0_u32..1_000_000, 2..20),
    ) {
        let (detector, now) = heard(rules, &intervals);
        silences.sort_unstable();
        let phis: Vec<_> = silences.iter().map(|silence| detector.phi(now + *silence * MILLI)).collect();
        prop_assert!(phis.is_sorted() && phis[0] >= 0.0 && phis.iter().all(|phi| phi.is_finite()), "{:?}", phis);
    }

    #[test]
    fn states_follow_the_thresholds_and_only_get_worse_without_a_heartbeat(
        rules in any_rules(),
        intervals in intervals(),
        silences in vec(0_u32..20_000, 1..20),
    ) {
        let (mut detector, mut now) = heard(rules, &intervals);
        for silence in silences {
            now += silence * MILLI;
            let before = detector.state();
            let change = detector.look(now);
            let phi = detector.phi(now);
            let expected = match phi {
                phi if phi >= rules.dead => Liveness::Dead,
                phi if phi >= rules.suspect => Liveness::Suspect,
                _ => Liveness::Alive,
            };
            prop_assert_eq!(detector.state(), expected);
            prop_assert!(expected >= before);
            prop_assert_eq!(change, (expected != before).then_some(Change { from: before, to: expected }));
        }
    }

    #[test]
    fn a_heartbeat_returns_to_alive_from_every_state(rules in any_rules(), intervals in intervals(), silence in 0_u32..1_000_000) {
        let (mut detector, now) = heard(rules, &intervals);
        detector.look(now + silence * MILLI);
        detector.heartbeat(now + silence * MILLI);
        prop_assert_eq!(detector.state(), Liveness::Alive);
    }

    #[test]
    fn nobody_is_dead_before_the_moment_that_was_told_and_somebody_silent_is_at_it(
        rules in any_rules(),
        intervals in intervals(),
    ) {
        let (detector, now) = heard(rules, &intervals);
        for (what, threshold) in [(Liveness::Suspect, rules.suspect), (Liveness::Dead, rules.dead)] {
            let moment = detector.becomes(what);
            prop_assert!(detector.clone().look(moment).is_some() || moment <= now);
            prop_assert!(detector.phi(moment) >= threshold);
            let before = moment.saturating_sub(5 * Duration::from_micros(1));
            if before > now {
                prop_assert!(detector.phi(before) < threshold);
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_the_sums_are_those_of_what_is_remembered(rules in any_rules(), intervals in intervals()) {
        let (detector, _) = heard(rules, &intervals);
        let kept = &detector.intervals;
        prop_assert!(kept.last.len() <= rules.window && kept.last.capacity() <= (2 * rules.window).max(8));
        prop_assert_eq!(kept.sum, kept.last.iter().map(|micros| u128::from(*micros)).sum::<u128>());
        prop_assert_eq!(kept.squares, kept.last.iter().map(|micros| u128::from(*micros).pow(2)).sum::<u128>());
    }

    #[test]
    fn a_clock_that_goes_back_changes_nothing(rules in any_rules(), intervals in intervals(), back in 0_u32..10_000) {
        let (mut detector, now) = heard(rules, &intervals);
        let earlier = now.saturating_sub(back * MILLI);
        prop_assert_eq!(detector.phi(earlier).to_bits(), detector.phi(now).to_bits());
        detector.heartbeat(earlier);
        prop_assert_eq!(detector.now, now);
    }
}
