//! What every slot has, whatever kind of child it is for: who is there, in which state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use ractor::ActorCell;
use semver::Version;
use tokio::sync::Notify;

use crate::event::EventKind;
use crate::exit::ExitReason;
use crate::id::{AgentId, Incarnation, Path};
use crate::lifecycle::{AgentState, Life as Lifecycle, StateName, state};
use crate::registry::name::CapabilityName;
use crate::runtime::bus::Bus;
use crate::runtime::domain::Gate;
use crate::runtime::guard::{drop_caught, lock};
use crate::runtime::life::Life;
use crate::runtime::office::Office;
use crate::runtime::patterns::Ties;
use crate::runtime::route::{Offered, Offers};
use crate::runtime::slot::kept::Kept;
use crate::runtime::slot::offered::OfferChanges;
use crate::runtime::slot::seats::Seat;
use crate::runtime::system::System;
use crate::runtime::tap::Watched;
use crate::runtime::tasks::Tasks;

/// Whether somebody is there to handle a message, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// An incarnation is being started, or will be: messages wait.
    Awaited,
    /// An incarnation is open.
    Live,
    /// A lazy agent at rest: the next message has one started.
    Dozing,
    /// Not running, and not coming back by itself: messages are refused.
    Resting,
    /// Forgotten: messages are refused, until its supervisor is itself started again and starts the child anew.
    Closed,
}

/// What every slot has, whatever kind of child it is for.
pub(crate) struct SlotCore {
    pub(crate) path: Path,
    office: Arc<Office>,
    /// The number of the last life, doubled, and one more while it is open. Written under the record's lock.
    lives: AtomicU64,
    gauge: Seat,
    record: Mutex<Record>,
    /// What messages pass on their way here; only in a domain.
    gate: Option<Arc<Gate>>,
    /// Made when some of it is first needed.
    seldom: OnceLock<Box<Seldom>>,
}

/// What few slots ever need: there may be a million that are at rest.
#[derive(Default)]
pub(crate) struct Seldom {
    /// What ends when the slot closes.
    pub(crate) ties: Ties,
    /// Drawn when it is first asked for.
    id: Mutex<Option<Arc<AgentId>>>,
    /// Where those are told who wait for room in the mailbox.
    pub(super) room: Notify,
    pub(super) kept: Kept,
}

struct Record {
    presence: Presence,
    /// Whether the life has opened the slot and not ended; its actor can be reached.
    has_actor: bool,
    registered: bool,
    /// Whether the offers are other ones since they were registered last.
    offers_changed: bool,
    /// What the spec offers.
    offers: Offers,
    /// What is known since something happened here: made for the first life, or for the first change.
    known: Option<Box<Known>>,
}

#[derive(Default)]
struct Known {
    /// `None` before the first life, and as good as `Unregistered`.
    state: Option<AgentState>,
    life: Option<Arc<Life>>,
    /// What was changed at run time of what is offered; for most nothing ever is.
    changes: Option<Box<OfferChanges>>,
}

impl Record {
    fn life(&self) -> Option<&Arc<Life>> {
        self.known.as_ref()?.life.as_ref()
    }

    /// Whether this is the last life that was begun.
    fn is_of(&self, life: Incarnation) -> bool {
        self.life().is_some_and(|last| last.incarnation == life)
    }

    fn state(&self) -> Option<&AgentState> {
        self.known.as_ref()?.state.as_ref()
    }

    fn changes(&self) -> Option<&OfferChanges> {
        self.known.as_ref()?.changes.as_deref()
    }

    fn known(&mut self) -> &mut Known {
        self.known.get_or_insert_default()
    }
}

impl SlotCore {
    pub(crate) fn new(path: Path, offers: Offers, office: Arc<Office>, gate: Option<Arc<Gate>>) -> Self {
        Self {
            path,
            office,
            lives: AtomicU64::new(0),
            gauge: Seat::default(),
            gate,
            seldom: OnceLock::new(),
            record: Mutex::new(Record {
                presence: Presence::Awaited,
                has_actor: false,
                registered: false,
                offers_changed: false,
                offers,
                known: None,
            }),
        }
    }

