//! The rules of supervision, each shown on the machine alone. The numbers are those of the specification.

mod beyond;
mod invariants;
mod requests;
mod stops;
mod world;

use std::time::Duration;

use steadfast::supervision::{ChildRules, Event, Intensity, Restart, Rules, Shutdown, Strategy};
use steadfast::{ExitReason, ShutdownCause};

use Restart::{Permanent, Temporary, Transient};
use world::{OnStop, World, crash, worker};

fn rules(strategy: Strategy) -> Rules {
    Rules::new(strategy).intensity(Intensity::at_most(10))
}

/// Three permanent children, with up to ten restarts.
fn abc(strategy: Strategy) -> World {
    World::new(rules(strategy), &["a", "b", "c"].map(|name| (name, worker(Permanent))))
}

/// One child, with up to ten restarts.
fn only(child: ChildRules) -> World {
    World::new(rules(Strategy::OneForOne), &[("a", child)])
}

fn begun(world: World) -> World {
    let mut world = world.begun();
    world.did();
    world
}

#[test]
fn rule_4_children_start_in_order_each_after_the_one_before_has_started() {
    let mut world = abc(Strategy::OneForOne).waiting("b", 1).begun();
    assert_eq!(world.did(), "start(a) start(b)");
    world.release("b");
    assert_eq!(world.did(), "start(c) ready");
}

#[test]
fn a_supervisor_without_children_is_ready_at_once() {
    let mut world = World::new(rules(Strategy::OneForAll), &[]).begun();
    world.stop();
    assert_eq!(world.did(), "ready exit");
}

#[test]
fn rule_7_when_a_first_start_fails_the_others_are_stopped_and_the_supervisor_does_not_start() {
    let mut world = abc(Strategy::OneForOne).failing("c", [1]).begun();
    assert_eq!(world.did(), "start(a) start(b) start(c) stop(b) stop(a) exit");
    let reason = world.ended.expect("it ended");
    assert_eq!(reason.chain(), ["did not start, since `c` did not start: no luck", "child `c` did not start: no luck"]);
}

#[test]
fn rule_10_children_are_stopped_in_reverse_order_each_after_the_one_before_is_gone() {
    let mut world = begun(abc(Strategy::OneForOne).on_stop("b", OnStop::Stays));
    world.stop();
    assert_eq!(world.did(), "stop(c) stop(b)");
    world.exit("b", ExitReason::Normal);
    assert_eq!(world.did(), "stop(a) exit");
}

#[test]
fn rule_11_a_child_that_does_not_stop_in_time_is_killed() {
    let slow = worker(Permanent).shutdown(Shutdown::Within(Duration::from_millis(500)));
    let mut world = begun(only(slow).on_stop("a", OnStop::Stays));
    world.stop();
    world.pass(499);
    assert_eq!(world.did(), "stop(a)");
    world.pass(1);
    assert_eq!(world.did(), "kill(a) exit");
}

#[test]
fn rule_11_each_child_has_its_own_time_to_stop() {
    let within = |ms| worker(Permanent).shutdown(Shutdown::Within(Duration::from_millis(ms)));
    let children = [("a", within(100)), ("b", within(1_000)), ("c", within(100))];
    let stays = ["a", "b", "c"];
    let world = World::new(rules(Strategy::OneForOne), &children);
    let mut world = begun(stays.iter().fold(world, |world, name| world.on_stop(name, OnStop::Stays)));
    world.stop();
    world.pass(100);
    assert_eq!(world.did(), "stop(c) kill(c) stop(b)");
    world.pass(999);
    assert_eq!(world.did(), "");
    world.pass(1);
    assert_eq!(world.did(), "kill(b) stop(a)");
    world.pass(100);
    assert_eq!(world.did(), "kill(a) exit");
}

