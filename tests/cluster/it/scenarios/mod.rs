//! What is told of a cluster.

mod changed_plan;
mod deadly;
mod determinism;
mod ends;
mod gates;
mod handover;
mod refusals;
mod rounds;
mod shares;
mod sick;
mod stages;
mod storms;
