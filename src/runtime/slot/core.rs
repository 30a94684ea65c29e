//! What every slot has, whatever kind of child it is for: who is there, in which state.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ractor::ActorCell;

use crate::event::EventKind;
use crate::exit::ExitReason;
use crate::id::{Incarnation, Path};
use crate::lifecycle::{AgentState, Life as Lifecycle, state};
use crate::registry::record::OfferRecord;
use crate::runtime::bus::Bus;
use crate::runtime::guard::lock;
use crate::runtime::life::Life;
use crate::runtime::patterns::Ties;
use crate::runtime::system::System;

/// Whether somebody is there to handle a message, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// An incarnation is being started, or will be: messages wait.
    Awaited,
    /// An incarnation is open.
    Live,
    /// Not running, and not coming back by itself: messages are refused.
    Resting,
    /// Forgotten: messages are refused, until its supervisor is itself started again and starts the child anew.
    Closed,
}

/// What every slot has, whatever kind of child it is for.
pub(crate) struct SlotCore {
    pub(crate) path: Path,
    pub(crate) bus: Bus,
    /// What ends when the slot closes.
    pub(crate) ties: Ties,
    live: AtomicU64,
    last: AtomicU64,
    handled: AtomicU64,
    record: Mutex<Record>,
}

struct Record {
    presence: Presence,
    state: AgentState,
    cell: Option<ActorCell>,
    life: Option<Arc<Life>>,
    registered: bool,
    offers: Arc<[OfferRecord]>,
    /// Whether the offers are other ones since they were registered last.
    offers_changed: bool,
}

impl SlotCore {
    pub(crate) fn new(path: Path, offers: Arc<[OfferRecord]>, bus: Bus) -> Self {
        Self {
            path,
            bus,
            ties: Ties::default(),
            live: AtomicU64::new(0),
            last: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            record: Mutex::new(Record {
                presence: Presence::Awaited,
                state: AgentState::Unregistered,
                cell: None,
                life: None,
                registered: false,
                offers,
                offers_changed: false,
            }),
        }
    }

