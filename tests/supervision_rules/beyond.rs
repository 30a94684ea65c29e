//! What a supervisor does beyond OTP: back-off, own intensities and quarantine, start deadlines, children that are hung
//! or cannot be killed, forgetting, and starts side by side.

use std::time::Duration;

use steadfast::ExitReason;
use steadfast::supervision::{
    AutoShutdown, Backoff, ChildRules, Event, Intensity, Request, Restart, Rules, Shutdown, Strategy,
};

use Restart::{Permanent, Transient};

use crate::world::{OnStop, World, crash, id, worker};
use crate::{begun, only, rules};

const MS: Duration = Duration::from_millis(1);

fn backing_off() -> ChildRules {
    worker(Permanent).backoff(Backoff::exponential(MS * 100).stable_after(Duration::from_secs(1)))
}

/// Three children of which the second waits before it is restarted.
fn b_waits(strategy: Strategy) -> World {
    let children = [("a", worker(Permanent)), ("b", backing_off()), ("c", worker(Permanent))];
    World::new(rules(strategy), &children)
}

#[test]
fn a_restart_waits_for_its_back_off_and_the_child_is_restarting_meanwhile() {
    let mut world = begun(only(backing_off()));
    world.exit("a", crash());
    world.pass(99);
    assert_eq!((world.did().as_str(), world.states().as_str()), ("wait(100ms)", "a restarting"));
    world.pass(1);
    assert_eq!((world.did().as_str(), world.states().as_str()), ("start(a)", "a running"));
    assert_eq!(world.machine.restarts_in_window(MS * 100), 1, "it counted when it was decided, and only then");
}

#[test]
fn delays_grow_and_begin_anew_after_a_life_that_was_long_enough() {
    let mut world = begun(only(backing_off()).failing("a", [3]));
    world.exit("a", crash());
    world.pass(100);
    world.exit("a", crash());
    world.pass(200);
    assert_eq!(world.did(), "wait(100ms) start(a) wait(200ms) start(a) wait(400ms)", "a failed start waits too");
    world.pass(400);
    world.pass(1_000);
    world.exit("a", crash());
    assert_eq!(world.did(), "start(a) wait(100ms)");
}

#[test]
fn while_a_restart_waits_requests_and_other_exits_are_served() {
    let mut world = begun(b_waits(Strategy::OneForOne));
    world.exit("b", crash());
    world.exit("c", crash());
    assert_eq!(world.did(), "wait(100ms) start(c)");
    assert_eq!(world.ask(Request::WhichChildren), "worker a running, worker b restarting, worker c running");
    assert_eq!(world.ask(Request::RestartChild(id("b"))), "Restarting");
}

#[test]
fn terminating_a_child_that_waits_cancels_its_restart() {
    let mut world = begun(b_waits(Strategy::OneForOne));
    world.exit("b", crash());
    assert_eq!(world.ask(Request::TerminateChild(id("b"))), "done");
    world.pass(10_000);
    assert_eq!(
        (world.did().as_str(), world.states().as_str()),
        ("wait(100ms) rest(b)", "a running, b stopped, c running")
    );
    assert_eq!(world.ask(Request::RestartChild(id("b"))), "started b");
}

#[test]
fn a_supervisor_that_is_stopped_does_not_wait_for_a_back_off() {
    let mut world = begun(b_waits(Strategy::OneForOne));
    world.exit("b", crash());
    world.stop();
    assert_eq!(world.did(), "wait(100ms) stop(c) stop(a) exit");
}

#[test]
fn a_group_waits_as_one() {
    let mut all = begun(b_waits(Strategy::OneForAll));
    all.exit("b", crash());
    assert_eq!(
        (all.did().as_str(), all.states().as_str()),
        ("wait(100ms) stop(c) stop(a)", "a stopped, b restarting, c stopped")
    );
    all.pass(100);
    assert_eq!(all.did(), "start(a) start(b) start(c)");
    let mut rest = begun(b_waits(Strategy::RestForOne));
    rest.exit("b", crash());
    rest.pass(100);
    assert_eq!(rest.did(), "wait(100ms) stop(c) start(b) start(c)");
}

#[test]
fn a_group_whose_restart_fails_is_stopped_again_and_waits_as_one() {
    let mut world = begun(b_waits(Strategy::OneForAll).failing("b", [2]));
    world.exit("a", crash());
    assert_eq!(world.did(), "stop(c) stop(b) start(a) start(b) wait(100ms) stop(a)");
    world.pass(100);
    assert_eq!(world.did(), "start(a) start(b) start(c)");
    assert_eq!(world.machine.restarts_in_window(MS * 100), 2);
}

