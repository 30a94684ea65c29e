//! Slots: where a child is reached, whichever of its incarnations is alive.
//!
//! A slot belongs to the system and outlives restarts, also of its supervisor. An agent's mailbox lives here, so that
//! a crash costs the message that was being handled and no other.
//!
//! # Invariants
//!
//! * At most one incarnation is open in a slot; one that ended is never open again.
//! * Messages leave in the order in which they came; what was taken and not handled goes back to the front.
//! * A slot that is at rest or closed refuses until its child is started again; its numbers go on then.

mod control;
mod core;
mod doze;
mod fate;
mod gauge;
mod hand;
mod inbox;
mod kept;
mod letter;
mod linger;
mod offered;
mod seats;
mod stamp;

use std::any::{Any, TypeId};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use ractor::ActorRef;
use tokio::sync::{Notify, oneshot};

pub(crate) use self::control::{Command, Control};
pub(crate) use self::core::{Presence, SlotCore};
pub(crate) use self::doze::Rouse;
pub(crate) use self::gauge::Gauge;
pub(crate) use self::hand::{About, Batch, Taken};
use self::hand::{Glance, Hand};
use self::inbox::Inbox;
pub(crate) use self::kept::Kept;
pub(crate) use self::letter::{Answer, Letter, Refused, ReplyTo, Router, Ticket};
use self::linger::Lingers;
pub(crate) use self::seats::Seat;
pub(crate) use self::stamp::{Mark, Stamp};
use crate::error::ControlError;
use crate::event::EventKind;
use crate::flow::AgentLimits;
use crate::id::Incarnation;
use crate::registry::record::OfferRecord;
use crate::runtime::current;
use crate::runtime::domain::Token;
use crate::runtime::guard::lock;
use crate::runtime::life::Life;
use crate::runtime::office::Office;
use crate::runtime::route::{AnyRoute, Routable};
use crate::runtime::shell::ShellMessage;

/// A slot, whatever its child's types of message and reply.
pub(crate) trait AnySlot: Send + Sync {
    fn core(&self) -> &SlotCore;
    /// No life is open any more; messages wait.
    fn ended(&self, incarnation: Incarnation);
    /// The child is expected (again).
    fn awaited(&self);
    /// The child is lazy and at rest: the next message rouses it.
    fn doze(&self, rouse: Rouse);
    /// The child will not come back by itself.
    fn rest(&self);
    /// The child is forgotten.
    fn close(&self);
    /// Messages that wait or are being handled.
    fn queued(&self) -> usize;
    /// Tells the agent to change its state. `None` where there is no agent of ours.
    fn control(&self, command: Command) -> Option<oneshot::Receiver<Result<(), ControlError>>>;
    /// The routes to this slot, one for each offer of its core, in that order.
    fn routes(self: Arc<Self>) -> Vec<Arc<dyn AnyRoute>>;
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The slot of a child that has no mailbox of ours: a supervisor or a plain actor.
pub(crate) struct BareSlot(pub(crate) SlotCore);

impl AnySlot for BareSlot {
    fn core(&self) -> &SlotCore {
        &self.0
    }

    fn ended(&self, incarnation: Incarnation) {
        self.0.end(incarnation);
    }

    fn awaited(&self) {
        self.0.set_presence(Presence::Awaited);
    }

    fn doze(&self, _: Rouse) {}

    fn rest(&self) {
        if self.0.set_presence(Presence::Resting) {
            self.0.bus.publish(&self.0.path, EventKind::Resting);
        }
    }

    fn close(&self) {
        if self.0.set_presence(Presence::Closed) {
            self.0.bus.publish_closed(&self.0.path, self.0.concerns_the_registrar());
        }
    }

    fn queued(&self) -> usize {
        0
    }

    fn control(&self, _: Command) -> Option<oneshot::Receiver<Result<(), ControlError>>> {
        None
    }