    /// The life that is open, if one is.
    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        Incarnation::new(self.live.load(Ordering::Acquire))
    }

    /// Begins a new life; numbers are never used twice. `None` where the supervisor that begins it was given up.
    pub(crate) fn begin(&self, epoch: Instant, supervisor: Option<&Life>) -> Option<Arc<Life>> {
        let mut record = lock(&self.record);
        // Under the lock that is taken once for each slot below a supervisor that is given up, after it is fenced.
        if supervisor.is_some_and(Life::is_fenced) {
            return None;
        }
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        let incarnation = Incarnation::new(number).expect("a counter that was just raised is not 0");
        let life = Arc::new(Life::new(self.path.clone(), incarnation, epoch));
        record.life = Some(Arc::clone(&life));
        record.cell = None;
        // The lifecycle belongs to one incarnation: the next one begins it anew.
        record.state = AgentState::Unregistered;
        Some(life)
    }

    /// The last life that was begun, which may have ended.
    pub(crate) fn life(&self) -> Option<Arc<Life>> {
        lock(&self.record).life.clone()
    }

    pub(crate) fn presence(&self) -> Presence {
        lock(&self.record).presence
    }

    pub(crate) fn cell(&self) -> Option<ActorCell> {
        lock(&self.record).cell.clone()
    }

    pub(crate) fn state(&self) -> AgentState {
        let mut state = lock(&self.record).state.clone();
        if let AgentState::Active { message_count, .. } = &mut state {
            *message_count = self.handled.load(Ordering::Relaxed);
        }
        state
    }

    /// The shell tells everyone else in which state its incarnation is. Late words of an older life are dropped, and
    /// of a fenced one all but that it ended, which is its supervisor's.
    pub(crate) fn set_state(&self, life: &Life, to: AgentState) {
        let mut record = lock(&self.record);
        if record.life.as_ref().is_none_or(|current| current.incarnation != life.incarnation) {
            return;
        }
        if life.is_fenced() && !matches!(to, AgentState::Terminated { .. }) {
            return;
        }
        let from = record.state.name();
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
            self.handled.store(0, Ordering::Relaxed);
        }
        record.state = to;
        drop(record);
        let kind = EventKind::Lifecycle { incarnation: life.incarnation, from, to: name };
        self.bus.publish(&self.path, kind);
    }

    /// The state of a life that ended, where it could not say so itself.
    pub(crate) fn set_terminated(&self, life: &Life, reason: &ExitReason) {
        let is_said = matches!(lock(&self.record).state, AgentState::Terminated { .. });
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
        self.last.store(other.last.load(Ordering::Acquire), Ordering::Release);
        let (registered, offers) = {
            let other = lock(&other.record);
            (other.registered, Arc::clone(&other.offers))
        };
        let mut record = lock(&self.record);
        record.offers_changed = registered && record.offers != offers;
    }

    /// Whether the registrar has something to do when a life registers, or when the slot closes.
    pub(crate) fn concerns_the_registrar(&self) -> bool {
        let record = lock(&self.record);
        !record.offers.is_empty() || record.offers_changed
    }

    /// Registered from now on. Returns whether offers that were registered before may not be offered any more.
    pub(crate) fn set_registered(&self) -> bool {
        let mut record = lock(&self.record);
        record.registered = true;
        mem::take(&mut record.offers_changed)
    }

    pub(crate) fn offers(&self) -> Arc<[OfferRecord]> {
        Arc::clone(&lock(&self.record).offers)
    }

    /// What lives offer from the next one on.
    pub(super) fn set_offers(&self, offers: Arc<[OfferRecord]>) {
        let mut record = lock(&self.record);
        record.offers_changed |= record.registered && record.offers != offers;
        record.offers = offers;
    }

    pub(crate) fn is_registered(&self) -> bool {
        lock(&self.record).registered
    }

    pub(crate) fn count_handled(&self, life: &Life) {
        if !life.is_fenced() {
            // Only the shell of the one life that is not fenced counts, so no locked addition is needed.
            self.handled.store(self.handled.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// How many tasks the open life runs.
    pub(crate) fn tasks(&self) -> usize {
        let life = lock(&self.record).life.clone();
        life.map_or(0, |life| life.tasks.count())
    }

    /// Opens the slot for a life that has started. Returns whether it did: one that was given up while it started
    /// comes too late.
    pub(crate) fn open(&self, life: &Life, cell: ActorCell) -> bool {
        let mut record = lock(&self.record);
        if life.is_fenced() || record.life.as_ref().is_none_or(|current| current.incarnation != life.incarnation) {
            return false;
        }
        record.presence = Presence::Live;
        record.cell = Some(cell);
        self.live.store(life.incarnation.get(), Ordering::Release);
        true
    }

    pub(super) fn end(&self, incarnation: Incarnation) -> bool {
        let mut record = lock(&self.record);
        if record.life.as_ref().is_none_or(|life| life.incarnation != incarnation) {
            return false;
        }
        if record.presence == Presence::Live {
            record.presence = Presence::Awaited;
        }
        record.cell = None;
        self.live.store(0, Ordering::Release);
        true
    }

    pub(super) fn set_presence(&self, presence: Presence) -> bool {
        let mut record = lock(&self.record);
        if record.presence == presence || (record.presence == Presence::Closed && presence == Presence::Resting) {
            return false;
        }
        record.presence = presence;
        if presence == Presence::Closed {
            record.registered = false;
        }
        self.live.store(0, Ordering::Release);
        true
    }
}

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    use super::*;
    use crate::id::ChildId;
    use crate::lifecycle::StateName;
    use crate::runtime::world::TokioClock;
    use crate::seam::Clock;

    struct Nobody;

    impl Actor for Nobody {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_life_that_is_fenced_or_of_the_past_neither_opens_the_slot_nor_says_more_than_that_it_ended() {
        let path = Path::root(&ChildId::new("a").expect("a name"));
        let core = SlotCore::new(path, Arc::default(), Bus::new(Arc::new(TokioClock)));
        let (actor, _) = Actor::spawn(None, Nobody, ()).await.expect("an actor");
        let now = TokioClock.now();
        let registering = || AgentState::Registering { started_at: now };

        let begin = |above| core.begin(now, above);
        let past = begin(None).expect("nobody above");
        let fenced = begin(Some(&past)).expect("its supervisor lives");
        fenced.fence();
        for life in [&past, &fenced] {
            core.set_state(life, registering());
            assert_eq!(core.state().name(), StateName::Unregistered);
            assert!(!core.open(life, actor.get_cell()));
            core.count_handled(&fenced);
        }
        assert_eq!((core.incarnation(), core.presence()), (None, Presence::Awaited));
        core.set_state(&fenced, AgentState::Terminated { reason: "it was given up".to_owned() });
        assert_eq!(core.state().name(), StateName::Terminated);

        assert!(begin(Some(&fenced)).is_none(), "its supervisor was given up");
        let life = begin(None).expect("nobody above");
        core.set_state(&life, registering());
        assert!(core.open(&life, actor.get_cell()));
        assert_eq!((core.incarnation(), core.state().name()), (Some(life.incarnation), StateName::Registering));
        actor.stop(None);
    }
}
