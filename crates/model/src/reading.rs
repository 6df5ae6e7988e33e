//! Reading meaning into dimensions: which axis is which.

use crate::facts::{Dim, Layout, OutputForm, Relation, TensorFacts};
use crate::fit::{ROUNDED_TO, is_rounded_up};
use marquetry_geometry::Size;

/// The image input's axes as declared, before anything was run.
#[derive(Debug, Clone)]
pub(crate) struct InputAxes {
    pub(crate) layout: Layout,
    pub(crate) batch: Dim,
    pub(crate) channels: Dim,
    pub(crate) height: Dim,
    pub(crate) width: Dim,
}

/// The axes of an image input. `layout` overrides what the dimensions suggest.
///
/// Channels are few and pixels are many: of two fixed dimensions the smaller is the channels, and a dimension that
/// varies is no channel axis while the other one is fixed and small.
pub(crate) fn input_axes(input: &TensorFacts, layout: Option<Layout>) -> Result<InputAxes, String> {
    let [batch, first, second, third] = input.dims.as_slice() else {
        return Err(format!(
            "its input `{}` has {} axes, {}, and an image input has four",
            input.name,
            input.dims.len(),
            input.dims_text()
        ));
    };
    if input.dims.iter().any(|dim| matches!(dim.fixed(), Some(0)) || dim.fixed() > Some(1 << 20)) {
        return Err(format!("its input `{}` has impossible dimensions {}", input.name, input.dims_text()));
    }
    let guess = match (first.fixed(), third.fixed()) {
        (Some(first), Some(third)) if third < first => Layout::Nhwc,
        (None, Some(third)) if third <= 32 => Layout::Nhwc,
        (None, None) if is_channels(third) && !is_channels(first) => Layout::Nhwc,
        _ => Layout::Nchw,
    };
    let layout = layout.unwrap_or(guess);
    let (channels, height, width) = match layout {
        Layout::Nchw => (first, second, third),
        Layout::Nhwc => (third, first, second),
    };
    Ok(InputAxes {
        layout,
        batch: batch.clone(),
        channels: channels.clone(),
        height: height.clone(),
        width: width.clone(),
    })
}

/// Whether the name of an open dimension says that it is the channels.
fn is_channels(dim: &Dim) -> bool {
    let Dim::Symbol(name) = dim else { return false };
    let name = name.to_lowercase();
    matches!(name.as_str(), "c" | "ch" | "bands") || name.contains("channel")
}

/// What an output of `dims` is when the input was `batch` images of `input` px: its form, classes and size.
pub(crate) fn output_axes(
    dims: &[u64],
    layout: Layout,
    batch: u32,
    input: Size,
) -> Result<(OutputForm, u32, Size), String> {
    let text = format!("{dims:?}");
    if dims.iter().any(|&dim| dim == 0 || dim > u64::from(u32::MAX)) {
        return Err(format!("it came with dimensions {text}"));
    }
    let dims: Vec<u32> = without_idle_axes(dims).iter().map(|&dim| dim as u32).collect();
    let like = |h: u32, w: u32| {
        let size = Size::new(h, w);
        relation(input, size) != Relation::Unclear
            || proportional(input, h, w)
            || is_rounded_up(input, size)
            || less(size, input).is_some()
    };
    let (form, classes, size) = match *dims.as_slice() {
        [n, ..] if dims.len() == 4 && n != batch => {
            return Err(format!("it came with dimensions {text} for a batch of {batch}"));
        }
        [_, c, 1, 1] if input != Size::square(1) => return Err(classifier(c, &text)),
        [_, a, b, c] => match (like(b, c), like(a, b)) {
            (true, planes) if !planes || layout == Layout::Nchw => (OutputForm::Nchw, a, Size::new(b, c)),
            (_, true) => (OutputForm::Nhwc, c, Size::new(a, b)),
            _ => return Err(unlike(&text, input)),
        },
        [n, h, w] if like(h, w) && n == batch => (OutputForm::Nhw, 1, Size::new(h, w)),
        [c, h, w] if like(h, w) && batch == 1 => (OutputForm::Chw, c, Size::new(h, w)),
        [h, w, c] if like(h, w) && batch == 1 => (OutputForm::Hwc, c, Size::new(h, w)),
        [h, w] if like(h, w) && batch == 1 => (OutputForm::Hw, 1, Size::new(h, w)),
        [n, c, pixels] if n == batch && flat(input, pixels).is_some() => {
            (OutputForm::Flat, c, flat(input, pixels).unwrap_or(input))
        }
        [n, pixels, c] if n == batch && flat(input, pixels).is_some() => {
            (OutputForm::FlatInterleaved, c, flat(input, pixels).unwrap_or(input))
        }
        [n, pixels] if n == batch && pixels > 1 && u64::from(pixels) == input.area() => {
            (OutputForm::Flat, 1, input)
        }
        [n, k] if n == batch => return Err(classifier(k, &text)),
        _ => return Err(unlike(&text, input)),
    };
    if size == Size::square(1) && input != size {
        Err(classifier(classes, &text))
    } else {
        Ok((form, classes, size))
    }
}