#[test]
fn a_group_restart_takes_a_child_that_waits_along_and_it_is_not_started_twice() {
    let mut world = begun(b_waits(Strategy::RestForOne));
    world.exit("b", crash());
    world.exit("a", crash());
    assert_eq!(world.did(), "wait(100ms) stop(c) start(a) start(b) start(c)");
    world.pass(10_000);
    assert_eq!(world.did(), "");
}

#[test]
fn a_group_that_takes_longer_to_stop_than_it_is_to_wait_is_started_at_once() {
    let slow = worker(Permanent).shutdown(Shutdown::Within(MS * 300));
    let world = World::new(rules(Strategy::OneForAll), &[("a", backing_off()), ("b", slow)]);
    let mut world = begun(world.on_stop("b", OnStop::Stays));
    world.exit("a", crash());
    world.pass(300);
    assert_eq!(world.did(), "wait(100ms) stop(b) kill(b) start(a) start(b)");
}

/// What is said of a child whose budget of one restart was used up.
const QUARANTINED: &str = "quarantined: its `budget` allows 1 restart in 5s, and this would be number 2; mend what ends it, \
                           or allow more, and bring it back with `restart_child`";

/// A child that may be restarted once, under a supervisor that may restart nobody.
fn on_a_budget(strategy: Strategy) -> World {
    let rules = Rules::new(strategy).intensity(Intensity::at_most(0));
    let child = || worker(Permanent).budget(Intensity::at_most(1));
    World::new(rules, &[("a", child()), ("b", child().budget(Intensity::at_most(9)))])
}

#[test]
fn a_child_whose_own_intensity_runs_out_is_quarantined_and_its_siblings_carry_on() {
    let mut world = begun(on_a_budget(Strategy::OneForOne));
    world.exit("a", crash());
    world.exit("a", crash());
    assert_eq!((world.did().as_str(), world.states().as_str()), ("start(a) rest(a)", "a quarantined, b running"));
    assert_eq!(world.verdicts(), format!("a: restarted (1 of 1 in 5s), a: {QUARANTINED}"));
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 0, "the supervisor's own is not charged");
    assert!(world.ended.is_none());
}

#[test]
fn whoever_brings_a_quarantined_child_back_lets_it_count_anew() {
    let mut world = begun(on_a_budget(Strategy::OneForOne));
    world.exit("a", crash());
    world.exit("a", crash());
    assert_eq!(world.ask(Request::RestartChild(id("a"))), "started a");
    world.did();
    world.exit("a", crash());
    assert_eq!(world.did(), "start(a)");
}

#[test]
fn a_quarantined_child_is_not_started_with_its_group() {
    let mut world = begun(on_a_budget(Strategy::OneForAll));
    world.exit("a", crash());
    world.exit("a", crash());
    world.did();
    world.exit("b", crash());
    assert_eq!((world.did().as_str(), world.states().as_str()), ("start(b)", "a quarantined, b running"));
}

#[test]
fn failed_starts_count_for_the_childs_own_intensity_too() {
    let mut world = begun(on_a_budget(Strategy::OneForOne).failing("a", 2..9));
    world.exit("a", crash());
    assert_eq!((world.did().as_str(), world.states().as_str()), ("start(a) rest(a)", "a quarantined, b running"));
    assert_eq!(world.verdicts(), format!("a: restarted (1 of 1 in 5s), a: to be tried again, a: {QUARANTINED}"));
}

#[test]
fn those_that_waited_for_a_child_that_is_quarantined_carry_on_without_it() {
    let limited = worker(Permanent).budget(Intensity::at_most(0));
    let children = [("a", worker(Permanent)), ("b", limited), ("c", worker(Permanent))];
    for strategy in [Strategy::OneForAll, Strategy::RestForOne] {
        let mut world = begun(World::new(rules(strategy), &children).failing("b", [2]));
        world.exit("a", crash());
        assert_eq!(world.did(), "stop(c) stop(b) start(a) start(b) rest(b) start(c)");
        assert_eq!(world.states(), "a running, b quarantined, c running");
    }
}

#[test]
fn a_quarantined_child_is_not_present_for_an_automatic_shutdown() {
    let rules = rules(Strategy::OneForOne).auto_shutdown(AutoShutdown::AllSignificant);
    let child = || worker(Transient).significant();
    let children = [("a", child().budget(Intensity::at_most(0))), ("b", child())];
    let mut world = begun(World::new(rules, &children));
    world.exit("a", crash());
    world.exit("b", ExitReason::Normal);
    assert_eq!(world.did(), "rest(a) rest(b) exit");
}

