//! What is kept of an object that this version cannot decode. It lives in memory alone: it is in no schema, and never
//! written.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// Marks a spec that stands in for one that this version cannot decode.
#[derive(Clone, PartialEq)]
pub struct Undecodable {
    /// Which field it is, and what was expected there; none of the object's values.
    pub why: String,
    /// The object as the API server has it.
    pub raw: Arc<Value>,
}

/// Without the object: its values may be somebody's name.
impl fmt::Debug for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Undecodable").field(&self.why).finish()
    }
}
