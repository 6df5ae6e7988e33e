//! The one binary, `marquetry`.

mod aggregate;
mod args;
mod broker;
mod control;
mod coordinate;
mod coordination;
mod exit;
mod inspect;
mod job;
mod place;
mod plan;
mod process;
mod progress;
mod run;
mod say;
mod storage;
mod summary;
mod threads;
mod worker;

fn main() -> std::process::ExitCode {
    args::run()
}