fn in_100_ms() -> ChildRules {
    worker(Permanent).start_deadline(MS * 100)
}

#[test]
fn a_first_start_that_takes_too_long_has_failed_once_the_half_started_child_is_gone() {
    let mut world = only(in_100_ms()).waiting("a", 1).begun();
    world.pass(99);
    assert_eq!(world.did(), "start(a)");
    world.pass(1);
    assert_eq!(world.did(), "kill(a) exit");
    let chain = world.ended.expect("it ended").chain();
    assert!(chain[1].ends_with("did not start: it was not ready within 100ms (start_deadline)"), "{chain:?}");
}

#[test]
fn a_restart_that_takes_too_long_is_tried_again_and_a_deadline_that_was_met_kills_nobody() {
    let mut world = begun(only(in_100_ms()).waiting("a", 2));
    world.pass(10_000);
    assert_eq!(world.did(), "");
    world.exit("a", crash());
    world.pass(100);
    assert_eq!(world.did(), "start(a) kill(a) start(a)");
    assert_eq!(world.verdicts(), "a: restarted (1 of 10 in 5s), a: to be tried again");
}

#[test]
fn a_child_that_just_made_it_when_its_deadline_passed_ends_as_one_that_did_not_start_in_time() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(0));
    let mut world = World::new(rules, &[("a", in_100_ms())]);
    // It has started, but the machine does not hear of it before the deadline.
    world.tell(Event::Init);
    world.pass(100);
    assert_eq!(world.did(), "start(a) kill(a) ready exit");
    assert!(world.ended.expect("it gave up").chain()[1].contains("(start_deadline)"));
}

fn cannot_be_killed() -> World {
    let rules = rules(Strategy::OneForOne).abandon_after(MS * 50);
    let child = worker(Permanent).shutdown(Shutdown::Within(MS * 100));
    World::new(rules, &[("a", worker(Permanent)), ("b", child.start_deadline(MS * 100))]).on_stop("b", OnStop::Hangs)
}

#[test]
fn a_child_that_cannot_be_killed_is_abandoned_and_the_stop_goes_on() {
    let mut world = begun(cannot_be_killed());
    world.stop();
    world.pass(149);
    assert_eq!(world.did(), "stop(b) kill(b)");
    world.pass(1);
    assert_eq!(world.did(), "abandon(b) stop(a) exit");
}

#[test]
fn a_child_that_hangs_in_its_start_is_abandoned_before_the_next_try() {
    let mut world = begun(cannot_be_killed().waiting("b", 2));
    world.exit("b", crash());
    world.pass(150);
    assert_eq!(world.did(), "start(b) kill(b) abandon(b) start(b)");
}

#[test]
fn what_an_abandoned_life_still_reports_changes_nothing() {
    let mut world = begun(cannot_be_killed());
    let (child, start) = (world.key("b"), world.start_of("b"));
    world.hang("b");
    world.pass(50);
    assert_eq!(world.did(), "kill(b) abandon(b) start(b)");
    world.tell(Event::Exited { child, start, reason: ExitReason::Killed });
    assert_eq!((world.did().as_str(), world.states().as_str()), ("", "a running, b running"));
}

#[test]
fn a_hung_child_is_killed_and_restarted_and_its_reason_says_that_it_was_hung() {
    let mut world = begun(only(worker(Transient)));
    world.hang("a");
    assert_eq!((world.did().as_str(), world.verdicts().as_str()), ("kill(a) start(a)", "a: restarted (1 of 10 in 5s)"));
    let none = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(0));
    let mut world = begun(World::new(none, &[("a", worker(Transient))]));
    world.hang("a");
    let chain = world.ended.expect("it gave up").chain();
    assert_eq!(chain[1], "child `a` was unresponsive: a handler made no progress for 1s");
}

#[test]
fn a_child_that_is_being_stopped_is_not_hung() {
    let mut world = begun(only(worker(Permanent)).on_stop("a", OnStop::Stays));
    world.stop();
    world.hang("a");
    assert_eq!(world.did(), "stop(a)");
    world.exit("a", ExitReason::SHUTDOWN);
    assert_eq!(world.did(), "exit");
}

#[test]
fn a_transient_child_may_be_forgotten_when_it_is_done() {
    let mut world = begun(only(worker(Transient).forget_when_done()));
    world.exit("a", crash());
    world.exit("a", ExitReason::Normal);
    assert_eq!((world.did().as_str(), world.states().as_str()), ("start(a) forget(a)", ""));
}

