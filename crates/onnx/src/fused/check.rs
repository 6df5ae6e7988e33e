//! Whether a model can be in one graph with what is done around it.

use super::views::element_code;
use super::{FusedSpec, Refusal};
use crate::graph::{Declared, Model};
use crate::wire::fields;
use std::ops::RangeInclusive;

/// Versions of the standard operators in which the nodes that are put around a model mean the same.
const OPSETS: RangeInclusive<u64> = 11..=28;

pub(super) fn check(model: &Model<'_>, spec: &FusedSpec) -> Result<(), Refusal> {
    let opset = model.opsets.get("").copied().unwrap_or(0);
    if !OPSETS.contains(&opset) {
        return refuse(format!(
            "the model is of opset {opset}, and what is done around one is written for {} to {}",
            OPSETS.start(),
            OPSETS.end()
        ));
    }
    if model.functions.iter().any(|function| is_standard(function)) {
        return refuse("the model defines standard operators anew".into());
    }
    check_spec(spec)?;
    let graph = &model.graph;
    let given: Vec<&Declared<'_>> = graph.given().collect();
    let [input] = given.as_slice() else {
        return refuse(format!("the model has {} inputs", given.len()));
    };
    if input.name != spec.input.name {
        return refuse(format!("the model's input is `{}`, not `{}`", input.name, spec.input.name));
    }
    check_input(input, spec)?;
    if graph.nodes.is_empty() || !graph.outputs.iter().any(|output| output.name == spec.head.name) {
        return refuse(format!("the model computes no output `{}`", spec.head.name));
    }
    Ok(())
}

/// Whether what is asked for makes sense at all.
fn check_spec(spec: &FusedSpec) -> Result<(), Refusal> {
    let (input, part) = (&spec.input, spec.kept);
    let lying = spec.views.iter().any(|view| view.transpose);
    if lying && (input.height != input.width || part.height != part.width) {
        return refuse("views turn a window on its side that is not square".into());
    }
    let natural = if spec.scores.background.is_some() { 2 } else { spec.head.channels };
    let whole = |classes: &[u16]| {
        classes.len() as u64 == natural && classes.iter().all(|class| u64::from(*class) < natural)
    };
    if spec.windows == 0 || spec.views.is_empty() || !spec.views.iter().all(|view| whole(&view.classes)) {
        return refuse("its channels are not the classes one for one in every view".into());
    }
    if spec.scores.background.is_some() && spec.head.channels != 1 {
        return refuse("more than one channel stands beside a background".into());
    }
    let [rows, columns] = spec.resized.unwrap_or([spec.head.height, spec.head.width]);
    if part.top + part.height > rows || part.left + part.width > columns {
        return refuse("the model says less than the part that is kept".into());
    }
    Ok(())
}

/// Whether the input takes all views of all windows at once.
fn check_input(input: &Declared<'_>, spec: &FusedSpec) -> Result<(), Refusal> {
    let (element, found) = input.shape().map_err(|_| Refusal("its input has no type".into()))?;
    if element != element_code(spec.input.element) {
        return refuse(format!("its input is of type {element}, not {}", element_code(spec.input.element)));
    }
    let [_, channels, height, width] = spec.input_dims();
    let images = spec.images();
    let wanted = if spec.input.channels_last {
        [images, height, width, channels]
    } else {
        [images, channels, height, width]
    };
    if let Some(Some(fixed)) = found.first().filter(|fixed| **fixed != Some(images) && fixed.is_some()) {
        return refuse(format!(
            "it takes {fixed} images at once, and {} views of {} windows are {images}",
            spec.views.len(),
            spec.windows
        ));
    }
    let fits =
        found.len() == 4 && found.iter().zip(wanted).all(|(dim, want)| dim.is_none_or(|dim| dim == want));
    if fits { Ok(()) } else { refuse(format!("its input has dimensions {found:?}, not {wanted:?}")) }
}

/// Whether a function of the file stands in for a standard operator.
fn is_standard(function: &[u8]) -> bool {
    let domain = fields(function).filter_map(Result::ok).find(|field| field.number == 10);
    matches!(domain.and_then(|field| field.text()).unwrap_or(""), "" | "ai.onnx")
}

fn refuse(reason: String) -> Result<(), Refusal> {
    Err(Refusal(reason))
}
