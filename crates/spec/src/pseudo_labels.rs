//! Pseudo-labels: masks in which only what the ensemble is sure of has a label.

use super::decide::{PIXELS, PROBABILITY};
use super::kind::{Double, Kind, Maybe, ReadKind, Single, Words};
use super::masks::{MaskForm, MaskFormat, MaskLook, MasksKind};
use super::node::Node;
use super::output::{FILE, Output};
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{KeyGroup, SaidByKeys, Section, section};
use super::table::{Bounds, Shape};
use marquetry_ensemble::{ConfidenceCounts, Labelling};

section! {
    /// Masks to train on: a pixel has a label where the ensemble is sure enough of it, and else the job's ignore value
    /// (`failures.ignore`); with a table of all of them. How sure it is of a label is its probability among those of all classes,
    /// which are made to sum to 1 as in `soft_labels`: weights by class, members of some classes and some ways of merging views
    /// leave sums that are not 1, which the thresholds of `decide` are compared with as they are.
    pub struct PseudoLabels: "pseudoLabels" (scope) {
        /// The format of masks, as in `masks`.
        pub pseudo_labels as form: MaskForm = MaskForm { format: MaskFormat::Png, look: MaskLook::Palette }, MasksKind,
            required = "png or tiff";
        /// How sure is sure enough.
        ..pub keep: KeepRule = KeepRule::Threshold(vec![THRESHOLD; scope.classes.len()]);
        /// `label`: the label of the job, kept where its probability reaches the threshold of its class. `ratio`: the class of
        /// the greatest probability over threshold, kept where that is at least 1 (CBST), whatever `decide` says: rare classes
        /// of low thresholds win pixels from frequent ones.
        pub choose: Choose = Choose::Label, Words(&CHOICES);
        /// Fewest pixels of a class that are kept over all images, px: where its threshold keeps fewer, it is lowered as far as
        /// that takes, so that no class vanishes. All are kept of a class that has no more. It is of the job's labels, before
        /// `agreement` and `choose: ratio`.
        pub min_pixels: u64 = 0, PIXELS;
        /// Least share of members, by weight, whose own label is the pixel's: the `vote_share` of the output `uncertainty`,
        /// which says what that is. Above 0 it needs `tiles: {per: member}`.
        pub agreement: f32 = 0.0, AGREEMENT;
        /// The table, below the job's outputs: `image_id,path,label,weight,kept_share,reliability,source`. `label` is the mask's
        /// path from the table's folder; `kept_share` that of the image's pixels; `reliability` the mean IoU of the own labels of
        /// every two members, which count alike whatever they weigh, but for those of weight 0: over the classes in which both
        /// have a say, without pixels that one of them gives to a class that the other cannot tell from its own. It takes
        /// `tiles: {per: member}` and two members that score the image, and is empty without: one member has nobody to agree
        /// with. `weight` is `kept_share` times `reliability`, or `kept_share` alone; `source` is `pseudo`.
        pub file: String = "pseudo_labels.csv".to_owned(), FILE;
    }
}

/// Which pixels are sure enough.
#[derive(Debug, Clone, PartialEq)]
pub enum KeepRule {
    /// Those of at least this probability, by class.
    Threshold(Vec<f32>),
    /// The surest share of each class, over all images; thresholds are from `least` to `most`.
    Share {
        /// Share of the pixels of a class, 0 to 1.
        share: f64,
        /// Lowest threshold.
        least: f32,
        /// Highest threshold.
        most: f32,
    },
    /// Those from the median of their class on, over all images; thresholds are from `least` to `most`.
    Median {
        /// Lowest threshold.
        least: f32,
        /// Highest threshold.
        most: f32,
    },
}

/// Which label a pixel gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choose {
    /// That of the job.
    Label,
    /// That of the greatest probability over threshold.
    Ratio,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum RuleName {
    Threshold,
    Share,
    Median,
}

section! {
    /// The keys that say a [`KeepRule`].
    pub(super) struct KeepKeys {
        /// What is kept. `threshold`: what has at least so much probability. `share`: the surest share of the pixels of each
        /// class, over all images. `median`: what has at least the lower median of its class, over all images. The last two
        /// need two passes over the scores: the first counts, and no mask is written before all images are counted.
        rule: Option<RuleName> = None, Maybe(Words(&RULES)), unset = "`share` with `share`, else `threshold`";
        /// Probability that is enough, for all classes or per class by name, the background too; for those that are not named,
        /// and without this key, 0.9.
        thresholds: Option<Vec<f32>> = None, Maybe(ClassThresholds), unset = "`0.9` with `rule: threshold`";
        /// Share of the pixels of each class that is kept, before `least` and `most`. Of equally sure pixels all are kept or none:
        /// thresholds are right to 1/4096, and scores in half precision (`tiles.dtype`) near 1 to 1/2048, so of a model that is
        /// certain of most pixels more may be kept. How much is kept is printed, and warned of where it is over this by more than a
        /// tenth of it.
        share: Option<f64> = None, Maybe(SHARE), unset = "`0.5` with `rule: share`";
        /// Lowest threshold that `share` and `median` may come to.
        least: Option<f32> = None, Maybe(PROBABILITY), unset = "`0.6` with `rule: share`, `0` with `rule: median`";
        /// Highest threshold that `share` and `median` may come to.
        most: Option<f32> = None, Maybe(PROBABILITY), unset = "`0.95` with `rule: share`, `0.9` with `rule: median`";
    }
}

