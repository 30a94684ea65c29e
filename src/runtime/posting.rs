//! How a letter comes into the slot of an agent: for a teller, for an asker, and what becomes of one that is refused.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::{RequestError, TellError};
use crate::event::{DropReason, EventKind, RefuseReason};
use crate::id::Path;
use crate::runtime::current::{self, FencedLife};
use crate::runtime::domain::Saturated;
use crate::runtime::guard::{after, drop_caught};
use crate::runtime::route::AtDeath;
use crate::runtime::slot::{Answer, AnySlot, Letter, Patience, Refusal, Refused, ReplyTo, Slot, Stamp};

fn report<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, refused: &Refused<M, R>) {
    let why = match refused {
        Refused::Full(..) => RefuseReason::Full,
        Refused::Gone(_) => RefuseReason::Gone,
        Refused::Draining(_) => RefuseReason::Draining,
        Refused::RateLimited(..) => RefuseReason::RateLimited,
        Refused::Fenced(..) => RefuseReason::Fenced,
    };
    slot.core().bus().publish(&slot.core().path, EventKind::Refused { why });
}

pub(crate) fn refused_tell<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    refused: Refused<M, R>,
) -> TellError<Letter<M, R>> {
    report(slot, &refused);
    let path = slot.core().path.clone();
    match refused {
        Refused::Full(message, bound) => TellError::Full { message, path, bound },
        Refused::Gone(message) => TellError::Gone { message, path },
        Refused::Draining(message) => TellError::Draining { message, path },
        Refused::RateLimited(message, retry_after) => {
            TellError::RateLimited { message, path, domain: domain_of(slot), retry_after }
        }
        Refused::Fenced(message, FencedLife { path: sender, incarnation }) => {
            TellError::Fenced { message, path, sender, incarnation }
        }
    }
}

/// The domain of an agent, by its supervisor.
fn domain_of<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>) -> Path {
    slot.core().gate().map_or_else(|| slot.core().path.clone(), |gate| gate.domain.clone())
}

pub(crate) async fn push_wait<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: Letter<M, R>,
    patience: Patience,
    by: Option<Instant>,
) -> Result<(), Refused<M, R>> {
    // Most mailboxes have room.
    match slot.push_by(letter, patience, None) {
        Err(Refused::Full(returned, _) | Refused::RateLimited(returned, _)) => {
            // In a box: whoever asks moves its own future about, and few wait here.
            Box::pin(push_when_there_is_room(slot, returned, patience, by)).await
        }
        done => done,
    }
}

async fn push_when_there_is_room<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    mut letter: Letter<M, R>,
    patience: Patience,
    by: Option<Instant>,
) -> Result<(), Refused<M, R>> {
    let mut token = None;
    let mut room = None;
    loop {
        let (returned, bound) = match slot.push_by(letter, patience, token.as_ref()) {
            Ok(()) => {
                if let Some(token) = token {
                    token.spend();
                }
                return Ok(());
            }
            Err(Refused::Full(returned, bound)) => (returned, bound),
            Err(Refused::RateLimited(returned, wait)) => {
                let Some(gate) = slot.core().gate() else { return Err(Refused::RateLimited(returned, wait)) };
                match gate.token(by).await {
                    Ok(paid) => (token, letter) = (Some(paid), returned),
                    Err(wait) => return Err(Refused::RateLimited(returned, wait)),
                }
                continue;
            }
            Err(other) => return Err(other),
        };
        letter = returned;
        // Waited for from before the next push on, so that room that comes between the two is not missed. Few ever wait.
        let Some(room) = room.take() else {
            room = Some(slot.room());
            continue;
        };
        match by {
            None => room.await,
            Some(by) => {
                if timeout_at(by, room).await.is_err() {
                    return Err(Refused::Full(letter, bound));
                }
            }
        }
    }
}

/// How somebody asks.
#[derive(Clone, Copy)]
pub(crate) struct Asking {
    /// How long the asker waits; `None` as long as the letter says, or where it does not say, as most do.
    pub(crate) limit: Option<Duration>,
    /// What becomes of the question when its receiver dies before its turn. One that goes elsewhere comes back with every
    /// refusal.
    pub(crate) at_death: AtDeath,
    /// A handler of an attempt before began: it is no dead letter any more.
    pub(crate) was_begun: bool,
    pub(crate) patience: Patience,
}

impl Asking {
    /// As most ask.
    pub(crate) const fn plainly() -> Self {
        Self { limit: None, at_death: AtDeath::Stay, was_begun: false, patience: Patience::ThisLife }
    }

    /// The same, with a limit.
    pub(crate) const fn within(limit: Duration) -> Self {
        Self { limit: Some(limit), ..Self::plainly() }
    }
}

