//! Tests of the whole: see `it/`.