const RULES: [(&str, RuleName); 3] =
    [("threshold", RuleName::Threshold), ("share", RuleName::Share), ("median", RuleName::Median)];
const CHOICES: [(&str, Choose); 2] = [("label", Choose::Label), ("ratio", Choose::Ratio)];
const THRESHOLD: f32 = 0.9;
const SHARE: Double = Double(Bounds { min: Some(0.0), max: Some(1.0), ..Bounds::any("a share from 0 to 1") });
const AGREEMENT: Single =
    Single(Bounds { min: Some(0.0), max: Some(1.0), ..Bounds::any("a share from 0 to 1") });

impl PseudoLabels {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let fields = Self::fields(at);
        let pseudo = Self::standard(scope).over_fields(&fields, scope);
        let at_key = |key| fields.get(key).unwrap_or(fields.at());
        if scope.labelling == Labelling::Multilabel {
            at_key("pseudo_labels").conflict(
                "a pixel has one label or none, and these classes do not exclude each other (multilabel: true)",
            );
        }
        if !scope.probabilities {
            at_key("pseudo_labels").conflict(
                "tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min",
            );
        }
        if pseudo.agreement > 0.0 && !scope.member_tiles {
            at_key("agreement").conflict(
                "how many members agree is known where each has tiles of its own; say tiles: {per: member}",
            );
        }
        fields.is_complete().then_some(Output::PseudoLabels(pseudo))
    }

    /// Whether thresholds hang on the pixels of all images: then no mask can be written before all are counted.
    pub const fn needs_counts(&self) -> bool {
        self.min_pixels > 0 || !matches!(self.keep, KeepRule::Threshold(_))
    }

    /// The same with the thresholds that follow from the pixels of all images.
    #[must_use]
    pub fn settled(&self, counts: &ConfidenceCounts) -> Self {
        let threshold = |class: usize| {
            let threshold = match &self.keep {
                KeepRule::Threshold(thresholds) => thresholds[class],
                KeepRule::Share { share, least, most } => {
                    counts.share_threshold(class, *share).max(*least).min(*most)
                }
                KeepRule::Median { least, most } => counts.median(class).max(*least).min(*most),
            };
            counts.keeping_at_least(class, threshold, self.min_pixels)
        };
        let thresholds = (0..counts.classes()).map(threshold).collect();
        Self { keep: KeepRule::Threshold(thresholds), min_pixels: 0, ..self.clone() }
    }
}

impl SaidByKeys for KeepRule {
    type Keys = KeepKeys;

    fn to_keys(&self) -> KeepKeys {
        let none = KeepKeys::default();
        match self {
            Self::Threshold(thresholds) => {
                KeepKeys { rule: Some(RuleName::Threshold), thresholds: Some(thresholds.clone()), ..none }
            }
            Self::Share { share, least, most } => KeepKeys {
                rule: Some(RuleName::Share),
                share: Some(*share),
                least: Some(*least),
                most: Some(*most),
                ..none
            },
            Self::Median { least, most } => {
                KeepKeys { rule: Some(RuleName::Median), least: Some(*least), most: Some(*most), ..none }
            }
        }
    }

    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        let KeepKeys { rule, thresholds, share, least, most } = KeepKeys::default().over(fields, scope);
        let implied = if share.is_some() { RuleName::Share } else { RuleName::Threshold };
        let rule = rule.unwrap_or(implied);
        if rule != RuleName::Threshold {
            fields.forbid(&["thresholds"], "used by rule: threshold only; leave it out");
        }
        if rule != RuleName::Share {
            fields.forbid(&["share"], "used by rule: share only; leave it out");
        }
        if rule == RuleName::Threshold {
            fields.forbid(&["least", "most"], "used by rule: share and rule: median only; leave it out");
            return Self::Threshold(thresholds.unwrap_or_else(|| vec![THRESHOLD; scope.classes.len()]));
        }
        let [standard_least, standard_most] = if rule == RuleName::Share { [0.6, 0.95] } else { [0.0, 0.9] };
        let (least, most) = (least.unwrap_or(standard_least), most.unwrap_or(standard_most));
        if least > most {
            let at = fields.get("least").or_else(|| fields.get("most")).unwrap_or(fields.at());
            at.conflict(format!("least {least} is above most {most}; allowed is at most that"));
        }
        match rule {
            RuleName::Share => Self::Share { share: share.unwrap_or(0.5), least, most },
            _ => Self::Median { least, most },
        }
    }
}

/// A probability for every class: one for all, or a map; those that it does not name have [`THRESHOLD`].
struct ClassThresholds;

impl Kind for ClassThresholds {
    type Value = Vec<f32>;

    fn write(&self, thresholds: &Vec<f32>, scope: &Scope<'_>) -> Option<Node> {
        Some(scope.classes.map(thresholds, |_, threshold| Some((*threshold).into())))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![PROBABILITY.shape(), Shape::MapOf("class", Box::new(PROBABILITY.shape()))])
    }
}

impl ReadKind for ClassThresholds {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<f32>> {
        let allowed = "a probability from 0 to 1, or a map from class to probability";
        if at.is_map() {
            let values = scope.classes.values(at, allowed, |at| PROBABILITY.read(at, scope))?;
            return Some(values.into_iter().map(|value| value.unwrap_or(THRESHOLD)).collect());
        }
        if !at.is_number() {
            return at.refuse(allowed);
        }
        PROBABILITY.read(at, scope).map(|threshold| vec![threshold; scope.classes.len()])
    }
}
