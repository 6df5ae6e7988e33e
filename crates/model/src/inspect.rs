//! Reading a model and trying it.

use crate::class_names::class_names_of;
use crate::facts::{Batch, Dim, Element, HeadFacts, ImageFacts, Layout, ModelFacts, TensorFacts};
use crate::input_scaling::inside_scaling;
use crate::probe::{Probe, head_facts, unmoved};
use crate::reading::{InputAxes, input_axes};
use crate::session::{self, SessionOptions};
use crate::stated_normalisation::stated_normalisation;
use crate::verdict::other_purpose;
use crate::{ModelError, ModelRef, Runtime};
use marquetry_geometry::Size;
use ort::session::Session;
use ort::value::{TensorElementType, ValueType};
use std::collections::BTreeMap;
use std::path::Path;

/// Numbers in the input of a trial, at most: 1 GiB of `f32`. A file that declares more is not believed.
pub(crate) const NUMBERS_MAX: u64 = 1 << 28;

/// Of what an output is to hold scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ScoresOf {
    /// Each pixel: a segmentation model.
    #[default]
    Pixels,
    /// The whole image: a classifier.
    Image,
}

/// What a trial assumes where the model leaves it open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InspectOptions {
    /// Window to try, px; 512 × 512 where none is given. A size the model fixes goes before.
    pub size: Option<Size>,
    /// Order of the axes, where the dimensions do not tell.
    pub layout: Option<Layout>,
    /// Channels, where the model takes any number; 3, 1 and 4 are tried where none is given.
    pub channels: Option<u32>,
    /// Threads to try it on; as many as the machine has cores if not given. What is found does not hang on it.
    pub threads: Option<usize>,
    /// Of what its outputs are to hold scores.
    pub of: ScoresOf,
}

/// The bytes of a model file.
///
/// # Errors
/// When the file is not there or cannot be read.
pub fn read_model(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Unreadable { path: path.to_path_buf(), source })
}

/// Reads a model and tries it, on zeros and on noise, on the processor.
///
/// A model that loads but is no segmentation model is no error here: the facts say so in `refusal`.
///
/// # Errors
/// When it is not a model that can be loaded, a file with weights was not given along with it, or memory runs out.
pub fn inspect<'a>(
    runtime: &Runtime,
    model: impl Into<ModelRef<'a>>,
    options: &InspectOptions,
) -> Result<ModelFacts, ModelError> {
    inspect_with(runtime, model, options, &|_, _| Vec::new())
}

/// Windows of images for a model of so many channels, `[channels, H, W]` of this size, as they would be shown to it.
pub type ShownWindows<'a> = &'a dyn Fn(u32, Size) -> Vec<Vec<f32>>;

/// The same, and tries the model on `windows` of images too.
///
/// # Errors
/// As [`inspect`].
pub fn inspect_with<'a>(
    runtime: &Runtime,
    model: impl Into<ModelRef<'a>>,
    options: &InspectOptions,
    windows: ShownWindows<'_>,
) -> Result<ModelFacts, ModelError> {
    let model = model.into();
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let intra_threads = options.threads.unwrap_or_else(cores);
    let session_options = SessionOptions { intra_threads, ..Default::default() };
    let mut session = session::open(runtime, model, &session_options, &BTreeMap::new())?;
    let mut facts = declared(&session, model);
    match try_out(&mut session, &facts, options, windows)? {
        Ok((mut image, heads)) => {
            let read = facts.inputs.first().and_then(|input| inside_scaling(model.onnx, &input.name));
            image.scaling = read.or(image.scaling);
            facts.refusal = heads.iter().all(|head| head.scores.is_none()).then(|| {
                let reasons = heads.iter().map(|head| {
                    format!("output `{}`: {}", head.name, head.reason.as_deref().unwrap_or("no scores"))
                });
                reasons.collect::<Vec<_>>().join("; ")
            });
            (facts.image, facts.heads) = (Some(image), heads);
            if options.of == ScoresOf::Pixels {
                facts.doubt = other_purpose(&facts);
            }
        }
        Err(reason) => facts.refusal = Some(reason),
    }
    Ok(facts)
}

