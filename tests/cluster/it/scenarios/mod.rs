//! What is told of a cluster.

mod changed_plan;
mod determinism;
mod ends;
mod handover;
mod sick;
mod stages;
mod storms;
