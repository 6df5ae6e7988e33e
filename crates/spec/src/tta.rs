//! Views at test time, and how their scores are merged.

use super::classes::Classes;
use super::node::Node;
use super::read::{At, Fields};
use super::window::name_of;
use marquetry_ensemble::{Space, View, ViewMerge, Views};
use marquetry_geometry::Size;

pub(super) const KEYS: [&str; 6] = ["views", "merge", "combine", "identity", "space", "swap"];

/// The views each window is shown in, and how their scores become one.
#[derive(Debug, Clone, PartialEq)]
pub struct Tta {
    /// Which views.
    pub views: Views,
    /// How they are merged.
    pub merge: ViewMerge,
    /// The space in which they are merged.
    pub space: Space,
    /// Pairs of classes that change places in mirrored views, by label.
    pub swap: Vec<[u16; 2]>,
}

pub(super) const SPACES: [(&str, Space); 2] =
    [("probabilities", Space::Probabilities), ("logits", Space::Logits)];
const MERGES: [(&str, ViewMerge); 6] = [
    ("mean", ViewMerge::Mean),
    ("gmean", ViewMerge::Gmean),
    ("max", ViewMerge::Max),
    ("min", ViewMerge::Min),
    ("sum", ViewMerge::Sum),
    ("tsharpen", ViewMerge::Tsharpen),
];
const COMBINE: [(&str, bool); 2] = [("list", false), ("product", true)];

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
        self.merge.keeps_probabilities() || matches!(self.space, Space::Logits)
    }

    /// These views with what `at` says instead.
    pub(super) fn over(&self, at: &At<'_>, classes: &Classes) -> Self {
        let fields = at.fields(&KEYS);
        let views = Views {
            names: fields.read("views", names).unwrap_or_else(|| self.views.names.clone()),
            product: fields.read("combine", |at| at.one_of(&COMBINE)).unwrap_or(self.views.product),
            identity: fields.read("identity", At::flag).unwrap_or(self.views.identity),
        };
        let resolved = views.resolve(Size::square(64), false);
        if let Err(error) = &resolved {
            fields.get("identity").or_else(|| fields.get("views")).unwrap_or(at).conflict(error.to_string());
        }
        let tta = Self {
            views,
            merge: fields.read("merge", |at| at.one_of(&MERGES)).unwrap_or(self.merge),
            space: fields.read("space", |at| at.one_of(&SPACES)).unwrap_or(self.space),
            swap: fields.read("swap", |at| swap(at, classes)).unwrap_or_else(|| self.swap.clone()),
        };
        if let Err(error) = tta.merge.check(tta.space) {
            fields.get("merge").unwrap_or(at).conflict(error.to_string());
        }
        check_swap(&fields, &tta, &resolved.unwrap_or_default());
        tta
    }

    pub(super) fn write(&self, classes: &Classes) -> Node {
        let pair = |pair: &[u16; 2]| classes.names(&pair.map(usize::from));
        Node::map([
            ("views", Some(Node::list(self.views.names.iter().map(String::as_str)))),
            ("merge", Some(name_of(&MERGES, self.merge))),
            ("combine", Some(name_of(&COMBINE, self.views.product))),
            ("identity", Some(self.views.identity.into())),
            ("space", Some(name_of(&SPACES, self.space))),
            ("swap", (!self.swap.is_empty()).then(|| Node::list(self.swap.iter().map(pair)))),
        ])
    }
}

fn check_swap(fields: &Fields<'_>, tta: &Tta, views: &[View]) {
    if !tta.swap.is_empty() && !views.iter().any(|view| view.d4.is_reflection()) {
        fields.forbid(&["swap"], "no view is mirrored, so no classes change places; leave it out");
    }
}

/// One name or a list of names, each of them known.
fn names(at: &At<'_>) -> Option<Vec<String>> {
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

fn swap(at: &At<'_>, classes: &Classes) -> Option<Vec<[u16; 2]>> {
    let mut seen: Vec<usize> = Vec::new();
    let mut pairs = Vec::new();
    for item in at.items("a list of pairs of class names: [[left, right], …]")? {
        let pair: Vec<Option<usize>> =
            item.items("a pair of class names: [left, right]")?.iter().map(|at| classes.find(at)).collect();
        let [left, right] = pair.as_slice() else {
            return item.refuse("a pair of class names: [left, right]");
        };
        let pair = [(*left)?, (*right)?];
        for class in pair {
            if seen.contains(&class) {
                item.conflict(format!("class `{}` changes places twice", classes.name(class)));
            }
            seen.push(class);
        }
        pairs.push(pair.map(|class| class as u16));
    }
    Some(pairs)
}
