//! The envelope where it leaves the process.
//!
//! What travels is a type of its own, converted by hand: the types that the process works with may change, the bytes may
//! not. A frame is one of the [codec](super::codec) with the version [`SCHEMA`]; the payload in it is a frame of its own,
//! with the version of its type, so that a relay need not know it.
//!
//! | in process | in a frame |
//! |---|---|
//! | deadline, a moment | the budget that is left, since moments of two machines do not compare |
//! | end of the time to live, a moment | what is left of it |
//! | id, time of day | made now where nobody asked before |
//! | payload, a value | bytes |
//!
//! # Invariants
//!
//! * What was written can be read, and is the same but for what the clocks of two processes cannot share.
//! * What was read is held to all the rules that hold in process: names, priorities, headers and their bounds.
//! * A frame of another version is refused, with both versions named; nothing is guessed.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::BoxError;
use crate::id::{AgentId, ChildId, MessageId};
use crate::message::codec::{Codec, DecodeError, EncodeError, Schema};
use crate::message::envelope::Envelope;
use crate::message::headers::Headers;
use crate::message::kind::{Kind, Priority};
use crate::message::trace::TraceContext;

mod layout;

use self::layout::{Agent, Bytes, Frame, Trace};

/// The version of the envelope's layout.
pub const SCHEMA: Schema = Schema(1);

/// The payload of an envelope that came in and was not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Vec<u8>);

impl Payload {
    /// Reads the payload as what its receiver expects.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when it is something else, or of another version.
    pub fn decode<T: DeserializeOwned>(&self, codec: &impl Codec, schema: Schema) -> Result<T, DecodeError> {
        codec.decode(schema, &self.0)
    }

    /// The bytes, as they came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Where envelopes leave the process and come in, at a moment.
///
/// ```
/// use std::time::Duration;
/// use steadfast::MessageId;
/// use steadfast::message::codec::{Bincode, Schema};
/// use steadfast::message::{Boundary, Envelope};
/// # use steadfast::seam::Clock;
/// # let clock = steadfast::TokioClock;
/// # let (now, wall) = (clock.now(), clock.wall());
///
/// let boundary = Boundary { codec: &Bincode, now, wall };
/// let mut sent = Envelope::new(1, "hello".to_owned()).with_deadline(now + Duration::from_secs(5));
/// let frame = boundary.write(&mut sent, Schema(1), || MessageId::new(uuid::Uuid::from_u128(7)))?;
///
/// // Another process, whose clock shows something else.
/// let came = boundary.read(&frame)?;
/// assert_eq!(came.remaining(now), Some(Duration::from_secs(5)));
/// let came = came.try_map(|payload| payload.decode::<String>(&Bincode, Schema(1)))?;
/// assert_eq!((came.id(), came.into_payload()), (sent.id(), "hello".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Boundary<'a, C> {
    /// What turns values into bytes.
    pub codec: &'a C,
    /// The moment.
    pub now: Instant,
    /// The time of day at that moment.
    pub wall: SystemTime,
}