pub(crate) fn declared(session: &Session, model: ModelRef<'_>) -> ModelFacts {
    let metadata = session.metadata().ok();
    let pairs: BTreeMap<String, String> = metadata
        .iter()
        .flat_map(|m| {
            m.custom_keys()
                .unwrap_or_default()
                .into_iter()
                .map(|key| (m.custom(&key).unwrap_or_default(), key))
        })
        .map(|(value, key)| (key, value))
        .collect();
    let names = class_names_of(&pairs);
    ModelFacts {
        bytes: model.bytes(),
        external: model.external.iter().map(|file| file.location.clone()).collect(),
        producer: metadata.and_then(|m| m.producer()).unwrap_or_default(),
        opset: session.opset_for_domain(""),
        class_names: names.lists,
        class_names_doubt: names.doubt,
        normalisation: stated_normalisation(&pairs),
        metadata: pairs,
        inputs: session.inputs().iter().map(|o| tensor_facts(o.name(), o.dtype())).collect(),
        outputs: session.outputs().iter().map(|o| tensor_facts(o.name(), o.dtype())).collect(),
        image: None,
        heads: Vec::new(),
        refusal: None,
        doubt: None,
    }
}

pub(crate) fn element(ty: TensorElementType) -> Element {
    match ty {
        TensorElementType::Float32 => Element::F32,
        TensorElementType::Float16 => Element::F16,
        TensorElementType::Float64 => Element::F64,
        TensorElementType::Uint8 => Element::U8,
        TensorElementType::Int64 => Element::I64,
        TensorElementType::Int32 => Element::I32,
        TensorElementType::Int16 => Element::I16,
        TensorElementType::Int8 => Element::I8,
        TensorElementType::Uint64 => Element::U64,
        TensorElementType::Uint32 => Element::U32,
        TensorElementType::Uint16 => Element::U16,
        TensorElementType::Bool => Element::Bool,
        other => Element::Other(other.to_string()),
    }
}

fn tensor_facts(name: &str, dtype: &ValueType) -> TensorFacts {
    let (element, dims) = match dtype {
        ValueType::Tensor { ty, shape, dimension_symbols } => {
            let dims = shape.iter().zip(dimension_symbols.iter());
            let dim = |(&dim, symbol): (&i64, &String)| {
                u64::try_from(dim).map_or_else(|_| Dim::Symbol(symbol.clone()), Dim::Fixed)
            };
            (element(*ty), dims.map(dim).collect())
        }
        _ => (Element::Other("no tensor".into()), Vec::new()),
    };
    TensorFacts { name: name.to_owned(), element, dims }
}

type Tried = Result<(ImageFacts, Vec<HeadFacts>), String>;

