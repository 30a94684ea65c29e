//! How a letter comes into the slot of an agent: for a teller, for an asker, and what becomes of one that is refused.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::{RequestError, TellError};
use crate::event::{DropReason, EventKind, RefuseReason};
use crate::id::Path;
use crate::runtime::current::{self, FencedLife};
use crate::runtime::domain::Saturated;
use crate::runtime::guard::after;
use crate::runtime::route::AtDeath;
use crate::runtime::slot::{Answer, AnySlot, Letter, Patience, Refused, ReplyTo, Slot};

fn report<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, refused: &Refused<M, R>) {
    let why = match refused {
        Refused::Full(..) => RefuseReason::Full,
        Refused::Gone(_) => RefuseReason::Gone,
        Refused::Draining(_) => RefuseReason::Draining,
        Refused::RateLimited(..) => RefuseReason::RateLimited,
        Refused::Fenced(..) => RefuseReason::Fenced,
    };
    slot.core().bus.publish(&slot.core().path, EventKind::Refused { why });
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
    loop {
        // Made before the push, so that room that comes between the two is not missed.
        let room = slot.room();
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
    /// What becomes of the question when its receiver dies before its turn. One that goes elsewhere is its asker's, who
    /// has another like it, and is no dead letter where it is refused.
    pub(crate) at_death: AtDeath,
    pub(crate) patience: Patience,
}

impl Asking {
    /// As most ask.
    pub(crate) const fn plainly() -> Self {
        Self { limit: None, at_death: AtDeath::Stay, patience: Patience::ThisLife }
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
    let Asking { limit, at_death, patience } = asking;
    let office = slot.office();
    let left = || letter.deadline().map(|deadline| deadline.saturating_duration_since(office.clock.now()));
    let limit = limit.or_else(left).unwrap_or(office.default_ask);
    let by = after(limit);
    let path = || slot.core().path.clone();
    if limit.is_zero() && letter.deadline().is_some() {
        let error = RequestError::Expired { path: path() };
        return Err(Box::new(never_sent(slot, letter, error, DropReason::Expired)));
    }
    let (sender, mut receiver) = oneshot::channel();
    let ticket = letter.ticket_mut();
    ticket.reply = Some(ReplyTo::Asker(sender));
    ticket.deadline = ticket.deadline.or_else(|| office.moment_of(by));
    ticket.at_death = at_death;
    // Held until the request is over, however that comes.
    let _permit = match slot.core().gate() {
        None => None,
        Some(gate) => match Box::pin(gate.enter(by)).await {
            Ok(permit) => permit,
            Err(Saturated { waited, occupancy }) => {
                slot.core().bus.publish(&slot.core().path, EventKind::Refused { why: RefuseReason::Saturated });
                let error = RequestError::Saturated { path: path(), domain: gate.domain.clone(), waited, occupancy };
                return Err(Box::new(never_sent(slot, letter, error, DropReason::Refused)));
            }
        },
    };
    push_wait(slot, letter, patience, Some(by)).await.map_err(|refused| Box::new(not_sent(slot, refused, limit)))?;
    if let Some(answer) = office.timers.until(by, &mut receiver).await {
        return answer.unwrap_or_else(|_| Err(Box::new(RequestError::Gone { path: path() })));
    }
    // Whoever sent an answer, or the question back, takes it for received: it counts although time is up.
    receiver.close();
    receiver.try_recv().unwrap_or_else(|_| Err(Box::new(RequestError::Timeout { path: path(), limit })))
}

fn not_sent<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    refused: Refused<M, R>,
    limit: Duration,
) -> RequestError {
    let (error, letter) = request_error(slot, refused, limit);
    let why = why_dropped(&error);
    never_sent(slot, letter, error, why)
}

/// What an asker is told of a letter that was refused.
fn request_error<M: Send + 'static, R: Send + 'static>(
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

/// A question that was not sent: a dead letter, unless its asker has another like it.
fn never_sent<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: Letter<M, R>,
    error: RequestError,
    why: DropReason,
) -> RequestError {
    let is_kept = letter.ticket.as_ref().is_some_and(|ticket| ticket.at_death == AtDeath::Elsewhere);
    if !is_kept {
        bury(slot, letter, why);
    }
    error
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
    let (error, letter) = request_error(slot, refused, Duration::ZERO);
    bury(slot, letter, why_dropped(&error));
}

fn bury<M: Send + 'static, R: Send + 'static>(slot: &Slot<M, R>, letter: Letter<M, R>, why: DropReason) {
    // The code of a life that was given up leaves nothing behind.
    if current::fenced().is_none() {
        slot.bury(letter, why);
    }
}

/// A message that was told and refused, with nobody told of it yet.
pub(crate) fn tell_by<M: Send + 'static, R: Send + 'static>(
    slot: &Slot<M, R>,
    letter: Letter<M, R>,
    patience: Patience,
) -> Result<(), (RequestError, Letter<M, R>)> {
    slot.push_by(letter, patience, None).map_err(|refused| request_error(slot, refused, Duration::ZERO))
}
