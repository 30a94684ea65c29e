//! What happened in a number of runs, of all that can: so that none of it is never looked at.

use std::collections::BTreeSet;

use steadfast::testing::{MailStep, Ran, What};
use steadfast::{EventKind, StartCause, Verdict};

/// All that the seeds are for, by its kind.
const WANTED: &[(&str, &[&str])] = &[
    (
        "verdict",
        &[
            "Restarting",
            "Retrying",
            "Quarantined",
            "Ignored",
            "Terminated",
            "NotAdded",
            "Kept",
            "Forgotten",
            "StoppedWithGroup",
            "StoppedOnRequest",
            "StoppedWithSupervisor",
            "GaveUp",
            "InitFailed",
        ],
    ),
    ("start", &["Init", "Request", "Restart", "Sibling", "Retry"]),
    ("mail", &["Accepted", "Begun", "Handled", "BrokenOff", "Left"]),
    // Neither bytes nor conversions are sent here: `DecodeError`, `Unconverted`.
    ("drop", &["Expired", "HandlerEnded", "Closed", "Shed", "Refused", "NoReceiver", "LateReply"]),
    ("refusal", &["Full", "Gone", "Draining", "Fenced", "RateLimited", "Saturated"]),
    (
        "event",
        &[
            "Starting",
            "Started",
            "Exited",
            "Lifecycle",
            "Quarantined",
            "BackingOff",
            "GaveUp",
            "Closed",
            "Drained",
            "Dozing",
            "Resting",
            "BreakerChanged",
            "HookFailed",
            "SpawnRefused",
            "Killing",
            "Leaked",
            "LeakEnded",
            "Ready",
            "Ending",
            "Ended",
        ],
    ),
    (
        "fault",
        &[
            "panic",
            "error",
            "hang",
            "slow",
            "block",
            "kill",
            "kill PATH",
            "crash",
            "power-cut",
            "tear",
            "skew",
            "drop",
            "duplicate",
            "delay",
            "reorder",
            "partition",
        ],
    ),
    ("passage", &["Sent", "Dropped", "Duplicated", "Delayed", "Reordered", "Arrived", "Lost"]),
    (
        "point",
        &[
            "before-start",
            "after-start",
            "before-message",
            "during-message",
            "after-message",
            "before-append",
            "after-append",
            "in-stop",
            "back-off",
        ],
    ),
];

/// What has come.
#[derive(Default)]
pub(crate) struct Seen(BTreeSet<(&'static str, String)>);

impl Seen {
    /// Adds what came in a run.
    pub(crate) fn note(&mut self, ran: &Ran) {
        for entry in ran.trace.entries() {
            match &entry.what {
                What::Mail { step, .. } => {
                    self.add("mail", step);
                    if let MailStep::Left(why) = step {
                        self.add("drop", why);
                    }
                }
                What::Message(passed) => self.add("passage", &passed.what),
                What::Event(event) => self.note_event(&event.kind),
                _ => {}
            }
        }
        for fault in &ran.plan.faults {
            let text = fault.to_string();
            let mut words = text.split(' ');
            let action = words.next().unwrap_or_default();
            let is_for_others = action == "kill" && words.next() != Some("at");
            self.0.insert(("fault", if is_for_others { "kill PATH".to_owned() } else { action.to_owned() }));
            let points = text.split(" at ").skip(1).filter_map(|place| place.split(' ').next());
            self.0.extend(points.map(|point| ("point", point.to_owned())));
        }
    }

    fn note_event(&mut self, kind: &EventKind) {
        self.add("event", kind);
        match kind {
            EventKind::Exited { verdict, .. } => self.add::<Verdict>("verdict", verdict),
            EventKind::Starting { cause, .. } => self.add::<StartCause>("start", cause),
            EventKind::Dropped { why } => self.add("drop", why),
            EventKind::Refused { why } => self.add("refusal", why),
            _ => {}
        }
    }

    /// A value is known by the name of its variant.
    fn add<T: std::fmt::Debug>(&mut self, of: &'static str, value: &T) {
        let text = format!("{value:?}");
        let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !self.0.contains(&(of, name.to_owned())) {
            self.0.insert((of, name.to_owned()));
        }
    }

    /// What never came.
    pub(crate) fn never(&self) -> Vec<String> {
        let wanted = WANTED.iter().flat_map(|(of, names)| names.iter().map(move |name| (*of, *name)));
        wanted
            .filter(|(of, name)| !self.0.contains(&(*of, (*name).to_owned())))
            .map(|(of, name)| format!("{of} {name}"))
            .collect()
    }
}
