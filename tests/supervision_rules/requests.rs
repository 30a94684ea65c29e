//! What a supervisor can be asked, rule by rule; dynamic supervisors; automatic shutdown; updates.

use std::time::Duration;

use steadfast::ExitReason;
use steadfast::supervision::{AutoShutdown, ChildRules, Event, Intensity, Request, Restart, Rules, Shutdown, Strategy};

use Restart::{Permanent, Temporary, Transient};

use crate::world::{OnStop, World, crash, id, worker};
use crate::{abc, begun, only, rules};

fn add(name: &str, rules: ChildRules) -> Request {
    Request::StartChild { id: Some(id(name)), rules }
}

fn terminate(name: &str) -> Request {
    Request::TerminateChild(id(name))
}

fn terminate_instance(name: &str) -> Request {
    Request::TerminateInstance(id(name))
}

fn restart(name: &str) -> Request {
    Request::RestartChild(id(name))
}

fn delete(name: &str) -> Request {
    Request::DeleteChild(id(name))
}

fn spec(name: &str) -> Request {
    Request::ChildSpec(id(name))
}

fn update(rules: Rules, children: &[(&str, ChildRules)]) -> Request {
    let children = children.iter().map(|(name, child)| (id(name), child.clone())).collect();
    Request::Update { rules, children, max: None }
}

fn dynamic(template: ChildRules) -> World {
    begun(World::dynamic(rules(Strategy::OneForOne), template, None))
}

/// Two instances of a template.
fn two(template: ChildRules) -> World {
    let mut world = dynamic(template);
    for name in ["k", "l"] {
        world.ask(add(name, ChildRules::worker()));
    }
    world.did();
    world
}

#[test]
fn rule_3_requests_and_exits_are_handled_in_the_order_in_which_they_came() {
    let mut world = begun(abc(Strategy::OneForOne).waiting("a", 2));
    world.exit("a", crash());
    let before = world.request(Request::WhichChildren);
    world.exit("b", crash());
    let after = world.request(Request::WhichChildren);
    world.release("a");
    assert_eq!(world.answer(before), "worker a running, worker b ended, worker c running");
    assert_eq!(world.answer(after), "worker a running, worker b running, worker c running");
}

#[test]
fn rule_6_a_child_with_nothing_to_run_is_kept_unless_it_is_temporary() {
    let children = [("a", worker(Permanent)), ("b", worker(Temporary)), ("c", worker(Transient))];
    let world = World::new(rules(Strategy::OneForOne), &children);
    let mut world = world.ignoring("a", [1]).ignoring("b", [1]).ignoring("c", [1]).begun();
    assert_eq!(world.did(), "start(a) rest(a) start(b) forget(b) start(c) rest(c) ready");
    assert_eq!(world.states(), "a stopped, c stopped");
    assert_eq!(world.ask(restart("a")), "started a");
}

#[test]
fn rule_6_a_dynamic_supervisor_keeps_nothing_of_an_instance_with_nothing_to_run() {
    for kind in [Permanent, Transient, Temporary] {
        let mut world = dynamic(worker(kind)).ignoring("k", [1]);
        assert_eq!(world.ask(add("k", ChildRules::worker())), "ignored");
        assert_eq!(world.did(), "start(k) forget(k)");
    }
}

#[test]
fn rule_9_a_new_child_that_makes_no_sense_is_refused_and_nothing_has_changed() {
    let mut world = begun(abc(Strategy::OneForOne));
    let significant = worker(Transient).significant();
    assert!(world.ask(add("d", significant)).contains("its supervisor never shuts down by itself"));
    assert!(world.ask(add("d", worker(Permanent).significant())).contains("significant and permanent"));
    assert!(world.ask(add("d", worker(Permanent).after([id("nobody")]))).contains("does not stand before it"));
    assert_eq!((world.did(), world.states()), (String::new(), "a running, b running, c running".to_owned()));
}

#[test]
fn rule_15_instances_are_stopped_at_once_with_one_time_in_common() {
    let template = worker(Permanent).shutdown(Shutdown::Within(Duration::from_millis(100)));
    let mut world = two(template).on_stop("k", OnStop::Stays).on_stop("l", OnStop::Stays);
    world.stop();
    assert_eq!(world.did(), "stop(l) stop(k)");
    world.pass(40);
    world.exit("l", ExitReason::SHUTDOWN);
    world.pass(59);
    assert_eq!(world.did(), "");
    world.pass(1);
    assert_eq!(world.did(), "kill(k) exit");
}

