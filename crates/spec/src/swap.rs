//! Classes that are one side or the other: which of them change places in which view.

use super::classes::{CLASS, Classes};
use super::kind::{Kind, ReadKind};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::table::Shape;
use marquetry_geometry::D4;

/// Pairs of classes that change places in some views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Swap {
    /// None.
    #[default]
    None,
    /// Left and right: these pairs change places wherever left and right do, in `hflip` and `rot180`.
    LeftRight(Vec<[u16; 2]>),
    /// By view. What is not said of a view follows from those it can be made of.
    PerView(Vec<(D4, Vec<[u16; 2]>)>),
}

/// A view that lays left and right above each other, and nothing is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "view {0} lays left and right above each other, and nothing says which classes change places in it: say so, as in \
     swap: {{hflip: [[left, right]], transpose: []}}, or leave such views out"
)]
pub struct UnsaidSwap(pub D4);

impl Swap {
    /// For each of `classes` classes as the model names them in view `d4`, the class of the image; `None` if all are
    /// what they are called.
    ///
    /// A view is a turn on its side, which takes what is said of one such view, then `vflip`, then `hflip`: each with the
    /// pairs that are said of it, or none. What is said of the view itself comes first.
    ///
    /// # Errors
    /// When the view turns an image on its side and nothing is said of any that does.
    pub fn order(&self, d4: D4, classes: usize) -> Result<Option<Vec<u16>>, UnsaidSwap> {
        if *self == Self::None {
            return Ok(None);
        }
        let order = self.composed(d4, classes)?;
        Ok(order.iter().enumerate().any(|(k, class)| k != usize::from(*class)).then_some(order))
    }

    /// All pairs that are said of any view.
    pub fn pairs(&self) -> Vec<[u16; 2]> {
        match self {
            Self::None => Vec::new(),
            Self::LeftRight(pairs) => pairs.clone(),
            Self::PerView(views) => views.iter().flat_map(|(_, pairs)| pairs).copied().collect(),
        }
    }

    fn composed(&self, d4: D4, classes: usize) -> Result<Vec<u16>, UnsaidSwap> {
        let mut order: Vec<u16> = (0..classes as u16).collect();
        if let Some(pairs) = self.said(d4) {
            pairs.iter().for_each(|[a, b]| order.swap(usize::from(*a), usize::from(*b)));
            return Ok(order);
        }
        if d4.transposes() {
            let turns = D4::ALL.into_iter().filter(|turn| turn.transposes());
            let turn = turns.into_iter().find(|turn| self.said(*turn).is_some()).ok_or(UnsaidSwap(d4))?;
            let upright = turn.inverse().then(d4);
            // `turn` comes first: what the model says is first brought back over what came last.
            let (first, last) = (self.composed(turn, classes)?, self.composed(upright, classes)?);
            return Ok(last.iter().map(|class| first[usize::from(*class)]).collect());
        }
        if d4 == D4::ROT180 {
            let (first, last) = (self.composed(D4::VFLIP, classes)?, self.composed(D4::HFLIP, classes)?);
            return Ok(last.iter().map(|class| first[usize::from(*class)]).collect());
        }
        Ok(order)
    }

    /// The pairs that are said of this very view.
    fn said(&self, d4: D4) -> Option<&[[u16; 2]]> {
        match self {
            Self::None => None,
            Self::LeftRight(pairs) => (d4 == D4::HFLIP).then_some(pairs),
            Self::PerView(views) => views.iter().find(|(of, _)| *of == d4).map(|(_, pairs)| pairs.as_slice()),
        }
    }
}

const LIST: &str = "a list of pairs of class names, [[left, right], …], or a map from view to that";
const VIEWS: &str = "hflip, vflip, rot90, rot180, rot270, transpose or antitranspose";

/// A list of pairs, or a map from view to such a list.
pub(super) struct SwapKind;

impl Kind for SwapKind {
    type Value = Swap;

    fn write(&self, swap: &Swap, scope: &Scope<'_>) -> Option<Node> {
        let list = |pairs: &[[u16; 2]]| {
            Node::list(pairs.iter().map(|pair| scope.classes.names(&pair.map(usize::from))))
        };
        match swap {
            Swap::None => None,
            Swap::LeftRight(pairs) => Some(list(pairs)),
            Swap::PerView(views) => Some(Node::map(views.iter().map(|(d4, p)| (d4.name(), Some(list(p)))))),
        }
    }

    fn shape(&self) -> Shape {
        let pairs = || Shape::list(Shape::list_of(CLASS, 2, Some(2)));
        Shape::AnyOf(vec![pairs(), Shape::MapOf("view", Box::new(pairs()))])
    }
}

impl ReadKind for SwapKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Swap> {
        if !at.is_map() {
            let pairs = pairs(at, LIST, scope.classes)?;
            let above = |[a, b]: &&[u16; 2]| {
                let [a, b] = [*a, *b].map(|class| scope.classes.name(usize::from(class)));
                lie_above_each_other(a, b).then_some((a, b))
            };
            if let Some((a, b)) = pairs.iter().find_map(|pair| above(&pair)) {
                at.conflict(format!(
                    "a list is for left and right, which change places in hflip, and `{a}` and `{b}` lie above each other: say it \
                     by view, swap: {{vflip: [[{a}, {b}]]}}, with the pairs of left and right under hflip"
                ));
                return None;
            }
            return Some(if pairs.is_empty() { Swap::None } else { Swap::LeftRight(pairs) });
        }
        let view = |(name, at): (&str, At<'_>)| {
            let d4 = D4::from_name(name).filter(|d4| *d4 != D4::IDENTITY);
            if d4.is_none() {
                at.conflict(format!("`{name}` is no view that is mirrored or turned; allowed is {VIEWS}"));
            }
            Some((d4?, pairs(&at, "a list of pairs of class names: [[left, right], …]", scope.classes)?))
        };
        let views: Vec<_> = at.entries(LIST)?.into_iter().map(view).collect();
        let views: Vec<_> = views.into_iter().collect::<Option<_>>()?;
        Some(if views.is_empty() { Swap::None } else { Swap::PerView(views) })
    }
}

