//! How unsure the ensemble is: maps, and what to label next.

use super::kind::{Double, Kind, Maybe, ReadKind, Whole, Words};
use super::node::Node;
use super::output::{FILE, Output};
use super::probabilities::{DTYPES, FORMATS, ScoreDtype, ScoreFormat};
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::{Bounds, Shape};
use marquetry_ensemble::Labelling;

section! {
    /// How unsure the ensemble is of each pixel: an array for each image, with a band for each measure, from 0 to 1. Missing
    /// pixels, and those outside of the region, are 0 in bytes, and NaN in half precision.
    /// `mutual_information` and `vote_share` compare members. A member has a say in the classes for which it has a weight: none in
    /// those of which it does not speak (`output.classes`), or whose weight is 0, and a member of weight 0 in none. Where members
    /// do not all have all classes, a pixel's vote share is that of the members that have a say in its class; and in mutual
    /// information a member has, of classes that it cannot tell from its own, what the members that have all classes say (their
    /// mean), so that it counts for how it divides the rest among its own. Some member must have all.
    pub struct Uncertainty: "uncertainty" (_) derive [Eq] {
        /// One measure or several. `entropy`: of the merged probabilities, over ln C. `mutual_information`: of label and member,
        /// the mean KL divergence of members from their mean, over ln C (BALD): what members disagree on. `vote_share`: share of
        /// members, by weight in the class, whose own label is the pixel's. A member's own label is its most probable class,
        /// whatever `decide` says (thresholds, areas); none, if it leaves more of 1 to classes that it does not have
        /// (`output.rest: drop` of labels or independent channels). `margin`: how far the most probable class is ahead of the next.
        /// The first two are high where the ensemble is unsure, the last two where it is sure. `mutual_information` and
        /// `vote_share` need `tiles: {per: member}`; each member's scores become probabilities first, and views do not count as
        /// members.
        pub uncertainty as measures: Vec<Measure> = vec![Measure::Entropy], MeasureList,
            required = "entropy, mutual_information, vote_share or margin, or a list of them";
        /// `tiff`: tiled, one band per measure, with the source's georeference. `zarr`: a chunked array in a folder.
        pub format: ScoreFormat = ScoreFormat::Tiff, Words(&FORMATS);
        /// How a number is kept: half precision, or `round(255 · x)`.
        pub dtype: ScoreDtype = ScoreDtype::F16, Words(&DTYPES);
    }
}

section! {
    /// A table of what to label next: the images, or the windows of images, of which the ensemble is least sure, and which are
    /// not all alike. Its columns are `rank,image_id,path,top,left,height,width,uncertainty,similarity,most_like`.
    pub struct Ranking: "ranking" (_) {
        /// What says how unsure the ensemble is, as in `uncertainty`: its mean over all pixels of the image or window. Of `vote_share`
        /// and `margin` it is what they lack to 1. That of missing pixels, and of those outside of the region, is 0, as there is nothing to label: the few pixels of an
        /// image that has hardly any do not stand for it.
        pub ranking as measure: Measure = Measure::Entropy, Words(&MEASURES),
            required = "entropy, mutual_information, vote_share or margin";
        /// What is ranked: whole images, or windows.
        pub of: RankedItems = RankedItems::Images, Words(&ITEMS);
        /// Side of a window, px, about: an image is cut into equal ones of as nearly this size as can be.
        pub window as window_px: Option<u32> = None, Maybe(Whole::<u32>::new(8, 16_384)), unset = "`256` with `of: windows`";
        /// Rows of the table at most.
        pub count: u32 = 100, Whole::<u32>::new(1, 10_000);
        /// How much it counts that something is not like what stands above it, 0 to 1 (maximal marginal relevance): the next row
        /// has the greatest `(1 − diversity) · u / u_max − diversity · similarity`. Similarity is that of the probabilities of
        /// classes over a grid of 4 × 4 fields: 1 less their mean total variation. Missing pixels take the mean of the others. 0 ranks by uncertainty alone.
        pub diversity: f64 = 0.5, SHARE;
        /// Its path below the job's outputs.
        pub file: String = "label_next.csv".to_owned(), FILE;
    }
}