#[test]
fn rule_11_a_timer_of_a_child_that_is_gone_kills_nobody() {
    let child = worker(Permanent).shutdown(Shutdown::Within(Duration::from_millis(100)));
    let patient = worker(Permanent).shutdown(Shutdown::Wait);
    let world = World::new(rules(Strategy::OneForOne), &[("a", patient), ("b", child)]);
    let mut world = begun(world.on_stop("a", OnStop::Stays));
    world.stop();
    world.pass(10_000);
    assert_eq!(world.did(), "stop(b) stop(a)");
}

#[test]
fn rule_11_brutal_kill_does_not_ask_and_infinity_never_kills() {
    let mut killed = begun(only(worker(Permanent).shutdown(Shutdown::Kill)));
    killed.stop();
    assert_eq!(killed.did(), "kill(a) exit");
    let mut waited_for = begun(only(ChildRules::supervisor()).on_stop("a", OnStop::Stays));
    waited_for.stop();
    waited_for.pass(1_000_000);
    assert_eq!(waited_for.did(), "stop(a)");
}

#[test]
fn rule_11_no_time_to_stop_means_that_the_kill_follows_at_once() {
    let mut world = begun(only(worker(Permanent).shutdown(Shutdown::Within(Duration::ZERO))));
    world.stop();
    assert_eq!(world.did(), "stop(a) kill(a) exit");
}

#[test]
fn rule_12_a_child_that_ends_otherwise_when_asked_counts_as_stopped() {
    let mut world = begun(abc(Strategy::OneForOne).on_stop("b", OnStop::Ends(crash())));
    world.stop();
    assert_eq!(world.did(), "stop(c) stop(b) stop(a) exit");
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 0);
}

#[test]
fn rule_14_a_child_that_had_died_before_its_turn_is_simply_stopped() {
    let mut world = begun(abc(Strategy::OneForOne).waiting("a", 2));
    world.exit("a", crash());
    world.stop();
    world.exit("c", crash());
    assert_eq!(world.states(), "a starting, b running, c ended");
    world.release("a");
    assert_eq!(world.did(), "start(a) stop(b) stop(a) exit");
    assert_eq!(
        world.verdicts(),
        "a: restarted (1 of 10 in 5s), c: stopped on request, b: stopped on request, a: stopped on request"
    );
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 1);
}

#[test]
fn rule_14_a_second_crash_in_the_same_group_counts_nothing_of_its_own() {
    let mut world = begun(abc(Strategy::OneForAll).on_stop("c", OnStop::Stays));
    world.exit("a", crash());
    assert_eq!(world.did(), "stop(c)");
    world.exit("b", crash());
    world.exit("c", ExitReason::SHUTDOWN);
    assert_eq!(world.did(), "start(a) start(b) start(c)");
    assert_eq!(world.verdicts(), "a: restarted (1 of 10 in 5s), c: stopped with its group, b: stopped with its group");
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 1);
}

#[test]
fn rule_16_a_supervisor_that_was_asked_ends_with_the_reason_it_was_given() {
    let mut world = begun(abc(Strategy::OneForOne));
    let reason = ExitReason::Shutdown(ShutdownCause::Because("maintenance".to_owned()));
    world.tell(Event::Stop { reason });
    world.settle();
    assert_eq!(world.ended.as_ref().map(ToString::to_string).as_deref(), Some("was stopped: maintenance"));
    assert_eq!(world.verdicts(), "c: stopped on request, b: stopped on request, a: stopped on request");
}

#[track_caller]
fn after_exit(restart: Restart, reason: ExitReason, did: &str) {
    let mut world = begun(only(worker(restart)));
    world.exit("a", reason);
    assert_eq!(world.did(), did);
}

#[test]
fn rule_17_a_permanent_child_is_always_restarted() {
    for reason in [ExitReason::Normal, ExitReason::SHUTDOWN, crash(), ExitReason::Killed] {
        after_exit(Permanent, reason, "start(a)");
    }
}

#[test]
fn rule_18_a_transient_child_is_restarted_unless_it_ended_softly() {
    let because = ExitReason::Shutdown(ShutdownCause::Because("done".to_owned()));
    for soft in [ExitReason::Normal, ExitReason::SHUTDOWN, because] {
        after_exit(Transient, soft, "rest(a)");
    }
    after_exit(Transient, crash(), "start(a)");
}

