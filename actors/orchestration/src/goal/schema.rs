//! The JSON Schema of a goal file.

use serde_json::Value;

use crate::goal::model::Goal;

/// The JSON Schema (2020-12) of a goal file, made from the types themselves.
///
/// ```
/// let schema = steadfast_orchestration::goal::json_schema();
/// assert_eq!(schema["title"], "Goal");
/// ```
#[must_use]
pub fn json_schema() -> Value {
    schemars::schema_for!(Goal).to_value()
}
