//! What travels between agents, what becomes of it, and its bytes.
//!
//! | module | owns |
//! |---|---|
//! | [`envelope`] | what a message carries besides itself; its parts are in [`kind`], [`headers`], [`trace`] |
//! | [`codec`] | bytes of values, where they leave the process |
//!
//! All of it is values: nothing here waits, reads a clock or draws a number.

pub mod codec;
pub mod envelope;
pub mod headers;
pub mod kind;
pub mod trace;

pub use self::envelope::{Envelope, Origin};
pub use self::headers::{HeaderError, Headers};
pub use self::kind::{InvalidPriority, Kind, Priority, Role, UnknownKind};
pub use self::trace::{InvalidTraceParent, TraceContext, TraceParentProblem};