/// The dimensions without axes of length 1 beyond the four that any form has; the batch stays.
fn without_idle_axes(dims: &[u64]) -> Vec<u64> {
    let mut dims = dims.to_vec();
    while dims.len() > 4
        && let Some(at) = dims.iter().skip(1).position(|&dim| dim == 1)
    {
        dims.remove(at + 1);
    }
    dims
}

/// Steps of outputs that list their pixels. Coarser ones are not believed: they may be what a transformer hands on.
const FLAT_STEPS: [u32; 3] = [1, 2, 4];

/// The size of an output that lists `pixels` pixels row after row: the window's, one that is coarser, or the window without
/// as many px on all sides, or rounded up.
fn flat(input: Size, pixels: u32) -> Option<Size> {
    let divides = |step: &u32| input.height.is_multiple_of(*step) && input.width.is_multiple_of(*step);
    let steps = FLAT_STEPS.into_iter().filter(divides);
    let coarser = steps.map(|step| Size::new(input.height / step, input.width / step));
    let fewer = (2..input.height.min(input.width))
        .step_by(2)
        .map(|less| Size::new(input.height - less, input.width - less));
    let fewer = fewer.take_while(|size| size.height >= input.height / 3);
    let rounded = ROUNDED_TO.into_iter().filter_map(|multiple| {
        Some(Size::new(
            input.height.checked_next_multiple_of(multiple)?,
            input.width.checked_next_multiple_of(multiple)?,
        ))
    });
    let mut sizes = coarser.chain(fewer).chain(rounded);
    sizes.find(|size| size.area() == u64::from(pixels) && size.area() > 1)
}

fn classifier(numbers: u32, dims: &str) -> String {
    format!(
        "it gives {numbers} numbers an image, {dims}, not a score for each pixel: a classifier or regressor"
    )
}

fn unlike(dims: &str, input: Size) -> String {
    format!(
        "its dimensions {dims} do not follow the {input} px of the input: scores are as many px, a fraction or a multiple of \
         them in both directions, or an even number of px more or fewer, the same in both; export it with an output like that"
    )
}

/// Whether an output of `height` by `width` has the shape of the input, but for a px that rounding took.
fn proportional(input: Size, height: u32, width: u32) -> bool {
    let skew =
        (u64::from(height) * u64::from(input.width)).abs_diff(u64::from(width) * u64::from(input.height));
    let rounding = u64::from(input.height) + u64::from(input.width);
    skew == 0 || (height.min(width) >= 8 && skew <= rounding)
}

/// How `output` follows from `input`.
pub(crate) fn relation(input: Size, output: Size) -> Relation {
    if input == output {
        return Relation::Same;
    }
    let factor = |large: Size, small: Size| {
        let factor = large.height / small.height;
        (Size::new(small.height * factor, small.width * factor) == large).then_some(factor)
    };
    if let Some(factor) = factor(input, output) {
        return Relation::Down(factor);
    }
    if let Some(factor) = factor(output, input) {
        return Relation::Up(factor);
    }
    // Convolutions that pad nothing leave a good part of a window; less than a third is some other arithmetic.
    less(input, output).filter(|_| output.height >= input.height / 3).unwrap_or(Relation::Unclear)
}

/// The relation of an output that is smaller than its input by as many px, an even number of them, in both directions.
pub(crate) fn less(input: Size, output: Size) -> Option<Relation> {
    let less = input.height.checked_sub(output.height).filter(|less| less % 2 == 0)?;
    (input.width.checked_sub(output.width) == Some(less)).then_some(Relation::Less(less))
}

impl Relation {
    /// The size of the output for an input of `input`; none where it cannot be said.
    pub fn output(self, input: Size) -> Option<Size> {
        let each = |f: &dyn Fn(u32) -> Option<u32>| Some(Size::new(f(input.height)?, f(input.width)?));
        match self {
            Self::Same => Some(input),
            Self::Down(factor) => each(&|side| (side % factor == 0).then(|| side / factor)),
            Self::Up(factor) => each(&|side| side.checked_mul(factor)),
            Self::Less(less) => each(&|side| side.checked_sub(less).filter(|&side| side > 0)),
            Self::Image => Some(Size::square(1)),
            Self::Unclear => None,
        }
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