/// Whether two names are those of what is above and what is below.
fn lie_above_each_other(a: &str, b: &str) -> bool {
    const OPPOSITES: [[&str; 2]; 5] =
        [["top", "bottom"], ["up", "down"], ["upper", "lower"], ["above", "below"], ["north", "south"]];
    let has = |name: &str, word: &str| {
        name.split(|c: char| !c.is_alphanumeric()).any(|part| part.eq_ignore_ascii_case(word))
    };
    OPPOSITES.iter().any(|[up, down]| (has(a, up) && has(b, down)) || (has(a, down) && has(b, up)))
}

/// Pairs of classes, each class once.
fn pairs(at: &At<'_>, allowed: &str, classes: &Classes) -> Option<Vec<[u16; 2]>> {
    let (mut seen, mut pairs, mut is_clear) = (Vec::<usize>::new(), Vec::new(), true);
    for item in at.items(allowed)? {
        let [left, right] = pair(&item, classes)?;
        for class in [left, right] {
            if seen.contains(&class) {
                item.conflict(format!("class `{}` changes places twice", classes.name(class)));
                is_clear = false;
            }
            seen.push(class);
        }
        pairs.push([left as u16, right as u16]);
    }
    is_clear.then_some(pairs)
}

fn pair(at: &At<'_>, classes: &Classes) -> Option<[usize; 2]> {
    let allowed = "a pair of class names: [left, right]";
    let pair: Vec<Option<usize>> = at.items(allowed)?.iter().map(|at| classes.find(at)).collect();
    let [left, right] = pair.as_slice() else { return at.refuse(allowed) };
    Some([(*left)?, (*right)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Classes left, right, top, bottom.
    fn order(swap: &Swap, d4: D4) -> Result<Vec<u16>, UnsaidSwap> {
        swap.order(d4, 4).map(|order| order.unwrap_or(vec![0, 1, 2, 3]))
    }

    #[test]
    fn left_and_right_change_where_they_are_exchanged() {
        let swap = Swap::LeftRight(vec![[0, 1]]);
        for (d4, wanted) in [
            (D4::IDENTITY, [0, 1, 2, 3]),
            (D4::HFLIP, [1, 0, 2, 3]),
            (D4::VFLIP, [0, 1, 2, 3]),
            (D4::ROT180, [1, 0, 2, 3]),
        ] {
            assert_eq!(order(&swap, d4).unwrap(), wanted, "{d4}");
        }
        assert_eq!(order(&swap, D4::ROT90), Err(UnsaidSwap(D4::ROT90)));
        assert_eq!(Swap::None.order(D4::ROT90, 4), Ok(None));
    }

    #[test]
    fn what_lies_above_each_other_is_no_left_and_right() {
        for (a, b) in [("top", "bottom"), ("Lower jaw", "upper_jaw"), ("north", "south-side")] {
            assert!(lie_above_each_other(a, b) && lie_above_each_other(b, a), "{a} {b}");
        }
        for (a, b) in
            [("left", "right"), ("upper_left", "upper_right"), ("downtown", "upstate"), ("top", "right")]
        {
            assert!(!lie_above_each_other(a, b), "{a} {b}");
        }
        let job = |swap: &str| {
            let text = "version: 1\nimages: x\nclasses: [top, bottom]\nmembers: [{onnx: a}]\noutputs: [{masks: png}]\n";
            crate::JobSpec::parse(&format!("{text}tta: {{views: flips, swap: {swap}}}\n"))
                .map_err(|e| e.to_string())
        };
        let error = job("[[top, bottom]]").unwrap_err();
        assert!(error.contains("`top` and `bottom` lie above each other"), "{error}");
        assert!(error.contains("swap: {vflip: [[top, bottom]]}"), "{error}");
        assert!(job("{vflip: [[top, bottom]]}").is_ok());
    }

    /// Edges of a square, named by where they are: each view must name an edge by where it is then.
    #[test]
    fn four_sides_follow_every_view() {
        let swap = Swap::PerView(vec![
            (D4::HFLIP, vec![[0, 1]]),
            (D4::VFLIP, vec![[2, 3]]),
            (D4::TRANSPOSE, vec![[0, 2], [1, 3]]),
        ]);
        // Rows and columns of the middles of the four edges of a 3 × 3 image.
        let edges = [(1, 0), (1, 2), (0, 1), (2, 1)];
        let size = marquetry_geometry::Size::square(3);
        for d4 in D4::ALL {
            let order = order(&swap, d4).unwrap();
            for (k, (row, col)) in edges.into_iter().enumerate() {
                // What the model calls edge k, at its place in the view, is this edge of the image.
                let was = d4.source(size, row, col);
                assert_eq!(edges[usize::from(order[k])], was, "{d4}, edge {k}");
            }
        }
    }

    /// Hands are told apart by their shape: every mirror changes them, no turn does.
    #[test]
    fn hands_change_in_mirrors_alone() {
        let pairs = || vec![[0, 1]];
        let swap =
            Swap::PerView(vec![(D4::HFLIP, pairs()), (D4::VFLIP, pairs()), (D4::ANTITRANSPOSE, pairs())]);
        for d4 in D4::ALL {
            let wanted = if d4.is_reflection() { [1, 0, 2, 3] } else { [0, 1, 2, 3] };
            assert_eq!(order(&swap, d4).unwrap(), wanted, "{d4}");
        }
    }
}
