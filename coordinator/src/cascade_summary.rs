//! What rounds came to over all images: model runs that were spared, and how right the first round is where it is sure.

use crate::Finished;
use crate::region_summary::{percent, share};
use marquetry_aggregator::{ImageResult, SureTruth};
use marquetry_job::RegionForwards;
use serde::{Deserialize, Serialize};

/// What rounds came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CascadeSummary {
    /// Model runs of one window each: those that were made, and those that all members and views would have made.
    pub forwards: RegionForwards,
    /// Pixels of the images that were computed in rounds.
    pub pixels: u64,
    /// Those that all members have looked at.
    pub unsure_pixels: u64,
    /// Unsure ones that have the first round alone, since blocks of the others were given up.
    pub first_alone: u64,
    /// The images that these are in.
    pub with_gaps: Vec<String>,
    /// Images that have the first round alone, since blocks of it were given up.
    pub left_out: Vec<String>,
    /// How right the first round is where it is sure, where the truth is known.
    pub truth: Option<SureTruth>,
}

impl CascadeSummary {
    /// What `results` of the images of `finished` come to; `None` where the job has no rounds.
    pub fn of(finished: &Finished<'_>, results: &[Option<ImageResult>]) -> Option<Self> {
        finished.plan.inference.cascade.as_ref()?;
        let mut summary = Self {
            forwards: RegionForwards::default(),
            pixels: 0,
            unsure_pixels: 0,
            first_alone: 0,
            with_gaps: Vec::new(),
            left_out: Vec::new(),
            truth: None,
        };
        for (image, result) in finished.images.iter().zip(results) {
            let Some(cascade) = result.as_ref().and_then(|result| result.cascade) else { continue };
            summary.forwards.inside += cascade.forwards.inside;
            summary.forwards.all += cascade.forwards.all;
            summary.pixels += image.size.area();
            summary.unsure_pixels += cascade.unsure_pixels.saturating_sub(cascade.first_alone);
            summary.first_alone += cascade.first_alone;
            if cascade.first_alone > 0 {
                summary.with_gaps.push(image.id.clone());
            }
            if cascade.left_out {
                summary.left_out.push(image.id.clone());
            }
            if let Some(truth) = cascade.truth {
                let sum = summary.truth.get_or_insert_default();
                sum.sure += truth.sure;
                sum.wrong += truth.wrong;
            }
        }
        Some(summary)
    }

    /// The share of model runs that were spared, 0 to 1.
    pub fn spared(&self) -> f64 {
        share(self.forwards.all - self.forwards.inside, self.forwards.all)
    }

    /// What it comes to, in one line.
    pub fn line(&self) -> String {
        format!(
            "{} of forwards are spared ({} of {}); all members and views have looked at {} of pixels",
            percent(self.spared()),
            self.forwards.all - self.forwards.inside,
            self.forwards.all,
            percent(share(self.unsure_pixels, self.pixels))
        )
    }

    /// What it may have cost; nothing where no truth is known.
    pub fn truth_line(&self) -> Option<String> {
        let SureTruth { sure, wrong } = self.truth?;
        Some(format!(
            "{wrong} of {sure} pixels of which the first round is sure have another label than the truth ({}): no more than these could \
             the others have mended",
            percent(share(wrong, sure))
        ))
    }

    /// Images that have the first round alone; nothing where there are none.
    pub fn left_out_line(&self) -> Option<String> {
        let (have, named) = have(&self.left_out)?;
        Some(format!("{have} the scores of the first round alone, since blocks of it were given up: {named}"))
    }

    /// Images in which some unsure pixels have the first round alone; nothing where there are none.
    pub fn with_gaps_line(&self) -> Option<String> {
        let (have, named) = have(&self.with_gaps)?;
        Some(format!(
            "{have} the scores of the first round at {} unsure pixels, since blocks of the second were given up: {named}",
            self.first_alone
        ))
    }

    /// Sentences for the user.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = vec![format!("cascade: {}", self.line())];
        notes.extend(self.truth_line().map(|line| format!("cascade: {line}")));
        let gaps = [self.left_out_line(), self.with_gaps_line()];
        notes.extend(gaps.into_iter().flatten().map(|line| format!("warning: cascade: {line}")));
        notes
    }
}

/// How many have something, and which.
fn have(images: &[String]) -> Option<(String, String)> {
    let first = images.first()?;
    Some(match images.len() {
        1 => ("1 image has".to_owned(), first.clone()),
        n => (format!("{n} images have"), format!("{first} and {} more", n - 1)),
    })
}
