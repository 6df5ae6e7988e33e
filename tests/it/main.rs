//! The tests that need more than one crate: the walls between crates, and whole jobs through the real binary.

mod walls;