#[test]
fn rule_30_a_new_child_is_put_last_and_so_is_one_that_was_deleted_and_added_again() {
    let mut world = begun(abc(Strategy::OneForOne));
    for request in [terminate("a"), delete("a")] {
        assert_eq!(world.ask(request), "done");
    }
    assert_eq!(world.ask(add("d", worker(Permanent))), "started d");
    assert_eq!(world.ask(add("a", worker(Permanent))), "started a");
    assert_eq!(world.states(), "b running, c running, d running, a running");
    world.did();
    world.stop();
    assert_eq!(world.did(), "stop(a) stop(d) stop(c) stop(b) exit");
}

#[test]
fn rule_31_an_instance_is_restarted_alone_and_one_that_is_done_is_forgotten() {
    let mut world = two(worker(Transient));
    world.exit("k", crash());
    assert_eq!(world.did(), "start(k)");
    world.exit("k", ExitReason::Normal);
    assert_eq!((world.did().as_str(), world.states().as_str()), ("forget(k)", "l running"));
}

#[test]
fn rule_37_a_restart_with_nothing_to_run_stops_the_child_counts_once_and_is_not_tried_again() {
    let mut world = begun(only(worker(Permanent)).ignoring("a", [2]));
    world.exit("a", crash());
    assert_eq!(world.did(), "start(a) rest(a)");
    assert_eq!((world.states().as_str(), world.machine.restarts_in_window(Duration::ZERO)), ("a stopped", 1));
    let mut dynamic = two(worker(Permanent)).ignoring("k", [2]);
    dynamic.exit("k", crash());
    assert_eq!((dynamic.did().as_str(), dynamic.states().as_str()), ("start(k) forget(k)", "l running"));
}

/// The second start of `a` fails while others wait in line; then it is restarting.
fn with_a_restarting() -> World {
    let mut world = begun(abc(Strategy::OneForOne).waiting("a", 2).failing("a", [2]));
    world.exit("a", crash());
    world
}

#[test]
fn rule_38_a_child_that_is_being_restarted_is_neither_running_nor_stopped() {
    let mut world = with_a_restarting();
    let questions = [
        restart("a"),
        delete("a"),
        add("a", worker(Permanent)),
        Request::WhichChildren,
        Request::CountChildren,
        terminate("a"),
        Request::WhichChildren,
    ];
    let requests = questions.map(|what| world.request(what));
    world.did();
    world.release("a");
    assert_eq!(
        requests.map(|request| world.answer(request)),
        [
            "Restarting",
            "Restarting",
            "AlreadyPresent",
            "worker a restarting, worker b running, worker c running",
            "3 specs, 2 active, 0 supervisors, 3 workers",
            "done",
            "worker a stopped, worker b running, worker c running",
        ]
    );
    assert_eq!(world.did(), "rest(a)", "and it is not tried again");
}

#[test]
fn rule_38_a_significant_child_that_is_being_restarted_is_present() {
    let rules = rules(Strategy::OneForOne).auto_shutdown(AutoShutdown::AllSignificant);
    let children = [("a", worker(Transient).significant()), ("b", worker(Temporary).significant())];
    let mut world = begun(World::new(rules, &children).waiting("a", 2).failing("a", [2]));
    world.exit("a", crash());
    world.exit("b", ExitReason::Normal);
    world.release("a");
    assert_eq!(world.did(), "start(a) forget(b) start(a)");
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.did(), "rest(a) exit");
}

/// Two significant children and one that is not, under this setting.
fn significant(auto_shutdown: AutoShutdown, restart: Restart) -> World {
    let child = || worker(restart).significant();
    let children = [("a", child()), ("b", child()), ("c", worker(Transient))];
    begun(World::new(rules(Strategy::OneForOne).auto_shutdown(auto_shutdown), &children))
}

#[track_caller]
fn shuts_down(mut world: World, exits: &[(&str, ExitReason)], did: &str) {
    for (name, reason) in exits {
        world.exit(name, reason.clone());
    }
    assert_eq!(world.did(), did);
}

