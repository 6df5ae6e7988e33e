//! The coordinator: plans a job, publishes its blocks, follows them to the end, and finishes what is made of all images
//! together.
//!
//! This crate must not know: the worker, how members are run, terminals.

mod breaker;
mod cascade_summary;
mod chosen_members;
mod collected_results;
mod control;
mod corrected_labels;
mod ended_run;
mod evaluation;
mod fold_scores;
mod forward_cost;
mod gate_summary;
mod in_flight;
mod in_time;
mod job_runner;
mod job_tasks;
mod kept_labels;
mod label_next;
mod label_quality;
mod leased_store;
mod least_loaded;
mod losses;
mod made_files;
mod nights;
mod output_lists;
mod planning;
mod recovery;
mod region_summary;
pub mod report;
mod run_lease;
mod silence;
mod starts;
mod status;
mod stored_inputs;
mod survey;
mod sweep;
mod tables;
mod tally;
#[cfg(test)]
mod test_plans;
mod tile_deletion;
mod too_large;
mod tuning;
mod worker_health;
mod written;

pub use breaker::AllFail;
pub use cascade_summary::CascadeSummary;
pub use collected_results::{CollectedResults, TableRows};
pub use control::{cancel, new_run, retry, set_state};
pub use ended_run::EndedRun;
pub use evaluation::{Evaluated, EvaluationFiles};
pub use forward_cost::ForwardCost;
pub use gate_summary::{GateClass, GateClassTruth, GateSummary};
pub use in_time::{
    Budget, Cut, Look, MadeRounds, Next, Round, Spent, clear_tiles, costs, discard, has_results, in_rounds,
    job_of_rounds, rounds, stored_forwards,
};
pub use job_runner::{JobRunner, OtherResults, RunError};
pub use kept_labels::{KeptClass, KeptLabels};
pub use losses::{LossCount, Losses, Lost};
pub use nights::{WrittenNight, repeat_night, write_night};
pub use output_lists::OutputLists;
pub use planning::{
    CascadeError, Choice, Findings, FoldsError, GateError, Hardware, ImageKind, ImagesError, Machine,
    MeasureError, MemberChoices, MemberKind, MembersError, ModelReadError, Origin, OutputNameError,
    PathError, PlanError, PlanMemory, PlanRegionError, PlanTruthError, Planned, PlannedRegions, PlannedTruth,
    RegionForecast, Rejected, Warning, Watcher, georeferences, outputs_hash, plan, read_model,
    tags_from_paths,
};
pub use region_summary::{RegionSummary, WholeImages};
pub use report::{Finished, RunFacts, describe_grid, round_in_words};
pub use run_lease::Stopped;
pub use status::{JobFailure, JobState, LossShown, Status, unix_now};
pub use stored_inputs::{StoredInputs, StoredInputsError};
pub use survey::Surveyed;
pub use sweep::{
    Change, SettingRow, Shown, SweepTable, TakenSeconds, WindowAxes, WindowSize, image_counts, job_cost,
    judging_job, kept_seconds, known_views, sweep_page, view_changes, what_is_seen, window_changes,
};
pub use tables::{TableError, Tables, WrittenTables};
pub use tally::Tally;
pub use tuning::{
    GateSample, Probed, TuneCandidate, TuneError, TunedCascade, TunedGate, probes_per_image, probing_job,
    read_probes, tune_cascade, tuned_job,
};
pub use worker_health::SickWorker;
pub use written::{WrittenTogether, already_written, begin_writing, note_written, written_of};
