//! Views at test time, and how their scores are merged.

use super::kind::{FLAG, Kind, ReadKind, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::swap::{Swap, SwapKind};
use super::table::Shape;
use marquetry_ensemble::{ScoreSpace, ViewMerge, Views};
use marquetry_geometry::Size;

section! {
    /// The views each window is shown in, and how their scores become one.
    pub struct Tta: "tta" (_) {
        /// Which views.
        field pub views: Views = Views::none();
        /// The views, one or a list: `d4` (all eight symmetries), `flips`, a single symmetry, `scale(f)` of the window,
        /// `brightness(f)` times the samples, `contrast(f)` times their distance from the window's mean, of each band.
        views => views.names, ViewNames;
        /// How the scores of views are merged.
        pub merge: ViewMerge = ViewMerge::Mean, Words(&MERGES);
        /// `list`: each view alone. `product`: every combination, each of them on or off.
        combine => views.product, Words(&[("list", false), ("product", true)]);
        /// Whether the window as it is, is among them.
        identity => views.identity, FLAG;
        /// The space in which views are merged.
        pub space: ScoreSpace = ScoreSpace::Probabilities, Words(&SPACES),
            unset = "`merge.space`; `probabilities` with `tiles.per: member`; `logits` with `preset: nnunet`";
        /// Classes that change places in some views. A list, `[[left, right], …]`, is for those that are called by the side
        /// of the image on which they are: they change places in `hflip` and `rot180`, and not in `vflip`; pairs
        /// such as top and bottom are refused in it, and classes called left and right without it are warned of. A map says it
        /// by view, as `{hflip: [[left, right]], vflip: [[top, bottom]]}`: of other views it follows from those of which
        /// they are made (`rot180` of both flips), but views that turn an image on its side need one of their own
        /// (`transpose: [[left, top], [right, bottom]]`). Hands, told apart by their shape wherever they are, change places in
        /// every mirror: the same pairs for `hflip`, `vflip` and `transpose`.
        pub swap: Swap = Swap::None, SwapKind;
    }
}

/// The spaces of scores.
pub(super) const SPACES: [(&str, ScoreSpace); 2] =
    [("probabilities", ScoreSpace::Probabilities), ("logits", ScoreSpace::Logits)];
const MERGES: [(&str, ViewMerge); 6] = [
    ("mean", ViewMerge::Mean),
    ("gmean", ViewMerge::Gmean),
    ("max", ViewMerge::Max),
    ("min", ViewMerge::Min),
    ("sum", ViewMerge::Sum),
    ("tsharpen", ViewMerge::Tsharpen),
];

impl Tta {
    /// Whether scores merged over views can still be compared with thresholds.
    pub const fn keeps_probabilities(&self) -> bool {
        self.merge.keeps_probabilities() || matches!(self.space, ScoreSpace::Logits)
    }

    /// These views with what `at` says instead, checked.
    pub(super) fn read_over(&self, at: &At<'_>, scope: &Scope<'_>) -> Self {
        let fields = Self::fields(at);
        let tta = self.over_fields(&fields, scope);
        let resolved = tta.views.resolve(Size::square(64), false);
        if let Err(error) = &resolved {
            fields.get("identity").or_else(|| fields.get("views")).unwrap_or(at).conflict(error.to_string());
        }
        if let Err(error) = tta.merge.check(tta.space) {
            fields.get("merge").unwrap_or(at).conflict(error.to_string());
        }
        let views = resolved.unwrap_or_default();
        let orders: Result<Vec<_>, _> =
            views.iter().map(|view| tta.swap.order(view.d4, scope.classes.len())).collect();
        match orders {
            Err(unsaid) => {
                fields.get("swap").or_else(|| fields.get("views")).unwrap_or(at).conflict(unsaid.to_string());
            }
            Ok(orders) if tta.swap != Swap::None && orders.iter().all(Option::is_none) => {
                fields.forbid(&["swap"], "no classes change places in any of the views; leave it out");
            }
            Ok(_) => {}
        }
        tta
    }
}

/// One name of a view, or a list of names.
pub(super) struct ViewNames;

impl Kind for ViewNames {
    type Value = Vec<String>;

    fn write(&self, names: &Vec<String>, _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(names.iter().map(String::as_str)))
    }

    fn shape(&self) -> Shape {
        let view = || Shape::Text {
            allowed: "the name of a view",
            pattern: Some(
                "^\\s*(d4|flips|identity|hflip|vflip|rot90|rot180|rot270|transpose|antitranspose|(scale|brightness|contrast)\\s*\\(\\s*[0-9.]+\\s*\\))\\s*$",
            ),
        };
        Shape::AnyOf(vec![view(), Shape::list(view())])
    }
}

impl ReadKind for ViewNames {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<Vec<String>> {
        let name = |at: &At<'_>| {
            let name = at.text("the name of a view, or a list of names")?;
            let views = Views { names: vec![name], product: false, identity: true };
            match views.resolve(Size::square(64), false) {
                Ok(_) => views.names.into_iter().next(),
                Err(error) => {
                    at.conflict(error.to_string());
                    None
                }
            }
        };
        if at.is_list() { at.each("a list of names of views", name) } else { name(at).map(|name| vec![name]) }
    }
}