#[test]
fn rule_19_a_temporary_child_is_never_restarted_and_is_forgotten() {
    for reason in [ExitReason::Normal, crash(), ExitReason::Killed] {
        after_exit(Temporary, reason, "forget(a)");
    }
    let mut world = begun(only(worker(Temporary)));
    let key = world.key("a");
    world.exit("a", crash());
    assert!(world.machine.child(key).is_none());
}

#[test]
fn rule_20_being_killed_from_outside_is_abnormal() {
    after_exit(Transient, ExitReason::Killed, "start(a)");
}

#[test]
fn rule_21_a_group_restart_counts_once_and_exits_without_a_restart_do_not_count() {
    let children = [("a", worker(Permanent)), ("b", worker(Transient)), ("c", worker(Temporary))];
    let mut world = begun(World::new(rules(Strategy::OneForAll), &children));
    world.exit("b", ExitReason::Normal);
    world.exit("c", crash());
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 0);
    world.exit("a", crash());
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 1);
}

#[test]
fn rule_22_so_many_restarts_are_done_and_at_the_next_one_the_supervisor_gives_up_before_doing_it() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(2));
    let mut world = begun(World::new(rules, &[("a", worker(Permanent)), ("b", worker(Permanent))]));
    world.exit("a", crash());
    world.exit("b", crash());
    assert_eq!(world.did(), "start(a) start(b)");
    world.exit("a", crash());
    assert_eq!(world.did(), "stop(b) exit");
    assert_eq!(world.gave_up.as_deref(), Some("more than 2 restarts in 5s (intensity)"));
}

#[test]
fn rule_22_an_intensity_of_0_allows_no_restart() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(0));
    let mut world = begun(World::new(rules, &[("a", worker(Permanent))]));
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.did(), "exit");
}

#[test]
fn rule_22_the_window_slides_and_does_not_begin_anew() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(2));
    let mut world = begun(World::new(rules, &[("a", worker(Permanent))]));
    for pause in [0, 4_000, 2_000, 2_000] {
        world.pass(pause);
        world.exit("a", crash());
    }
    assert_eq!(world.did(), "start(a) start(a) start(a) exit");
}

#[test]
fn rule_23_a_restart_counts_until_it_is_older_than_the_period_to_the_millisecond() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(1));
    let with_pause = |ms| {
        let mut world = begun(World::new(rules, &[("a", worker(Permanent))]));
        world.exit("a", crash());
        world.pass(ms);
        world.exit("a", crash());
        world.did()
    };
    assert_eq!(with_pause(5_000), "start(a) exit");
    assert_eq!(with_pause(5_001), "start(a) start(a)");
}

#[test]
fn rule_24_a_supervisor_that_gives_up_stops_the_others_and_ends_with_a_shutdown_that_tells_why() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(0));
    let mut world = begun(World::new(rules, &["a", "b", "c"].map(|name| (name, worker(Permanent)))));
    world.exit("b", crash());
    assert_eq!(world.did(), "stop(c) stop(a) exit");
    assert_eq!(
        world.verdicts(),
        "b: its supervisor gave up, c: stopped with its supervisor, a: stopped with its supervisor"
    );
    let reason = world.ended.expect("it ended");
    assert_eq!(reason.kind(), "shutdown");
    assert_eq!(reason.chain(), ["gave up: more than 0 restarts in 5s (intensity)", "child `b` failed: crash"]);
}

#[track_caller]
fn restarted(strategy: Strategy, crashed: &str, did: &str) {
    let mut world = begun(abc(strategy));
    world.exit(crashed, crash());
    assert_eq!(world.did(), did);
    assert_eq!(world.states(), "a running, b running, c running");
}

#[test]
fn rule_25_one_for_one_restarts_only_the_child() {
    restarted(Strategy::OneForOne, "a", "start(a)");
    restarted(Strategy::OneForOne, "b", "start(b)");
}

