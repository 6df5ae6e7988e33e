//! Views at test time, and how their scores are merged.

use super::classes::{CLASS, Classes};
use super::kind::{FLAG, Kind, ReadKind, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;
use marquetry_ensemble::{ScoreSpace, View, ViewMerge, Views};
use marquetry_geometry::Size;

section! {
    /// The views each window is shown in, and how their scores become one.
    pub struct Tta: "tta" (_) {
        /// Which views.
        field pub views: Views = Views::none();
        /// The views, one or a list: `d4` (all eight symmetries), `flips`, a single symmetry, `scale(f)`,
        /// `brightness(f)`, `contrast(f)`.
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
        /// Pairs of classes that change places in mirrored views: `[[left, right], …]`.
        pub swap: Vec<[u16; 2]> = Vec::new(), ClassPairs;
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
    /// For each of `classes` classes, the one whose scores it takes over in mirrored views; `None` if all stay.
    pub fn mirrored(&self, classes: usize) -> Option<Vec<u16>> {
        let mut mirrored: Vec<u16> = (0..classes).map(|class| class as u16).collect();
        for [left, right] in &self.swap {
            mirrored.swap(usize::from(*left), usize::from(*right));
        }
        (!self.swap.is_empty()).then_some(mirrored)
    }

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
        let mirrors = |views: &[View]| views.iter().any(|view| view.d4.is_reflection());
        if !tta.swap.is_empty() && !mirrors(&resolved.unwrap_or_default()) {
            fields.forbid(&["swap"], "no view is mirrored, so no classes change places; leave it out");
        }
        tta
    }
}

/// One name of a view, or a list of names.
struct ViewNames;

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

/// Pairs of classes, each class once.
struct ClassPairs;

impl Kind for ClassPairs {
    type Value = Vec<[u16; 2]>;

    fn write(&self, pairs: &Self::Value, scope: &Scope<'_>) -> Option<Node> {
        let pair = |pair: &[u16; 2]| scope.classes.names(&pair.map(usize::from));
        (!pairs.is_empty()).then(|| Node::list(pairs.iter().map(pair)))
    }

    fn shape(&self) -> Shape {
        Shape::list(Shape::list_of(CLASS, 2, Some(2)))
    }
}

impl ReadKind for ClassPairs {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value> {
        let mut seen: Vec<usize> = Vec::new();
        let mut pairs = Vec::new();
        for item in at.items("a list of pairs of class names: [[left, right], …]")? {
            let [left, right] = pair(&item, scope.classes)?;
            for class in [left, right] {
                if seen.contains(&class) {
                    item.conflict(format!("class `{}` changes places twice", scope.classes.name(class)));
                }
                seen.push(class);
            }
            pairs.push([left as u16, right as u16]);
        }
        Some(pairs)
    }
}

fn pair(at: &At<'_>, classes: &Classes) -> Option<[usize; 2]> {
    let allowed = "a pair of class names: [left, right]";
    let pair: Vec<Option<usize>> = at.items(allowed)?.iter().map(|at| classes.find(at)).collect();
    let [left, right] = pair.as_slice() else { return at.refuse(allowed) };
    Some([(*left)?, (*right)?])
}