/// Runs the model. The inner error says why it is no segmentation model.
fn try_out(
    session: &mut Session,
    facts: &ModelFacts,
    options: &InspectOptions,
    windows: ShownWindows<'_>,
) -> Result<Tried, ModelError> {
    let [input] = facts.inputs.as_slice() else {
        return Ok(Err(format!("it has {} inputs, and one image input is needed", facts.inputs.len())));
    };
    let name = &input.element;
    if !name.is_float() && *name != Element::U8 {
        return Ok(Err(format!(
            "its input `{}` takes {name}, and f32, f16, f64 or u8 is needed: export it for one of these, with a cast as \
             its first step",
            input.name
        )));
    }
    let layouts = match layouts(input, options.layout) {
        Ok(layouts) => layouts,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut first = None;
    for axes in &layouts {
        match try_axes(session, input, axes, options, windows)? {
            Ok(found) => return Ok(Ok(found)),
            Err(reason) => first = first.or(Some(reason)),
        }
    }
    let reason = first.unwrap_or_default();
    let both = if layouts.len() > 1 { " (input.layout: nchw and nhwc were both tried)" } else { "" };
    Ok(Err(format!("{reason}{both}")))
}

/// The axes of the input, likeliest first. Where the dimensions do not tell, both orders are tried.
pub(crate) fn layouts(input: &TensorFacts, layout: Option<Layout>) -> Result<Vec<InputAxes>, String> {
    let likely = input_axes(input, layout)?;
    let open = [&likely.channels, &likely.height, &likely.width].into_iter().all(|dim| dim.fixed().is_none());
    if layout.is_some() || !open {
        return Ok(vec![likely]);
    }
    let other = if likely.layout == Layout::Nchw { Layout::Nhwc } else { Layout::Nchw };
    Ok(vec![likely, input_axes(input, Some(other))?])
}

fn try_axes(
    session: &mut Session,
    input: &TensorFacts,
    axes: &InputAxes,
    options: &InspectOptions,
    windows: ShownWindows<'_>,
) -> Result<Tried, ModelError> {
    let batch = axes.batch.fixed().map_or(1, |n| n as u32);
    let channels = match (axes.channels.fixed(), options.channels) {
        (Some(channels), _) => vec![channels as u32],
        (None, Some(channels)) => vec![channels],
        (None, None) => vec![3, 1, 4],
    };
    let sizes = trial_sizes(axes, options.size.unwrap_or(Size::square(512)));
    let images = u64::from(batch) * u64::from(channels.iter().copied().max().unwrap_or(1));
    let numbers = |size: &Size| size.area().saturating_mul(images);
    if numbers(&sizes[0]) > NUMBERS_MAX || sizes[0].is_empty() {
        return Ok(Err(format!(
            "one run at {} px takes {} numbers, and at most {NUMBERS_MAX} are tried",
            sizes[0],
            numbers(&sizes[0])
        )));
    }
    let sizes: Vec<Size> = sizes.into_iter().filter(|size| numbers(size) <= NUMBERS_MAX).collect();
    let mut first_error = None;
    for (&channels, &size) in channels.iter().flat_map(|c| sizes.iter().map(move |s| (c, s))) {
        let (element, layout, of) = (&input.element, axes.layout, options.of);
        let mut probe = Probe { session, element, layout, channels, of };
        match probe.trial(batch, size) {
            Ok(trial) => {
                let shown = windows(channels, size);
                let more = probe.more(batch, size, &shown)?;
                let heads = head_facts(&mut probe, &trial, &more, batch, size)?;
                let is_open = axes.height.fixed().is_none() || axes.width.fixed().is_none();
                let multiple = if is_open {
                    probe.multiple(batch, &heads, |side| sized(axes, Size::square(side)))
                } else {
                    None
                };
                let image = ImageFacts {
                    layout: axes.layout,
                    channels,
                    height: axes.height.clone(),
                    width: axes.width.clone(),
                    tried: size,
                    multiple,
                    scaling: unmoved(&trial),
                    batch: match axes.batch.fixed() {
                        Some(n) => Batch::Fixed(n as u32),
                        None => probe.two_at_once(size, &heads, &trial),
                    },
                };
                return Ok(Ok((image, heads)));
            }
            Err(error @ ModelError::OutOfMemory { .. }) => return Err(error),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let error = first_error.map(|error| error.to_string()).unwrap_or_default();
    let each = |items: Vec<String>| items.join(", ");
    let channels = each(channels.iter().map(ToString::to_string).collect());
    let sizes = each(sizes.iter().map(ToString::to_string).collect());
    Ok(Err(format!("no run worked, at {sizes} px with {channels} channels; the first: {error}")))
}

/// `asked` with the sides that the model fixes.
fn sized(axes: &InputAxes, asked: Size) -> Size {
    let side = |dim: &Dim, asked: u32| dim.fixed().map_or(asked, |side| side as u32);
    Size::new(side(&axes.height, asked.height), side(&axes.width, asked.width))
}

/// What sides of a model's input often must be multiples of: strides of encoders, patches of transformers, and both.
const MULTIPLES: [u32; 7] = [32, 14, 28, 64, 56, 112, 128];

/// Sizes to try: what was asked for, and where that does not suit the model, the next larger ones that may.
pub(crate) fn trial_sizes(axes: &InputAxes, asked: Size) -> Vec<Size> {
    let mut sizes = vec![sized(axes, asked)];
    for multiple in MULTIPLES {
        let round = |side: u32| side.checked_next_multiple_of(multiple).unwrap_or(side);
        let size = sized(axes, Size::new(round(asked.height), round(asked.width)));
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    // The nearest that works is the one to name.
    sizes[1..].sort_by_key(|size| size.area());
    sizes
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
