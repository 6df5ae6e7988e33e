//! The members of an ensemble.

use super::images::Paths;
use super::input::{InputSpec, OutputSpec};
use super::kind::{AutoOr, Double, Kind, Maybe, ReadKind, Single, Text, Whole};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Nested, Section, section};
use super::table::{Bounds, Shape, Table};
use super::window::{Window, WindowMode};
use marquetry_ensemble::Labelling;
use std::collections::BTreeMap;

section! {
    /// One entry of `members`, over the job's `defaults`. It may stand for many models of the same kind.
    pub struct MemberSpec: "member" (scope) {
        /// Where the models are: a path, with braces (`{0..4}`, `{a,b}`) and `*`, `?`, `**` and `[…]`. Each model that
        /// it names is a member of its own.
        pub onnx: String = String::new(), Paths(Text::not_blank("the path of a model, or a pattern")),
            required = "the path of a model, or a pattern such as models/fold{0..4}.onnx";
        /// What to call it, instead of the name of the model's file. To the name of several models, and to equal names of
        /// files, the parts of the paths are put that differ: `fold_0/model`.
        pub name: Option<String> = None, Maybe(Text::not_blank("a name"));
        /// The weight of each of its models: one number, one per class by name (1 for the others), or a list with one
        /// for each class.
        pub weight as weights: Vec<f32> = vec![1.0; scope.classes.len()], Weights;
        /// Factor on both sides of an image before windows are laid over it; not with `window.mode: whole`.
        pub scale: f64 = 1.0, Double(FACTOR);
        /// Windows in one run of the model; `auto` lets the worker choose.
        pub batch: Option<u32> = None, AutoOr(Whole::<u32>::new(1, 4096), "`auto`, or a whole number from 1 to 4096");
        /// Tags of all its models; they come before those of the same key that a model's name and
        /// its folders say.
        pub tags: BTreeMap<String, String> = BTreeMap::new(), Tags;
        /// How pixels become its input.
        pub input: InputSpec = InputSpec::standard(scope), Nested::<InputSpec>::new();
        /// What its output means.
        pub output: OutputSpec = OutputSpec::standard(scope), Nested::<OutputSpec>::new();
        /// What it is shown of an image.
        pub window: Window = Window::standard(scope), Nested::<Window>::new();
    }
}

const FACTOR: Bounds =
    Bounds { min: Some(0.01), max: Some(100.0), ..Bounds::any("a factor from 0.01 to 100") };

/// The keys of a member that `defaults` can give for all.
const SHARED: [&str; 5] = ["input", "output", "window", "scale", "weight"];

/// `defaults`: read by [`read_defaults`], and printed in each member.
pub(super) struct MemberDefaults;

impl Kind for MemberDefaults {
    type Value = ();

    fn write(&self, (): &(), _: &Scope<'_>) -> Option<Node> {
        None
    }

    fn shape(&self) -> Shape {
        let mut keys = MemberSpec::table().keys;
        keys.retain(|key| SHARED.contains(&key.name));
        keys.sort_by_key(|key| SHARED.iter().position(|name| *name == key.name));
        let about = "For every member, overridable in each.".to_owned();
        Shape::Section(Table { name: "defaults", about, keys, checks: &[] })
    }
}

impl ReadKind for MemberDefaults {
    /// Nothing: it needs the job's classes and preset.
    fn read(&self, _: &At<'_>, _: &Scope<'_>) -> Option<()> {
        Some(())
    }
}

/// What holds for members that say nothing themselves: the job's own `defaults` over the standard.
pub(super) fn read_defaults(at: Option<&At<'_>>, scope: &Scope<'_>) -> MemberSpec {
    let standard = MemberSpec::standard(scope);
    at.map_or_else(|| standard.clone(), |at| standard.over_fields(&at.fields(&SHARED).into_layer(), scope))
}

/// All members of a job.
pub(super) struct MemberList;

impl Kind for MemberList {
    type Value = Vec<MemberSpec>;

    fn write(&self, members: &Vec<MemberSpec>, scope: &Scope<'_>) -> Option<Node> {
        Some(Node::list(members.iter().map(|member| member.printed(scope))))
    }

    fn shape(&self) -> Shape {
        Shape::list_of(Shape::Section(MemberSpec::table()), 1, None)
    }
}

/// Reads the list of members over `defaults`. `image_bands` is how many bands the job takes from its images, where it
/// says so.
pub(super) fn read(
    at: &At<'_>,
    defaults: &MemberSpec,
    image_bands: Option<usize>,
    scope: &Scope<'_>,
) -> Vec<MemberSpec> {
    let items = at.items("a list of members: {onnx: path, …}").unwrap_or_default();
    let mut members: Vec<MemberSpec> = Vec::new();
    for item in &items {
        let Some(member) = member(item, defaults, image_bands, scope) else { continue };
        if member.name.is_some() && members.iter().any(|other| other.name == member.name) {
            item.conflict(format!(
                "another member is called `{}` too; names are unique",
                member.name.as_deref().unwrap_or_default()
            ));
        }
        members.push(member);
    }
    if at.is_list() && items.is_empty() {
        at.conflict("no member; needed is at least one");
    }
    if members.len() == items.len() {
        check(at, &members, scope);
    }
    members
}

