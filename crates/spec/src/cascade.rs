//! Members and views that look only at what the first ones are unsure of.

use super::kind::{Double, FLAG, Kind, Maybe, ReadKind, Whole};
use super::member::Tags;
use super::node::Node;
use super::output::Output;
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{Section, section};
use super::settings::TilesPer;
use super::subset;
use super::table::{Bounds, Shape};
use super::tta::{Tta, ViewNames};
use marquetry_ensemble::{Sureness, ViewMerge, Views};
use marquetry_geometry::Size;
use std::collections::BTreeMap;

section! {
    /// Members and views that look only at what those of a first round are unsure of. A pixel at which the first round is sure has its
    /// scores; any other has exactly those that all members and views come to. Windows without an unsure pixel run through no other
    /// member. `marquetry tune` says how sure is sure enough.
    pub struct Cascade: "cascade" (_) derive [] {
        /// The members of the first round, by their tags: `{fold: 0, seed: 1|2}`, with `|` between values of which any will do. All
        /// members if not given: then they differ in their views.
        pub first: BTreeMap<String, String> = BTreeMap::new(), Tags;
        /// The views of the first round, some of `tta.views`: the others look only at what is unsure, and each view weighs as
        /// much as it does without rounds. All views if not given.
        pub views: Vec<String> = Vec::new(), ViewNames;
        /// A pixel is sure if its probabilities are at least so far from another label, 0 to 1: the difference of the two greatest, or,
        /// where thresholds decide, the least distance from one of them as a share of what lies on that side.
        pub margin: f64 = 0.9, Double(SHARE);
        /// And if so large a share of the members of the first round, each by itself, gives it the same label. It needs `tiles: {per:
        /// member}`.
        pub agreement: Option<f64> = None, Maybe(Double(SHARE)), unset = "it is not asked for";
        /// Whether members of the first round take part in what all come to where it is unsure. If not, they only say where the others
        /// look, as a coarse model says that is to find objects for fine ones: there the others alone decide.
        pub joins: bool = true, FLAG;
        /// How far around unsure pixels the others look too, px of the image, along both axes.
        pub around as around_px: u32 = 0, AROUND;
    }
}

const SHARE: Bounds = Bounds { min: Some(0.0), max: Some(1.0), ..Bounds::any("a number from 0 to 1") };
/// Farther than any model sees.
const AROUND: Whole<u32> = Whole::new(0, 16_384);

/// A map.
pub(super) struct CascadeKind;

impl Kind for CascadeKind {
    type Value = Cascade;

    fn write(&self, cascade: &Cascade, scope: &Scope<'_>) -> Option<Node> {
        Some(cascade.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::Section(Cascade::table())
    }
}

impl ReadKind for CascadeKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Cascade> {
        Cascade::read(at, scope)
    }
}

impl Cascade {
    /// Whether a member of these tags is one of the first round.
    pub fn is_first(&self, tags: &BTreeMap<String, String>) -> bool {
        subset::have(&self.first, tags)
    }

    /// The views of the first round; nothing where they are all.
    pub fn first_views(&self, tta: &Tta) -> Option<Views> {
        let names = self.views.clone();
        (!names.is_empty()).then_some(Views { names, product: false, identity: tta.views.identity })
    }

    /// When a pixel is sure.
    pub fn sure(&self) -> Sureness {
        Sureness { margin: self.margin as f32, agreement: self.agreement.map(|share| share as f32) }
    }
}

/// What rounds and the rest of a job can only get wrong together.
pub(super) fn check(fields: &Fields<'_>, cascade: &Cascade, tta: &Tta, per: TilesPer, outputs: &[Output]) {
    let Some(at) = fields.get("cascade") else { return };
    if cascade.first.is_empty() && cascade.views.is_empty() {
        at.conflict(
            "the first round is nothing less than all: say which members (`first: {fold: 0}`) or which views (`views: identity`) \
             it has",
        );
    }
    check_views(at, cascade, tta);
    if !cascade.joins && !cascade.views.is_empty() {
        at.conflict("with `joins: false` members of the first round have no other views to be joined with: leave out `views`");
    }
    if cascade.agreement.is_some() && per != TilesPer::Member {
        at.conflict("`agreement` is of what each member says, which needs `tiles: {per: member}`");
    }
    if !tta.keeps_probabilities() {
        at.conflict(
            "tta.merge makes sums that are no probabilities, so nothing says what is sure; merge views by mean, gmean, max or min",
        );
    }
    if let Some(outputs) = fields.get("outputs").filter(|_| outputs.iter().any(Output::needs_members)) {
        outputs.conflict(
            "what each member says is known only where all have looked, and with a cascade they have not: leave out probes, agreement and \
             measures of members (mutual information, vote share), or the cascade",
        );
    }
}

fn check_views(at: &At<'_>, cascade: &Cascade, tta: &Tta) {
    let Some(first) = cascade.first_views(tta) else { return };
    let window = Size::square(64);
    let (Ok(first), Ok(all)) = (first.resolve(window, false), tta.views.resolve(window, false)) else {
        return at.conflict("`views` leaves no view for the first round");
    };
    if let Some(other) = first.iter().find(|view| !all.contains(view)) {
        at.conflict(format!("`views`: {other} is none of tta.views"));
    } else if first.len() == all.len() && cascade.first.is_empty() {
        at.conflict("`views` are all views there are, and the first round has all members: nothing is left for another");
    }
    if tta.merge != ViewMerge::Mean {
        at.conflict(
            "`views` needs tta.merge: mean: of other ways of merging views no part is known by itself",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::JobSpec;

    fn job(cascade: &str, more: &str) -> Result<JobSpec, String> {
        let text = format!(
            "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\ncascade: {cascade}\n{more}"
        );
        JobSpec::parse(&text).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_first_round_is_less_than_all() {
        let found = |cascade: &str, more: &str| job(cascade, more).unwrap_err();
        assert!(found("{margin: 0.5}", "").contains("nothing less than all"));
        assert!(found("{views: hflip}", "").contains("hflip is none of tta.views"));
        assert!(found("{views: flips}", "tta: {views: flips}").contains("nothing is left for another"));
        assert!(found("{views: identity}", "tta: {views: flips, merge: max}").contains("tta.merge: mean"));
        assert!(found("{first: {fold: 0}, agreement: 1}", "").contains("tiles: {per: member}"));
        assert!(found("{first: {fold: 0}, margin: 1.5}", "").contains("a number from 0 to 1"));
        let views = "{first: {fold: 0}, views: identity, joins: false}";
        assert!(found(views, "tta: {views: flips}").contains("leave out `views`"));
        let sums = "tta: {views: flips, merge: sum}";
        assert!(found("{first: {fold: 0}}", sums).contains("nothing says what is sure"));
        let job = job("{first: {fold: 0|1}, views: identity}", "tta: {views: d4}").unwrap();
        let cascade = job.cascade.unwrap();
        let tags = |fold: &str| std::collections::BTreeMap::from([("fold".to_owned(), fold.to_owned())]);
        assert!(cascade.is_first(&tags("1")) && !cascade.is_first(&tags("2")));
        assert_eq!(
            cascade.first_views(&job.tta).unwrap().resolve(super::Size::square(8), false).unwrap().len(),
            1
        );
    }

    #[test]
    fn outputs_of_what_each_member_says_are_refused() {
        let text = "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{onnx: m.onnx}]\ntiles: {per: member}\ntruth: l\noutputs: [{probes: safetensors}]\ncascade: {first: {fold: 0}}";
        assert!(JobSpec::parse(text).unwrap_err().to_string().contains("all have looked"));
    }
}