#[test]
fn rule_26_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    restarted(Strategy::OneForAll, "b", "stop(c) stop(a) start(a) start(b) start(c)");
    restarted(Strategy::OneForAll, "c", "stop(b) stop(a) start(a) start(b) start(c)");
}

#[test]
fn rule_27_rest_for_one_restarts_the_child_and_those_after_it() {
    restarted(Strategy::RestForOne, "a", "stop(c) stop(b) start(a) start(b) start(c)");
    restarted(Strategy::RestForOne, "b", "stop(c) start(b) start(c)");
    restarted(Strategy::RestForOne, "c", "start(c)");
}

#[test]
fn rule_28_temporary_children_of_a_group_are_stopped_and_forgotten() {
    let children = [("a", worker(Temporary)), ("b", worker(Permanent)), ("c", worker(Temporary))];
    let mut all = begun(World::new(rules(Strategy::OneForAll), &children));
    all.exit("b", crash());
    assert_eq!(all.did(), "stop(c) forget(c) stop(a) forget(a) start(b)");
    let mut rest = begun(World::new(rules(Strategy::RestForOne), &children));
    rest.exit("b", crash());
    assert_eq!(rest.did(), "stop(c) forget(c) start(b)");
}

#[test]
fn rule_29_a_child_that_had_finished_is_started_with_its_group() {
    let children = [("a", worker(Transient)), ("b", worker(Permanent)), ("c", worker(Transient))];
    let with = |strategy| {
        let mut world = World::new(rules(strategy), &children).begun();
        world.exit("a", ExitReason::Normal);
        world.exit("c", ExitReason::Normal);
        world.did();
        world.exit("b", crash());
        world.did()
    };
    assert_eq!(with(Strategy::OneForAll), "start(a) start(b) start(c)");
    assert_eq!(with(Strategy::RestForOne), "start(b) start(c)");
    assert_eq!(with(Strategy::OneForOne), "start(b)");
}

#[test]
fn rule_33_a_retry_waits_behind_what_came_before_it() {
    let mut world = begun(abc(Strategy::OneForOne).waiting("a", 2).failing("a", [2]));
    world.exit("a", crash());
    world.exit("c", crash());
    world.release("a");
    assert_eq!(world.did(), "start(a) start(c) start(a)");
}

#[test]
fn rule_33_a_stop_waits_behind_the_exits_that_came_before_it_and_cancels_the_retry_after_it() {
    let mut world = begun(abc(Strategy::OneForOne).waiting("a", 2).failing("a", [2]));
    world.exit("a", crash());
    world.exit("c", crash());
    world.stop();
    world.release("a");
    assert_eq!(world.did(), "start(a) start(c) stop(c) stop(b) exit");
}

#[test]
fn a_stop_during_a_start_is_honoured_once_that_start_has_ended() {
    let mut world = only(worker(Permanent)).waiting("a", 1).begun();
    world.stop();
    assert_eq!(world.did(), "start(a)");
    world.release("a");
    assert_eq!(world.did(), "ready stop(a) exit");
}

#[test]
fn a_stop_before_the_first_start_ends_a_supervisor_that_starts_nobody() {
    let mut world = only(worker(Permanent));
    world.stop();
    assert_eq!(world.begun().did(), "exit");
}

#[test]
fn rule_34_each_retry_counts_and_a_child_that_always_fails_ends_in_giving_up() {
    let rules = Rules::new(Strategy::OneForOne).intensity(Intensity::at_most(3));
    let mut world = begun(World::new(rules, &[("a", worker(Permanent))]).failing("a", 2..100));
    world.exit("a", crash());
    assert_eq!(world.did(), "start(a) start(a) start(a) exit");
    let again = "a: to be tried again";
    assert_eq!(world.verdicts(), format!("a: restarted (1 of 3 in 5s), {again}, {again}, {again}"));
    let reason = world.ended.expect("it ended");
    assert_eq!(reason.chain()[1], "child `a` did not start: no luck");
}

