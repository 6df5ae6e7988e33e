//! The members of an ensemble.

use super::classes::Classes;
use super::input::{InputSpec, OutputSpec};
use super::node::Node;
use super::pattern::{GlobPattern, expand_braces};
use super::read::{At, Fields};
use super::window::{Layer, Window};
use marquetry_ensemble::Labelling;
use std::collections::BTreeMap;

pub(super) const DEFAULTS_KEYS: [&str; 5] = ["input", "output", "window", "scale", "weight"];
pub(super) const MEMBER_KEYS: [&str; 9] =
    ["onnx", "name", "weight", "scale", "batch", "tags", "input", "output", "window"];

/// One entry of `members`, with the job's defaults merged in. It may stand for many models of the same kind.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberSpec {
    /// Where the models are, as written: a path, with braces (`{0..4}`, `{a,b}`) and `*`, `?`, `**` and `[…]`. Each
    /// model that it names is a member of its own.
    pub onnx: String,
    /// What to call it; unique in the job.
    pub name: Option<String>,
    /// Tags of all its models; they come before those of the same key that a model's name says.
    pub tags: BTreeMap<String, String>,
    /// The weight of each of its models, per class: finite, 0 or more.
    pub weights: Vec<f32>,
    /// Factor on both sides of an image before windows are laid over it; 1 when the window is the whole image.
    pub scale: f64,
    /// Windows in one run of the model; chosen by the worker if not given.
    pub batch: Option<u32>,
    /// How pixels become its input.
    pub input: InputSpec,
    /// What its output means.
    pub output: OutputSpec,
    /// What it is shown of an image.
    pub window: Window,
}

/// The parts of a member that `defaults` can give.
#[derive(Debug, Clone)]
pub(super) struct MemberLayer {
    pub(super) input: InputSpec,
    pub(super) output: OutputSpec,
    pub(super) window: Layer,
    pub(super) scale: f64,
    pub(super) weights: Vec<f32>,
}

impl MemberLayer {
    pub(super) fn new(window: Layer, classes: &Classes) -> Self {
        let weights = vec![1.0; classes.len()];
        Self { input: InputSpec::default(), output: OutputSpec::default(), window, scale: 1.0, weights }
    }

    /// This member with what the fields say instead.
    pub(super) fn over(&self, fields: &Fields<'_>, classes: &Classes) -> Self {
        let factor = |at: &At<'_>| at.number("a factor from 0.01 to 100", |x| (0.01..=100.0).contains(&x));
        Self {
            input: fields.get("input").map_or_else(|| self.input.clone(), |at| self.input.over(at)),
            output: fields.get("output").map_or_else(|| self.output.clone(), |at| self.output.over(at)),
            window: fields.get("window").map_or(self.window, |at| self.window.over(at)),
            scale: fields.read("scale", factor).unwrap_or(self.scale),
            weights: fields.read("weight", |at| weights(at, classes)).unwrap_or_else(|| self.weights.clone()),
        }
    }
}

/// A number for all classes, a map from class to number (1 for the others), or a list with one for each.
fn weights(at: &At<'_>, classes: &Classes) -> Option<Vec<f32>> {
    let weight = |at: &At<'_>| at.single("a number, 0 or more", |x| x >= 0.0);
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

/// Reads the list of members over `defaults`.
pub(super) fn read(
    at: &At<'_>,
    defaults: &MemberLayer,
    classes: &Classes,
    image_bands: Option<usize>,
) -> Vec<MemberSpec> {
    let items = at.items("a list of members: {onnx: path, …}").unwrap_or_default();
    let mut members: Vec<MemberSpec> = Vec::new();
    for item in &items {
        let Some(member) = member(item, defaults, classes, image_bands) else { continue };
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
        check(at, &members, classes);
    }
    members
}

/// What only all members together can get wrong.
fn check(at: &At<'_>, members: &[MemberSpec], classes: &Classes) {
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
    for class in 0..classes.len() {
        if members.iter().all(|m| m.weights.get(class) == Some(&0.0)) {
            at.conflict(format!(
                "all weights of class `{}` are 0; needed is at least one above 0",
                classes.name(class)
            ));
        }
    }
}

fn member(
    at: &At<'_>,
    defaults: &MemberLayer,
    classes: &Classes,
    image_bands: Option<usize>,
) -> Option<MemberSpec> {
    let fields = at.fields(&MEMBER_KEYS);
    let layer = defaults.over(&fields, classes);
    layer.input.check(fields.get("input").unwrap_or(at), image_bands);
    layer.output.check(fields.get("output").unwrap_or(at));
    if layer.window.whole {
        fields.forbid(
            &["scale"],
            "not used with window.mode: whole, which resizes the image to the window's size",
        );
    }
    Some(MemberSpec {
        name: fields.read("name", |at| at.text("a name")),
        tags: fields.read("tags", tags).unwrap_or_default(),
        scale: if layer.window.whole { 1.0 } else { layer.scale },
        weights: layer.weights,
        batch: fields.read("batch", batch),
        input: layer.input,
        output: layer.output,
        window: layer.window.finish(fields.get("window").unwrap_or(at)),
        onnx: fields
            .need("onnx", "the path of a model, or a pattern such as models/fold{0..4}.onnx")
            .and_then(onnx)?,
    })
}

fn onnx(at: &At<'_>) -> Option<String> {
    let text = at.text("the path of a model, or a pattern")?;
    let checked =
        expand_braces(&text).and_then(|paths| paths.iter().try_for_each(|p| GlobPattern::new(p).map(drop)));
    match checked {
        Ok(()) => Some(text),
        Err(error) => at.refuse(error.to_string()),
    }
}

/// `auto` is none.
fn batch(at: &At<'_>) -> Option<u32> {
    let auto = at.as_text() == Some("auto");
    if auto { None } else { at.integer(1..=4096).map(|n| n as u32) }
}

fn tags(at: &At<'_>) -> Option<BTreeMap<String, String>> {
    let tag = |(key, value): (&str, At<'_>)| match value.as_written() {
        Some(text) => Some((key.to_owned(), text.to_owned())),
        None => value.refuse("a word or a number"),
    };
    at.entries("a map from tag to value").map(|entries| entries.into_iter().filter_map(tag).collect())
}

impl MemberSpec {
    pub(super) fn write(&self, classes: &Classes) -> Node {
        let uniform = self.weights.iter().all(|w| Some(w) == self.weights.first());
        let weight = match self.weights.first() {
            Some(&weight) if uniform => weight.into(),
            _ => classes.map(&self.weights, |_, &w| Some(w.into())),
        };
        let whole = self.window.mode == super::WindowMode::Whole;
        let tags =
            Node::map(self.tags.iter().map(|(key, value)| (key.as_str(), Some(value.as_str().into()))));
        Node::map([
            ("onnx", Some(self.onnx.as_str().into())),
            ("name", self.name.as_deref().map(Node::from)),
            ("tags", (!self.tags.is_empty()).then_some(tags)),
            ("weight", Some(weight)),
            ("scale", (!whole).then(|| self.scale.into())),
            ("batch", Some(self.batch.map_or_else(|| "auto".into(), Node::from))),
            ("input", Some(self.input.write())),
            ("output", Some(self.output.write())),
            ("window", Some(self.window.write())),
        ])
    }
}
