//! A cluster in one process: the real coordinator over the real queue in memory, with workers and aggregators that follow
//! a script, in virtual time. Whatever differs from one schedule to another follows from its seed.
//!
//! ```text
//! cargo test -p marquetry-cluster-tests                          the same schedules each time
//! MARQUETRY_SCHEDULES=5000 cargo test -p marquetry-cluster-tests  so many of each kind, from seeds that nobody chose
//! MARQUETRY_SEED=1234 cargo test -p marquetry-cluster-tests -- storms   one schedule again
//! ```
//! What a schedule that went wrong prints ends in the last things that happened in it, by virtual time.

mod harness;
mod scenarios;
