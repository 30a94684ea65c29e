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
use std::sync::{Arc, Mutex, MutexGuard};

use ractor::ActorRef;
use tokio::sync::oneshot;

pub(crate) use self::control::{Command, Control};
pub(crate) use self::core::{Presence, SlotCore};
pub(crate) use self::doze::Rouse;
pub(crate) use self::gauge::Gauge;
use self::hand::Hand;
pub(crate) use self::hand::{About, Batch, Taken};
use self::inbox::Inbox;
pub(crate) use self::kept::Kept;
pub(crate) use self::letter::{Answer, Letter, Refusal, Refused, ReplyTo, Router, Said, Stray, Ticket};
use self::linger::Lingers;
pub(crate) use self::seats::Seat;
pub(crate) use self::stamp::{Mark, Stamp};
use crate::error::ControlError;
use crate::event::EventKind;
use crate::flow::AgentLimits;
use crate::id::{Incarnation, Path};
use crate::runtime::agent::Agent;
use crate::runtime::current;
use crate::runtime::domain::Token;
use crate::runtime::guard::lock;
use crate::runtime::life::Life;
use crate::runtime::office::Office;
use crate::runtime::route::Offers;
use crate::runtime::shell::ShellMessage;
use crate::runtime::tap::MailStep;

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
            self.0.bus().publish(&self.0.path, EventKind::Resting);
        }
    }

    fn close(&self) {
        if self.0.set_presence(Presence::Closed) {
            self.0.bus().publish_closed(&self.0.path, self.0.concerns_the_registrar());
        }
    }

    fn queued(&self) -> usize {
        0
    }

    fn control(&self, _: Command) -> Option<oneshot::Receiver<Result<(), ControlError>>> {
        None
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// The slot of an agent, with its mailbox.
pub(crate) struct Slot<M, R> {
    core: SlotCore,
    /// Says the type of the agent.
    agent: fn() -> TypeId,
    desk: Mutex<Desk<M, R>>,
    /// What the shell has taken and not finished; of a life that is open. Locked before the desk where both are.
    hand: Mutex<Option<Box<Hand<M, R>>>>,
}

/// What is on it without a life is small: there may be a million agents at rest.
struct Desk<M, R> {
    inbox: Inbox<M, R>,
    /// The shell of the life that is open.
    shell: Option<Box<AtDesk>>,
    /// Who is told of the first message, while the agent dozes.
    rouse: Option<Rouse>,
    woken: bool,
    door: Door,
    /// Something may wait here that does not wait for the next life.
    roving: bool,
}

/// The shell of a life, and what it is told.
struct AtDesk {
    of: Incarnation,
    port: ActorRef<ShellMessage>,
    lingers: Lingers,
    controls: Vec<Control>,
}

impl AtDesk {
    /// Its life has nothing to do here any more.
    fn leave(mut self, path: &Path) {
        if let Some(shell) = self.lingers.dismiss() {
            shell.wake();
        }
        for control in self.controls {
            let _ = control.done.send(Err(ControlError::NotRunning { path: path.clone() }));
        }
    }
}

/// Which way messages go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Door {
    /// In and out.
    Open,
    /// In: what waits is kept, and not handed out.
    Paused,
    /// Neither, until the next life. Where that follows for certain, what is patient goes in and waits for it.
    Draining { followed: bool },
    /// None goes in, and none is there: nobody is coming.
    Refusing,
}

/// How long a message may wait at an agent that takes no new work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Its sender may choose another.
    ThisLife,
    /// There is nobody else.
    NextLife,
}

impl<M, R> Desk<M, R> {
    fn has_work(&self) -> bool {
        self.shell.as_ref().is_some_and(|shell| !shell.controls.is_empty())
            || (self.door == Door::Open && !self.inbox.is_empty())
    }
}

impl<M: Send + 'static, R: Send + 'static> Slot<M, R> {
    pub(crate) fn new<A: Agent>(core: SlotCore, limits: &AgentLimits) -> Self {
        let desk = Desk {
            inbox: Inbox::new(limits, core.office().epoch),
            shell: None,
            rouse: None,
            woken: false,
            door: Door::Open,
            roving: false,
        };
        core.gauge().set_lanes(!limits.is_plain());
        Self { core, agent: A::found_as, desk: Mutex::new(desk), hand: Mutex::default() }
    }