/// A measure of how unsure, or how sure, an ensemble is of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Entropy of the merged probabilities.
    Entropy,
    /// Mutual information of label and member.
    MutualInformation,
    /// Share of members that vote for the label.
    VoteShare,
    /// The greatest probability less the second.
    Margin,
}

impl Measure {
    /// Whether it hangs on what each member says.
    pub const fn needs_members(self) -> bool {
        matches!(self, Self::MutualInformation | Self::VoteShare)
    }

    /// Whether it is high where the ensemble is sure.
    pub const fn is_certainty(self) -> bool {
        matches!(self, Self::VoteShare | Self::Margin)
    }

    /// Its name in job files and outputs.
    pub fn name(self) -> &'static str {
        MEASURES.iter().find(|(_, measure)| *measure == self).map_or("", |(name, _)| name)
    }
}

/// What is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RankedItems {
    /// Whole images.
    Images,
    /// Windows of images.
    Windows,
}

const MEASURES: [(&str, Measure); 4] = [
    ("entropy", Measure::Entropy),
    ("mutual_information", Measure::MutualInformation),
    ("vote_share", Measure::VoteShare),
    ("margin", Measure::Margin),
];
const ITEMS: [(&str, RankedItems); 2] = [("images", RankedItems::Images), ("windows", RankedItems::Windows)];
const SHARE: Double = Double(Bounds { min: Some(0.0), max: Some(1.0), ..Bounds::any("a share from 0 to 1") });

/// Notes at `at` why the job cannot have these measures.
fn check(at: &At<'_>, measures: &[Measure], scope: &Scope<'_>) {
    if scope.labelling == Labelling::Multilabel {
        at.conflict(
            "these measures are of classes that exclude each other, and these do not (multilabel: true)",
        );
    }
    if !scope.probabilities {
        at.conflict("tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min");
    }
    if let Some(measure) = measures.iter().find(|measure| measure.needs_members() && !scope.member_tiles) {
        at.conflict(format!(
            "what each member says is known where each has tiles of its own, which {} needs; say tiles: {{per: member}}",
            measure.name()
        ));
    }
}

impl Uncertainty {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let uncertainty = Self::read(at, scope)?;
        if let Some(at) = at.entry("uncertainty") {
            check(&at, &uncertainty.measures, scope);
        }
        Some(Output::Uncertainty(uncertainty))
    }
}

impl Ranking {
    /// Side of what is ranked, px, about; whole images have no such side.
    pub fn side_px(&self) -> Option<u32> {
        const STANDARD: u32 = 256;
        (self.of == RankedItems::Windows).then(|| self.window_px.unwrap_or(STANDARD))
    }

    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let ranking = Self::read(at, scope)?;
        if let Some(at) = at.entry("ranking") {
            check(&at, &[ranking.measure], scope);
        }
        if let Some(at) = at.entry("window").filter(|_| ranking.of == RankedItems::Images) {
            at.conflict("used by of: windows only; leave it out");
        }
        Some(Output::Ranking(ranking))
    }
}

/// One measure, or a list of them, each once.
struct MeasureList;

impl Kind for MeasureList {
    type Value = Vec<Measure>;

    fn write(&self, measures: &Vec<Measure>, _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(measures.iter().map(|measure| measure.name())))
    }

    fn shape(&self) -> Shape {
        let list = Shape::List { item: Box::new(Words(&MEASURES).shape()), min: 1, max: None, unique: true };
        Shape::AnyOf(vec![Words(&MEASURES).shape(), list])
    }
}

impl ReadKind for MeasureList {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<Measure>> {
        if !at.is_list() {
            return Words(&MEASURES).read(at, scope).map(|measure| vec![measure]);
        }
        let mut measures = Vec::new();
        for item in at.items("a measure, or a list of measures")? {
            let measure = Words(&MEASURES).read(&item, scope)?;
            if measures.contains(&measure) {
                item.conflict(format!("{} is named twice", measure.name()));
            }
            measures.push(measure);
        }
        if measures.is_empty() {
            at.conflict("no measure; needed is at least one");
        }
        Some(measures)
    }
}
