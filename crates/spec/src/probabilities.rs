//! Arrays of probabilities: formats and numbers, which other arrays share.

use super::kind::{Kind, LayerKind, ReadKind, Words};
use super::node::Node;
use super::output::Output;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;

section! {
    /// One array of probabilities for each image.
    pub(super) struct ProbabilitiesOutput: "probabilities" (scope) {
        /// The format, or a map of format and dtype.
        pub(super) probabilities: Probabilities = Probabilities::standard(scope), ProbabilitiesKind, required = "zarr or tiff";
    }
}

section! {
    /// Probabilities of all classes.
    pub struct Probabilities: "scores" (_) derive [Copy, Eq] {
        /// `zarr`: a chunked array in a folder. `tiff`: tiled, one band per class.
        pub format: ScoreFormat = ScoreFormat::Zarr, Words(&FORMATS), required = "zarr or tiff";
        /// How one probability is kept: half precision, or `round(255 · p)`.
        pub dtype: ScoreDtype = ScoreDtype::F16, Words(&DTYPES);
    }
}

/// How probabilities are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreFormat {
    /// A chunked array in a folder.
    Zarr,
    /// Tiled TIFF, one band per class.
    Tiff,
}

impl ScoreFormat {
    /// How the names of its files, or of its folders, end.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Zarr => "zarr",
            Self::Tiff => "tiff",
        }
    }
}

/// How one probability is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreDtype {
    /// `round(255 · p)`.
    U8,
    /// Half precision.
    F16,
}

pub(super) const FORMATS: [(&str, ScoreFormat); 2] =
    [("zarr", ScoreFormat::Zarr), ("tiff", ScoreFormat::Tiff)];
pub(super) const DTYPES: [(&str, ScoreDtype); 2] = [("f16", ScoreDtype::F16), ("u8", ScoreDtype::U8)];

/// The word of a format, or a map with a dtype too.
struct ProbabilitiesKind;

impl Kind for ProbabilitiesKind {
    type Value = Probabilities;

    fn write(&self, probabilities: &Probabilities, scope: &Scope<'_>) -> Option<Node> {
        Some(probabilities.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![Words(&FORMATS).shape(), Shape::Section(Probabilities::table())])
    }
}

impl LayerKind for ProbabilitiesKind {
    fn read_over(&self, at: &At<'_>, below: &Probabilities, scope: &Scope<'_>) -> Option<Probabilities> {
        if at.is_map() {
            return Probabilities::read(at, scope);
        }
        Words(&FORMATS).read(at, scope).map(|format| Probabilities { format, ..*below })
    }
}

impl ProbabilitiesOutput {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        if let Some(probabilities) = at.entry("probabilities").filter(|_| !scope.probabilities) {
            probabilities.conflict(
                "tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min",
            );
        }
        Self::read(at, scope).map(|Self { probabilities }| Output::Probabilities(probabilities))
    }
}
