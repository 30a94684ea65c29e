//! What is worth a line, of the tree of agents. What is said of a run is
//! [`explain::line`](steadfast_orchestration::run::explain::line()).

use std::time::Duration;

use steadfast::supervision::StartCause;
use steadfast::{Event, EventKind, ExitClass, ExitReason, Path, Verdict};
use steadfast_orchestration::run::RunState;

/// The line about an event of the tree, if it is worth one.
pub(crate) fn event(event: &Event) -> Option<String> {
    about(&event.path, &event.kind)
}

fn about(path: &Path, kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Exited { incarnation, reason, verdict } => {
            exited(reason, *verdict).map(|how| format!("agent {path}, incarnation {incarnation}, {how}"))
        }
        EventKind::Starting { cause, .. } if !cause.is_restart() => None,
        EventKind::Starting { incarnation, cause: StartCause::Sibling { culprit, .. } } => {
            Some(format!("agent {path} restarted with {culprit}, incarnation {incarnation}"))
        }
        EventKind::Starting { incarnation, .. } => Some(format!("agent {path} restarted, incarnation {incarnation}")),
        EventKind::BackingOff { delay } => {
            Some(format!("agent {path} waits {delay:?} for its restart (`backoff`); the others go on"))
        }
        // One that comes of an exit is the verdict of that exit.
        EventKind::Quarantined { tally } => {
            Some(format!("agent {path} did not start again; {}", Verdict::Quarantined(*tally)))
        }
        EventKind::GaveUp(escalation) => Some(format!(
            "supervisor {path} gave up ({}): {} {}; {}",
            escalation.limit,
            escalation.child,
            escalation.reason,
            escalation.remedy()
        )),
        EventKind::Killing { incarnation } => {
            Some(format!("agent {path}, incarnation {incarnation}, did not stop in time and is killed"))
        }
        EventKind::Leaked { .. }
        | EventKind::LeakEnded { .. }
        | EventKind::RuntimeBlocked { .. }
        | EventKind::RuntimeFree { .. } => blocking(path, kind),
        EventKind::Ending { culprit: Some(culprit) } => Some(format!("the tree ends, because of {culprit}")),
        _ => None,
    }
}

/// The line about code that keeps a thread to itself, or gives it back.
fn blocking(path: &Path, kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Leaked { incarnation } => Some(format!(
            "agent {path}, incarnation {incarnation}, leaked: its code runs on, cut off from the tree, and keeps a thread \
             until it returns; if it never does, mend what blocks in this agent"
        )),
        EventKind::LeakEnded { incarnation } => Some(format!(
            "agent {path}, incarnation {incarnation}, no longer leaks: its code has returned, and its thread is free"
        )),
        EventKind::RuntimeBlocked { runtime, silent } => Some(format!(
            "the threads of `{runtime}` are blocked, for {:.1} s now: no agent on it goes on; if that does not pass, kill \
             the process, and mend what blocks in the agents that leaked",
            silent.as_secs_f64()
        )),
        EventKind::RuntimeFree { runtime, silent } => Some(format!(
            "a thread of `{runtime}` is free again, after {:.1} s: the agents on it go on",
            silent.as_secs_f64()
        )),
        _ => None,
    }
}

/// How an agent ended, unless somebody asked it to. An ordinary end is worth a line where it was one too many.
fn exited(reason: &ExitReason, verdict: Verdict) -> Option<String> {
    use Verdict::{Quarantined, StoppedOnRequest, StoppedWithGroup, StoppedWithSupervisor};
    let asked = matches!(verdict, StoppedOnRequest | StoppedWithGroup | StoppedWithSupervisor);
    let is_told = reason.class() == ExitClass::Abnormal || matches!(verdict, Quarantined(_));
    (!asked && is_told).then(|| format!("{reason}; {verdict}"))
}

/// The line of progress.
pub(crate) fn progress(state: &RunState, restarts: u64, elapsed: Duration) -> String {
    let total = state.tasks().count();
    let done = state.tasks().filter(|(_, task)| task.settled.is_some()).count();
    let running = state.held().count();
    format!("{done}/{total} done, {running} running, {restarts} restarts, {:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use steadfast::Incarnation;
    use steadfast::supervision::{Intensity, Window};

    use super::*;

    #[track_caller]
    fn check(kind: &EventKind, line: &str) {
        let path = "root/feeds/rome".parse().expect("a path");
        assert_eq!(about(&path, kind).as_deref(), Some(line));
    }

    /// The count of a child's restarts, all in one moment, of which 3 are allowed.
    fn restarts(count: usize) -> steadfast::supervision::Tally {
        let (mut window, limit) = (Window::default(), Intensity::at_most(3));
        let tallies = (0..count).map(|_| window.add(Duration::ZERO, limit));
        tallies.last().expect("there is one at least")
    }

    const QUARANTINED: &str = "quarantined: its `budget` allows 3 restarts in 5s, and this would be number 4; mend what \
                               ends it, or allow more, and bring it back with `restart_child`";

    #[test]
    fn a_restart_that_waits_is_told_with_the_time_and_the_setting() {
        let kind = EventKind::BackingOff { delay: Duration::from_millis(400) };
        check(&kind, "agent root/feeds/rome waits 400ms for its restart (`backoff`); the others go on");
    }

    #[test]
    fn a_quarantine_is_told_with_the_setting_and_the_remedy_whatever_it_comes_of() {
        let tally = restarts(4);
        let line = format!("agent root/feeds/rome did not start again; {QUARANTINED}");
        check(&EventKind::Quarantined { tally }, &line);
        let (incarnation, verdict) = (Incarnation::FIRST, Verdict::Quarantined(tally));
        let line = format!("agent root/feeds/rome, incarnation 1, ended normally; {QUARANTINED}");
        check(&EventKind::Exited { incarnation, reason: ExitReason::Normal, verdict }, &line);
        let line = format!("agent root/feeds/rome, incarnation 1, was killed; {QUARANTINED}");
        check(&EventKind::Exited { incarnation, reason: ExitReason::Killed, verdict }, &line);
    }

    #[test]
    fn a_leak_is_told_with_what_it_means_and_so_is_its_end() {
        let incarnation = Incarnation::FIRST;
        check(
            &EventKind::Leaked { incarnation },
            "agent root/feeds/rome, incarnation 1, leaked: its code runs on, cut off from the tree, and keeps a thread \
             until it returns; if it never does, mend what blocks in this agent",
        );
        check(
            &EventKind::LeakEnded { incarnation },
            "agent root/feeds/rome, incarnation 1, no longer leaks: its code has returned, and its thread is free",
        );
    }

    #[test]
    fn a_blocked_runtime_is_told_with_what_to_do_and_so_is_that_it_is_free() {
        let (runtime, silent) = ("runtime 1".to_owned(), Duration::from_millis(2300));
        check(
            &EventKind::RuntimeBlocked { runtime: runtime.clone(), silent },
            "the threads of `runtime 1` are blocked, for 2.3 s now: no agent on it goes on; if that does not pass, kill \
             the process, and mend what blocks in the agents that leaked",
        );
        check(
            &EventKind::RuntimeFree { runtime, silent },
            "a thread of `runtime 1` is free again, after 2.3 s: the agents on it go on",
        );
    }

    #[test]
    fn an_agent_that_is_started_for_the_first_time_or_on_request_is_no_news() {
        let path = "root/a".parse().expect("a path");
        for cause in [StartCause::Init, StartCause::Request] {
            assert_eq!(about(&path, &EventKind::Starting { incarnation: Incarnation::FIRST, cause }), None);
        }
    }
}