/// `b` needs nobody, `c` needs `a`, and `d` needs all.
fn side_by_side() -> World {
    let after = |names: &[&str]| worker(Permanent).after(names.iter().map(|name| id(name)));
    let children = [("a", worker(Permanent)), ("b", after(&[])), ("c", after(&["a"])), ("d", worker(Permanent))];
    World::new(rules(Strategy::OneForAll), &children)
}

#[test]
fn children_that_do_not_need_each_other_start_at_the_same_time() {
    let mut world = side_by_side().waiting("a", 1).waiting("b", 1).waiting("c", 1).begun();
    assert_eq!(world.did(), "start(a) start(b)");
    world.release("b");
    assert_eq!(world.did(), "");
    world.release("a");
    assert_eq!(world.did(), "start(c)");
    world.release("c");
    assert_eq!(world.did(), "start(d) ready");
}

#[test]
fn nobody_is_stopped_before_those_that_need_it() {
    let world = ["a", "b", "c", "d"].iter().fold(side_by_side(), |world, name| world.on_stop(name, OnStop::Stays));
    let mut world = begun(world);
    world.stop();
    assert_eq!(world.did(), "stop(d)");
    world.exit("d", ExitReason::SHUTDOWN);
    assert_eq!(world.did(), "stop(c) stop(b)");
    world.exit("c", ExitReason::SHUTDOWN);
    assert_eq!(world.did(), "stop(a)");
    world.exit("b", ExitReason::SHUTDOWN);
    world.exit("a", ExitReason::SHUTDOWN);
    assert_eq!(world.did(), "exit");
}

#[test]
fn when_one_of_several_starts_fails_none_begins_and_those_under_way_are_stopped() {
    let mut world = side_by_side().waiting("a", 1).waiting("b", 1).failing("a", [1]).begun();
    world.release("a");
    assert_eq!(world.did(), "start(a) start(b) stop(b) exit");
}

#[test]
fn a_child_that_was_deleted_and_added_again_stands_behind_those_that_named_it() {
    let mut world = begun(side_by_side());
    for request in [Request::TerminateChild(id("a")), Request::DeleteChild(id("a"))] {
        assert_eq!(world.ask(request), "done");
    }
    assert_eq!(world.ask(Request::StartChild { id: Some(id("a")), rules: worker(Permanent) }), "started a");
    world.did();
    world.exit("b", crash());
    assert_eq!(world.did(), "stop(a) stop(d) stop(c) start(b) start(c) start(d) start(a)");
    world.stop();
    assert_eq!(world.did(), "stop(a) stop(d) stop(c) stop(b) exit");
}

/// `b` needs `a`, and `c`, which waits before it is tried again, needs nobody.
fn rest_for_one_side_by_side() -> World {
    let children = [("a", worker(Permanent)), ("b", worker(Permanent)), ("c", backing_off().after([]))];
    World::new(rules(Strategy::RestForOne), &children)
}

#[test]
fn a_start_that_is_under_way_ends_before_the_group_of_one_that_failed_beside_it_waits() {
    let mut world = begun(rest_for_one_side_by_side().waiting("a", 2).failing("c", [2]));
    world.exit("a", crash());
    assert_eq!(world.did(), "stop(c) stop(b) start(a) start(c) wait(100ms)");
    world.release("a");
    assert_eq!(world.states(), "a running, b stopped, c restarting");
    world.stop();
    assert_eq!(world.did(), "stop(a) exit");
}

#[test]
fn a_retry_begins_with_the_first_that_the_failed_start_beside_it_kept_from_starting() {
    let mut world = begun(rest_for_one_side_by_side().waiting("a", 2).failing("c", [2]));
    world.exit("a", crash());
    world.release("a");
    world.did();
    world.pass(100);
    assert_eq!(
        (world.did().as_str(), world.states().as_str()),
        ("start(b) start(c)", "a running, b running, c running")
    );
}

#[test]
fn a_child_that_finds_nothing_to_run_while_it_is_stopped_is_gone() {
    let mut world = only(worker(Permanent)).ignoring("a", [1]);
    // The supervisor is told to kill it before it hears how the start ended.
    world.tell(Event::Init);
    world.tell(Event::Kill);
    world.settle();
    assert_eq!(world.did(), "start(a) kill(a) exit");
    assert_eq!(world.verdicts(), "a: stopped on request");
}