impl<C: Codec> Boundary<'_, C> {
    /// Makes a frame of an envelope, whose payload has this version. The envelope gets an id, a time of day and a trace where it
    /// has none.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the payload cannot be written, or the whole is too long.
    pub fn write<M: Serialize>(
        &self,
        envelope: &mut Envelope<M>,
        schema: Schema,
        fresh: impl FnOnce() -> MessageId,
    ) -> Result<Vec<u8>, EncodeError> {
        let payload = self.codec.encode(schema, envelope.payload())?;
        let id = envelope.id_or(fresh);
        let sent = envelope.sent_or(self.wall).duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = |end: Option<Instant>| end.map(|end| nanos(end.saturating_duration_since(self.now)));
        let frame = Frame {
            id: id.uuid().into_bytes(),
            sequence: envelope.sequence(),
            sent_nanos: nanos(sent),
            trace: Some(Trace::from(envelope.trace_or(|| TraceContext::of(id)))),
            kind: envelope.kind().into(),
            priority: envelope.priority().get(),
            sender: envelope.sender().map(|id| Agent::from(&**id)),
            receiver: envelope.receiver().map(|id| Agent::from(&**id)),
            correlation: envelope.correlation().map(|id| id.uuid().into_bytes()),
            causation: envelope.causation().map(|id| id.uuid().into_bytes()),
            budget_nanos: left(envelope.deadline()),
            life_nanos: left(envelope.expires()),
            headers: envelope.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            payload: Bytes(payload),
        };
        self.codec.encode(SCHEMA, &frame)
    }

    /// Reads the envelope of a frame. Its payload stays as it came until somebody knows its type; its number is that of
    /// the sender's system.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the bytes are not a frame of this version, or what they say breaks a rule.
    pub fn read(&self, frame: &[u8]) -> Result<Envelope<Payload>, ReadError> {
        let frame: Frame = self.codec.decode(SCHEMA, frame)?;
        let id = |bytes| MessageId::new(uuid::Uuid::from_bytes(bytes));
        let trace = frame.trace.map(TraceContext::try_from).transpose().map_err(wrong("trace"))?;
        let headers = headers(frame.headers)?;
        let mut envelope = Envelope::new(frame.sequence, Payload(frame.payload.0))
            .with_kind(Kind::from(frame.kind))
            .with_priority(Priority::new(frame.priority).map_err(wrong("priority"))?);
        envelope.id_or(|| id(frame.id));
        // It is at most some 584 years after the epoch, which every clock can show.
        envelope.sent_or(UNIX_EPOCH + Duration::from_nanos(frame.sent_nanos));
        if let Some(trace) = trace {
            envelope.trace_or(|| trace);
        }
        if let Some(sender) = frame.sender {
            envelope = envelope.with_sender(Arc::new(agent(sender).map_err(wrong("sender"))?));
        }
        if let Some(receiver) = frame.receiver {
            envelope = envelope.with_receiver(Arc::new(agent(receiver).map_err(wrong("receiver"))?));
        }
        if let Some(first) = frame.correlation {
            envelope = envelope.with_correlation(id(first));
        }
        if let Some(cause) = frame.causation {
            envelope = envelope.with_causation(id(cause));
        }
        if let Some(budget) = frame.budget_nanos {
            envelope = envelope.within(self.now, Duration::from_nanos(budget));
        }
        if let Some(life) = frame.life_nanos {
            envelope = envelope.with_time_to_live(self.now, Duration::from_nanos(life));
        }
        Ok(envelope.with_headers(headers))
    }
}

/// A time in nanoseconds; the longest there is where it is longer.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn wrong<E: Into<BoxError>>(field: &'static str) -> impl FnOnce(E) -> ReadError {
    move |error| ReadError::Field { field, source: error.into() }
}

fn agent(wire: Agent) -> Result<AgentId, BoxError> {
    let Agent { domain, name, instance, version } = wire;
    Ok(AgentId {
        domain: ChildId::new(&domain)?,
        name: ChildId::new(&name)?,
        instance: uuid::Uuid::from_bytes(instance),
        version: version.parse()?,
    })
}

fn headers(wire: Vec<(String, String)>) -> Result<Headers, ReadError> {
    let mut headers = Headers::new();
    for (name, value) in wire {
        if headers.get(&name).is_some() {
            return Err(wrong("headers")(format!("the header `{name}` is there twice")));
        }
        headers.set(&name, &value).map_err(wrong("headers"))?;
    }
    Ok(headers)
}

/// Bytes that are not an envelope of this version.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are not a frame of an envelope: another codec, another version, or malformed.
    #[error("the bytes are not an envelope: {0}")]
    Frame(#[from] DecodeError),
    /// A part of the envelope breaks a rule.
    #[error("the {field} of the envelope cannot be")]
    Field {
        /// Which part.
        field: &'static str,
        /// Which rule.
        source: BoxError,
    },
}

#[cfg(test)]
mod tests;