/// Asks through a slot. A letter with a deadline has no more time than that leaves.
pub(crate) async fn ask_by<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    mut letter: Letter<M, R>,
    asking: Asking,
) -> Answer<R> {
    let Asking { limit, at_death, was_begun, patience } = asking;
    let office = slot.office();
    let left = || letter.deadline().map(|deadline| deadline.saturating_duration_since(office.clock.now()));
    let limit = limit.or_else(left).unwrap_or(office.default_ask);
    let by = after(limit);
    let path = || slot.core().path.clone();
    if limit.is_zero() && letter.deadline().is_some() {
        return Err(unsent(slot, letter, RequestError::Expired { path: path() }, asking));
    }
    let (sender, mut receiver) = oneshot::channel();
    let ticket = letter.ticket_mut();
    ticket.reply = Some(ReplyTo::Asker(sender));
    ticket.said.until(office.moment_of(by));
    (ticket.at_death, ticket.was_begun) = (at_death, was_begun);
    // Held until the request is over, however that comes.
    let permit = match slot.core().gate() {
        None => None,
        Some(gate) => match Box::pin(gate.enter(by)).await {
            Ok(permit) => permit,
            Err(Saturated { waited, occupancy }) => {
                slot.core().bus().publish(&slot.core().path, EventKind::Refused { why: RefuseReason::Saturated });
                let error = RequestError::Saturated { path: path(), domain: gate.domain.clone(), waited, occupancy };
                return Err(unsent(slot, letter, error, asking));
            }
        },
    };
    // On purpose: whoever asks waits for the answer only so long, and not for room.
    let room_by = (!bug_on_purpose!(office, AskWaitsForRoom)).then_some(by);
    if let Err(refused) = push_wait(slot, letter, patience, room_by).await {
        if bug_on_purpose!(office, PermitIsKept) {
            // On purpose: not on this way out.
            std::mem::forget(permit);
        }
        let (error, letter) = told_of_refusal(slot, refused, limit);
        return Err(unsent(slot, letter, error, asking));
    }
    let answer = if let Some(answer) = office.timers.until(by, &mut receiver).await {
        answer.unwrap_or_else(|_| Err(Refusal::of(RequestError::Gone { path: path() })))
    } else {
        // Whoever sent an answer, or the question back, takes it for received: it counts although time is up.
        receiver.close();
        receiver.try_recv().unwrap_or_else(|_| Err(Refusal::of(RequestError::Timeout { path: path(), limit })))
    };
    drop(permit);
    // What returns is its asker's, who knows by now.
    answer.map_err(|refusal| if at_death == AtDeath::Return { Refusal::of(refusal.keep()) } else { refusal })
}

/// Reports a refusal; returns what an asker is told of it, and the letter.
fn told_of_refusal<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    refused: Refused<M, R>,
    limit: Duration,
) -> (RequestError, Letter<M, R>) {
    match refused_tell(slot, refused) {
        TellError::Full { message, path, bound } => (RequestError::Full { path, bound, limit }, message),
        TellError::Gone { message, path } => (RequestError::Gone { path }, message),
        TellError::Draining { message, path } => (RequestError::Draining { path }, message),
        TellError::RateLimited { message, path, domain, retry_after } => {
            (RequestError::RateLimited { path, domain, retry_after }, message)
        }
        TellError::Fenced { message, path, sender, incarnation } => {
            (RequestError::Fenced { path, sender, incarnation }, message)
        }
    }
}

/// A question that was not sent: a dead letter, or its asker's.
fn unsent<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: Letter<M, R>,
    error: RequestError,
    asking: Asking,
) -> Box<Refusal> {
    let why = why_dropped(&error);
    // The code of a life that was given up leaves nothing behind.
    if asking.was_begun || current::fenced().is_some() {
        drop_caught(letter);
        return Refusal::of(error);
    }
    if asking.at_death == AtDeath::Elsewhere {
        return Refusal::with(error, slot.returned(letter, why));
    }
    slot.bury(letter, why);
    Refusal::of(error)
}

/// Under which reason a message is dropped that was not handled, and whose sender gets this error.
pub(crate) const fn why_dropped(error: &RequestError) -> DropReason {
    match error {
        RequestError::Gone { .. } | RequestError::Returned { .. } => DropReason::Closed,
        RequestError::Expired { .. } => DropReason::Expired,
        RequestError::Shed { .. } => DropReason::Shed,
        RequestError::NoProvider { .. } | RequestError::WrongType { .. } => DropReason::NoReceiver,
        RequestError::Malformed { .. } => DropReason::DecodeError,
        _ => DropReason::Refused,
    }
}

/// What was told and refused, for those who do not get it back.
pub(crate) fn bury_refused<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, refused: Refused<M, R>) {
    let (error, letter) = told_of_refusal(slot, refused, Duration::ZERO);
    // The code of a life that was given up leaves nothing behind.
    if current::fenced().is_none() {
        slot.bury(letter, why_dropped(&error));
    }
}

/// Tells through a slot, whatever its reply. What is refused comes back with the reason, which is reported.
pub(crate) fn tell_by<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: (Letter<M, R>, Stamp),
    patience: Patience,
) -> Result<(), (RequestError, Letter<M, R>)> {
    slot.push_stamped(letter, patience).map_err(|refused| told_of_refusal(slot, refused, Duration::ZERO))
}
