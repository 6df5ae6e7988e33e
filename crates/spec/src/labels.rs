//! The values that classes have in files.

use super::classes::Classes;
use super::kind::{Kind, ReadKind, Whole};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::table::Shape;
use marquetry_ensemble::Labelling;

/// What stands for each class in masks and tables, by label; printed where one is not its class's place.
pub(super) struct LabelValues;

const VALUE: Whole<u16> = Whole::new(0, 65_535);

impl Kind for LabelValues {
    type Value = Vec<u16>;

    fn write(&self, values: &Vec<u16>, scope: &Scope<'_>) -> Option<Node> {
        let is_moved = |(class, value): (usize, &u16)| class != usize::from(*value);
        let write = |class, &value: &u16| is_moved((class, &value)).then(|| value.into());
        values.iter().enumerate().any(is_moved).then(|| scope.classes.map(values, write))
    }

    fn shape(&self) -> Shape {
        Shape::MapOf("class", Box::new(VALUE.shape()))
    }
}

/// The value of each class: what `at` says of it, else its place. `ignore` stands for pixels of no class; where it is said
/// and the place of a class that keeps it, that is noted at `failures`.
pub(super) fn read(
    at: Option<&At<'_>>,
    ignore: u16,
    failures: Option<&At<'_>>,
    scope: &Scope<'_>,
) -> Vec<u16> {
    let places = (0..scope.classes.len()).map(|place| place as u16).collect::<Vec<_>>();
    let keeps_ignore = |class: usize| {
        let ignored = failures.and_then(|at| at.entry("ignore"));
        if let Some(at) = ignored.filter(|_| scope.labelling == Labelling::Multiclass) {
            at.conflict(format!(
                "{ignore} is the value of class `{}`; take one that no class has, or give that class another in labels",
                scope.classes.name(class)
            ));
        }
    };
    let Some(at) = at else {
        places.iter().position(|place| *place == ignore).map(keeps_ignore);
        return places;
    };
    if scope.labelling == Labelling::Multilabel {
        at.conflict(
            "classes do not exclude each other (multilabel: true): each has a mask of its own, in which 1 is the class and 0 \
             is not; leave it out",
        );
        return places;
    }
    let allowed = "a map from class to the value that it has in masks and tables";
    let Some(given) = scope.classes.values(at, allowed, |at| VALUE.read(at, scope)) else { return places };
    let values = places.iter().zip(&given).map(|(place, value)| value.unwrap_or(*place)).collect::<Vec<_>>();
    let keeps = |class: &usize| given[*class].is_none() && places[*class] == ignore;
    (0..places.len()).find(keeps).map(keeps_ignore);
    for (class, value) in given.iter().enumerate() {
        if let (Some(value), Some(at)) = (value, at.entry(scope.classes.name(class))) {
            check(&at, (class, *value), ignore, (&values, &given), scope.classes);
        }
    }
    values
}

/// Notes why a class cannot have the value that is given to it.
fn check(
    at: &At<'_>,
    (class, value): (usize, u16),
    ignore: u16,
    (values, given): (&[u16], &[Option<u16>]),
    classes: &Classes,
) {
    if value == ignore {
        at.conflict(format!(
            "{value} is failures.ignore, which stands for pixels that could not be computed; give one of the two another value"
        ));
    }
    // Of two values that are given, the later one is told.
    let is_rival = |other: &usize| *other != class && (given[*other].is_none() || *other < class);
    let rival = (0..values.len()).filter(is_rival).find(|other| values[*other] == value);
    if let Some(other) = rival {
        let name = classes.name(other);
        at.conflict(if given[other].is_none() {
            format!(
                "{value} is the place of class `{name}`, which keeps it as its value; name that class too, or take another"
            )
        } else {
            format!("{value} is the value of class `{name}` too; each class has its own")
        });
    }
}