    fn routes(self: Arc<Self>) -> Vec<Arc<dyn AnyRoute>> {
        Vec::new()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// The slot of an agent, with its mailbox.
pub(crate) struct Slot<M, R> {
    core: SlotCore,
    office: Arc<Office>,
    agent: TypeId,
    desk: Mutex<Desk<M, R>>,
    /// What the shell has taken and not finished. Locked before the desk where both are.
    hand: Mutex<Hand<M, R>>,
    glance: Glance,
    /// Whether there is something among the desk's controls.
    called: AtomicBool,
    /// Whether the inbox keeps stamps, as far as was known a moment ago.
    has_lanes: AtomicBool,
    room: Notify,
    kept: Kept,
}

struct Desk<M, R> {
    inbox: Inbox<M, R>,
    routables: Arc<[Routable<M, R>]>,
    port: Option<ActorRef<ShellMessage>>,
    lingers: Lingers,
    /// Who is told of the first message, while the agent dozes.
    rouse: Option<Box<Rouse>>,
    controls: Vec<Control>,
    woken: bool,
    door: Door,
    /// Something may wait here that does not wait for the next life.
    roving: bool,
}

/// Which way messages go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// In and out.
    Open,
    /// In: what waits is kept, and not handed out.
    Paused,
    /// Neither, until the next life.
    Draining,
    /// None goes in, and none is there: nobody is coming.
    Refusing,
}

impl<M, R> Desk<M, R> {
    fn has_work(&self) -> bool {
        !self.controls.is_empty() || (self.door == Door::Open && !self.inbox.is_empty())
    }
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    pub(crate) fn new<A: 'static>(
        core: SlotCore,
        office: Arc<Office>,
        routables: Arc<[Routable<M, R>]>,
        limits: &AgentLimits,
    ) -> Self {
        let desk = Desk {
            inbox: Inbox::new(limits, office.epoch),
            routables,
            port: None,
            lingers: Lingers::default(),
            rouse: None,
            controls: Vec::new(),
            woken: false,
            door: Door::Open,
            roving: false,
        };
        Self {
            core,
            office,
            agent: TypeId::of::<A>(),
            desk: Mutex::new(desk),
            hand: Mutex::default(),
            glance: Glance::default(),
            called: AtomicBool::new(false),
            has_lanes: AtomicBool::new(!limits.is_plain()),
            room: Notify::new(),
            kept: Kept::default(),
        }
    }

    /// Whether lives may hand their state over to the next.
    pub(crate) fn hand_over(&self, enabled: bool) {
        self.kept.enable(enabled);
    }

    /// What an update says of the agent, for its next life. What waits in the mailbox stays, also over a smaller bound.
    pub(crate) fn renew(&self, offers: Arc<[OfferRecord]>, routables: Arc<[Routable<M, R>]>, limits: &AgentLimits) {
        {
            let mut desk = lock(&self.desk);
            desk.inbox.renew(limits, self.office.epoch);
            self.has_lanes.store(!limits.is_plain(), Ordering::Relaxed);
            desk.routables = routables;
        }
        self.core.set_offers(offers);
        self.room.notify_waiters();
    }

    /// The state that lives hand over.
    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Whether this is the slot of an agent of that type.
    pub(crate) fn is_of<A: 'static>(&self) -> bool {
        self.agent == TypeId::of::<A>()
    }

    /// Puts a message into the mailbox and wakes the shell.
    pub(crate) fn push(&self, letter: Letter<M, R>) -> Result<(), Refused<M, R>> {
        self.push_by(letter, None)
    }

    /// As [`push`](Self::push), with what is said of the message.
    pub(crate) fn push_stamped(&self, (letter, stamp): (Letter<M, R>, Stamp)) -> Result<(), Refused<M, R>> {
        if self.has_lanes.load(Ordering::Relaxed) {
            return self.push_paid(letter, stamp, None);
        }
        // A plain queue has a ticket made of it: better now than under the lock. Where an update comes between the two, either
        // kind of inbox takes it either way.
        self.push(letter.stamped(stamp))
    }

    /// As [`push`](Self::push); a token that was waited for pays for a message that passes the gate of a domain.
    pub(crate) fn push_by(&self, letter: Letter<M, R>, token: Option<&Token>) -> Result<(), Refused<M, R>> {
        self.push_paid(letter, Stamp::BLANK, token)
    }

    fn push_paid(&self, letter: Letter<M, R>, stamp: Stamp, token: Option<&Token>) -> Result<(), Refused<M, R>> {
        // It comes back as it was.
        let refused = |letter: Letter<M, R>| letter.stamped(stamp);
        let mut desk = lock(&self.desk);
        // Looked at last, so that what is fenced while it waited for the lock is refused too.
        if let Some(life) = current::fenced() {
            return Err(Refused::Fenced(refused(letter), life));
        }
        match desk.door {
            Door::Open | Door::Paused => {}
            Door::Draining => return Err(Refused::Draining(refused(letter))),
            Door::Refusing => return Err(Refused::Gone(refused(letter))),
        }
        // Taken before the push: a message for which another one has to go is one more too. What finds no room costs no
        // token, and is told so whether there is one or not.
        let gate = self.core.gate().filter(|_| token.is_none() && desk.inbox.may_take());
        if let Some(gate) = gate
            && let Err(wait) = gate.admit()
        {
            return Err(Refused::RateLimited(refused(letter), wait));
        }
        desk.roving |= letter.roves();
        let lost = desk.inbox.push(letter, stamp, || self.office.clock.now()).map_err(|(letter, bound)| {
            if let Some(gate) = gate {
                gate.put_back();
            }
            Refused::Full(refused(letter), bound)
        })?;
        self.core.gauge().set_waiting(desk.inbox.len());
        wake(desk);
        if let Some(lost) = lost {
            self.lose(lost);
        }
        Ok(())
    }

    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    /// Resolves when there may be room again, or when the slot closed. Enable it before the push that it follows.
    pub(crate) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// The shell of a new life is ready for messages.
    pub(crate) fn open(&self, life: &Arc<Life>, port: ActorRef<ShellMessage>) {
        if !self.core.open(life, port.get_cell()) {
            return;
        }
        self.kept.proven(life.incarnation);
        {
            let mut hand = lock(&self.hand);
            // It may have been given up since, and the slot have been taken from it.
            if self.core.incarnation() != Some(life.incarnation) {
                return;
            }
            hand.hold_for(life);
        }
        let mut desk = lock(&self.desk);
        if self.core.incarnation() != Some(life.incarnation) {
            return;
        }
        desk.port = Some(port);
        desk.lingers = Lingers::default();
        desk.woken = false;
        desk.door = Door::Open;
        wake(desk);
    }

