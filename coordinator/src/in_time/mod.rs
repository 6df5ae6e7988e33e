//! A job in a given time: its members in rounds, and as many of them as fit.
//!
//! Each round is the plain job of the members so far, over tiles of single members, which all jobs of one name share: so a
//! round computes what is new and finds the rest, and what is handed over is what that job would have come to by itself.

mod budget;
mod made;
mod rounds;
mod speed;
mod stored;

pub use budget::{Budget, Cut, Look, Next, Spent};
pub use made::{MadeRounds, clear_tiles, discard};
pub use rounds::{Round, costs, in_rounds, job_of_rounds, rounds};
pub use stored::{has_results, stored_forwards};
