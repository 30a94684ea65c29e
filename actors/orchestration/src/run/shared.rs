//! A JSON value that many hold.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON value behind a counted pointer: cloning it copies nothing, so that a long list can travel with every request
/// that is about one of its items.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared(Arc<Value>);

impl Shared {
    /// Shares a value.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(Arc::new(value))
    }
}

impl Deref for Shared {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::new)
    }
}