    pub(crate) fn office(&self) -> &Arc<Office> {
        &self.office
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.office.bus
    }

    pub(crate) fn seldom(&self) -> &Seldom {
        self.seldom.get_or_init(Box::default)
    }

    /// The same, where some of it was needed already.
    pub(super) fn seldom_seen(&self) -> Option<&Seldom> {
        self.seldom.get().map(|seldom| &**seldom)
    }

    /// There may be room in the mailbox again, or never.
    pub(super) fn tell_of_room(&self) {
        if let Some(seldom) = self.seldom_seen() {
            seldom.room.notify_waiters();
        }
    }

    pub(crate) fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// The life that is open, if one is.
    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        let lives = self.lives.load(Ordering::Acquire);
        Incarnation::new(if lives % 2 == 1 { lives / 2 } else { 0 })
    }

    /// The number of the last life, or 0.
    fn last(&self) -> u64 {
        self.lives.load(Ordering::Acquire) / 2
    }

    /// No life is open.
    fn shut(&self) {
        self.lives.store(2 * self.last(), Ordering::Release);
    }

    /// Begins a new life; numbers are never used twice. `None` where the supervisor that begins it was given up.
    pub(crate) fn begin(&self, epoch: Instant, supervisor: Option<&Life>) -> Option<Arc<Life>> {
        let mut record = lock(&self.record);
        // Under the lock that is taken once for each slot below a supervisor that is given up, after it is fenced.
        if supervisor.is_some_and(Life::is_fenced) {
            return None;
        }
        let number = self.last() + 1;
        self.lives.store(2 * number, Ordering::Release);
        let incarnation = Incarnation::new(number).expect("a counter that was just raised is not 0");
        let tasks = Tasks::counted_in(&self.gauge);
        if let Some(tap) = self.bus().tap() {
            tasks.watch(Watched { tap: Arc::clone(tap), path: self.path.clone(), incarnation });
        }
        let life = Arc::new(Life::new(self.path.clone(), incarnation, epoch, tasks));
        let known = record.known();
        let before = known.life.replace(Arc::clone(&life));
        // The lifecycle belongs to one incarnation: the next one begins it anew.
        known.state = None;
        record.has_actor = false;
        drop(record);
        // It may hold values of a user: what a start handed out, errors in its reasons.
        drop_caught(before);
        Some(life)
    }

    /// The last life that was begun, which may have ended.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        lock(&self.record).life().cloned()
    }

    /// Nobody is to be found here who ended, not to mention an actor: the child is at rest.
    pub(super) fn let_go(&self) {
        let ended = {
            let mut record = lock(&self.record);
            record.has_actor = false;
            record.known.as_mut().and_then(|known| known.life.take())
        };
        drop_caught(ended);
    }

    pub(crate) fn presence(&self) -> Presence {
        self.gauge.presence()
    }

    /// Who the child is, in this version; given by this where it has no id yet.
    pub(crate) fn id_or(&self, version: &Version, give: impl FnOnce() -> AgentId) -> Arc<AgentId> {
        let mut id = lock(&self.seldom().id);
        let current = match id.take() {
            Some(known) if known.version == *version => known,
            Some(known) => Arc::new(AgentId { version: version.clone(), ..AgentId::clone(&known) }),
            None => Arc::new(give()),
        };
        Arc::clone(id.insert(current))
    }

    pub(crate) fn known_id(&self) -> Option<Arc<AgentId>> {
        lock(&self.seldom_seen()?.id).clone()
    }

    /// What is read of the slot without a lock.
    pub(crate) fn gauge(&self) -> &Seat {
        &self.gauge
    }

    /// The watchdog found this life to hang. It counts until the life is replaced.
    pub(crate) fn set_hung(&self, life: Incarnation) {
        let record = lock(&self.record);
        if record.is_of(life) && record.has_actor {
            self.gauge.set_hung(true);
        }
    }

    pub(crate) fn cell(&self) -> Option<ActorCell> {
        let record = lock(&self.record);
        record.life().filter(|_| record.has_actor)?.cell().cloned()
    }

    pub(crate) fn state(&self) -> AgentState {
        let record = lock(&self.record);
        let mut state = record.state().cloned().unwrap_or(AgentState::Unregistered);
        if let (AgentState::Active { message_count, .. }, Some(life)) = (&mut state, record.life()) {
            *message_count = life.handled();
        }
        state
    }

    /// The shell tells everyone else in which state its incarnation is. Late words of an older life are dropped, and
    /// of a fenced one all but that it ended, which is its supervisor's.
    pub(crate) fn set_state(&self, life: &Life, to: AgentState) {
        let mut record = lock(&self.record);
        if !record.is_of(life.incarnation) {
            return;
        }
        if life.is_fenced() && !matches!(to, AgentState::Terminated { .. }) {
            return;
        }
        let from = record.state().map_or(StateName::Unregistered, AgentState::name);
        let name = to.name();
        if from == name {
            return;
        }
        if !from.may_become(name) {
            // The shell holds the typestate, so this is a fault of the runtime; the state that was known stays.
            tracing::error!(path = %self.path, %from, to = %name, "an illegal transition was announced");
            return;
        }
        if matches!(to, AgentState::Active { .. }) {
            life.none_handled();
        }
        record.known().state = Some(to);
        self.gauge.set_state(name);
        drop(record);
        let kind = EventKind::Lifecycle { incarnation: life.incarnation, from, to: name };
        self.bus().publish(&self.path, kind);
    }

    /// The state of a life that ended, where it could not say so itself.
    pub(crate) fn set_terminated(&self, life: &Life, reason: &ExitReason) {
        let is_said = matches!(lock(&self.record).state(), Some(AgentState::Terminated { .. }));
        // The reason is put into words only where they are wanted.
        if !is_said {
            self.set_state(life, AgentState::Terminated { reason: reason.to_string() });
        }
    }

    /// The states up to active, for a child without a shell of ours: it has nothing to register.
    pub(crate) fn activate(&self, life: &Life, system: &System) {
        let now = system.clock().now();
        let machine = Lifecycle::new().enter(state::Registering { started_at: now });
        self.set_state(life, machine.snapshot());
        let machine = machine.enter(state::Registered { registry_id: system.entropy().id() });
        self.set_state(life, machine.snapshot());
        self.set_state(life, machine.enter(state::Active { since: now, message_count: 0 }).snapshot());
    }

    /// Takes the place of another slot: numbers the lives from where those ended, and knows what was registered.
    pub(crate) fn go_on_after(&self, other: &Self) {
        self.lives.store(2 * other.last(), Ordering::Release);
        let (registered, offers) = {
            let other = lock(&other.record);
            (other.registered, other.offers.clone())
        };
        let mut record = lock(&self.record);
        record.offers_changed = registered && record.offers != offers;
    }

    /// Whether the registrar has something to do when a life registers, or when the slot closes.
    pub(crate) fn concerns_the_registrar(&self) -> bool {
        let record = lock(&self.record);
        !record.offers.is_empty() || record.offers_changed || record.changes().is_some()
    }

    /// Whether the registrar knows what it offers now.
    pub(crate) fn is_well_registered(&self) -> bool {
        let record = lock(&self.record);
        record.registered && !record.offers_changed
    }

    /// Registered from now on, with what it offers now. Not where it has closed meanwhile.
    pub(crate) fn set_registered(&self) {
        let mut record = lock(&self.record);
        if self.presence() == Presence::Closed {
            return;
        }
        record.registered = true;
        record.offers_changed = false;
    }

    /// What the spec offers, and what was changed of that at run time.
    pub(crate) fn offers_and_changes(&self) -> (Offers, OfferChanges) {
        let record = lock(&self.record);
        (record.offers.clone(), record.changes().cloned().unwrap_or_default())
    }

    /// The agent offers this too, in this life and those to come.
    pub(crate) fn offer(&self, offer: Offered) {
        lock(&self.record).known().changes.get_or_insert_default().offer(offer);
    }

    /// The agent does not offer this any more. Returns whether it did.
    pub(crate) fn withdraw(&self, name: &CapabilityName, version: &Version) -> bool {
        let mut record = lock(&self.record);
        let spec = record.offers.clone();
        let known = record.known();
        let changes = known.changes.get_or_insert_default();
        let was_offered = changes.withdraw(&spec, name, version);
        if !was_offered && changes.is_empty() {
            known.changes = None;
        }
        was_offered
    }

    /// What lives offer from the next one on.
    pub(super) fn set_offers(&self, offers: Offers) {
        let mut record = lock(&self.record);
        record.offers_changed |= record.registered && record.offers != offers;
        record.offers = offers;
    }

    pub(crate) fn is_registered(&self) -> bool {
        lock(&self.record).registered
    }

    /// Opens the slot for a life that has started. Returns whether it did: one that was given up while it started
    /// comes too late.
    pub(crate) fn open(&self, life: &Life) -> bool {
        let mut record = lock(&self.record);
        if life.is_fenced() || !record.is_of(life.incarnation) {
            return false;
        }
        record.presence = Presence::Live;
        self.gauge.set_presence(Presence::Live);
        record.has_actor = true;
        self.lives.store(2 * life.incarnation.get() + 1, Ordering::Release);
        true
    }

    /// A life is over. Returns it, where it is the last that was begun.
    pub(super) fn end(&self, incarnation: Incarnation) -> Option<Arc<Life>> {
        let mut record = lock(&self.record);
        let life = record.life().filter(|life| life.incarnation == incarnation).cloned()?;
        if record.presence == Presence::Live {
            record.presence = Presence::Awaited;
            self.gauge.set_presence(Presence::Awaited);
        }
        record.has_actor = false;
        self.gauge.set_hung(false);
        self.shut();
        Some(life)
    }

    pub(super) fn set_presence(&self, presence: Presence) -> bool {
        let mut record = lock(&self.record);
        if record.presence == presence || (record.presence == Presence::Closed && presence == Presence::Resting) {
            return false;
        }
        record.presence = presence;
        self.gauge.set_presence(presence);
        if presence == Presence::Closed {
            record.registered = false;
        }
        self.shut();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ChildId;
    use crate::runtime::world::TokioClock;
    use crate::seam::Clock;

    fn core() -> SlotCore {
        let path = Path::root(&ChildId::new("a").expect("a name"));
        let clock: Arc<dyn Clock> = Arc::new(TokioClock);
        let office = Office::new(Bus::new(Arc::clone(&clock)), clock, 0, None);
        SlotCore::new(path, Offers::default(), Arc::new(office), None)
    }

    #[test]
    fn a_life_that_is_fenced_or_of_the_past_neither_opens_the_slot_nor_says_more_than_that_it_ended() {
        let core = core();
        let now = TokioClock.now();
        let registering = || AgentState::Registering { started_at: now };

        let begin = |above| core.begin(now, above);
        let past = begin(None).expect("nobody above");
        let fenced = begin(Some(&past)).expect("its supervisor lives");
        fenced.fence();
        for life in [&past, &fenced] {
            core.set_state(life, registering());
            assert_eq!(core.state().name(), StateName::Unregistered);
            assert!(!core.open(life));
        }
        assert_eq!((core.incarnation(), core.presence()), (None, Presence::Awaited));
        core.set_state(&fenced, AgentState::Terminated { reason: "it was given up".to_owned() });
        assert_eq!(core.state().name(), StateName::Terminated);

        assert!(begin(Some(&fenced)).is_none(), "its supervisor was given up");
        let life = begin(None).expect("nobody above");
        core.set_state(&life, registering());
        assert!(core.open(&life));
        assert_eq!((core.incarnation(), core.state().name()), (Some(life.incarnation), StateName::Registering));
    }

    #[test]
    fn a_life_that_was_found_to_hang_is_not_to_be_chosen_until_it_is_over() {
        let core = core();
        let (past, life) = (core.begin(TokioClock.now(), None), core.begin(TokioClock.now(), None));
        let (past, life) = (past.expect("nobody above"), life.expect("nobody above"));
        assert!(core.open(&life));
        core.set_hung(past.incarnation);
        assert!(!core.gauge().seen().hung, "that one is over");
        core.set_hung(life.incarnation);
        assert!(core.gauge().seen().hung);
        assert!(core.end(life.incarnation).is_some());
        core.set_hung(life.incarnation);
        assert!(!core.gauge().seen().hung);
    }
}
