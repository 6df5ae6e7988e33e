//! `--finish-in`: as many rounds of a job as fit into a time, each a whole submission.

mod drive;
mod rounds;
mod time;
mod told;

pub(crate) use rounds::{InRounds, Roles, Workplace};
pub(crate) use time::Time;

use clap::Args;

#[derive(Args)]
pub(crate) struct FinishInArgs {
    /// Have the job done in this time, such as 8h30m: members are added in the job's order, as many as fit, with a whole
    /// submission after every round; what is left out is told. Needs room for tiles of all members until the end.
    #[arg(long, value_name = "TIME")]
    pub(crate) finish_in: Option<Time>,
}