fn member(
    at: &At<'_>,
    defaults: &MemberSpec,
    image_bands: Option<usize>,
    scope: &Scope<'_>,
) -> Option<MemberSpec> {
    let fields = MemberSpec::fields(at);
    let mut member = defaults.over_fields(&fields, scope);
    member.input.check(fields.get("input").unwrap_or(at), image_bands);
    member.output.check_contradictions(fields.get("output").unwrap_or(at), scope);
    member.window.check(fields.get("window").unwrap_or(at));
    if matches!(member.window.mode, WindowMode::Whole(_)) {
        fields.forbid(
            &["scale"],
            "not used with window.mode: whole, which resizes the image to the window's size",
        );
        member.scale = 1.0;
    }
    fields.is_complete().then_some(member)
}

/// What only all members together can get wrong.
fn check(at: &At<'_>, members: &[MemberSpec], scope: &Scope<'_>) {
    let Some(first) = members.first() else { return };
    for (n, member) in members.iter().enumerate() {
        if member.output.labelling != first.output.labelling {
            let says = |m: &MemberSpec| m.output.labelling == Labelling::Multilabel;
            at.conflict(format!(
                "output.multilabel is {} for member 0 and {} for member {n}; all members must agree",
                says(first),
                says(member)
            ));
            break;
        }
    }
    for class in 0..scope.classes.len() {
        if members.iter().all(|m| m.weights.get(class) == Some(&0.0)) {
            at.conflict(format!(
                "all weights of class `{}` are 0; needed is at least one above 0",
                scope.classes.name(class)
            ));
        }
    }
}

impl MemberSpec {
    /// The member as it is printed: what sees the whole image has no scale.
    fn printed(&self, scope: &Scope<'_>) -> Node {
        let whole = matches!(self.window.mode, WindowMode::Whole(_));
        let entries = self.entries(scope).into_iter().filter(|(key, _)| !(whole && *key == "scale"));
        Node::map(entries.map(|(key, node)| (key, Some(node))))
    }
}

/// A number for all classes, a map from class to number (1 for the others), or a list with one for each.
struct Weights;

const WEIGHT: Single = Single(Bounds { min: Some(0.0), ..Bounds::any("a number, 0 or more") });

impl Kind for Weights {
    type Value = Vec<f32>;

    fn write(&self, weights: &Vec<f32>, scope: &Scope<'_>) -> Option<Node> {
        let uniform = weights.iter().all(|w| Some(w) == weights.first());
        Some(match weights.first() {
            Some(&weight) if uniform => weight.into(),
            _ => scope.classes.map(weights, |_, &w| Some(w.into())),
        })
    }

    fn shape(&self) -> Shape {
        let list = Shape::list_of(WEIGHT.shape(), 1, None);
        Shape::AnyOf(vec![WEIGHT.shape(), Shape::MapOf("class", Box::new(WEIGHT.shape())), list])
    }
}

impl ReadKind for Weights {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<f32>> {
        let classes = scope.classes;
        let weight = |at: &At<'_>| WEIGHT.read(at, scope);
        let allowed = "a number, a map from class to number, or a list with one number per class";
        if at.is_map() {
            let weights = classes.values(at, allowed, weight)?;
            return Some(weights.into_iter().map(|w| w.unwrap_or(1.0)).collect());
        }
        if at.is_list() {
            let weights = at.each(allowed, weight)?;
            if weights.len() != classes.len() && classes.len() > 0 {
                at.conflict(format!(
                    "{} weights for {} classes; needed is one for each",
                    weights.len(),
                    classes.len()
                ));
                return None;
            }
            return Some(weights);
        }
        if at.is_number() { weight(at).map(|w| vec![w; classes.len()]) } else { at.refuse(allowed) }
    }
}

/// Words and numbers, by any name.
pub(super) struct Tags;

impl Kind for Tags {
    type Value = BTreeMap<String, String>;

    fn write(&self, tags: &Self::Value, _: &Scope<'_>) -> Option<Node> {
        let entries = tags.iter().map(|(key, value)| (key.as_str(), Some(value.as_str().into())));
        (!tags.is_empty()).then(|| Node::map(entries))
    }

    fn shape(&self) -> Shape {
        Shape::MapOf("tag", Box::new(Shape::Scalar("a word or a number")))
    }
}

impl ReadKind for Tags {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<Self::Value> {
        let tag = |(key, value): (&str, At<'_>)| match value.as_written() {
            Some(text) => Some((key.to_owned(), text.to_owned())),
            None => value.refuse("a word or a number"),
        };
        let entries = at.entries("a map from tag to value")?;
        Some(entries.into_iter().filter_map(tag).collect())
    }
}
