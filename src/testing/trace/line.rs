//! What happened, in one short line that does not differ between two runs of one seed.

use std::fmt::Display;

use crate::event::EventKind;
use crate::supervision::machine::Verdict;

/// The line of an event at a place; `None` of a change of a lifecycle.
pub(in crate::testing) fn line(kind: &EventKind, place: &dyn Display) -> Option<String> {
    Some(match kind {
        EventKind::BackingOff { delay } => format!("backing-off({place} {delay:?})"),
        EventKind::Quarantined { .. } => format!("quarantined {place}"),
        EventKind::Starting { incarnation, .. } => format!("starting {place} #{incarnation}"),
        EventKind::Started { incarnation } => format!("started {place} #{incarnation}"),
        EventKind::Exited { incarnation, reason, .. } => format!("exited {place} #{incarnation} {}", reason.kind()),
        EventKind::Lifecycle { .. } => return None,
        EventKind::GaveUp(_) => format!("gave up {place}"),
        EventKind::Closed => format!("closed {place}"),
        EventKind::Drained { incarnation } => format!("drained {place} #{incarnation}"),
        EventKind::Dozing { incarnation } => format!("dozing {place} #{incarnation}"),
        EventKind::Resting => format!("resting {place}"),
        EventKind::Dropped { .. } => format!("dropped {place}"),
        EventKind::HookFailed { incarnation, hook, .. } => format!("hook failed {place} #{incarnation} {hook}"),
        EventKind::Killing { incarnation } => format!("killing {place} #{incarnation}"),
        EventKind::Leaked { incarnation } => format!("leaked {place} #{incarnation}"),
        EventKind::LeakEnded { incarnation } => format!("leak ended {place} #{incarnation}"),
        EventKind::RuntimeBlocked { runtime, .. } => format!("blocked {runtime}"),
        EventKind::RuntimeFree { runtime, .. } => format!("free {runtime}"),
        EventKind::Ready => format!("ready {place}"),
        EventKind::Ending { .. } => format!("ending {place}"),
        EventKind::Routed(_) => format!("routed {place}"),
        EventKind::BreakerChanged(change) => format!("breaker {place} {}", change.to),
        EventKind::Refused { why } => format!("refused {place} {why:?}"),
        EventKind::SpawnRefused(limit) => format!("spawn refused {place} {}", limit.most),
        EventKind::Ended => format!("ended {place}"),
    })
}

/// The first word of an event's line in a trace.
pub(super) const fn verb(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::BackingOff { .. } => "backing-off",
        EventKind::Quarantined { .. } => "quarantined",
        EventKind::Starting { .. } => "starting",
        EventKind::Started { .. } => "started",
        EventKind::Exited { .. } => "exited",
        EventKind::Lifecycle { .. } => "state",
        EventKind::GaveUp(_) => "gave-up",
        EventKind::Closed => "closed",
        EventKind::Drained { .. } => "drained",
        EventKind::Dozing { .. } => "dozing",
        EventKind::Resting => "resting",
        EventKind::Dropped { .. } => "dropped",
        EventKind::HookFailed { .. } => "hook-failed",
        EventKind::Killing { .. } => "killing",
        EventKind::Leaked { .. } => "leaked",
        EventKind::LeakEnded { .. } => "leak-ended",
        EventKind::RuntimeBlocked { .. } => "blocked",
        EventKind::RuntimeFree { .. } => "free",
        EventKind::Ready => "ready",
        EventKind::Ending { .. } => "ending",
        EventKind::Routed(_) => "routed",
        EventKind::BreakerChanged(_) => "breaker",
        EventKind::Refused { .. } => "refused",
        EventKind::SpawnRefused(_) => "spawn-refused",
        EventKind::Ended => "ended",
    }
}

/// The line of an event in a trace, which leaves nothing out: the verb, the place, and what else there is to say.
pub(super) fn full(verb: &str, kind: &EventKind, place: &dyn Display) -> String {
    match kind {
        EventKind::BackingOff { delay } => format!("{verb} {place} {delay:?}"),
        EventKind::GaveUp(escalation) => format!("{verb} {place} ({}: {})", escalation.child, escalation.limit),
        EventKind::HookFailed { incarnation, from, to, hook, refused, .. } => {
            let outcome = if *refused { "refused" } else { "passed" };
            format!("{verb} {place} #{incarnation} {hook} {from} -> {to} {outcome}")
        }
        EventKind::Lifecycle { incarnation, from, to } => format!("{verb} {place} #{incarnation} {from} -> {to}"),
        EventKind::Exited { incarnation, reason, verdict } => {
            let (text, kind, verdict) = (reason.to_string(), reason.kind(), short(*verdict));
            format!("{verb} {place} #{incarnation} {kind} ({}; {verdict})", text.lines().next().unwrap_or_default())
        }
        EventKind::Dropped { why } => format!("{verb} {place} {why:?}"),
        EventKind::Refused { why } => format!("{verb} {place} {why:?}"),
        EventKind::BreakerChanged(change) => format!("{verb} {place} {}", change.to),
        EventKind::SpawnRefused(limit) => format!("{verb} {place} {}", limit.most),
        EventKind::RuntimeBlocked { runtime, .. } | EventKind::RuntimeFree { runtime, .. } => {
            format!("{verb} {place} {runtime}")
        }
        EventKind::Starting { incarnation, .. }
        | EventKind::Started { incarnation }
        | EventKind::Drained { incarnation }
        | EventKind::Dozing { incarnation }
        | EventKind::Killing { incarnation }
        | EventKind::Leaked { incarnation }
        | EventKind::LeakEnded { incarnation } => format!("{verb} {place} #{incarnation}"),
        _ => format!("{verb} {place}"),
    }
}

/// A verdict in one word.
const fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Restarting(_) => "restarting",
        Verdict::Retrying => "retrying",
        Verdict::Quarantined(_) => "quarantined",
        Verdict::Ignored => "ignored",
        Verdict::Terminated => "terminated",
        Verdict::NotAdded => "not-added",
        Verdict::Kept => "kept",
        Verdict::Forgotten => "forgotten",
        Verdict::StoppedWithGroup => "stopped-with-group",
        Verdict::StoppedOnRequest => "stopped-on-request",
        Verdict::StoppedWithSupervisor => "stopped-with-supervisor",
        Verdict::GaveUp => "gave-up",
        Verdict::InitFailed => "init-failed",
    }
}
