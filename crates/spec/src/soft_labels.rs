//! Soft labels: for each pixel a share of every class, to train on.

use super::kind::{Kind, Maybe, ReadKind, Single, Whole, Words};
use super::node::Node;
use super::output::Output;
use super::probabilities::{DTYPES, FORMATS, ScoreDtype, ScoreFormat};
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::{Bounds, Shape};
use marquetry_ensemble::Labelling;

section! {
    /// For each pixel a share of every class, to train on: an array for each image. The shares of a pixel sum to 1; those of
    /// missing pixels are 0.
    pub struct SoftLabels: "softLabels" (_) derive [Copy] {
        /// `zarr`: a chunked array in a folder. `tiff`: tiled, one band per class, with the source's georeference.
        pub soft_labels as format: ScoreFormat = ScoreFormat::Zarr, Words(&FORMATS), required = "zarr or tiff";
        /// How a share is kept. `u8`: parts of 255, rounded by the largest remainder, so that the bytes of a pixel sum to 255
        /// exactly. `f16`: half precision.
        pub dtype: ScoreDtype = ScoreDtype::U8, Words(&DTYPES);
        /// What the shares are made of. `probabilities`: the ensemble's, made to sum to 1. `labels`: 1 for the class of
        /// the mask, 0 for the others.
        pub of: SoftSource = SoftSource::Probabilities, Words(&SOURCES),
            unset = "`labels` with `smoothing: svls`, else `probabilities`";
        /// A number `s`: uniform label smoothing, `y · (1 − s) + s / C`. `svls`: spatially varying label smoothing, a
        /// 3 × 3 Gaussian over labels in which a pixel weighs as much as its neighbours together; those without a label take
        /// no part, and the others weigh more in turn. Beyond its border an image goes on as it ends (its outermost pixels once more).
        pub smoothing: Smoothing = Smoothing::Uniform(0.0), SmoothingKind;
        /// Keep this many classes of each pixel, those of the greatest shares, whose shares are then made to sum to 1: the
        /// array has as many bands of classes (their places in the list of classes, greatest share first), and as many of
        /// shares.
        pub top: Option<u32> = None, Maybe(Whole::<u32>::new(1, 255)), unset = "all classes, each with a band of its own";
    }
}

/// What soft labels are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoftSource {
    /// The ensemble's probabilities.
    Probabilities,
    /// The job's labels.
    Labels,
}

/// How soft labels are smoothed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// By this share of the uniform distribution, 0 to 1.
    Uniform(f32),
    /// By the labels around a pixel.
    Svls,
}

const SOURCES: [(&str, SoftSource); 2] =
    [("probabilities", SoftSource::Probabilities), ("labels", SoftSource::Labels)];
const SHARE: Single = Single(Bounds { min: Some(0.0), max: Some(1.0), ..Bounds::any("a share from 0 to 1") });
const SVLS: &str = "svls";
/// The greatest place of a class that a half holds exactly, and one that a byte holds.
const PLACES_MAX: [usize; 2] = [2049, 256];

impl SoftLabels {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let fields = Self::fields(at);
        let mut soft = Self::standard(scope).over_fields(&fields, scope);
        if fields.get("of").is_none() && soft.smoothing == Smoothing::Svls {
            soft.of = SoftSource::Labels;
        }
        let at_key = |key| fields.get(key).unwrap_or(fields.at());
        if scope.labelling == Labelling::Multilabel {
            at_key("soft_labels").conflict(
                "shares sum to 1 over classes, and these do not exclude each other (multilabel: true); `probabilities` has \
                 one for each class",
            );
        }
        if soft.of == SoftSource::Probabilities && !scope.probabilities {
            at_key("soft_labels").conflict(
                "tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min, or say of: labels",
            );
        }
        if soft.of == SoftSource::Probabilities && soft.smoothing == Smoothing::Svls {
            at_key("of").conflict("svls smooths labels; say of: labels, or leave it out");
        }
        let classes = scope.classes.len();
        if let Some(top) = soft.top.filter(|top| *top as usize > classes && classes > 0) {
            at_key("top").conflict(format!("{top} of {classes} classes; allowed is at most {classes}"));
        }
        let most = PLACES_MAX[usize::from(soft.dtype == ScoreDtype::U8)];
        if soft.top.is_some() && classes > most {
            at_key("top").conflict(format!(
                "the places of {classes} classes do not fit this dtype, which holds {most}; take dtype: f16, or leave `top` out"
            ));
        }
        fields.is_complete().then_some(Output::SoftLabels(soft))
    }
}

/// A share of the uniform distribution, or `svls`.
struct SmoothingKind;

impl Kind for SmoothingKind {
    type Value = Smoothing;

    fn write(&self, smoothing: &Smoothing, scope: &Scope<'_>) -> Option<Node> {
        match smoothing {
            Smoothing::Uniform(share) => SHARE.write(share, scope),
            Smoothing::Svls => Some(SVLS.into()),
        }
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![SHARE.shape(), Shape::Words(vec![SVLS])])
    }
}

impl ReadKind for SmoothingKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Smoothing> {
        match at.as_text() {
            Some(SVLS) => Some(Smoothing::Svls),
            Some(_) => at.refuse("a share from 0 to 1, or svls"),
            None => SHARE.read(at, scope).map(Smoothing::Uniform),
        }
    }
}
