//! Scaling case by case, and what holds under any load.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// 2 to 6 members; grows above 4 for each, shrinks below 2 for each after 10 s; grows once a second.
fn rules() -> PoolRules {
    PoolRules::elastic(2, 6).thresholds(4, 2).shrink_after(SECOND * 10)
}

fn scaler(rules: PoolRules) -> Scaler {
    Scaler::new(rules).expect("rules that make sense")
}

#[track_caller]
fn check(members: u32, waiting: u64, expected: Scale) {
    assert_eq!(scaler(rules()).decide(SECOND, PoolView { members, waiting }), expected);
}

#[test]
fn it_grows_to_what_the_work_needs_and_never_above_the_maximum() {
    check(2, 8, Scale::Keep);
    check(2, 9, Scale::Grow(1));
    check(2, 17, Scale::Grow(3));
    check(2, u64::MAX, Scale::Grow(4));
    check(6, u64::MAX, Scale::Keep);
}

#[test]
fn the_bounds_are_kept_at_once() {
    check(0, 0, Scale::Grow(2));
    check(9, u64::MAX, Scale::Shrink(3));
    let mut scaler = scaler(rules());
    assert_eq!(scaler.decide(SECOND, PoolView { members: 2, waiting: 9 }), Scale::Grow(1));
    // Two have crashed for good meanwhile: no pause holds that up.
    assert_eq!(scaler.decide(SECOND, PoolView { members: 1, waiting: 0 }), Scale::Grow(1));
}

#[test]
fn it_grows_by_at_most_so_many_at_once_and_pauses_between() {
    let mut scaler = scaler(rules().grow_by(1));
    let mut decide = |at_ms, members| scaler.decide(Duration::from_millis(at_ms), PoolView { members, waiting: 99 });
    let decisions = [decide(0, 2), decide(999, 3), decide(1_000, 3), decide(1_999, 4), decide(2_000, 4)];
    assert_eq!(decisions, [Scale::Grow(1), Scale::Keep, Scale::Grow(1), Scale::Keep, Scale::Grow(1)]);
}

#[test]
fn it_shrinks_by_one_after_a_pause_without_a_break() {
    let mut scaler = scaler(rules());
    let mut decide = |at, waiting| scaler.decide(SECOND * at, PoolView { members: 4, waiting });
    assert_eq!([0, 9].map(|at| decide(at, 7)), [Scale::Keep; 2]);
    // A moment of more work, and the pause begins anew.
    assert_eq!([decide(10, 8), decide(11, 7), decide(20, 7)], [Scale::Keep; 3]);
    assert_eq!(decide(21, 7), Scale::Shrink(1));
    assert_eq!([decide(22, 0), decide(31, 0)], [Scale::Keep; 2]);
    assert_eq!(decide(32, 0), Scale::Shrink(1));
}

#[test]
fn it_does_not_shrink_right_after_it_grew() {
    let mut scaler = scaler(rules());
    assert_eq!(scaler.decide(SECOND, PoolView { members: 2, waiting: 9 }), Scale::Grow(1));
    let decisions = [2, 10].map(|at| scaler.decide(SECOND * at, PoolView { members: 3, waiting: 0 }));
    assert_eq!(decisions, [Scale::Keep; 2]);
    assert_eq!(scaler.decide(SECOND * 12, PoolView { members: 3, waiting: 0 }), Scale::Shrink(1));
}

#[test]
fn the_last_member_does_not_leave_while_work_waits_that_would_bring_it_back() {
    let mut scaler = scaler(PoolRules::elastic(0, 6).thresholds(4, 2));
    let mut decide = |at, waiting| scaler.decide(SECOND * at, PoolView { members: 1, waiting });
    assert_eq!([0, 100].map(|at| decide(at, 1)), [Scale::Keep; 2]);
    assert_eq!(decide(101, 0), Scale::Shrink(1));
}

#[test]
fn a_fixed_pool_only_replaces() {
    let mut scaler = scaler(PoolRules::fixed(3));
    let mut decide = |members, waiting| scaler.decide(SECOND * 1_000, PoolView { members, waiting });
    assert_eq!([decide(3, 0), decide(3, 999), decide(1, 0)], [Scale::Keep, Scale::Keep, Scale::Grow(2)]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let problems = [
        PoolRules::elastic(0, 0).check(),
        PoolRules::elastic(3, 2).check(),
        rules().thresholds(0, 0).check(),
        rules().grow_by(0).check(),
        rules().thresholds(5, 3).check(),
    ];
    assert_eq!(
        problems,
        [
            Err(PoolProblem::Zero { field: "maximum" }),
            Err(PoolProblem::Bounds { minimum: 3, maximum: 2 }),
            Err(PoolProblem::Zero { field: "grow_above" }),
            Err(PoolProblem::Zero { field: "grow_by" }),
            Err(PoolProblem::Swings { shrink_below: 3, grow_above: 5 }),
        ]
    );
}

#[test]
fn who_got_nobody_learns_how_long_it_waited_and_how_the_pool_stood() {
    let pool = Occupancy { permits: 4, inside: 4, waiting: 7 };
    let error = AcquireError::Timeout { waited: SECOND * 30, pool };
    assert_eq!(error.to_string(), "no member of the pool came free within 30s: 4 of 4 in use, 7 waiting");
}

fn any_rules() -> impl Strategy<Value = PoolRules> {
    (0..5_u32, 1..9_u32, 1..12_u32, 0..12_u32, 1..4_u32).prop_map(|(minimum, more, grow, shrink, by)| {
        PoolRules::elastic(minimum, minimum + more).thresholds(grow, shrink.min(grow / 2)).grow_by(by)
    })
}

fn apply(members: u32, scale: Scale) -> u32 {
    match scale {
        Scale::Keep => members,
        Scale::Grow(more) => members + more,
        Scale::Shrink(fewer) => members - fewer,
    }
}

proptest! {
    #[test]
    fn no_decision_leads_out_of_the_bounds(rules in any_rules(), load in vec((0..40_u32, 0..200_u64, 0..9_u32), 1..100)) {
        let mut scaler = scaler(rules);
        let (mut now, mut members) = (SECOND, rules.minimum);
        for (pause, waiting, crashed) in load {
            now += SECOND * pause;
            // Crashes that are not made good by restarts, now and then.
            members = members.saturating_sub(crashed.saturating_sub(6));
            members = apply(members, scaler.decide(now, PoolView { members, waiting }));
            prop_assert!(rules.minimum <= members && members <= rules.maximum);
        }
    }

    #[test]
    fn under_work_that_does_not_change_it_settles_and_does_not_swing(
        rules in any_rules(),
        members in 0..14_u32,
        waiting in 0..150_u64,
    ) {
        let mut scaler = scaler(rules);
        let (mut now, mut members) = (SECOND, members.clamp(rules.minimum, rules.maximum));
        let mut changes = Vec::new();
        for _ in 0..1_000 {
            now += SECOND;
            let scale = scaler.decide(now, PoolView { members, waiting });
            changes.extend((scale != Scale::Keep).then_some(matches!(scale, Scale::Grow(_))));
            members = apply(members, scale);
        }
        prop_assert!(changes.iter().all(|grew| *grew == changes[0]), "{changes:?}");
        prop_assert!(changes.len() <= 14);
        let still = scaler.decide(now + SECOND * 99, PoolView { members, waiting });
        prop_assert_eq!(still, Scale::Keep);
    }
}
