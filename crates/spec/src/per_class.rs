//! Values for each class but the background: one for all, or a map or list by name.

use super::classes::class_names;
use super::decide::{PIXELS, PROBABILITY, THRESHOLD, TripletKeys, UNUSED};
use super::kind::{FLAG, Kind, ReadKind, Single};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::Section;
use super::table::{Bounds, Shape};
use marquetry_ensemble::Triplet;

/// The values of a map from class to value; the background has no place in it.
fn values<T: Clone>(
    at: &At<'_>,
    allowed: &str,
    scope: &Scope<'_>,
    read: impl Fn(&At<'_>) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    let values = scope.classes.values(at, allowed, read)?;
    if let Some(background) = scope.background
        && values.get(background).is_some_and(Option::is_some)
    {
        let name = scope.classes.name(background);
        at.conflict(format!("class `{name}` is the background, which has no such value"));
    }
    Some(values)
}

/// `value` for all classes but the background, which has none.
fn every<T: Copy + Default>(value: T, scope: &Scope<'_>) -> Vec<T> {
    let of = |class| if Some(class) == scope.background { T::default() } else { value };
    (0..scope.classes.len()).map(of).collect()
}

/// A map from class to value, without the background.
fn map<T>(values: &[T], scope: &Scope<'_>, write: impl Fn(&T) -> Node) -> Node {
    scope.classes.map(values, |class, value| (Some(class) != scope.background).then(|| write(value)))
}

/// One value for all, or a map from class to that.
fn one_or_map(each: impl Fn() -> Shape) -> Shape {
    Shape::AnyOf(vec![each(), Shape::MapOf("class", Box::new(each()))])
}

/// Probabilities; those that are not given are [`THRESHOLD`].
pub(super) struct Thresholds;

impl Kind for Thresholds {
    type Value = Vec<f32>;

    fn write(&self, thresholds: &Vec<f32>, scope: &Scope<'_>) -> Option<Node> {
        Some(map(thresholds, scope, |&threshold| threshold.into()))
    }

    fn shape(&self) -> Shape {
        one_or_map(|| PROBABILITY.shape())
    }
}

impl ReadKind for Thresholds {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<f32>> {
        let probability = |at: &At<'_>| PROBABILITY.read(at, scope);
        let allowed = "a probability from 0 to 1, or a map from class to probability";
        let mut thresholds = if at.is_map() {
            let values = values(at, allowed, scope, probability)?;
            values.into_iter().map(|t| t.unwrap_or(THRESHOLD)).collect()
        } else if at.is_number() {
            vec![probability(at)?; scope.classes.len()]
        } else {
            return at.refuse(allowed);
        };
        if let Some(unused) = scope.background.and_then(|b| thresholds.get_mut(b)) {
            *unused = THRESHOLD;
        }
        Some(thresholds)
    }
}

/// A factor for each class, the background too; 1 for those that are not named.
pub(super) struct Factors;

const FACTOR: Single =
    Single(Bounds { min: Some(0.001), max: Some(1000.0), ..Bounds::any("a factor from 0.001 to 1000") });

impl Kind for Factors {
    type Value = Vec<f32>;

    fn write(&self, factors: &Vec<f32>, scope: &Scope<'_>) -> Option<Node> {
        Some(scope.classes.map(factors, |_, &factor| Some(factor.into())))
    }

    fn shape(&self) -> Shape {
        Shape::MapOf("class", Box::new(FACTOR.shape()))
    }
}

impl ReadKind for Factors {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<f32>> {
        let allowed = "a map from class to factor";
        if !at.is_map() {
            return at.refuse(allowed);
        }
        let factors = scope.classes.values(at, allowed, |at| FACTOR.read(at, scope))?;
        Some(factors.into_iter().map(|factor| factor.unwrap_or(1.0)).collect())
    }
}

/// What the triplet rule asks of each class: all of them need it.
pub(super) struct Triplets;

impl Kind for Triplets {
    type Value = Vec<Triplet>;

    fn write(&self, triplets: &Vec<Triplet>, scope: &Scope<'_>) -> Option<Node> {
        let write =
            |&Triplet { top, area_px, bottom }: &Triplet| TripletKeys { top, area_px, bottom }.node(scope);
        Some(map(triplets, scope, write))
    }

    fn shape(&self) -> Shape {
        one_or_map(|| Shape::Section(TripletKeys::table()))
    }
}

impl ReadKind for Triplets {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<Triplet>> {
        let allowed = "{top, area_px, bottom}, or a map from class to that";
        let per_class = at.peek().iter().any(|(_, value)| value.is_map());
        let mut triplets = if per_class {
            let values = values(at, allowed, scope, |at| triplet(at, scope))?;
            for (class, value) in values.iter().enumerate() {
                if value.is_none() && Some(class) != scope.background {
                    let name = scope.classes.name(class);
                    at.conflict(format!("class `{name}` has no triplet; needed is one for each"));
                }
            }
            values.into_iter().map(|t| t.unwrap_or(UNUSED)).collect()
        } else {
            vec![triplet(at, scope)?; scope.classes.len()]
        };
        if let Some(unused) = scope.background.and_then(|b| triplets.get_mut(b)) {
            *unused = UNUSED;
        }
        Some(triplets)
    }
}

fn triplet(at: &At<'_>, scope: &Scope<'_>) -> Option<Triplet> {
    let TripletKeys { top, area_px, bottom } = TripletKeys::read(at, scope)?;
    if bottom > top {
        at.conflict(format!("bottom {bottom} is above top {top}; allowed is at most top"));
    }
    Some(Triplet { top, area_px, bottom })
}

/// Numbers of pixels; 0 where none is given.
pub(super) struct Areas;

impl Kind for Areas {
    type Value = Vec<u64>;

    fn write(&self, areas: &Vec<u64>, scope: &Scope<'_>) -> Option<Node> {
        let any = areas.iter().any(|&area| area > 0);
        Some(if any { map(areas, scope, |&area| area.into()) } else { 0_u64.into() })
    }

    fn shape(&self) -> Shape {
        one_or_map(|| PIXELS.shape())
    }
}

impl ReadKind for Areas {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<u64>> {
        let area = |at: &At<'_>| PIXELS.read(at, scope);
        let allowed = "a number of pixels, or a map from class to number of pixels";
        if at.is_map() {
            let values = values(at, allowed, scope, area)?;
            return Some(values.into_iter().map(|area| area.unwrap_or(0)).collect());
        }
        if at.is_number() { area(at).map(|area| every(area, scope)) } else { at.refuse(allowed) }
    }
}

/// For each class, whether something is done: `true`, `false`, or a list of the classes for which it is.
pub(super) struct ClassFlags;

impl Kind for ClassFlags {
    type Value = Vec<bool>;

    fn write(&self, flags: &Vec<bool>, scope: &Scope<'_>) -> Option<Node> {
        let chosen: Vec<usize> = (0..flags.len()).filter(|&class| flags[class]).collect();
        Some(if chosen.is_empty() { false.into() } else { scope.classes.names(&chosen) })
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![Shape::Flag, class_names(0)])
    }
}

impl ReadKind for ClassFlags {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<bool>> {
        if at.is_flag() {
            return FLAG.read(at, scope).map(|flag| every(flag, scope));
        }
        if !at.is_list() {
            return at.refuse("true, false, or a list of class names");
        }
        let chosen = scope.classes.some(at)?;
        if let Some(background) = scope.background.filter(|b| chosen.contains(b)) {
            let name = scope.classes.name(background);
            at.conflict(format!("class `{name}` is the background, which has no regions"));
        }
        Some((0..scope.classes.len()).map(|class| chosen.contains(&class)).collect())
    }
}
