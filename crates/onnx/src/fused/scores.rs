//! From what a model says to scores of classes.

use super::nodes::{Nodes, Setting, Stretch};
use super::{Background, FusedSpec, FusedStep};
use crate::element::FloatType;
use crate::fused::views::element_code;
use crate::types::F32;

/// Since this version softmax is that of one axis; before, of all from it on.
const SOFTMAX_OF_AN_AXIS: u64 = 13;

/// The scores of all classes of each view, `[views · windows, classes, h, w]`, in single precision, of the part that is
/// kept.
pub(super) fn activated(nodes: &mut Nodes<'_>, spec: &FusedSpec, opset: u64) -> String {
    let channels = kept(nodes, spec);
    let checked = match spec.scores.allowed {
        Some(between) => only_between(nodes, &channels, between),
        None => channels,
    };
    let said = step(nodes, &checked, spec.scores.step, opset);
    let Some(background) = spec.scores.background else { return said };
    let other = match background {
        Background::Complement => {
            let one = nodes.number(1.0);
            nodes.node("Sub", &[&one, &said], &[])
        }
        Background::Zero => nodes.node("Sub", &[&said, &said], &[]),
    };
    nodes.concat(&[other, said], 1)
}

/// What the head says, as planes in single precision: the part that is kept, at the size that is wanted.
fn kept(nodes: &mut Nodes<'_>, spec: &FusedSpec) -> String {
    let (head, images) = (&spec.head, spec.images() as i64);
    let [channels, height, width] = [head.channels, head.height, head.width].map(|n| n as i64);
    let dims = if head.channels_last {
        [images, height, width, channels]
    } else {
        [images, channels, height, width]
    };
    let dims = nodes.ints(&dims);
    let mut value = nodes.node("Reshape", &[&head.name, &dims], &[]);
    if head.channels_last {
        value = nodes.transpose(&value, &[0, 3, 1, 2]);
    }
    // Of one type to the same it is nothing.
    value = nodes.cast(&value, F32);
    let [mut rows, mut columns] = [head.height, head.width];
    if let Some([height, width]) = spec.resized {
        let sizes = nodes.ints(&[images, channels, height as i64, width as i64]);
        let mode =
            [Setting::Text("mode", "linear"), Setting::Text("coordinate_transformation_mode", "half_pixel")];
        // Version 11 asks for a region of interest and scales where it uses neither: they are empty.
        let none = nodes.no_numbers();
        value = nodes.node("Resize", &[&value, &none, &none, &sizes], &mode);
        [rows, columns] = [height, width];
    }
    let part = spec.kept;
    if (part.height, part.width) == (rows, columns) {
        return value;
    }
    nodes.slice(&value, &[Stretch::part(2, part.top, part.height), Stretch::part(3, part.left, part.width)])
}

/// What lies outside of `low` to `high` as NaN.
fn only_between(nodes: &mut Nodes<'_>, value: &str, (low, high): (f32, f32)) -> String {
    let [low, high, nan] = [low, high, f32::NAN].map(|number| nodes.number(number));
    let below = nodes.node("Less", &[value, &low], &[]);
    let above = nodes.node("Greater", &[value, &high], &[]);
    let beyond = nodes.node("Or", &[&below, &above], &[]);
    nodes.node("Where", &[&beyond, &nan, value], &[])
}

/// One step over the classes of each pixel. What is no number stays none.
fn step(nodes: &mut Nodes<'_>, value: &str, step: FusedStep, opset: u64) -> String {
    let stepped = match step {
        FusedStep::Keep => return value.to_owned(),
        FusedStep::Softmax if opset >= SOFTMAX_OF_AN_AXIS => {
            nodes.node("Softmax", &[value], &[Setting::Int("axis", 1)])
        }
        FusedStep::Softmax => {
            let last = nodes.transpose(value, &[0, 2, 3, 1]);
            let soft = nodes.node("Softmax", &[&last], &[Setting::Int("axis", 3)]);
            nodes.transpose(&soft, &[0, 3, 1, 2])
        }
        FusedStep::Sigmoid => nodes.node("Sigmoid", &[value], &[]),
        FusedStep::Ln { least } => {
            let least = nodes.number(least);
            let above = nodes.node("Clip", &[value, &least], &[]);
            nodes.node("Log", &[&above], &[])
        }
        FusedStep::Logit { least } => {
            let [least, most, one] = [least, 1.0 - least, 1.0].map(|number| nodes.number(number));
            let p = nodes.node("Clip", &[value, &least, &most], &[]);
            let rest = nodes.node("Sub", &[&one, &p], &[]);
            let odds = nodes.node("Div", &[&p, &rest], &[]);
            nodes.node("Log", &[&odds], &[])
        }
    };
    let zero_or_nan = nodes.node("Sub", &[value, value], &[]);
    nodes.node("Add", &[&stepped, &zero_or_nan], &[])
}

/// The merged scores in the space and the type that are wanted; their name, and the type's number.
pub(super) fn finished(nodes: &mut Nodes<'_>, merged: &str, spec: &FusedSpec, opset: u64) -> (String, u64) {
    let element = if spec.scores.half { element_code(FloatType::F16) } else { F32 };
    let value = step(nodes, merged, spec.scores.finish, opset);
    // Of one type to the same it is nothing; the value has a name of ours then, whatever was done before.
    (nodes.cast(&value, element), element)
}
