//! From probabilities to labels, and what is tidied up afterwards.

use super::classes::Classes;
use super::node::Node;
use super::read::{At, Fields};
use super::window::name_of;
use marquetry_ensemble::{Labelling, Rule, Triplet};

pub(super) const KEYS: [&str; 8] =
    ["rule", "thresholds", "triplet", "background", "min_area", "fill_holes", "largest", "connectivity"];
pub(super) const TRIPLET_KEYS: [&str; 3] = ["top", "area_px", "bottom"];

/// How scores become labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Decide {
    /// The rule, with a value for every class; the background's own is never used.
    pub rule: Rule,
    /// The class of pixels that are nothing else; `None` where classes do not exclude each other.
    pub background: Option<usize>,
    /// Per class: regions of fewer pixels are taken out, px; 0 keeps all.
    pub min_area_px: Vec<u64>,
    /// Per class: whether holes in its regions are filled.
    pub fill_holes: Vec<bool>,
    /// Per class: whether only its largest region is kept.
    pub largest: Vec<bool>,
    /// Which pixels are neighbours in a region.
    pub connectivity: Connectivity,
}

pub use marquetry_ensemble::components::Connectivity;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Argmax,
    Threshold,
    Triplet,
}

const KINDS: [(&str, Kind); 3] =
    [("argmax", Kind::Argmax), ("threshold", Kind::Threshold), ("triplet", Kind::Triplet)];
const THRESHOLD: f32 = 0.5;
/// What stands for a background that the triplet rule never asks about.
const UNUSED: Triplet = Triplet { top: THRESHOLD, area_px: 0, bottom: THRESHOLD };

impl Decide {
    pub(super) fn read(at: Option<&At<'_>>, classes: &Classes, labelling: Labelling) -> Self {
        let multilabel = labelling == Labelling::Multilabel;
        let all = Tidy { classes, background: (!multilabel).then_some(0) };
        let Some(fields) = at.map(|at| at.fields(&KEYS)) else {
            let rule =
                if multilabel { Rule::Threshold(vec![THRESHOLD; classes.len()]) } else { Rule::Argmax };
            return Self {
                rule,
                background: all.background,
                min_area_px: vec![0; classes.len()],
                fill_holes: vec![false; classes.len()],
                largest: vec![false; classes.len()],
                connectivity: Connectivity::Eight,
            };
        };
        if multilabel {
            fields.forbid(
                &["background"],
                "classes do not exclude each other (multilabel: true), so none is background",
            );
        }
        let named = fields.read("background", |at| classes.find(at)).unwrap_or(0);
        let tidy = Tidy { background: (!multilabel).then_some(named), ..all };
        Self {
            rule: rule(&fields, &tidy, multilabel),
            background: tidy.background,
            min_area_px: fields
                .read("min_area", |at| tidy.areas(at))
                .unwrap_or_else(|| vec![0; classes.len()]),
            fill_holes: fields.read("fill_holes", |at| tidy.flags(at)).unwrap_or_else(|| tidy.every(false)),
            largest: fields.read("largest", |at| tidy.flags(at)).unwrap_or_else(|| tidy.every(false)),
            connectivity: fields.read("connectivity", connectivity).unwrap_or(Connectivity::Eight),
        }
    }

    /// Whether the rule compares scores with thresholds, so that they must be probabilities.
    pub const fn needs_probabilities(&self) -> bool {
        !matches!(self.rule, Rule::Argmax)
    }

