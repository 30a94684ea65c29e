//! What is wanted: goal files, as text, as typed data, and with everything that can be wrong with them.
//!
//! [`read`](read()) turns the text of a file into a [`Loaded`] goal; [`Loaded::plan`] checks it against itself and
//! against the capabilities that are offered, and gives a [`Plan`](crate::plan::Plan). Nothing here opens a file, runs
//! a program or asks the time.
//!
//! # Invariants
//!
//! * Every error names its place: line and column in TOML, and in JSON where the syntax or a type is wrong; a JSON
//!   pointer otherwise; `--param NAME` for a parameter. It says what was expected and what to do.
//! * All errors of one stage are reported at once, in the order of the file.

pub mod check;
pub mod embed;
pub mod error;
pub mod fields;
mod keys;
pub mod literals;
pub mod model;
pub mod moment;
pub mod paths;
pub mod read;
pub mod schema;
pub mod source;
pub mod span;
pub mod template;
mod unique;
pub mod work;

pub use embed::DEEPEST;
pub use error::{GoalError, GoalErrors, Place};
pub use literals::{Literal, literals};
pub use model::Goal;
pub use moment::{Moment, MomentError};
pub use read::{Loaded, read};
pub use schema::json_schema;
pub use source::Source;
pub use span::{Span, SpanError};
pub use work::{TaskKind, Work};
