//! What a stop must not wait for.

use std::time::Duration;

use steadfast::supervision::{ChildRules, Command, Event, Machine, Request, RequestId, Rules, Shutdown};
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