    pub(super) fn write(&self, classes: &Classes) -> Node {
        let foreground = |class: usize| Some(class) != self.background;
        let flags = |flags: &[bool]| {
            let chosen: Vec<usize> = (0..flags.len()).filter(|&class| flags[class]).collect();
            if chosen.is_empty() { false.into() } else { classes.names(&chosen) }
        };
        let (kind, thresholds, triplet) = match &self.rule {
            Rule::Argmax => (Kind::Argmax, None, None),
            Rule::Threshold(values) => {
                let map = classes.map(values, |class, &t| foreground(class).then(|| t.into()));
                (Kind::Threshold, Some(map), None)
            }
            Rule::Triplet(values) => {
                let map = classes.map(values, |class, t| foreground(class).then(|| write_triplet(t)));
                (Kind::Triplet, None, Some(map))
            }
        };
        let any_area = self.min_area_px.iter().any(|&area| area > 0);
        let areas = classes.map(&self.min_area_px, |class, &area| foreground(class).then(|| area.into()));
        Node::map([
            ("rule", Some(name_of(&KINDS, kind))),
            ("thresholds", thresholds),
            ("triplet", triplet),
            ("background", self.background.map(|class| classes.name(class).into())),
            ("min_area", Some(if any_area { areas } else { 0_u64.into() })),
            ("fill_holes", Some(flags(&self.fill_holes))),
            ("largest", Some(flags(&self.largest))),
            ("connectivity", Some(if self.connectivity == Connectivity::Four { 4_u32 } else { 8 }.into())),
        ])
    }
}

fn connectivity(at: &At<'_>) -> Option<Connectivity> {
    match at.as_written() {
        Some("4") if at.is_number() => Some(Connectivity::Four),
        Some("8") if at.is_number() => Some(Connectivity::Eight),
        _ => at.refuse("4 or 8"),
    }
}

fn write_triplet(t: &Triplet) -> Node {
    Node::map([
        ("top", Some(t.top.into())),
        ("area_px", Some(t.area_px.into())),
        ("bottom", Some(t.bottom.into())),
    ])
}

fn rule(fields: &Fields<'_>, tidy: &Tidy<'_>, multilabel: bool) -> Rule {
    let implied = match () {
        () if fields.get("triplet").is_some() => Kind::Triplet,
        () if multilabel || fields.get("thresholds").is_some() => Kind::Threshold,
        () => Kind::Argmax,
    };
    let kind = fields.read("rule", |at| at.one_of(&KINDS)).unwrap_or(implied);
    if kind != Kind::Threshold {
        fields.forbid(&["thresholds"], "used by rule: threshold only; leave it out");
    }
    if kind != Kind::Triplet {
        fields.forbid(&["triplet"], "used by rule: triplet only; leave it out");
    }
    match kind {
        Kind::Argmax if multilabel => {
            let message = "argmax picks one class, and these do not exclude each other (multilabel: true); use threshold or triplet";
            fields.forbid(&["rule"], message);
            Rule::Argmax
        }
        Kind::Argmax => Rule::Argmax,
        Kind::Threshold => {
            let standard = vec![THRESHOLD; tidy.classes.len()];
            Rule::Threshold(fields.read("thresholds", |at| tidy.thresholds(at)).unwrap_or(standard))
        }
        Kind::Triplet => {
            if !multilabel && tidy.classes.len() > 2 {
                fields.forbid(
                    &["rule", "triplet"],
                    "the triplet rule needs exactly two classes, or classes that do not exclude each other (output.multilabel: true)",
                );
            }
            let at = fields.need("triplet", "{top, area_px, bottom}, or one for each class");
            Rule::Triplet(
                at.and_then(|at| tidy.triplets(at)).unwrap_or_else(|| vec![UNUSED; tidy.classes.len()]),
            )
        }
    }
}

fn probability(at: &At<'_>) -> Option<f32> {
    at.single("a probability from 0 to 1", |p| (0.0..=1.0).contains(&p))
}

/// Values for all classes but the background.
struct Tidy<'a> {
    classes: &'a Classes,
    background: Option<usize>,
}

