//! What travels between agents, what becomes of it, and its bytes.
//!
//! | module | owns |
//! |---|---|
//! | [`envelope`] | what a message carries besides itself; its parts are in [`kind`], [`headers`], [`trace`] |
//! | [`subject`], [`subject_map`] | what a message is about, and who listens to what |
//! | [`dead_letter`] | what becomes of messages that nobody handled |
//! | [`blackboard`] | what agents know in common |
//! | [`codec`], [`wire`] | bytes of values and of envelopes, where they leave the process |
//! | [`record`] | bytes of what outlives its writer: checked, and readable by later versions |
//! | `exchange` | who gets what is published over a transport, and what becomes of it |
//!
//! All of it is values: nothing here waits, reads a clock or draws a number.

pub mod blackboard;
pub mod codec;
pub mod dead_letter;
pub mod envelope;
pub(crate) mod exchange;
pub mod headers;
pub mod kind;
pub mod record;
pub mod subject;
pub mod subject_map;
pub mod trace;
pub mod wire;

pub use self::blackboard::{Blackboard, BoardBounds, BoardError, Cursor, Expected, Put, Revision};
pub use self::dead_letter::{
    DEFAULT_DEAD_LETTERS, DeadLetter, DeadLetterCounts, DeadLetters, DeadReason, Death, Filter, LetterId,
};
pub use self::envelope::{Envelope, Origin};
pub use self::headers::{HeaderError, Headers};
pub use self::kind::{InvalidPriority, Kind, Priority, Role, UnknownKind};
pub use self::subject::{InvalidSubject, Pattern, Subject, SubjectProblem};
pub use self::subject_map::{SubjectMap, SubjectMapFull, SubscriptionId};
pub use self::trace::{InvalidTraceParent, TraceContext, TraceParentProblem};
pub use self::wire::{Boundary, Payload, ReadError};
