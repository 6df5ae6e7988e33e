//! What an ensemble is made of, fitted to labelled images: class factors, weights of members, the space they meet in.
//! And which of several ways to run it to take ([`trade_off`]).
//!
//! Everything is fitted at *probes*: pixels drawn from each image by a fixed rule, at which what every member says is kept
//! apart. A probe stands for as many pixels as its weight says, so that counts over probes are estimates of counts over
//! all pixels.
//!
//! This crate must not know: files, models, jobs, threads, time.

mod accept;
mod counts;
mod curve;
mod disagreement;
mod factors;
mod gate;
mod line_search;
mod margin;
mod probe_file;
mod probes;
mod ranking;
mod rounds;
mod sample;
mod trade_off;
mod tune;
mod weights;

pub use accept::Gain;
pub use counts::{Metric, WeightedCounts};
pub use disagreement::disagreement;
pub use gate::{FittedThreshold, GateProbe, fit_threshold};
pub use margin::{FittedMargin, LOSS_MAX, fit_margin};
pub use probe_file::{ProbeFileError, probes_from_bytes, probes_to_bytes};
pub use probes::{ProbeSampler, Probes};
pub use ranking::{rank_correlation, score_of};
pub use rounds::{Round, rounds};
pub use sample::{ImageProbes, Sample, SampleError, Space};
pub use trade_off::{Judged, TradeOff, Tried, pareto_front, trade_off};
pub use tune::{Step, Tuned, Verdict, tune};