#[test]
fn rule_39_only_a_significant_child_that_is_not_restarted_shuts_its_supervisor_down() {
    let any = || significant(AutoShutdown::AnySignificant, Transient);
    shuts_down(any(), &[("c", ExitReason::Normal)], "rest(c)");
    shuts_down(any(), &[("a", crash())], "start(a)");
    shuts_down(any(), &[("a", ExitReason::SHUTDOWN)], "rest(a) stop(c) stop(b) exit");
    let temporary = significant(AutoShutdown::AnySignificant, Temporary);
    shuts_down(temporary, &[("a", crash())], "forget(a) stop(c) stop(b) exit");
}

#[test]
fn rule_40_all_significant_waits_for_the_last_of_them() {
    let all = || significant(AutoShutdown::AllSignificant, Temporary);
    shuts_down(all(), &[("b", crash())], "forget(b)");
    shuts_down(all(), &[("b", crash()), ("a", crash())], "forget(b) forget(a) stop(c) exit");
    let mut one_is_stopped = significant(AutoShutdown::AllSignificant, Transient);
    one_is_stopped.ask(terminate("b"));
    one_is_stopped.did();
    shuts_down(one_is_stopped, &[("a", ExitReason::Normal)], "rest(a) stop(c) exit");
}

#[test]
fn rule_41_neither_a_stop_on_request_nor_a_start_with_nothing_to_run_shuts_a_supervisor_down() {
    let mut world = significant(AutoShutdown::AnySignificant, Transient).ignoring("a", [2]);
    assert_eq!(world.ask(terminate("a")), "done");
    assert_eq!(world.ask(restart("a")), "ignored");
    assert_eq!(world.did(), "stop(a) rest(a) start(a) rest(a)");
    assert!(world.ended.is_none());
}

#[test]
fn rule_42_a_supervisor_that_shut_down_by_itself_ends_as_shutdown_and_says_why() {
    let mut world = significant(AutoShutdown::AnySignificant, Transient);
    world.exit("a", ExitReason::Normal);
    let reason = world.ended.expect("it ended");
    assert_eq!(reason.kind(), "shutdown");
    assert_eq!(
        reason.chain(),
        ["shut down by itself, since its significant child `a` ended normally", "child `a` ended normally"]
    );
}

#[test]
fn rule_43_a_name_that_is_known_is_not_started_again_and_nothing_is_kept_of_a_failed_start() {
    let mut world = begun(abc(Strategy::OneForOne).failing("d", [1]));
    assert_eq!(world.ask(add("a", worker(Permanent))), "a already started");
    world.ask(terminate("a"));
    assert_eq!(world.ask(add("a", worker(Permanent))), "AlreadyPresent");
    assert_eq!(world.ask(add("d", worker(Permanent))), "failed to start: did not start: no luck");
    assert_eq!(world.states(), "a stopped, b running, c running");
    assert_eq!(world.machine.restarts_in_window(Duration::ZERO), 0);
    assert_eq!(world.ask(add("d", worker(Permanent))), "started d");
}

#[test]
fn rule_44_a_terminated_child_is_kept_stopped_but_a_temporary_one_is_forgotten() {
    let children = [("a", worker(Permanent)), ("b", worker(Temporary))];
    let mut world = begun(World::new(rules(Strategy::OneForOne), &children));
    assert_eq!(
        [terminate("a"), terminate("a"), terminate("b"), terminate("b")].map(|what| world.ask(what)),
        ["done", "done", "done", "NotFound"]
    );
    assert_eq!(world.states(), "a stopped");
}

#[test]
fn rule_44_a_child_is_terminated_by_its_shutdown_rule_and_answered_when_it_is_gone() {
    let slow = worker(Permanent).shutdown(Shutdown::Within(Duration::from_millis(100)));
    let mut world = begun(only(slow).on_stop("a", OnStop::Stays));
    let request = world.request(terminate("a"));
    world.pass(99);
    assert_eq!((world.did().as_str(), world.answer(request).as_str()), ("stop(a)", ""));
    world.pass(1);
    assert_eq!((world.did().as_str(), world.answer(request).as_str()), ("kill(a) rest(a)", "done"));
}

