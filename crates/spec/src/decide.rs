//! From probabilities to labels, and what is tidied up afterwards.

use super::classes::CLASS;
use super::kind::{Kind, Maybe, ReadKind, Single, Whole, Words};
use super::node::Node;
use super::per_class::{Areas, ClassFlags, Factors, Thresholds, Triplets};
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{KeyGroup, SaidByKeys, Section, section};
use super::table::{Bounds, CrossCheck, Shape, Word};
use marquetry_ensemble::{Labelling, Rule, Triplet};

pub use marquetry_ensemble::components::Connectivity;

section! {
    /// How scores become labels.
    pub struct Decide: "decide" (scope) {
        /// The rule, with a value for every class; the background's own is never used.
        ..pub rule: Rule = implied(false, false, scope);
        /// The class of pixels that are nothing else; there is none where classes do not exclude each other.
        apart pub background: Option<usize> = scope.background, BackgroundClass, unset = "the class called `background` or `bg`, else the first";
        /// Regions of fewer pixels are taken out, px: one number, or one per class by name; 0 keeps all.
        pub min_area as min_area_px: Vec<u64> = vec![0; scope.classes.len()], Areas;
        /// Whether holes in regions are filled: for all classes, or for those named.
        pub fill_holes: Vec<bool> = vec![false; scope.classes.len()], ClassFlags;
        /// Whether only a class's largest region is kept: for all classes, or for those named.
        pub largest: Vec<bool> = vec![false; scope.classes.len()], ClassFlags;
        /// Which pixels are neighbours in a region: 4 or 8 of them.
        pub connectivity: Connectivity = Connectivity::Eight, Neighbours;
    }
    checks [
        CrossCheck::UsedIf {
            key: "thresholds",
            case: ("rule", Word::Text("threshold")),
            rival: "triplet",
            because: "used by rule: threshold only; leave it out",
        },
        CrossCheck::UsedIf {
            key: "factors",
            case: ("rule", Word::Text("argmax")),
            rival: "thresholds",
            because: "used by rule: argmax only; leave it out",
        },
        CrossCheck::UsedIf {
            key: "triplet",
            case: ("rule", Word::Text("triplet")),
            rival: "thresholds",
            because: "used by rule: triplet only; leave it out",
        },
        CrossCheck::NeededIf {
            key: "triplet",
            case: ("rule", Word::Text("triplet")),
            allowed: "{top, area_px, bottom}, or one for each class",
        },
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum RuleName {
    Argmax,
    Threshold,
    Triplet,
}

section! {
    /// The keys that say a [`Rule`].
    pub(super) struct RuleKeys {
        /// `argmax`: the class of the highest score. `threshold`: what is above its threshold. `triplet`: a class is in
        /// an image if enough of its pixels are certain, and its mask is then what is above a lower threshold.
        rule: Option<RuleName> = None, Maybe(Words(&RULES)),
            unset = "by what else is given: `threshold` with `thresholds` or `multilabel: true`, `triplet` with `triplet`, else `argmax`";
        /// Probability that is enough, for all classes or per class by name.
        thresholds: Option<Vec<f32>> = None, Maybe(Thresholds), default = THRESHOLD;
        /// Factors on the probabilities of classes before the greatest is taken, 1 for those that are not named: rare classes that
        /// members say too seldom get more than 1. `marquetry tune` finds them.
        factors: Option<Vec<f32>> = None, Maybe(Factors), unset = "1 for every class";
        /// What the triplet rule asks, for all classes alike, or one for each by name.
        triplet: Option<Vec<Triplet>> = None, Maybe(Triplets), unset = "required with `rule: triplet`";
    }
}

section! {
    /// What the triplet rule asks of a class.
    pub(super) struct TripletKeys: "triplet" (_) {
        /// Probability that counts as certain.
        pub(super) top: f32 = THRESHOLD, PROBABILITY, required = PROBABILITY.0.allowed;
        /// Fewest certain pixels for the class to be there, px.
        pub(super) area_px: u64 = 0, PIXELS, required = "a number of pixels";
        /// Probability that is enough once the class is there; at most `top`.
        pub(super) bottom: f32 = THRESHOLD, PROBABILITY, required = PROBABILITY.0.allowed;
    }
}

const RULES: [(&str, RuleName); 3] =
    [("argmax", RuleName::Argmax), ("threshold", RuleName::Threshold), ("triplet", RuleName::Triplet)];
pub(super) const THRESHOLD: f32 = 0.5;
/// What stands for a background that the triplet rule never asks about.
pub(super) const UNUSED: Triplet = Triplet { top: THRESHOLD, area_px: 0, bottom: THRESHOLD };
pub(super) const PROBABILITY: Single =
    Single(Bounds { min: Some(0.0), max: Some(1.0), ..Bounds::any("a probability from 0 to 1") });
pub(super) const PIXELS: Whole<u64> = Whole::new(0, u64::MAX);

impl Decide {
    /// What `at` says, over the defaults.
    pub(super) fn read_or_standard(at: Option<&At<'_>>, scope: &Scope<'_>) -> Self {
        let multilabel = scope.labelling == Labelling::Multilabel;
        let unsaid = scope.classes.background();
        let scope = Scope { background: (!multilabel).then_some(unsaid), ..*scope };
        let standard = Self::standard(&scope);
        let Some(fields) = at.map(Self::fields) else { return standard };
        if multilabel {
            fields.forbid(
                &["background"],
                "classes do not exclude each other (multilabel: true), so none is background",
            );
        }
        // Values per class leave the background out, so it must be known before them.
        let named = fields.get("background").and_then(|at| scope.classes.find(at)).unwrap_or(unsaid);
        let background = (!multilabel).then_some(named);
        let scope = Scope { background, ..scope };
        let decide = Self { background, ..standard }.over_fields(&fields, &scope);
        decide.check(&fields, &scope);
        decide
    }

    fn check(&self, fields: &Fields<'_>, scope: &Scope<'_>) {
        let multilabel = scope.labelling == Labelling::Multilabel;
        match self.rule {
            Rule::Argmax | Rule::Factors(_) if multilabel => fields.forbid(
                &["rule", "factors"],
                "argmax picks one class, and these do not exclude each other (multilabel: true); use threshold or triplet",
            ),
            Rule::Triplet(_) if !multilabel && scope.classes.len() > 2 => fields.forbid(
                &["rule", "triplet"],
                "the triplet rule needs exactly two classes, or classes that do not exclude each other (output.multilabel: true)",
            ),
            _ => {}
        }
    }

    /// Whether the rule compares scores with thresholds, so that they must be probabilities.
    pub const fn needs_probabilities(&self) -> bool {
        !matches!(self.rule, Rule::Argmax)
    }
}

/// The rule that follows from which keys are there.
fn implied(thresholds: bool, triplet: bool, scope: &Scope<'_>) -> Rule {
    if triplet {
        Rule::Triplet(vec![UNUSED; scope.classes.len()])
    } else if thresholds || scope.labelling == Labelling::Multilabel {
        Rule::Threshold(vec![THRESHOLD; scope.classes.len()])
    } else {
        Rule::Argmax
    }
}

impl SaidByKeys for Rule {
    type Keys = RuleKeys;

    fn to_keys(&self) -> RuleKeys {
        match self {
            Self::Argmax => RuleKeys { rule: Some(RuleName::Argmax), ..RuleKeys::default() },
            Self::Factors(factors) => RuleKeys {
                rule: Some(RuleName::Argmax),
                factors: Some(factors.clone()),
                ..RuleKeys::default()
            },
            Self::Threshold(values) => RuleKeys {
                rule: Some(RuleName::Threshold),
                thresholds: Some(values.clone()),
                ..RuleKeys::default()
            },
            Self::Triplet(values) => RuleKeys {
                rule: Some(RuleName::Triplet),
                triplet: Some(values.clone()),
                ..RuleKeys::default()
            },
        }
    }

    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        let given = RuleKeys::default().over(fields, scope);
        let is_there = |key| fields.get(key).is_some();
        let rule = match given.rule {
            Some(RuleName::Argmax) => Self::Argmax,
            Some(RuleName::Threshold) => implied(true, false, scope),
            Some(RuleName::Triplet) => implied(false, true, scope),
            None => implied(is_there("thresholds"), is_there("triplet"), scope),
        };
        match rule {
            Self::Argmax | Self::Factors(_) => given.factors.map_or(Self::Argmax, Self::Factors),
            Self::Threshold(standard) => Self::Threshold(given.thresholds.unwrap_or(standard)),
            Self::Triplet(standard) => Self::Triplet(given.triplet.unwrap_or(standard)),
        }
    }
}

/// The class that is the background, by name; printed where there is one.
struct BackgroundClass;

impl Kind for BackgroundClass {
    type Value = Option<usize>;

    fn write(&self, class: &Option<usize>, scope: &Scope<'_>) -> Option<Node> {
        // Without classes (their list is broken, which is noted) none has a name.
        class.filter(|class| *class < scope.classes.len()).map(|class| scope.classes.name(class).into())
    }

    fn shape(&self) -> Shape {
        CLASS
    }
}

/// The number 4 or 8.
struct Neighbours;

impl Kind for Neighbours {
    type Value = Connectivity;

    fn write(&self, connectivity: &Connectivity, _: &Scope<'_>) -> Option<Node> {
        Some(if *connectivity == Connectivity::Four { 4_u32 } else { 8 }.into())
    }

    fn shape(&self) -> Shape {
        Shape::Numbers(vec![4, 8])
    }
}

impl ReadKind for Neighbours {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<Connectivity> {
        match at.as_written() {
            Some("4") if at.is_number() => Some(Connectivity::Four),
            Some("8") if at.is_number() => Some(Connectivity::Eight),
            _ => at.refuse("4 or 8"),
        }
    }
}
