//! The one binary, `marquetry`.

mod args;
mod exit;
mod inspect;
mod job;
mod place;
mod plan;
mod progress;
mod run;
mod say;
mod storage;
mod summary;

fn main() -> std::process::ExitCode {
    args::run()
}
