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

mod core;
mod hand;
mod kept;
mod linger;

use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use ractor::ActorRef;
use tokio::sync::{Notify, oneshot};

pub(crate) use self::core::{Presence, SlotCore};
pub(crate) use self::hand::{Batch, Taken};
use self::hand::{Glance, Hand};
pub(crate) use self::kept::Kept;
use self::linger::Lingers;
use crate::error::RequestError;
use crate::event::{DropReason, EventKind};
use crate::flow::mailbox::Mailbox;
use crate::id::Incarnation;
use crate::registry::record::OfferRecord;
use crate::runtime::current::{self, FencedLife};
use crate::runtime::deadline::Timers;
use crate::runtime::guard::{drop_caught, lock};
use crate::runtime::life::Life;
use crate::runtime::route::Routable;
use crate::runtime::shell::ShellMessage;

/// A slot, whatever its child's types of message and reply.
pub(crate) trait AnySlot: Send + Sync {
    fn core(&self) -> &SlotCore;
    /// No life is open any more; messages wait.
    fn ended(&self, incarnation: Incarnation);
    /// The child is expected (again).
    fn awaited(&self);
    /// The child will not come back by itself.
    fn rest(&self);
    /// The child is forgotten.
    fn close(&self);
    /// Messages that wait or are being handled.
    fn queued(&self) -> usize;
    /// The routes to this slot, one for each offer of its core, in that order.
    fn routes(self: Arc<Self>) -> Vec<Arc<dyn Any + Send + Sync>>;
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

    fn routes(self: Arc<Self>) -> Vec<Arc<dyn Any + Send + Sync>> {
        Vec::new()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// Where a reply goes. An answer is owed: dropped without one, the asker learns that the incarnation ended.
pub(crate) struct ReplyTo<R> {
    sender: Option<oneshot::Sender<Result<R, RequestError>>>,
}

impl<R> ReplyTo<R> {
    pub(crate) fn new(sender: oneshot::Sender<Result<R, RequestError>>) -> Self {
        Self { sender: Some(sender) }
    }

    pub(crate) fn send(mut self, reply: Result<R, RequestError>) {
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(reply);
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// A message on its way.
pub(crate) struct Envelope<M, R> {
    pub(crate) message: M,
    pub(crate) reply: Option<ReplyTo<R>>,
}

/// Why a push was refused; the message comes back.
pub(crate) enum Refused<M, R> {
    Full(Envelope<M, R>, usize),
    Gone(Envelope<M, R>),
    /// The sender is a life that is fenced.
    Fenced(Envelope<M, R>, FencedLife),
}

/// The slot of an agent, with its mailbox.
pub(crate) struct Slot<M, R> {
    core: SlotCore,
    /// For the deadlines of those who ask.
    timers: Arc<Timers>,
    agent: TypeId,
    desk: Mutex<Desk<M, R>>,
    /// What the shell has taken and not finished. Locked before the desk where both are.
    hand: Mutex<Hand<M, R>>,
    glance: Glance,
    room: Notify,
    kept: Kept,
}

struct Desk<M, R> {
    mailbox: Mailbox<Envelope<M, R>>,
    routables: Arc<[Routable<M, R>]>,
    port: Option<ActorRef<ShellMessage>>,
    lingers: Lingers,
    woken: bool,
    refusing: bool,
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    pub(crate) fn new<A: 'static>(
        core: SlotCore,
        timers: Arc<Timers>,
        routables: Arc<[Routable<M, R>]>,
        bound: usize,
    ) -> Self {
        let lingers = Lingers::default();
        let mailbox = Mailbox::new(bound);
        let desk = Desk { mailbox, routables, port: None, lingers, woken: false, refusing: false };
        Self {
            core,
            timers,
            agent: TypeId::of::<A>(),
            desk: Mutex::new(desk),
            hand: Mutex::default(),
            glance: Glance::default(),
            room: Notify::new(),
            kept: Kept::default(),
        }
    }

    /// Whether lives may hand their state over to the next.
    pub(crate) fn hand_over(&self, enabled: bool) {
        self.kept.enable(enabled);
    }

    /// What an update says of the agent, for its next life. What waits in the mailbox stays, also over a smaller bound.
    pub(crate) fn renew(&self, offers: Arc<[OfferRecord]>, routables: Arc<[Routable<M, R>]>, bound: usize) {
        {
            let mut desk = lock(&self.desk);
            desk.mailbox.set_bound(bound);
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
    pub(crate) fn push(&self, envelope: Envelope<M, R>) -> Result<(), Refused<M, R>> {
        let mut desk = lock(&self.desk);
        // Looked at last, so that what is fenced while it waited for the lock is refused too.
        if let Some(life) = current::fenced() {
            return Err(Refused::Fenced(envelope, life));
        }
        if desk.refusing {
            return Err(Refused::Gone(envelope));
        }
        let bound = desk.mailbox.bound();
        desk.mailbox.push(envelope).map_err(|full| Refused::Full(full.0, bound))?;
        wake(desk);
        Ok(())
    }

    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
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
        lock(&self.hand).hold_for(life);
        let mut desk = lock(&self.desk);
        desk.port = Some(port);
        desk.lingers = Lingers::default();
        desk.woken = false;
        desk.refusing = false;
        if !desk.mailbox.is_empty() {
            wake(desk);
        }
    }

    fn refuse(&self, presence: Presence) -> bool {
        if !self.core.set_presence(presence) {
            return false;
        }
        let (waiting, lingers) = {
            let mut desk = lock(&self.desk);
            desk.refusing = true;
            desk.port = None;
            // Emptied and not closed: the child may be started again, with its supervisor, and keeps its bound.
            let mut waiting = VecDeque::new();
            desk.mailbox.take(usize::MAX, &mut waiting);
            (waiting, desk.lingers.dismiss())
        };
        if let Some(shell) = lingers {
            shell.wake();
        }
        self.room.notify_waiters();
        self.refuse_all(waiting);
        true
    }

    fn refuse_all(&self, waiting: VecDeque<Envelope<M, R>>) {
        for Envelope { message, reply } in waiting {
            if let Some(reply) = reply {
                reply.send(Err(RequestError::Gone { path: self.core.path.clone() }));
            }
            // A message is a user's value, and this runs in the supervisor or the guardian.
            drop_caught(message);
            self.core.bus.publish(&self.core.path, EventKind::Dropped { why: DropReason::Closed });
        }
    }
}

/// Wakes the shell, if that was not done already. Without the lock: waking may wake a thread, and the shell comes for
/// the lock at once.
fn wake<M, R>(mut desk: MutexGuard<'_, Desk<M, R>>) {
    if desk.woken {
        return;
    }
    if let Some(waker) = desk.lingers.rouse() {
        desk.woken = true;
        drop(desk);
        waker.wake();
        return;
    }
    let Some(port) = desk.port.clone() else { return };
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
            let lingers = {
                let mut desk = lock(&self.desk);
                desk.port = None;
                desk.woken = false;
                desk.lingers.dismiss()
            };
            if let Some(shell) = lingers {
                shell.wake();
            }
        }
    }

    fn awaited(&self) {
        if self.core.set_presence(Presence::Awaited) {
            lock(&self.desk).refusing = false;
        }
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
        lock(&self.desk).mailbox.len() + self.glance.count()
    }

    fn routes(self: Arc<Self>) -> Vec<Arc<dyn Any + Send + Sync>> {
        let routables = Arc::clone(&lock(&self.desk).routables);
        routables.iter().map(|routable| routable(Arc::clone(&self))).collect()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
