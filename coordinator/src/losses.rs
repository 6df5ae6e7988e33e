//! What was given up: how much for which reason, and some of it in full.

use marquetry_failure::{FailureClass, gist};
use marquetry_job::TaskKind;
use serde::Serialize;

/// Losses that are kept in full; the dead-letter topic has all of them.
const SAMPLE_MAX: usize = 1000;
/// Different reasons that are counted each for itself.
const REASONS_MAX: usize = 100;

/// Something that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The image's id.
    pub image: String,
    /// The task, unless the whole image is lost, or pixels alone.
    pub task: Option<TaskKind>,
    /// Whether only pixels are missing, which cannot be read: the image is done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_pixels: bool,
    /// Attempts made; 0 where it only follows from other losses, which are listed themselves.
    pub attempts: u32,
    /// Who is to blame.
    pub class: FailureClass,
    /// Why the last one failed; where machines are to blame, what each of them said.
    pub reason: String,
    /// The worker or aggregator that said so last; empty where it only follows from other losses.
    pub from: String,
}

impl Lost {
    /// What was lost of the image, in words.
    pub fn what(&self) -> String {
        match self.task {
            Some(task) => task.to_string(),
            None if self.only_pixels => "pixels that cannot be read".to_owned(),
            None => "whole image".to_owned(),
        }
    }
}

/// Losses of the same kind.
#[derive(Debug, Clone, Serialize)]
pub struct LossCount {
    /// Who is to blame.
    pub class: FailureClass,
    /// The reason of the first of them.
    pub reason: String,
    /// How many.
    pub count: u64,
    #[serde(skip)]
    gist: String,
}

/// Everything that was given up, in bounded memory.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Losses {
    #[serde(rename = "losses_total")]
    total: u64,
    #[serde(rename = "losses_by_reason")]
    by_reason: Vec<LossCount>,
    #[serde(rename = "losses")]
    sample: Vec<Lost>,
}

impl Losses {
    /// Takes a loss in; whether it is the first for its reason. What only follows from other losses has none of its own.
    pub(crate) fn add(&mut self, loss: &Lost) -> bool {
        self.total += 1;
        if self.sample.len() < SAMPLE_MAX {
            self.sample.push(loss.clone());
        }
        if loss.attempts == 0 {
            return false;
        }
        let gist = gist(&loss.reason);
        if let Some(known) = self.by_reason.iter_mut().find(|r| r.class == loss.class && r.gist == gist) {
            known.count += 1;
            return false;
        }
        let is_new = self.by_reason.len() < REASONS_MAX;
        if is_new {
            let (class, reason) = (loss.class, loss.reason.clone());
            self.by_reason.push(LossCount { class, reason, count: 1, gist });
        }
        is_new
    }

    /// Takes in what the first of two passes has given up.
    pub(crate) fn add_first_pass(&mut self, first: &Self) {
        for loss in &first.sample {
            let reason = format!("it was not counted with all images: {}", loss.reason);
            self.add(&Lost { reason, ..loss.clone() });
        }
        self.total += first.total - first.sample.len() as u64;
    }

    /// How many blocks and images were given up.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether nothing was given up.
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// How many were given up for which reason, in the order in which reasons came up; rare late ones are left out.
    pub fn by_reason(&self) -> &[LossCount] {
        &self.by_reason
    }

    /// Those of the first losses that are of this kind.
    pub fn of(&self, kind: &LossCount) -> impl Iterator<Item = &Lost> {
        self.sample.iter().filter(move |loss| loss.class == kind.class && gist(&loss.reason) == kind.gist)
    }

    /// The first losses in full.
    pub fn sample(&self) -> &[Lost] {
        &self.sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_losses_take_no_more_room_than_a_thousand() {
        let mut losses = Losses::default();
        for image in 0..1_000_000_u32 {
            let reason =
                format!("images/{image}.png: {}", if image % 2 == 0 { "cut off" } else { "no pixels" });
            let loss = Lost {
                image: image.to_string(),
                task: None,
                only_pixels: false,
                attempts: 1,
                class: FailureClass::Input,
                reason,
                from: "w".into(),
            };
            assert_eq!(losses.add(&loss), image < 2);
        }
        assert_eq!((losses.total(), losses.sample().len(), losses.by_reason().len()), (1_000_000, 1000, 2));
        assert!(losses.by_reason().iter().all(|reason| reason.count == 500_000));
    }
}
