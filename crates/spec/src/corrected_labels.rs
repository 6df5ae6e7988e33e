//! Labels in which what is surely wrong is changed.

use super::kind::{Double, Maybe, Text};
use super::masks::{MaskForm, MaskFormat, MaskLook, MasksKind};
use super::output::{FILE, Output};
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Bounds;

section! {
    /// The labels that `truth` gives, with what is surely wrong changed and nothing else: an area that `label_quality` finds to be
    /// missing, not there, or of another class with at least this probability gets the class that the ensemble says.
    /// Outlines stay as they were drawn, what is left out stays so, and every other pixel keeps its label. It takes two
    /// passes, since what is usual hangs on all images; images without a label have none. Values are those of `masks`.
    pub struct CorrectedLabels: "correctedLabels" (_) {
        /// The format of masks, as in `masks`.
        pub corrected_labels as form: MaskForm = MaskForm { format: MaskFormat::Png, look: MaskLook::Palette }, MasksKind,
            required = "png or tiff";
        /// How probably wrong an area must be to be changed. Of areas at 0.9 and more 150 of 152 were, in what was measured
        /// (`docs/label_quality.md`).
        pub probability: f64 = 0.9, Double(PROBABILITY);
        /// What is usual in all images, as the first pass of a job finds it; said, it is taken as it is, and there is one pass.
        pub usual: Option<String> = None, Maybe(Text::not_blank("what the first pass of a job wrote"));
        /// The table, below the job's outputs: `image_id,label,changed_px,missing,extra,swapped`, where `label` is the mask's path
        /// from the table's folder, and the last three count the areas that were changed.
        pub file: String = "corrected_labels.csv".to_owned(), FILE;
    }
}

const PROBABILITY: Bounds =
    Bounds { min: Some(0.5), max: Some(1.0), ..Bounds::any("a probability from 0.5 to 1") };

impl CorrectedLabels {
    /// Whether what is usual is not known yet.
    pub const fn needs_survey(&self) -> bool {
        self.usual.is_none()
    }

    /// What counts for it.
    pub(super) fn counting() -> Self {
        let form = MaskForm { format: MaskFormat::Png, look: MaskLook::Palette };
        Self { form, probability: 1.0, usual: None, file: "survey-labels".to_owned() }
    }

    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let corrected = Self::read(at, scope)?;
        if let Some(at) = at.entry("corrected_labels") {
            super::label_quality::check(&at, scope);
        }
        Some(Output::CorrectedLabels(corrected))
    }
}
