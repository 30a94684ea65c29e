//! The lint, finding by finding: where it warns, and where it must not.

use super::*;
use crate::supervision::policy::Strategy;

const SECOND: Duration = Duration::from_secs(1);

fn id(name: &str) -> ChildId {
    ChildId::new(name).expect("a name")
}

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn stops_within(seconds: u32) -> ChildRules {
    ChildRules::worker().shutdown(Shutdown::Within(SECOND * seconds))
}

/// A supervisor `root` with the children `a`, `b` and so on.
fn root<const N: usize>(rules: Rules, children: [ChildRules; N]) -> Outline {
    let names = ["a", "b", "c"];
    children
        .into_iter()
        .zip(names)
        .fold(Outline::new(path("root"), rules), |root, (rules, name)| root.child(id(name), rules))
}

/// A supervisor `root` with the supervisor `sub` below it.
fn nested(rules: ChildRules, sub: Outline) -> Outline {
    let sub = Outline { path: path("root/sub"), ..sub };
    Outline::new(path("root"), Rules::default()).supervisor(id("sub"), rules, sub)
}

fn intensity(max: u32, seconds: u32) -> Rules {
    Rules::default().intensity(Intensity::at_most(max).within(SECOND * seconds))
}

fn group(strategy: Strategy, max: u32, seconds: u32) -> Rules {
    Rules { strategy, ..intensity(max, seconds) }
}

/// Compares what is found with what is expected, each as `path: Variant`.
#[track_caller]
fn check(tree: &Outline, expected: &[&str]) {
    check_with(tree, |_| {}, expected);
}

