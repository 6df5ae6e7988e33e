//! New tries for what was given up.

use super::failures::Failures;
use super::image::Phase;
use super::{Action, Ledger};
use std::collections::BTreeMap;

impl Ledger {
    /// Gives everything that was given up new tries.
    pub fn reopen(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.settled = 0;
        // Putting such an image together tells anew what cannot be read of it.
        let lacking: Vec<u32> =
            (0..self.images.len() as u32).filter(|i| self.images[*i as usize].lacks_pixels).collect();
        for &image in &lacking {
            let state = &mut self.images[image as usize];
            state.lacks_pixels = false;
            self.progress.images_failed -= u64::from(state.gaps == 0);
            self.progress.images_done -= 1;
            state.reopen();
            state.return_to_last_stage();
        }
        let lost: Vec<u32> =
            (0..self.images.len() as u32).filter(|i| self.images[*i as usize].phase == Phase::Lost).collect();
        for &image in &lost {
            let state = &mut self.images[image as usize];
            state.reopen();
            self.progress.tasks_done -= u64::from(state.open);
            self.progress.images_failed -= u64::from(state.gaps == 0);
        }
        // Of each image the first task that later rounds were left out for.
        let mut before_others: BTreeMap<u32, u32> = BTreeMap::new();
        for (task, _) in std::mem::take(&mut self.lost) {
            let Some(state) = self.images.get_mut(task.image as usize) else { continue };
            self.progress.tasks_done -= u64::from(state.unmark(task.place));
            let tries = self.tries.entry(task).or_default();
            tries.failures = Failures::default();
            if state.is_of_round(task.place) {
                state.gaps -= 1;
                self.progress.images_failed -= u64::from(state.gaps == 0);
                self.progress.images_done -= u64::from(state.phase == Phase::Done);
                if state.phase != Phase::Computing {
                    state.reopen();
                    state.return_to_last_stage();
                }
                if state.is_at_hand(task.place) {
                    actions.push(self.compute_again(task, false));
                    continue;
                }
                before_others.entry(task.image).or_insert(task.place);
            } else if state.is_in_last_stage() {
                // Putting the image together has found it damaged.
                state.return_to_stage_of(task.place);
            }
            // It is handed out with what else is open in its stage.
            tries.attempt += 1;
        }
        for (image, place) in before_others {
            self.progress.tasks_done -= u64::from(self.images[image as usize].fall_back_to(place));
            if !self.ready.contains(&image) {
                self.ready.push_back(image);
            }
        }
        for image in lost {
            let state = &mut self.images[image as usize];
            if !state.is_in_last_stage() {
                state.rewind_stage();
                if !self.ready.contains(&image) {
                    self.ready.push_back(image);
                }
            }
            actions.extend(self.aggregate_if_ready(image));
        }
        for image in lacking {
            actions.extend(self.aggregate_if_ready(image));
        }
        actions
    }
}
