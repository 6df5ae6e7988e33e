//! Which of the labels that are given are probably wrong.

use super::kind::{Whole, Words};
use super::output::Output;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};

/// The folder of label quality, below the job's outputs.
pub const LABEL_QUALITY: &str = "label-quality";

section! {
    /// Which of the labels that `truth` gives are probably wrong, held against what the ensemble says: a page (`index.html`), a
    /// table of all images, the most suspicious first (`labels.csv`), one of the areas in doubt (`doubts.csv`), and a small
    /// picture of each image. Members that have seen a label in training believe it: ask those that have not (`folds:
    /// out_of_fold`). What members usually get wrong in this data set is taken off; nothing is trained. All images count
    /// before one is judged, so a few hundred say more than ten.
    pub struct LabelQuality: "labelQuality" (_) derive [Copy, Eq] {
        /// The format.
        constant label_quality, Words(&[("html", ())]), required = "html";
        /// How many images the page shows, the most suspicious first; the tables have all of them.
        pub shown: u32 = 200, Whole::<u32>::new(1, 10_000);
    }
}

/// Notes at `at` why the job cannot judge labels.
pub(super) fn check(at: &At<'_>, scope: &Scope<'_>) {
    if scope.background.is_none() {
        at.conflict(
            "classes do not exclude each other (multilabel: true), and a truth has one class for each pixel; leave it out",
        );
    }
    if !scope.probabilities {
        at.conflict("tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min");
    }
}

impl LabelQuality {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let quality = Self::read(at, scope)?;
        if let Some(at) = at.entry("label_quality") {
            check(&at, scope);
        }
        Some(Output::LabelQuality(quality))
    }
}