#[test]
fn rule_45_only_a_stopped_child_is_restarted_and_a_failed_start_leaves_it_stopped() {
    let mut world = begun(abc(Strategy::OneForOne).failing("a", [2]));
    assert_eq!(world.ask(restart("a")), "Running");
    assert_eq!(world.ask(restart("nobody")), "NotFound");
    world.ask(terminate("a"));
    assert_eq!(world.ask(restart("a")), "failed to start: did not start: no luck");
    assert_eq!(world.states(), "a stopped, b running, c running");
    assert_eq!(world.ask(restart("a")), "started a");
}

#[test]
fn rule_46_only_a_stopped_child_is_deleted() {
    let mut world = begun(abc(Strategy::OneForOne));
    assert_eq!([delete("a"), delete("nobody")].map(|what| world.ask(what)), ["Running", "NotFound"]);
    world.exit("b", ExitReason::Normal);
    world.ask(terminate("b"));
    assert_eq!(world.ask(delete("b")), "done");
    assert_eq!(world.states(), "a running, c running");
}

#[test]
fn rule_47_children_are_listed_in_order_counted_and_described() {
    let children = [("a", worker(Transient)), ("b", ChildRules::supervisor()), ("c", worker(Temporary))];
    let mut world = begun(World::new(rules(Strategy::OneForOne), &children));
    world.exit("a", ExitReason::Normal);
    assert_eq!(world.ask(Request::WhichChildren), "worker a stopped, supervisor b running, worker c running");
    assert_eq!(world.ask(Request::CountChildren), "3 specs, 2 active, 1 supervisors, 2 workers");
    assert_eq!(
        [spec("a"), spec("b"), spec("nobody")].map(|what| world.ask(what)),
        ["transient worker within 5s", "permanent supervisor wait", "NotFound"]
    );
}

#[test]
fn rule_48_a_dynamic_supervisor_has_instances_and_no_ids() {
    let mut world = two(worker(Permanent));
    for request in [terminate("k"), restart("k"), delete("k")] {
        assert_eq!(world.ask(request), "Dynamic");
    }
    assert_eq!(world.ask(Request::CountChildren), "1 specs, 2 active, 0 supervisors, 2 workers");
    assert_eq!(world.ask(terminate_instance("k")), "done");
    assert_eq!(world.ask(terminate_instance("k")), "done", "one that is gone is well stopped");
    assert_eq!(world.did(), "stop(k) forget(k)");
    assert_eq!(world.ask(Request::CountChildren), "1 specs, 1 active, 0 supervisors, 1 workers");
}

#[test]
fn a_quarantined_instance_is_kept_does_not_count_as_active_and_may_be_brought_back() {
    let template = worker(Permanent).budget(Intensity::at_most(0));
    let mut world = two(template).failing("k", [2]);
    world.exit("k", crash());
    assert_eq!(world.states(), "k quarantined, l running");
    assert_eq!(world.ask(Request::CountChildren), "1 specs, 1 active, 0 supervisors, 2 workers");
    assert_eq!(world.ask(restart("l")), "Dynamic", "it runs");
    assert_eq!(world.ask(restart("k")), "failed to start: did not start: no luck");
    assert_eq!(world.states(), "k quarantined, l running", "where it was");
    assert_eq!(world.ask(restart("k")), "started k");
    assert_eq!(world.states(), "k running, l running");
    world.exit("k", crash());
    assert_eq!(world.ask(terminate_instance("k")), "done");
    assert_eq!(world.ask(Request::CountChildren), "1 specs, 1 active, 0 supervisors, 1 workers");
}

#[test]
fn rule_48_only_a_dynamic_supervisor_has_instances() {
    let mut world = begun(abc(Strategy::OneForOne));
    assert_eq!(world.ask(terminate_instance("a")), "NotFound");
    assert_eq!(world.did(), "");
}

#[test]
fn an_instance_without_a_name_is_numbered_and_there_are_no_more_than_allowed() {
    let mut world = begun(World::dynamic(rules(Strategy::OneForOne), worker(Permanent), Some(3)));
    let unnamed = || Request::StartChild { id: None, rules: ChildRules::worker() };
    assert_eq!(world.ask(unnamed()), "started 1");
    assert_eq!(world.ask(add("2", ChildRules::worker())), "started 2");
    assert_eq!(world.ask(unnamed()), "started 3", "2 was taken");
    assert_eq!(world.ask(unnamed()), "no more than 3");
    world.ask(terminate_instance("2"));
    assert_eq!(world.ask(unnamed()), "started 4", "no number comes twice");
}

