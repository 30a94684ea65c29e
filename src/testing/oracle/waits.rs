//! What must hold of messages that wait.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Place;
use crate::event::EventKind;
use crate::id::Incarnation;
use crate::lifecycle::StateName;
use crate::supervision::machine::Verdict;
use crate::testing::trace::{Entry, MailStep, NodeChange, Trace, What};

/// For how long a message may wait at somebody who does nothing. Nobody does nothing for as long as that but who waits for
/// the next timer: then the message waits in vain.
const LONG: Duration = Duration::from_mins(1);

/// Who is to handle what waits at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Who {
    /// Somebody is coming, or is not taking messages now: that may take its time.
    #[default]
    Busy,
    Active,
    /// The next message rouses it.
    Dozing,
    /// Nobody comes by itself.
    Gone,
}

/// What is known of a place.
#[derive(Default)]
struct Mailbox<'a> {
    who: Who,
    life: Option<Incarnation>,
    /// How many lives of its supervisor had begun when its own last one did.
    begun_under: u64,
    /// How many lives began at it.
    lives: u64,
    waiting: i64,
    in_hand: i64,
    /// Since when a message waits in vain.
    since: Option<(Duration, &'a Entry)>,
}

/// Somebody active who has nothing in hand takes what waits, at once; and where nobody comes nothing waits.
pub(super) fn in_vain(trace: &Trace) -> Option<String> {
    let mut places: BTreeMap<Place, Mailbox<'_>> = BTreeMap::new();
    for entry in trace.entries() {
        if let What::Node(NodeChange::Crashed) = entry.what {
            places.retain(|place, _| (&place.node, place.boot) != (&entry.node, entry.boot));
        }
        let Some(path) = entry.path() else { continue };
        let place = Place::of(entry, path);
        match entry.event() {
            Some(EventKind::Started { .. }) => leave_those_who_are_not_started(&mut places, &place),
            Some(EventKind::Exited { .. }) => {
                if let Some(problem) = children_of(&mut places, &place).find_map(|child| child.problem(entry.at)) {
                    return Some(problem);
                }
                leave_those_who_do_not_run(&mut places, &place);
            }
            _ => {}
        }
        let above = path.parent().map(|above| Place { path: above, ..place.clone() });
        let lives_above = above.and_then(|above| places.get(&above)).map_or(0, |above| above.lives);
        let mailbox = places.entry(place).or_default();
        if let Some(problem) = mailbox.problem(entry.at) {
            return Some(problem);
        }
        mailbox.note(entry, lives_above);
        mailbox.look(entry);
    }
    let end = trace.last()?.at;
    places.values().find_map(|mailbox| mailbox.problem(end))
}

/// A supervisor is up: whom it did not start, it does not have.
fn leave_those_who_are_not_started(places: &mut BTreeMap<Place, Mailbox<'_>>, supervisor: &Place) {
    let lives = places.get(supervisor).map_or(0, |supervisor| supervisor.lives);
    for child in children_of(places, supervisor) {
        if child.begun_under < lives && child.who == Who::Busy {
            child.who = Who::Gone;
        }
    }
}

/// A supervisor has ended: who was at rest, or not its any more, is the next one's to say.
fn leave_those_who_do_not_run(places: &mut BTreeMap<Place, Mailbox<'_>>, supervisor: &Place) {
    for child in children_of(places, supervisor).filter(|child| child.who != Who::Active) {
        (child.who, child.since) = (Who::Busy, None);
    }
}

fn children_of<'a, 'b>(
    places: &'a mut BTreeMap<Place, Mailbox<'b>>,
    supervisor: &'a Place,
) -> impl Iterator<Item = &'a mut Mailbox<'b>> {
    let is_its =
        |place: &Place| place.is_on_the_start_of(supervisor) && place.path.parent().as_ref() == Some(&supervisor.path);
    places.iter_mut().filter(move |(place, _)| is_its(place)).map(|(_, child)| child)
}

impl<'a> Mailbox<'a> {
    fn note(&mut self, entry: &Entry, lives_above: u64) {
        if let What::Mail { step, .. } = &entry.what {
            match step {
                MailStep::Accepted => self.waiting += 1,
                MailStep::Left(_) => self.waiting -= 1,
                MailStep::Begun(_) => {
                    self.waiting -= 1;
                    self.in_hand += 1;
                }
                MailStep::Handled(_) | MailStep::BrokenOff(_) => self.in_hand -= 1,
            }
            return;
        }
        if let What::Code { incarnation, is_there: false, .. } = entry.what
            && self.life == Some(incarnation)
            && self.who == Who::Active
        {
            // Its supervisor will say what becomes of it.
            self.who = Who::Busy;
        }
        let Some(kind) = entry.event() else { return };
        match kind {
            EventKind::Starting { incarnation, .. } => {
                (self.who, self.life) = (Who::Busy, Some(*incarnation));
                (self.begun_under, self.lives) = (lives_above, self.lives + 1);
            }
            EventKind::Lifecycle { incarnation, to, .. } if self.life == Some(*incarnation) => {
                self.who = if *to == StateName::Active { Who::Active } else { Who::Busy };
            }
            EventKind::Exited { verdict, .. } => self.who = if is_for_good(*verdict) { Who::Gone } else { Who::Busy },
            EventKind::Drained { .. } | EventKind::BackingOff { .. } => self.who = Who::Busy,
            EventKind::Dozing { .. } => self.who = Who::Dozing,
            EventKind::Resting | EventKind::Closed => self.who = Who::Gone,
            _ => {}
        }
    }

    fn look(&mut self, entry: &'a Entry) {
        let is_in_vain = self.waiting > 0 && self.in_hand == 0 && self.who != Who::Busy;
        self.since = if is_in_vain { self.since.or(Some((entry.at, entry))) } else { None };
    }

    fn problem(&self, now: Duration) -> Option<String> {
        let (since, entry) = self.since.filter(|(since, _)| now > *since + LONG)?;
        let waited = now.saturating_sub(since);
        let Self { who, waiting, .. } = self;
        Some(format!("{waiting} messages wait for {waited:?} at somebody who is {who:?} since\n{entry}"))
    }
}

const fn is_for_good(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Terminated
            | Verdict::Kept
            | Verdict::Forgotten
            | Verdict::NotAdded
            | Verdict::Quarantined(_)
            | Verdict::Ignored
    )
}
