//! `marquetry tune --windows` and `--views`: settings of one job, each run as a plain job over the images with truth, beside
//! what they take.

mod change;
mod counted;
mod page;
mod plot;
mod seconds;
mod settings;
mod table;

pub use change::{Change, WindowSize};
pub use counted::image_counts;
pub use page::page as sweep_page;
pub use seconds::{TakenSeconds, kept_seconds};
pub use settings::{WindowAxes, job_cost, known_views, view_changes, what_is_seen, window_changes};
pub use table::{SettingRow, SweepTable};

use crate::planning::Planned;
use crate::tuning::TuneError;
use marquetry_geometry::WindowSpec;
use marquetry_spec::{Evaluation, JobSpec, Output};
use std::collections::BTreeMap;

/// How members are shown images in the job as it is: by the place of their entry in its list. Entries that have no member in the
/// part that is tried are not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown(pub(crate) BTreeMap<usize, WindowSpec>);

impl Shown {
    /// That of `planned`. Where the models of one entry have windows of several sizes it is the first one's.
    pub fn of(planned: &Planned) -> Self {
        let mut shown = BTreeMap::new();
        for group in &planned.plan.inference.groups {
            for member in &group.members {
                if let Some(entry) = planned.entries.get(&member.name) {
                    shown.entry(*entry).or_insert(group.window);
                }
            }
        }
        Self(shown)
    }

    /// Whether a member of this entry is tried.
    pub fn knows(&self, entry: usize) -> bool {
        self.0.contains_key(&entry)
    }
}

/// The job that judges `spec` by its truth: itself, with an evaluation as its one output. Its decision stays, so what is judged are the
/// labels that a run writes.
///
/// # Errors
/// When it has no truth, or labels of it cannot be evaluated.
pub fn judging_job(spec: &JobSpec) -> Result<JobSpec, TuneError> {
    if spec.truth.is_none() {
        return Err(TuneError::Job(
            "truth: the job says nothing of labels that are right, by which settings are judged; name them"
                .to_owned(),
        ));
    }
    let said = spec.outputs.iter().find(|output| matches!(output, Output::Evaluation(_)));
    let evaluation = Output::Evaluation(Evaluation { boundary_px: None, tolerance_px: 1 });
    let mut job = spec.clone();
    job.outputs = vec![said.cloned().unwrap_or(evaluation)];
    job.nights.keep = 0;
    job.tiles.keep = false;
    JobSpec::parse(&job.to_yaml()).map_err(|errors| {
        TuneError::Job(format!(
            "settings are judged by an evaluation, and this job cannot have one: {errors}"
        ))
    })
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
