//! The JSON Schema of job files.

/// The JSON Schema (draft 2020-12) of job files: every key, type, range and default.
///
/// What hangs on several fields at once (class names, weights that are all zero, margins wider than the window) is
/// checked by [`JobSpec::parse`](super::JobSpec::parse) alone.
///
/// # Panics
/// Never: the schema is part of the program, and a test reads it.
pub fn schema() -> serde_json::Value {
    serde_json::from_str(include_str!("schema.json")).expect("the schema is JSON")
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