#[test]
fn rule_35_one_for_all_keeps_what_started_until_the_retry_stops_it_and_starts_all_anew() {
    let mut world = begun(abc(Strategy::OneForAll).failing("b", [2]).waiting("a", 3));
    world.exit("c", crash());
    assert_eq!(world.did(), "stop(b) stop(a) start(a) start(b) stop(a) start(a)");
    world.release("a");
    assert_eq!(world.did(), "start(b) start(c)");
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 2);
}

#[test]
fn rule_36_rest_for_one_retries_from_the_child_that_failed() {
    let mut world = begun(abc(Strategy::RestForOne).failing("b", [2]));
    world.exit("a", crash());
    assert_eq!(world.did(), "stop(c) stop(b) start(a) start(b) start(b) start(c)");
    assert_eq!(world.states(), "a running, b running, c running");
}

#[test]
fn so_many_failed_starts_in_a_row_are_enough_where_the_intensity_would_allow_more() {
    let rules = rules(Strategy::OneForOne).failed_starts(2);
    let world = World::new(rules, &[("a", worker(Permanent)), ("b", worker(Permanent))]);
    let mut world = begun(world.failing("a", [2, 4, 5]));
    world.exit("a", crash());
    assert_eq!(world.did(), "start(a) start(a)");
    world.exit("a", crash());
    assert_eq!(world.did(), "start(a) start(a) stop(b) exit");
    assert_eq!(world.gave_up.as_deref(), Some("2 failed starts in a row (failed_starts)"));
}

#[test]
fn each_start_tells_by_whose_decision_it_is() {
    let mut world = abc(Strategy::RestForOne).failing("c", [2]).begun();
    assert_eq!(world.causes(), "a by init, b by init, c by init");
    world.exit("b", crash());
    assert_eq!(
        world.causes(),
        "b by its own exit (1 of 10 in 5s), c by the exit of `b` (1 of 10 in 5s), \
         c by its failed start (2 of 10 in 5s)"
    );
}

#[test]
fn events_of_an_earlier_life_are_dropped() {
    let mut world = begun(abc(Strategy::OneForAll));
    let (child, start) = (world.key("a"), world.start_of("a"));
    world.exit("a", crash());
    world.did();
    world.tell(Event::Exited { child, start, reason: crash() });
    world.tell(Event::Started { child, start });
    assert_eq!((world.did(), world.states()), (String::new(), "a running, b running, c running".to_owned()));
}

#[test]
fn a_second_init_and_a_stray_timer_change_nothing() {
    let mut world = begun(abc(Strategy::OneForOne));
    world.tell(Event::Init);
    world.tell(Event::Timer);
    assert_eq!(world.did(), "");
}

#[test]
fn nothing_happens_after_the_end() {
    let mut world = begun(abc(Strategy::OneForOne));
    world.stop();
    assert!(world.machine.is_done());
    world.did();
    for event in [Event::Init, Event::Timer, Event::Stop { reason: ExitReason::SHUTDOWN }] {
        world.tell(event);
    }
    assert_eq!(world.did(), "");
}

#[test]
fn rule_54_a_killed_supervisor_kills_its_children_last_first_without_waiting_for_any_stop() {
    let mut world = begun(abc(Strategy::OneForOne).on_stop("b", OnStop::Stays));
    world.stop();
    assert_eq!(world.did(), "stop(c) stop(b)");
    world.kill_supervisor();
    assert_eq!(world.did(), "kill(b) kill(a) exit");
    assert!(matches!(world.ended, Some(ExitReason::Killed)));
}

#[test]
fn rule_54_a_supervisor_that_is_killed_while_a_child_starts_kills_that_child_too() {
    let mut world = abc(Strategy::OneForOne).waiting("b", 1).begun();
    assert_eq!(world.did(), "start(a) start(b)");
    world.kill_supervisor();
    assert_eq!(world.did(), "kill(b) kill(a) exit");
    assert!(matches!(world.ended, Some(ExitReason::Killed)));
}
