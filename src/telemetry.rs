//! Turns events into `tracing` records.

use crate::event::{Event, EventKind, is_a_warning};
use crate::exit::BoxError;
use crate::flow::BreakerState;
use crate::runtime::bus::EventsError;
use crate::runtime::serve::TaskContext;
use crate::supervision::machine::Verdict;

/// Reports every event of the system to `tracing`, for as long as it is up. Runs as the system's event bus.
///
/// A supervisor that gives up and a runtime that is blocked are errors; an abnormal end, a quarantine, a kill and a leak
/// are warnings; what is ordinary is for debugging.
///
/// # Errors
///
/// Never; the event stream is closed only when the system is gone.
pub(crate) async fn report(ctx: TaskContext) -> Result<(), BoxError> {
    let mut events = ctx.system().bus().listen();
    loop {
        match events.next().await {
            Ok(event) => record(&event),
            Err(EventsError::Lagged { missed }) => tracing::warn!(missed, "events were not logged: too many at once"),
            Err(EventsError::Closed) => return Ok(()),
        }
    }
}

fn record(event: &Event) {
    let path = &event.path;
    match &event.kind {
        EventKind::Exited { incarnation, reason, verdict } if is_a_warning(reason, *verdict) => {
            tracing::warn!(%path, %incarnation, %reason, %verdict, "exited");
        }
        EventKind::Exited { incarnation, reason, verdict } => {
            tracing::debug!(%path, %incarnation, %reason, %verdict, "exited");
        }
        EventKind::GaveUp(escalation) => {
            let (limit, child, remedy) = (&escalation.limit, &escalation.child, escalation.remedy());
            tracing::error!(%path, %limit, %child, %remedy, "gave up");
        }
        EventKind::Starting { incarnation, cause } => tracing::debug!(%path, %incarnation, %cause, "starting"),
        EventKind::Started { incarnation } => tracing::debug!(%path, %incarnation, "started"),
        EventKind::Killing { incarnation } => {
            tracing::warn!(%path, %incarnation, "did not stop in time and is killed");
        }
        EventKind::Leaked { incarnation } => tracing::warn!(%path, %incarnation, "leaked: its code runs on"),
        EventKind::LeakEnded { incarnation } => tracing::info!(%path, %incarnation, "what had leaked is gone"),
        EventKind::RuntimeBlocked { runtime, silent } => {
            tracing::error!(%path, runtime, ?silent, "a runtime is blocked");
        }
        EventKind::RuntimeFree { runtime, silent } => {
            tracing::info!(%path, runtime, ?silent, "a runtime turns again");
        }
        EventKind::Refused { why } => tracing::debug!(%path, ?why, "a message was refused"),
        EventKind::SpawnRefused(limit) => tracing::warn!(%path, %limit, "an agent was not started"),
        EventKind::Dropped { why } => tracing::debug!(%path, ?why, "a message was dropped"),
        EventKind::Lifecycle { incarnation, from, to } => {
            tracing::trace!(%path, %incarnation, ?from, ?to, "lifecycle");
        }
        EventKind::HookFailed { incarnation, from, to, hook, why, refused } => {
            tracing::warn!(%path, %incarnation, %from, %to, hook, why, refused, "a hook failed");
        }
        EventKind::Routed(decision) => tracing::trace!(%path, %decision, "routed"),
        EventKind::BreakerChanged(change) if matches!(change.to, BreakerState::Open { .. }) => {
            tracing::warn!(%path, %change, "a circuit breaker opened");
        }
        EventKind::BreakerChanged(change) => tracing::info!(%path, %change, "a circuit breaker changed"),
        EventKind::BackingOff { delay } => tracing::debug!(%path, ?delay, "its restart waits"),
        EventKind::Quarantined { tally } => {
            let verdict = Verdict::Quarantined(*tally);
            tracing::warn!(%path, %verdict, "did not start again");
        }
        EventKind::Closed => tracing::debug!(%path, "closed"),
        EventKind::Drained { incarnation } => tracing::debug!(%path, %incarnation, "has drained, and starts again"),
        EventKind::Dozing { incarnation } => tracing::debug!(%path, %incarnation, "put to rest until a message comes"),
        EventKind::Resting => tracing::debug!(%path, "at rest"),
        EventKind::Ended => tracing::info!(%path, "ended"),
        EventKind::Ready => tracing::info!(%path, "ready"),
        EventKind::Ending { culprit } => tracing::info!(%path, ?culprit, "ending"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitReason;
    use crate::supervision::intensity::{Intensity, Tally};

    #[test]
    fn a_quarantine_is_a_warning_also_where_the_child_ended_normally() {
        let tally = Tally { count: 2, limit: Intensity::at_most(1) };
        assert!(is_a_warning(&ExitReason::Normal, Verdict::Quarantined(tally)));
        assert!(is_a_warning(&ExitReason::Killed, Verdict::Forgotten));
        assert!(!is_a_warning(&ExitReason::Normal, Verdict::Restarting(tally)));
    }
}
