//! Clusters of real processes on a real broker and real stores, and what goes wrong in them.
//!
//! Each test has topics and a store of its own, so that all can run at once on the services that `cargo xtask test`
//! starts. Without these a test says that it was skipped.

#![expect(
    clippy::print_stderr,
    reason = "tests say what was skipped, with which seed they ran, and what a process said that failed"
)]

// What the tests are made of.
mod job;
mod listen;
mod own_kafka;
mod own_s3;
mod proxies;
mod role;
mod ruled_s3;
mod services;
mod setup;
mod storm;
mod view;

// The tests.
mod broker;
mod control;
mod deletions;
mod drain;
mod in_time;
mod jobs;
mod kills;
mod late_writes;
mod messages;
mod nightly;
mod numbers;
mod pace;
mod poison;
mod refusals;
mod same_bytes;
mod stores;
mod tiles;
mod unfit;