impl Tidy<'_> {
    /// `value` for all classes but the background, which has none.
    fn every<T: Copy + Default>(&self, value: T) -> Vec<T> {
        let of = |class| if Some(class) == self.background { T::default() } else { value };
        (0..self.classes.len()).map(of).collect()
    }

    /// A map from class to value, in which the background has no place.
    fn values<T: Clone>(
        &self,
        at: &At<'_>,
        allowed: &str,
        read: impl Fn(&At<'_>) -> Option<T>,
    ) -> Option<Vec<Option<T>>> {
        let values = self.classes.values(at, allowed, read)?;
        if let Some(background) = self.background
            && values.get(background).is_some_and(Option::is_some)
        {
            at.conflict(format!(
                "class `{}` is the background, which has no such value",
                self.classes.name(background)
            ));
        }
        Some(values)
    }

    fn thresholds(&self, at: &At<'_>) -> Option<Vec<f32>> {
        let allowed = "a probability from 0 to 1, or a map from class to probability";
        let mut thresholds = if at.is_map() {
            let values = self.values(at, allowed, probability)?;
            values.into_iter().map(|t| t.unwrap_or(THRESHOLD)).collect()
        } else if at.is_number() {
            vec![probability(at)?; self.classes.len()]
        } else {
            return at.refuse(allowed);
        };
        if let Some(unused) = self.background.and_then(|b| thresholds.get_mut(b)) {
            *unused = THRESHOLD;
        }
        Some(thresholds)
    }

    fn triplets(&self, at: &At<'_>) -> Option<Vec<Triplet>> {
        let allowed = "{top, area_px, bottom}, or a map from class to that";
        let per_class = at.peek().iter().any(|(_, value)| value.is_map());
        let mut triplets = if per_class {
            let values = self.values(at, allowed, triplet)?;
            for (class, value) in values.iter().enumerate() {
                if value.is_none() && Some(class) != self.background {
                    at.conflict(format!(
                        "class `{}` has no triplet; needed is one for each",
                        self.classes.name(class)
                    ));
                }
            }
            values.into_iter().map(|t| t.unwrap_or(UNUSED)).collect()
        } else {
            vec![triplet(at)?; self.classes.len()]
        };
        if let Some(unused) = self.background.and_then(|b| triplets.get_mut(b)) {
            *unused = UNUSED;
        }
        Some(triplets)
    }

    fn areas(&self, at: &At<'_>) -> Option<Vec<u64>> {
        let area = |at: &At<'_>| at.integer(0..=u64::MAX);
        let allowed = "a number of pixels, or a map from class to number of pixels";
        if at.is_map() {
            let values = self.values(at, allowed, area)?;
            return Some(values.into_iter().map(|area| area.unwrap_or(0)).collect());
        }
        if at.is_number() { area(at).map(|area| self.every(area)) } else { at.refuse(allowed) }
    }

    fn flags(&self, at: &At<'_>) -> Option<Vec<bool>> {
        if at.is_flag() {
            return at.flag().map(|flag| self.every(flag));
        }
        if !at.is_list() {
            return at.refuse("true, false, or a list of class names");
        }
        let chosen = self.classes.some(at)?;
        if let Some(background) = self.background.filter(|b| chosen.contains(b)) {
            at.conflict(format!(
                "class `{}` is the background, which has no regions",
                self.classes.name(background)
            ));
        }
        Some((0..self.classes.len()).map(|class| chosen.contains(&class)).collect())
    }
}

fn triplet(at: &At<'_>) -> Option<Triplet> {
    let fields = at.fields(&TRIPLET_KEYS);
    let top = fields.need("top", "a probability from 0 to 1").and_then(probability);
    let area_px = fields.need("area_px", "a number of pixels").and_then(|at| at.integer(0..=u64::MAX));
    let bottom = fields.need("bottom", "a probability from 0 to 1").and_then(probability);
    let triplet = Triplet { top: top?, area_px: area_px?, bottom: bottom? };
    if triplet.bottom > triplet.top {
        at.conflict(format!(
            "bottom {} is above top {}; allowed is at most top",
            triplet.bottom, triplet.top
        ));
    }
    Some(triplet)
}