    fn refuse(&self, presence: Presence) -> bool {
        if !self.core.set_presence(presence) {
            return false;
        }
        let (waiting, lingers) = {
            let mut desk = lock(&self.desk);
            desk.door = Door::Refusing;
            desk.rouse = None;
            desk.port = None;
            // Emptied and not closed: the child may be started again, with its supervisor, and keeps its bound.
            self.core.gauge().set_waiting(0);
            (desk.inbox.empty(), desk.lingers.dismiss())
        };
        if let Some(shell) = lingers {
            shell.wake();
        }
        self.room.notify_waiters();
        self.refuse_all(waiting);
        true
    }
}

/// Wakes the shell, if that was not done already. Without the lock: waking may wake a thread, and the shell comes for
/// the lock at once.
fn wake<M, R>(mut desk: MutexGuard<'_, Desk<M, R>>) {
    if desk.woken || !desk.has_work() {
        return;
    }
    if let Some(waker) = desk.lingers.rouse() {
        desk.woken = true;
        drop(desk);
        waker.wake();
        return;
    }
    let Some(port) = desk.port.clone() else {
        let rouse = desk.rouse.take();
        drop(desk);
        if let Some(rouse) = rouse {
            rouse.tell();
        }
        return;
    };
    desk.woken = true;
    drop(desk);
    // A port that is closed belongs to a life whose end is on its way; the next life wakes itself.
    let _ = port.cast(ShellMessage::Wake);
}

impl<M: Send + 'static, R: Send + 'static> AnySlot for Slot<M, R> {
    fn core(&self) -> &SlotCore {
        &self.core
    }

    fn ended(&self, incarnation: Incarnation) {
        self.release(incarnation);
        if self.core.end(incarnation) {
            let (lingers, controls) = {
                let mut desk = lock(&self.desk);
                desk.port = None;
                desk.woken = false;
                if desk.door != Door::Refusing {
                    desk.door = Door::Open;
                }
                self.called.store(false, Ordering::Release);
                (desk.lingers.dismiss(), mem::take(&mut desk.controls))
            };
            if let Some(shell) = lingers {
                shell.wake();
            }
            for control in controls {
                let _ = control.done.send(Err(ControlError::NotRunning { path: self.core.path.clone() }));
            }
            // One that is put to rest comes back for what waits.
            if !self.core.life().is_some_and(|life| life.incarnation == incarnation && life.is_put_to_rest()) {
                self.send_home(incarnation);
            }
        }
    }

    fn awaited(&self) {
        if self.core.set_presence(Presence::Awaited) {
            let mut desk = lock(&self.desk);
            desk.door = Door::Open;
            desk.rouse = None;
        }
    }

    fn doze(&self, rouse: Rouse) {
        self.doze_until_roused(rouse);
    }

    fn rest(&self) {
        if self.refuse(Presence::Resting) {
            self.core.bus.publish(&self.core.path, EventKind::Resting);
        }
    }

    fn close(&self) {
        if self.refuse(Presence::Closed) {
            self.kept.forget();
            self.core.ties.cut(&self.core);
            self.core.bus.publish_closed(&self.core.path, self.core.concerns_the_registrar());
        }
    }

    fn queued(&self) -> usize {
        self.core.gauge().queued()
    }

    fn control(&self, command: Command) -> Option<oneshot::Receiver<Result<(), ControlError>>> {
        Some(Self::control(self, command, None))
    }

    fn routes(self: Arc<Self>) -> Vec<Arc<dyn AnyRoute>> {
        let routables = Arc::clone(&lock(&self.desk).routables);
        routables.iter().map(|routable| routable(Arc::clone(&self))).collect()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