    /// Whether lives may hand their state over to the next.
    pub(crate) fn hand_over(&self, enabled: bool) {
        if enabled || self.core.seldom_seen().is_some() {
            self.core.seldom().kept.enable(enabled);
        }
    }

    /// What an update says of the agent, for its next life. What waits in the mailbox stays, also over a smaller bound.
    pub(crate) fn renew(&self, offers: Offers, limits: &AgentLimits) {
        lock(&self.desk).inbox.renew(limits, self.core.office().epoch);
        self.core.gauge().set_lanes(!limits.is_plain());
        self.core.set_offers(offers);
        self.core.tell_of_room();
    }

    /// The state that lives hand over.
    pub(crate) fn kept(&self) -> &Kept {
        &self.core.seldom().kept
    }

    /// Whether this is the slot of an agent of that type.
    pub(crate) fn is_of<A: Agent>(&self) -> bool {
        (self.agent)() == A::found_as()
    }

    /// Puts a message into the mailbox and wakes the shell.
    pub(crate) fn push(&self, letter: Letter<M, R>) -> Result<(), Refused<M, R>> {
        self.push_by(letter, Patience::ThisLife, None)
    }

    /// As [`push`](Self::push), with what is said of the message.
    pub(crate) fn push_stamped(
        &self,
        (letter, stamp): (Letter<M, R>, Stamp),
        patience: Patience,
    ) -> Result<(), Refused<M, R>> {
        if self.core.gauge().has_lanes() {
            return self.push_paid((letter, stamp), patience, None);
        }
        // A plain queue has a ticket made of it: better now than under the lock. Where an update comes between the two, either
        // kind of inbox takes it either way.
        self.push_by(letter.stamped(stamp), patience, None)
    }

    /// As [`push`](Self::push); a token that was waited for pays for a message that passes the gate of a domain.
    pub(crate) fn push_by(
        &self,
        letter: Letter<M, R>,
        patience: Patience,
        token: Option<&Token>,
    ) -> Result<(), Refused<M, R>> {
        self.push_paid((letter, Stamp::BLANK), patience, token)
    }

    fn push_paid(
        &self,
        (letter, stamp): (Letter<M, R>, Stamp),
        patience: Patience,
        token: Option<&Token>,
    ) -> Result<(), Refused<M, R>> {
        // It comes back as it was.
        let refused = |letter: Letter<M, R>| letter.stamped(stamp);
        let mut desk = lock(&self.desk);
        // Looked at last, so that what is fenced while it waited for the lock is refused too.
        if let Some(life) = current::fenced()
            && !bug_on_purpose!(self.office(), FencedIsHeard)
        {
            return Err(Refused::Fenced(refused(letter), life));
        }
        match desk.door {
            Door::Open | Door::Paused => {}
            Door::Draining { followed: true } if patience == Patience::NextLife => {}
            Door::Draining { .. } => return Err(Refused::Draining(refused(letter))),
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
        let lost = desk.inbox.push(letter, stamp, || self.office().clock.now()).map_err(|(letter, bound)| {
            if let Some(gate) = gate {
                gate.put_back();
            }
            Refused::Full(refused(letter), bound)
        })?;
        self.core.gauge().set_waiting(desk.inbox.len());
        wake(desk);
        self.note(MailStep::Accepted);
        // On purpose: there is room now, and that is all that was wanted.
        if let Some(lost) = lost
            && !bug_on_purpose!(self.office(), ShedIsLost)
        {
            self.lose(lost);
        }
        Ok(())
    }

    pub(crate) fn office(&self) -> &Arc<Office> {
        self.core.office()
    }

    /// Resolves when there may be room again, or when the slot closed. Enable it before the push that it follows.
    pub(crate) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.core.seldom().room.notified()
    }

