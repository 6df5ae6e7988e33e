//! Clusters of real processes on a real broker and real stores, and what goes wrong in them.
//!
//! Each test has topics and a store of its own, so that all can run at once on the services that `cargo xtask test`
//! starts. Without these a test says that it was skipped.

mod job;
mod role;
mod same_bytes;
mod services;
mod setup;
mod view;