#[test]
fn rule_49_requests_to_a_supervisor_that_ended_are_refused_also_those_that_waited() {
    let mut world = begun(abc(Strategy::OneForOne).waiting("a", 2));
    world.exit("a", crash());
    world.stop();
    let waiting = world.request(Request::CountChildren);
    assert_eq!(world.answer(waiting), "");
    world.release("a");
    assert_eq!(world.answer(waiting), "Ended");
    assert_eq!(world.ask(Request::CountChildren), "Ended");
}

#[test]
fn a_killed_supervisor_refuses_whoever_waits_for_what_it_was_doing() {
    let mut world = begun(abc(Strategy::OneForOne).waiting("d", 1));
    let starting = world.request(add("d", worker(Permanent)));
    world.kill_supervisor();
    assert_eq!(world.did(), "start(d) kill(d) kill(c) kill(b) kill(a) exit");
    assert_eq!(world.answer(starting), "Ended");
}

#[test]
fn rule_50_new_rules_replace_the_old_at_once_and_the_restarts_still_count() {
    let mut world = begun(abc(Strategy::OneForOne));
    world.exit("a", crash());
    let stricter = Rules::new(Strategy::OneForAll).intensity(Intensity::at_most(2));
    assert_eq!(world.ask(update(stricter, &[("a", worker(Permanent))])), "done");
    world.did();
    world.exit("c", crash());
    assert_eq!(world.did(), "stop(b) stop(a) start(a) start(b) start(c)");
    world.exit("c", crash());
    assert_eq!(world.gave_up.as_deref(), Some("more than 2 restarts in 5s (intensity)"));
}

#[test]
fn rule_51_new_specs_are_merged_first_the_new_list_then_what_is_kept_and_nothing_is_started() {
    let mut world = begun(abc(Strategy::OneForOne));
    let list = [("d", worker(Permanent)), ("b", worker(Temporary))];
    assert_eq!(world.ask(update(rules(Strategy::OneForOne), &list)), "done");
    assert_eq!((world.did().as_str(), world.states().as_str()), ("", "d stopped, b running, a running, c running"));
    world.exit("b", crash());
    assert_eq!(world.did(), "forget(b)", "the new restart type applies");
}

#[test]
fn rule_52_a_refused_update_changes_nothing_at_all() {
    let mut world = begun(abc(Strategy::OneForOne));
    let other = || Rules::new(Strategy::OneForAll).intensity(Intensity::at_most(0));
    let twice = [("a", worker(Permanent)), ("a", worker(Permanent))];
    assert!(world.ask(update(other(), &twice)).contains("two children are named"));
    let significant = [("d", worker(Transient).significant())];
    assert!(world.ask(update(other(), &significant)).contains("never shuts down by itself"));
    let no_window = other().intensity(Intensity::at_most(1).within(Duration::ZERO));
    assert!(world.ask(update(no_window, &[])).contains("the period of the intensity is zero"));
    world.exit("a", crash());
    assert_eq!((world.did().as_str(), world.states().as_str()), ("start(a)", "a running, b running, c running"));
}

#[test]
fn rule_52_the_template_is_replaced_and_instances_follow_it() {
    let mut world = two(worker(Permanent));
    let rules = rules(Strategy::OneForOne);
    assert!(world.ask(update(rules, &[])).contains("one template"));
    assert_eq!(world.ask(update(rules, &[("template", worker(Temporary).shutdown(Shutdown::Kill))])), "done");
    world.exit("k", crash());
    assert_eq!(world.did(), "forget(k)");
    assert_eq!(world.ask(terminate_instance("l")), "done");
    assert_eq!(world.did(), "kill(l) forget(l)");
}

#[test]
fn a_suspended_supervisor_lets_everything_wait_in_line() {
    let mut world = begun(abc(Strategy::OneForOne));
    world.tell(Event::Suspend);
    world.exit("b", crash());
    let request = world.request(Request::CountChildren);
    assert_eq!((world.did().as_str(), world.answer(request).as_str(), world.machine.waiting()), ("", "", 2));
    world.tell(Event::Resume);
    world.settle();
    assert_eq!(world.did(), "start(b)");
    assert_eq!(world.answer(request), "3 specs, 3 active, 0 supervisors, 3 workers");
}