    /// The shell of a new life is ready for messages.
    pub(crate) fn open(&self, life: &Arc<Life>, port: ActorRef<ShellMessage>) {
        if !self.core.open(life) {
            return;
        }
        if let Some(seldom) = self.core.seldom_seen() {
            seldom.kept.proven(life.incarnation);
        }
        {
            let mut hand = lock(&self.hand);
            // It may have been given up since, and the slot have been taken from it.
            if self.core.incarnation() != Some(life.incarnation) {
                return;
            }
            Hand::hold_for(&mut hand, life);
        }
        let mut desk = lock(&self.desk);
        if self.core.incarnation() != Some(life.incarnation) {
            return;
        }
        desk.shell =
            Some(Box::new(AtDesk { of: life.incarnation, port, lingers: Lingers::default(), controls: Vec::new() }));
        desk.woken = false;
        if !self.stays_paused(&desk) {
            desk.door = Door::Open;
        }
        self.core.gauge().set_closed(None);
        wake(desk);
    }

    /// Says what became of a message, to a simulated world.
    fn note(&self, step: MailStep) {
        self.core.bus().mail(&self.core.path, step, None);
    }

    fn refuse(&self, presence: Presence) -> bool {
        if !self.core.set_presence(presence) {
            return false;
        }
        let (waiting, shell) = {
            let mut desk = lock(&self.desk);
            desk.door = Door::Refusing;
            desk.rouse = None;
            // Emptied and not closed: the child may be started again, with its supervisor, and keeps its bound.
            self.core.gauge().set_waiting(0);
            (desk.inbox.empty(), desk.shell.take())
        };
        if let Some(shell) = shell {
            shell.leave(&self.core.path);
        }
        self.core.tell_of_room();
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
    let Some(shell) = desk.shell.as_deref_mut() else {
        let rouse = desk.rouse.take();
        drop(desk);
        if let Some(rouse) = rouse {
            rouse.tell();
        }
        return;
    };
    if let Some(waker) = shell.lingers.rouse() {
        desk.woken = true;
        drop(desk);
        waker.wake();
        return;
    }
    let port = shell.port.clone();
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
        if let Some(life) = self.core.end(incarnation) {
            let shell = {
                let mut desk = lock(&self.desk);
                // Another life may have opened in between.
                if desk.shell.as_ref().is_some_and(|shell| shell.of != incarnation) {
                    return;
                }
                desk.woken = false;
                if desk.door != Door::Refusing && !self.stays_paused(&desk) {
                    desk.door = Door::Open;
                    self.core.gauge().set_closed(None);
                }
                self.core.gauge().set_called(false);
                desk.shell.take()
            };
            if let Some(shell) = shell {
                shell.leave(&self.core.path);
            }
            // Once: what comes after its end came for the next life. One that is put to rest comes back for what waits.
            if life.part() && !life.is_put_to_rest() {
                self.send_home(incarnation);
            }
        }
    }

    fn awaited(&self) {
        let mut desk = lock(&self.desk);
        // Both at once for whoever chooses by the one and is let in by the other.
        if self.core.set_presence(Presence::Awaited) {
            desk.door = Door::Open;
            desk.rouse = None;
        }
    }

    fn doze(&self, rouse: Rouse) {
        self.doze_until_roused(rouse);
    }

    fn rest(&self) {
        if self.refuse(Presence::Resting) {
            self.core.bus().publish(&self.core.path, EventKind::Resting);
        }
    }

    fn close(&self) {
        if self.refuse(Presence::Closed) {
            if let Some(seldom) = self.core.seldom_seen() {
                seldom.kept.forget();
                seldom.ties.cut(&self.core);
            }
            self.core.bus().publish_closed(&self.core.path, self.core.concerns_the_registrar());
        }
    }

    fn queued(&self) -> usize {
        self.core.gauge().queued()
    }

    fn control(&self, command: Command) -> Option<oneshot::Receiver<Result<(), ControlError>>> {
        Some(Self::control(self, command, None))
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_million_agents_at_rest_have_is_small() {
        assert!(size_of::<Slot<u64, u64>>() <= 192, "{}", size_of::<Slot<u64, u64>>());
        assert!(size_of::<Desk<[u64; 9], ()>>() <= size_of::<Desk<(), ()>>(), "not more for large messages");
    }
}
