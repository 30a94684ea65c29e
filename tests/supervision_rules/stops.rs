//! What a stop must not wait for.

use std::time::Duration;

use steadfast::supervision::{
    Backoff, ChildKey, ChildRules, Command, Event, Machine, Progress, Request, RequestId, Rules, Shutdown, Start,
};
use steadfast::{ChildId, ExitReason};

#[test]
fn a_hung_child_that_was_killed_is_abandoned_also_when_a_stop_comes_that_would_wait_without_limit() {
    let rules = ChildRules::worker().shutdown(Shutdown::Wait);
    let mut machine = Machine::new(Rules::default(), vec![(ChildId::new("a").expect("a name"), rules)]);
    let Command::Start { child, start, .. } = machine.step(Duration::ZERO, Event::Init)[0] else { panic!("a start") };
    let _ = machine.step(Duration::ZERO, Event::Started { child, start });
    let _ = machine.step(Duration::ZERO, Event::Hung { child, start, reason: ExitReason::Killed });
    let _ = machine.step(Duration::ZERO, Event::Stop { reason: ExitReason::SHUTDOWN });
    let at = machine.next_alarm().expect("it does not wait for ever");
    let commands = machine.step(at, Event::Timer);
    assert!(commands.iter().any(|command| matches!(command, Command::Abandon { .. })), "{commands:?}");
    assert!(machine.is_done());
}

#[test]
fn a_stop_before_the_first_start_does_not_wait_behind_a_request_which_is_answered() {
    let mut machine = Machine::new(Rules::default(), Vec::new());
    let asked = Event::Request { request: RequestId(1), what: Request::CountChildren };
    assert!(machine.step(Duration::ZERO, asked).is_empty());
    let commands = machine.step(Duration::ZERO, Event::Stop { reason: ExitReason::SHUTDOWN });
    assert!(matches!(commands[..], [Command::Reply { .. }, Command::Exit { .. }]), "{commands:?}");
}

const SECOND: Duration = Duration::from_secs(1);

/// A supervisor of one supervisor, which was killed at once.
fn with_a_killed_supervisor() -> (Machine, ChildKey, Start) {
    let rules = ChildRules::supervisor().shutdown(Shutdown::Kill);
    let children = vec![(ChildId::new("a").expect("a name"), rules)];
    let mut machine = Machine::new(Rules::default().abandon_after(SECOND), children);
    let Command::Start { child, start, .. } = machine.step(Duration::ZERO, Event::Init)[0] else { panic!("a start") };
    let _ = machine.step(Duration::ZERO, Event::Started { child, start });
    let _ = machine.step(Duration::ZERO, Event::Stop { reason: ExitReason::SHUTDOWN });
    (machine, child, start)
}

/// The next alarm comes, and the child's supervisor is said to wait for this. Returns whether it was abandoned.
fn is_abandoned(machine: &mut Machine, (child, start): (ChildKey, Start), progress: Progress) -> bool {
    let at = machine.next_alarm().expect("it does not wait for ever");
    let commands = machine.step(at, Event::Timer);
    assert!(matches!(commands[..], [Command::AskProgress { .. }]), "{commands:?}");
    let commands = machine.step(at, Event::Progress { child, start, progress });
    commands.iter().any(|command| matches!(command, Command::Abandon { .. }))
}

#[test]
fn a_killed_supervisor_has_a_second_deadline_after_each_moment_for_which_it_waits_itself() {
    let (mut machine, child, start) = with_a_killed_supervisor();
    for until in [5, 9, 70] {
        let until = Duration::from_secs(until);
        assert!(!is_abandoned(&mut machine, (child, start), Progress::WaitsUntil(until)));
        assert_eq!(machine.next_alarm(), Some(until + SECOND));
    }
    assert!(!is_abandoned(&mut machine, (child, start), Progress::Leaving));
    assert!(is_abandoned(&mut machine, (child, start), Progress::Leaving), "it had its time to leave");
    assert!(machine.is_done());
}

#[test]
fn a_killed_supervisor_that_waits_for_nothing_or_whose_moment_passed_without_effect_is_abandoned() {
    let (mut machine, child, start) = with_a_killed_supervisor();
    assert!(is_abandoned(&mut machine, (child, start), Progress::Unknown));
    let (mut machine, child, start) = with_a_killed_supervisor();
    let past = Progress::WaitsUntil(Duration::ZERO);
    assert!(!is_abandoned(&mut machine, (child, start), past));
    assert_eq!(machine.next_alarm(), Some(2 * SECOND), "a deadline after now, and not after that moment");
    assert!(is_abandoned(&mut machine, (child, start), past));
}

#[test]
fn what_is_said_of_a_life_that_is_gone_changes_nothing() {
    let (mut machine, child, start) = with_a_killed_supervisor();
    let _ = machine.step(SECOND, Event::Timer);
    let _ = machine.step(SECOND, Event::Exited { child, start, reason: ExitReason::Killed });
    assert!(machine.is_done());
    let late = machine.step(SECOND, Event::Progress { child, start, progress: Progress::Unknown });
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn a_supervisor_that_was_not_told_to_end_waits_for_nothing_that_its_end_could_wait_for() {
    let backoff = Backoff::constant(Duration::from_mins(10));
    let names = ["a", "b"].map(|name| ChildId::new(name).expect("a name"));
    let rules = ChildRules::worker().backoff(backoff).shutdown(Shutdown::Within(3 * SECOND));
    let children = names.map(|name| (name, rules.clone())).into();
    let mut machine = Machine::new(Rules::default().abandon_after(SECOND), children);
    let mut commands = machine.step(Duration::ZERO, Event::Init);
    let mut lives = Vec::new();
    while let Some(Command::Start { child, start, .. }) = commands.first() {
        lives.push((*child, *start));
        commands = machine.step(Duration::ZERO, Event::Started { child: *child, start: *start });
    }
    let (child, start) = lives[0];
    let _ = machine.step(Duration::ZERO, Event::Exited { child, start, reason: ExitReason::Killed });
    assert_eq!(machine.next_alarm(), Some(Duration::from_mins(10)), "one waits for its back-off");
    assert_eq!(machine.progress(), Progress::Unknown);
    let _ = machine.step(SECOND, Event::Stop { reason: ExitReason::SHUTDOWN });
    assert_eq!(machine.progress(), Progress::WaitsUntil(4 * SECOND), "the other one's stop, and not that back-off");
    let _ = machine.step(4 * SECOND, Event::Timer);
    assert_eq!(machine.progress(), Progress::WaitsUntil(5 * SECOND), "its second deadline");
    let (child, start) = lives[1];
    let _ = machine.step(4 * SECOND, Event::Exited { child, start, reason: ExitReason::Killed });
    assert_eq!(machine.progress(), Progress::Leaving);
}
