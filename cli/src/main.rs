//! The one binary, `marquetry`.

mod aggregate;
mod args;
mod bench;
mod broker;
mod control;
mod convert;
mod coordinate;
mod coordination;
mod diff;
mod evaluate;
mod exit;
mod hardware;
mod in_time;
mod inspect;
mod job;
mod new_model;
mod plan;
mod process;
mod progress;
mod providers;
mod run;
mod run_folder;
mod say;
mod self_test;
mod spread;
mod storage;
mod subset;
mod summary;
mod swa;
mod sweep;
mod threads;
mod tune;
mod tune_report;
mod worker;

/// Gives back to the system what is not used any more: blocks come and go by hundreds of megabytes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    args::run()
}
