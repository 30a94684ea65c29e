//! The bytes of an envelope, version 1. What is here never changes: another layout gets another version.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::AgentId;
use crate::message::kind::{Kind as CoreKind, Role as CoreRole};
use crate::message::trace::TraceContext;

#[derive(Serialize, Deserialize)]
pub(super) struct Frame {
    pub(super) id: [u8; 16],
    pub(super) sequence: u64,
    pub(super) sent_nanos: u64,
    pub(super) trace: Option<Trace>,
    pub(super) kind: Kind,
    pub(super) priority: u8,
    pub(super) sender: Option<Agent>,
    pub(super) receiver: Option<Agent>,
    pub(super) correlation: Option<[u8; 16]>,
    pub(super) causation: Option<[u8; 16]>,
    pub(super) budget_nanos: Option<u64>,
    pub(super) life_nanos: Option<u64>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) payload: Bytes,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Agent {
    pub(super) domain: String,
    pub(super) name: String,
    pub(super) instance: [u8; 16],
    pub(super) version: String,
}

impl From<&AgentId> for Agent {
    fn from(id: &AgentId) -> Self {
        Self {
            domain: id.domain.as_str().to_owned(),
            name: id.name.as_str().to_owned(),
            instance: id.instance.into_bytes(),
            version: id.version.to_string(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Trace {
    id: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl From<TraceContext> for Trace {
    fn from(context: TraceContext) -> Self {
        let TraceContext { trace, span, flags } = context;
        Self { id: trace.get().to_be_bytes(), span: span.get().to_be_bytes(), flags }
    }
}

impl TryFrom<Trace> for TraceContext {
    type Error = &'static str;

    fn try_from(wire: Trace) -> Result<Self, &'static str> {
        let trace = NonZeroU128::new(u128::from_be_bytes(wire.id)).ok_or("the id of the trace is 0")?;
        let span = NonZeroU64::new(u64::from_be_bytes(wire.span)).ok_or("the id of the span is 0")?;
        Ok(Self { trace, span, flags: wire.flags })
    }
}

/// New kinds come at the end: the place of a variant is its number.
#[derive(Serialize, Deserialize)]
pub(super) enum Kind {
    Plain,
    TaskRequest,
    TaskResponse,
    ValidationRequest,
    ValidationResponse,
    RetrievalRequest,
    RetrievalResponse,
    ErrorNotification,
    Heartbeat,
    StatusUpdate,
    User(u16, Role),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Role {
    Request,
    Response,
    Notification,
}

/// Both ways from one table.
macro_rules! same_names {
    ($($kind:ident)+; $($role:ident)+) => {
        impl From<CoreKind> for Kind {
            fn from(kind: CoreKind) -> Self {
                match kind {
                    $( CoreKind::$kind => Self::$kind, )+
                    $( CoreKind::User { number, role: CoreRole::$role } => Self::User(number, Role::$role), )+
                }
            }
        }

        impl From<Kind> for CoreKind {
            fn from(kind: Kind) -> Self {
                match kind {
                    $( Kind::$kind => Self::$kind, )+
                    $( Kind::User(number, Role::$role) => Self::User { number, role: CoreRole::$role }, )+
                }
            }
        }
    };
}

same_names! {
    Plain TaskRequest TaskResponse ValidationRequest ValidationResponse RetrievalRequest RetrievalResponse
    ErrorNotification Heartbeat StatusUpdate;
    Request Response Notification
}

/// Bytes as bytes: a list of numbers would be written and read one by one.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(AsBytes)
    }
}

struct AsBytes;

impl<'de> Visitor<'de> for AsBytes {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(Bytes(bytes))
    }

    /// A format of text has no bytes, and writes them as a list.
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Bytes, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(Bytes(bytes))
    }
}