/// The same, after settings were changed that OTP does not have.
#[track_caller]
fn check_with(tree: &Outline, change: impl FnOnce(&mut [Surveyed<'_>]), expected: &[&str]) {
    let mut supervisors = survey(tree);
    change(&mut supervisors);
    measure(&mut supervisors);
    let name = |what: &Finding| format!("{what:?}").split([' ', '{']).next().unwrap_or_default().to_owned();
    let found = supervisors.iter().flat_map(checks::all).map(|w| format!("{}: {}", w.path, name(&w.what)));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn a_tree_of_otps_defaults_gives_no_warning() {
    let sub = root(Rules::default(), [ChildRules::worker(), ChildRules::worker()]);
    check(&nested(ChildRules::supervisor(), sub), &[]);
    check(&Outline::new(path("root"), Rules::default()), &[]);
    check(&root(Rules::new(Strategy::OneForAll), [ChildRules::worker(), ChildRules::worker()]), &[]);
}

#[test]
fn no_allowed_restart_is_suspicious_where_an_end_would_count() {
    check(&root(intensity(0, 5), [ChildRules::worker()]), &["root: AlwaysGivesUp"]);
    check(&root(intensity(0, 5), [ChildRules::worker().restart(Restart::Temporary)]), &[]);
    let template = OutlineChild::new(id("t"), ChildRules::worker().restart(Restart::Transient));
    check(&Outline::dynamic(path("root"), intensity(0, 5), template), &["root: AlwaysGivesUp"]);
}

#[test]
fn a_group_that_may_stop_for_longer_than_the_period_never_uses_up_its_intensity() {
    let three = || [stops_within(2), stops_within(2), stops_within(2)];
    check(&root(group(Strategy::OneForAll, 2, 8), three()), &[]);
    check(&root(group(Strategy::OneForAll, 2, 7), three()), &["root: StopsOutlastPeriod"]);
    check(&root(group(Strategy::RestForOne, 1, 4), three()), &[]);
    check(&root(group(Strategy::RestForOne, 1, 3), three()), &["root: StopsOutlastPeriod"]);
    check(&root(intensity(1, 1), three()), &[]);
}

#[test]
fn only_children_that_the_failing_one_stops_for_good_measure_count() {
    // `a` is temporary, and so `b` is the first whose end restarts anything; only `c` comes after it.
    let late = [stops_within(9).restart(Restart::Temporary), stops_within(9), stops_within(1)];
    check(&root(group(Strategy::RestForOne, 1, 1), late), &[]);
    // Not the slow child's own end is the worst case, but the quick one's.
    let found = lint(&root(group(Strategy::OneForAll, 1, 5), [stops_within(6), stops_within(1)]));
    let stopping = Some(SECOND * 6);
    let intensity = Intensity::at_most(1).within(SECOND * 5);
    assert_eq!(found[0].what, Finding::StopsOutlastPeriod { child: id("b"), stopping, intensity });
}

#[test]
fn back_offs_that_space_restarts_beyond_the_period_are_found() {
    let two = root(intensity(10, 5), [ChildRules::worker(), ChildRules::worker()]);
    let backoff = Backoff::exponential(SECOND / 10).maximum(SECOND * 10);
    // Each child can restart at 0, 0.1, 0.3, 0.7, 1.5 and 3.1 s: 12 together.
    let on_both = |supervisors: &mut [Surveyed<'_>]| {
        supervisors[0].members.iter_mut().for_each(|child| child.beyond.backoff = Some(backoff));
    };
    check_with(&two, on_both, &[]);
    check_with(&Outline { rules: intensity(12, 5), ..two.clone() }, on_both, &["root: DelaysOutlastPeriod"]);
    // One child without a back-off can use up any limit.
    let on_one = |supervisors: &mut [Surveyed<'_>]| supervisors[0].members[0].beyond.backoff = Some(backoff);
    check_with(&Outline { rules: intensity(12, 5), ..two.clone() }, on_one, &[]);
    check_with(&Outline { dynamic: true, rules: intensity(12, 5), ..two }, on_both, &[]);
}

#[test]
fn the_restarts_that_fit_into_a_window_are_counted_with_growth_jitter_and_reset() {
    #[track_caller]
    fn check(backoff: Backoff, most: u64) {
        assert_eq!(checks::most_restarts(&backoff, Intensity::at_most(100).within(SECOND * 5)), most);
    }
    let backoff = Backoff::exponential(SECOND).maximum(SECOND * 10);
    check(backoff, 3);
    // At the very end of the period a restart still counts.
    check(Backoff::constant(SECOND).stable_after(SECOND * 6), 6);
    check(backoff.jitter(0.5), 4);
    check(backoff.jitter(1.0), 101);
    // A child that becomes stable within the window begins again with the first delay.
    check(backoff.stable_after(SECOND), 6);
    check(Backoff::constant(SECOND / 20).stable_after(SECOND * 6), 101);
    let slow = Backoff::constant(SECOND / 15).stable_after(SECOND * 6);
    check(slow, 76);
}

#[test]
fn more_restarts_per_second_than_a_machine_should_do_are_no_limit() {
    let rules = |max, seconds| intensity(max, seconds).failed_starts(5);
    check(&root(rules(10_000, 10), [ChildRules::worker()]), &[]);
    check(&root(rules(10_001, 10), [ChildRules::worker()]), &["root: UnboundedRestarts"]);
    let short = Rules::default().intensity(Intensity::at_most(2).within(Duration::from_millis(1)));
    check(&root(short, [ChildRules::worker()]), &["root: UnboundedRestarts"]);
}

#[test]
fn a_high_intensity_needs_a_limit_for_failed_starts_or_a_pause_between_them() {
    let many = root(intensity(200, 10), [ChildRules::worker()]);
    check(&many, &["root: UnboundedFailedStarts"]);
    check(&Outline { rules: many.rules.failed_starts(5), ..many.clone() }, &[]);
    let pause = |supervisors: &mut [Surveyed<'_>]| {
        supervisors[0].members[0].beyond.backoff = Some(Backoff::constant(SECOND / 100));
    };
    check_with(&many, pause, &[]);
    check(&root(intensity(100, 10), [ChildRules::worker()]), &[]);
}

#[test]
fn failed_starts_above_the_intensity_are_out_of_reach() {
    check(&root(intensity(3, 5).failed_starts(4), [ChildRules::worker()]), &["root: FailedStartsOutOfReach"]);
    check(&root(intensity(3, 5).failed_starts(3), [ChildRules::worker()]), &[]);
}

#[test]
fn a_group_with_fewer_than_two_members_is_none() {
    check(&root(group(Strategy::OneForAll, 1, 5), [ChildRules::worker()]), &["root: GroupOfOne"]);
    check(&root(group(Strategy::RestForOne, 1, 5), []), &["root: GroupOfOne"]);
    let template = OutlineChild::new(id("t"), ChildRules::worker());
    check(&Outline::dynamic(path("root"), group(Strategy::OneForAll, 1, 5), template), &[]);
}

#[test]
fn temporary_children_and_groups_do_not_go_together() {
    let temporary = || stops_within(1).restart(Restart::Temporary);
    let permanent = || stops_within(1);
    let all = group(Strategy::OneForAll, 1, 5);
    let rest = group(Strategy::RestForOne, 1, 5);
    check(&root(all, [temporary(), temporary()]), &["root: GroupWithoutRestarts"]);
    check(&root(all, [temporary(), permanent()]), &["root/a: TemporaryInGroup"]);
    check(&root(rest, [temporary(), permanent()]), &[]);
    check(&root(rest, [permanent(), temporary()]), &["root/b: TemporaryInGroup"]);
    check(&root(Rules::default(), [temporary(), temporary()]), &[]);
}

#[test]
fn a_supervisor_that_would_stay_down_after_giving_up_is_found() {
    let sub = root(Rules::default(), [ChildRules::worker()]);
    let transient = || ChildRules::supervisor().restart(Restart::Transient);
    check(&nested(transient(), sub.clone()), &["root/sub: SupervisorStaysDown"]);
    // It is known to be one even if nothing is known of what is below it.
    check(&root(Rules::default(), [transient()]), &["root/a: SupervisorStaysDown"]);
    check(&nested(ChildRules::supervisor().restart(Restart::Temporary), sub), &["root/sub: SupervisorStaysDown"]);
}

#[test]
fn a_supervisor_must_have_the_time_that_its_children_may_take_to_stop() {
    let sub = root(Rules::default(), [stops_within(2), stops_within(3)]);
    let within = |seconds| ChildRules::supervisor().shutdown(Shutdown::Within(SECOND * seconds));
    check(&nested(within(5), sub.clone()), &[]);
    check(&nested(within(4), sub.clone()), &["root/sub: ShutdownTooShort"]);
    check(&nested(ChildRules::supervisor().shutdown(Shutdown::Kill), sub.clone()), &["root/sub: SupervisorKilled"]);
    // The instances of a dynamic supervisor stop all at once.
    let template = OutlineChild::new(id("t"), stops_within(4));
    check(&nested(within(4), Outline::dynamic(path("root/sub"), Rules::default(), template)), &[]);
}

#[test]
fn times_to_stop_add_up_through_levels_and_end_at_a_limit_between() {
    let deep = |middle: Shutdown, limit: u32| {
        let low = root(Rules::default(), [stops_within(5), stops_within(5)]);
        let rules = ChildRules::supervisor().shutdown(middle);
        let low = Outline { path: path("root/sub/low"), ..low };
        let sub = root(Rules::default(), []).supervisor(id("low"), rules, low);
        nested(ChildRules::supervisor().shutdown(Shutdown::Within(SECOND * limit)), sub)
    };
    check(&deep(Shutdown::Wait, 10), &[]);
    check(&deep(Shutdown::Wait, 9), &["root/sub: ShutdownTooShort"]);
    check(&deep(Shutdown::Within(SECOND * 4), 4), &["root/sub/low: ShutdownTooShort"]);
}

#[test]
fn a_worker_that_is_waited_for_may_keep_everything_from_stopping() {
    let waits = || ChildRules::worker().shutdown(Shutdown::Wait);
    check(&root(Rules::default(), [waits()]), &["root/a: WorkerWaitedFor"]);
    let sub = root(Rules::default(), [waits()]);
    let limited = ChildRules::supervisor().shutdown(Shutdown::Within(SECOND * 60));
    check(&nested(limited, sub), &["root/sub: ShutdownTooShort", "root/sub/a: WorkerWaitedFor"]);
}

#[test]
fn an_automatic_shutdown_needs_a_significant_child_and_a_supervisor_that_may_stay_down() {
    let sub = root(Rules::default(), [ChildRules::worker().restart(Restart::Transient)]);
    let set = |significant: bool| {
        move |supervisors: &mut [Surveyed<'_>]| {
            supervisors[1].has_auto_shutdown = true;
            supervisors[1].members[0].beyond.significant = significant;
        }
    };
    let transient = || ChildRules::supervisor().restart(Restart::Transient);
    check_with(&nested(transient(), sub.clone()), set(true), &[]);
    check_with(&nested(transient(), sub.clone()), set(false), &["root/sub: AutoShutdownWithoutSignificant"]);
    check_with(&nested(ChildRules::supervisor(), sub), set(true), &["root/sub: AutoShutdownRestarted"]);
}

#[test]
fn starts_that_run_into_their_deadline_must_add_up() {
    let set = |supervisors: &mut [Surveyed<'_>]| supervisors[0].members[0].beyond.start_deadline = Some(SECOND * 10);
    check_with(&root(intensity(1, 5), [ChildRules::worker()]), set, &["root/a: HungStartsNeverAddUp"]);
    check_with(&root(intensity(3, 30), [ChildRules::worker()]), set, &[]);
    check_with(&root(intensity(1, 5).failed_starts(3), [ChildRules::worker()]), set, &[]);
}

#[test]
fn a_supervisor_must_have_the_time_that_its_children_may_take_to_start() {
    let tree = nested(ChildRules::supervisor(), root(intensity(1, 60), [ChildRules::worker(), ChildRules::worker()]));
    let set = |limit: u32| {
        move |supervisors: &mut [Surveyed<'_>]| {
            supervisors[0].members[0].beyond.start_deadline = Some(SECOND * limit);
            supervisors[1].members.iter_mut().for_each(|child| child.beyond.start_deadline = Some(SECOND * 2));
        }
    };
    check_with(&Outline { rules: intensity(1, 60), ..tree.clone() }, set(4), &[]);
    check_with(&Outline { rules: intensity(1, 60), ..tree }, set(3), &["root/sub: StartDeadlineTooShort"]);
}

#[test]
fn a_budget_that_limits_nothing_or_everything_is_found() {
    let set = |max: u32, backoff: Option<Backoff>| {
        move |supervisors: &mut [Surveyed<'_>]| {
            let budget = Some(Intensity::at_most(max).within(SECOND * 5));
            supervisors[0].members[0].beyond = Beyond { backoff, budget, ..Beyond::default() };
        }
    };
    let tree = root(intensity(0, 5), [ChildRules::worker()]);
    check_with(&tree, set(0, None), &["root/a: AlwaysQuarantined"]);
    check_with(&tree, set(5, None), &[]);
    let slow = Backoff::exponential(SECOND).maximum(SECOND * 10);
    check_with(&tree, set(5, Some(slow)), &["root/a: BudgetNeverRunsOut"]);
    check_with(&tree, set(2, Some(slow)), &[]);
}

#[test]
fn settings_about_restarts_have_no_effect_on_a_temporary_child() {
    let set = |supervisors: &mut [Surveyed<'_>]| {
        supervisors[0].members[0].beyond.backoff = Some(Backoff::constant(SECOND));
    };
    let tree = root(Rules::default(), [ChildRules::worker().restart(Restart::Temporary)]);
    check_with(&tree, set, &["root/a: NoEffect"]);
}

#[test]
fn warnings_come_in_the_order_of_the_tree() {
    let bad = |place: &str| Outline { path: path(place), ..root(intensity(0, 5), [ChildRules::worker()]) };
    let temporary = || ChildRules::supervisor().restart(Restart::Temporary);
    let tree = Outline::new(path("root"), intensity(5_000, 1).failed_starts(1))
        .supervisor(id("x"), temporary(), bad("root/x"))
        .supervisor(id("y"), temporary(), bad("root/y"));
    let expected = [
        "root: UnboundedRestarts",
        "root/x: SupervisorStaysDown",
        "root/y: SupervisorStaysDown",
        "root/x: AlwaysGivesUp",
        "root/y: AlwaysGivesUp",
    ];
    check(&tree, &expected);
}

#[test]
fn a_warning_names_the_place_the_setting_the_reason_and_the_remedy() {
    #[track_caller]
    fn says(tree: &Outline, expected: &str) {
        assert_eq!(lint(tree).first().map(ToString::to_string).as_deref(), Some(expected));
    }
    says(
        &root(group(Strategy::OneForAll, 1, 5), [ChildRules::worker(), ChildRules::worker(), ChildRules::worker()]),
        "root: when `a` ends, stopping the others of the group may take 10s, and restarts that far apart never add up to \
         more than 1 in 5s (intensity); lengthen the period, or shorten the `shutdown` of the others",
    );
    says(
        &root(group(Strategy::RestForOne, 1, 5), [ChildRules::worker()]),
        "root: rest_for_one is for children that share a failure, and there is only one; use one_for_one, or add the \
         others",
    );
    says(
        &root(intensity(200, 5), [ChildRules::worker()]),
        "root: a child whose start always fails is tried 200 times without a pause before 200 in 5s (intensity) ends \
         it; set `failed_starts`, or give the child a back-off",
    );
}
