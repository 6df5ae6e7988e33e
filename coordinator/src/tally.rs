//! What a job's tasks came to.

use crate::losses::Losses;
use marquetry_job::{Progress, StageSeconds};
use std::collections::HashSet;

/// What a job's tasks came to.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Tally {
    /// How far it came.
    pub progress: Progress,
    /// Tasks done in this run.
    pub tasks_computed: u64,
    /// Tasks whose objects were found in the store.
    pub tasks_found: u64,
    /// Images that were found finished in the store.
    pub images_found: u64,
    /// Model runs of one window each, in this run.
    pub forwards: u64,
    /// Model runs that were found done in the store.
    pub forwards_found: u64,
    /// Bytes of all that tasks stored in this run.
    pub tile_bytes: u64,
    /// Where workers' time went, s, summed over threads.
    pub seconds: StageSeconds,
    /// Seconds of putting images together, summed.
    pub aggregate_seconds: f64,
    /// Tries that failed and were made again.
    pub retries: u64,
    /// Blocks and images that were out for too long and sent again.
    pub resent: u64,
    /// What was given up.
    #[serde(flatten)]
    pub losses: Losses,
    /// Keys of images of which something is missing, or all, once the run is over. Results of all others are stored.
    #[serde(skip)]
    pub unfinished: HashSet<String>,
}

impl Tally {
    /// Adds what the first of two passes did to the second's: what it computed was found by this one.
    pub fn add_first_pass(&mut self, first: &Self) {
        self.tasks_computed += first.tasks_computed;
        self.tasks_found = self.tasks_found.saturating_sub(first.tasks_computed);
        self.forwards += first.forwards;
        self.forwards_found = self.forwards_found.saturating_sub(first.forwards);
        self.tile_bytes += first.tile_bytes;
        self.seconds += first.seconds;
        self.aggregate_seconds += first.aggregate_seconds;
        self.retries += first.retries;
        self.resent += first.resent;
        // What was not counted is missing in what follows from all images, whatever became of it in the second pass.
        let not_counted = first.unfinished.difference(&self.unfinished).count() as u64;
        if not_counted > 0 {
            self.losses.add_first_pass(&first.losses);
            self.progress.images_failed += not_counted;
            self.progress.images_done -= not_counted.min(self.progress.images_done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::Lost;
    use marquetry_failure::FailureClass;

    fn pass(unfinished: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for image in unfinished {
            let (class, reason, from) = (FailureClass::Input, "cut off".into(), "w".into());
            let (image, task, only_pixels) = ((*image).to_owned(), None, false);
            tally.losses.add(&Lost { image, task, only_pixels, attempts: 1, class, reason, from });
        }
        tally.unfinished = unfinished.iter().map(|image| (*image).to_owned()).collect();
        let images_failed = unfinished.len() as u64;
        tally.progress =
            Progress { images: 3, images_done: 3 - images_failed, images_failed, ..Progress::default() };
        tally
    }

    /// Thresholds for all images that were counted without one are not those of the job.
    #[test]
    fn what_the_first_pass_did_not_count_is_no_whole_job() {
        let mut second = pass(&[]);
        second.add_first_pass(&pass(&["a"]));
        assert_eq!((second.progress.images_done, second.progress.images_failed), (2, 1));
        assert_eq!(second.losses.total(), 1);
        assert!(second.losses.sample()[0].reason.contains("not counted with all images: cut off"));
        // Lost in both it is told once.
        let mut second = pass(&["a"]);
        second.add_first_pass(&pass(&["a"]));
        assert_eq!((second.losses.total(), second.progress.images_failed), (1, 1));
        let mut second = pass(&[]);
        second.add_first_pass(&pass(&[]));
        assert!(second.losses.is_empty());
    }
}
