//! Trial runs: what a model does with zeros, noise, two images at once, other sizes.

use crate::ModelError;
use crate::denormals::flushed;
use crate::echo::is_echo;
use crate::facts::{
    Activation, Batch, Element, HeadFacts, InsideScaling, Layout, Relation, Response, ScoreFacts, Values,
};
use crate::fit;
use crate::fit_trial::fit_heads;
use crate::image_scores::image_axes;
use crate::inspect::{ScoresOf, element};
use crate::network::whole_numbers;
use crate::pack::{FromPixel, pack};
use crate::reading::{output_axes, relation};
use half::f16;
use marquetry_geometry::Size;
use ort::session::{RunOptions, Session, SessionOutputs};
use ort::value::{PrimitiveTensorElementType, TensorRef, ValueType};

/// Sides to try for each multiple, px, of which no smaller multiple that is tried explains a success.
const SIDES: [(u32, u32); 15] = [
    (1, 97),
    (2, 106),
    (4, 116),
    (7, 91),
    (8, 104),
    (12, 132),
    (14, 154),
    (16, 176),
    (28, 140),
    (32, 160),
    (48, 240),
    (56, 280),
    (64, 192),
    (112, 336),
    (128, 384),
];

/// Numbers that look random, the same for the same seed.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next one, in 0..1.
    pub(crate) fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    pub(crate) fn fill(seed: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
        let mut noise = Self::new(seed);
        (0..count).map(|_| low + (high - low) * noise.unit()).collect()
    }
}

/// One output of one run; no values where they are neither floats nor labels.
pub(crate) struct Output {
    name: String,
    pub(crate) element: Element,
    dims: Vec<u64>,
    pub(crate) values: Vec<f32>,
}

/// What was run beside noise.
pub(crate) struct MoreRuns<'a> {
    /// The second noise once more.
    again: Vec<Output>,
    /// Windows of images, `[channels, H, W]`, and what came of them.
    images: Vec<(&'a [f32], Vec<Output>)>,
}

/// A session to try, and what is known of its input.
pub(crate) struct Probe<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) element: &'a Element,
    pub(crate) layout: Layout,
    pub(crate) channels: u32,
    /// Of what outputs are to hold scores.
    pub(crate) of: ScoresOf,
}

impl Probe<'_> {
    /// Runs on zeros, on noise of the spread of normalised pixels, and on noise of the spread of raw pixels.
    pub(crate) fn trial(&mut self, batch: u32, size: Size) -> Result<[Vec<Output>; 3], ModelError> {
        let count = batch as usize * self.pixels(size);
        Ok([
            self.run(batch, size, &vec![0.0; count])?,
            self.run(batch, size, &Noise::fill(1, count, -2.0, 2.0))?,
            self.run(batch, size, &Noise::fill(2, count, 0.0, 255.0))?,
        ])
    }

    /// Runs on the second noise once more, and on `windows` of images, `[channels, H, W]`; those that do not run are left
    /// out.
    pub(crate) fn more<'w>(
        &mut self,
        batch: u32,
        size: Size,
        windows: &'w [Vec<f32>],
    ) -> Result<MoreRuns<'w>, ModelError> {
        let count = batch as usize * self.pixels(size);
        let again = self.run(batch, size, &Noise::fill(1, count, -2.0, 2.0))?;
        let fit = windows.iter().filter(|window| window.len() * batch as usize == count);
        let images = fit.filter_map(|window| {
            let outputs = self.run(batch, size, &window.repeat(batch as usize)).ok()?;
            Some((window.as_slice(), outputs))
        });
        Ok(MoreRuns { again, images: images.collect() })
    }

    /// Whether two images at once give what each gave alone in `trial`.
    pub(crate) fn two_at_once(&mut self, size: Size, heads: &[HeadFacts], trial: &[Vec<Output>; 3]) -> Batch {
        let count = self.pixels(size);
        let pair = [Noise::fill(1, count, -2.0, 2.0), Noise::fill(2, count, 0.0, 255.0)].concat();
        let outputs = match self.run(2, size, &pair) {
            Ok(outputs) => outputs,
            Err(error) => return Batch::Broken(error.to_string()),
        };
        for (index, head) in heads.iter().enumerate() {
            let Some(scores) = &head.scores else { continue };
            let (dims, name) = (&outputs[index].dims, &head.name);
            if !scores.form.fits(dims, 2, scores.classes, scores.size) || !scores.form.has_batch() {
                return Batch::Broken(format!("two images gave `{name}` the dimensions {dims:?}"));
            }
            let alone = [&trial[1][index].values, &trial[2][index].values].into_iter().flatten();
            let close =
                |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * (1.0 + a.abs()) || (a.is_nan() && b.is_nan());
            if !alone.zip(&outputs[index].values).all(close) {
                return Batch::Broken(format!("two images gave `{name}` other values than each alone"));
            }
        }
        Batch::Any
    }

    /// The smallest number that sides must be a multiple of, among those tried; `sized` makes a size of a side, where the
    /// other may be fixed. None where no other size worked.
    pub(crate) fn multiple(
        &mut self,
        batch: u32,
        heads: &[HeadFacts],
        sized: impl Fn(u32) -> Size,
    ) -> Option<u32> {
        SIDES.iter().find(|(_, side)| self.follows(batch, sized(*side), heads)).map(|(multiple, _)| *multiple)
    }

    /// Whether a run at `size` works and gives all heads the sizes their relations foretell.
    fn follows(&mut self, batch: u32, size: Size, heads: &[HeadFacts]) -> bool {
        let planes = vec![0.0; batch as usize * self.pixels(size)];
        let Ok(outputs) = self.run(batch, size, &planes) else { return false };
        outputs.iter().zip(heads).all(|(output, head)| {
            head.scores.as_ref().is_none_or(|scores| {
                let expected = scores.relation.output(size);
                expected.is_some_and(|size| scores.form.fits(&output.dims, batch, scores.classes, size))
            })
        })
    }

    pub(crate) fn pixels(&self, size: Size) -> usize {
        self.channels as usize * size.area() as usize
    }

    /// Runs on `planes`, `[batch, channels, H, W]`, and takes all outputs.
    pub(crate) fn run(&mut self, batch: u32, size: Size, planes: &[f32]) -> Result<Vec<Output>, ModelError> {
        match self.element {
            Element::F16 => self.run_as::<f16>(batch, size, planes),
            Element::F64 => self.run_as::<f64>(batch, size, planes),
            Element::U8 => self.run_as::<u8>(batch, size, planes),
            _ => self.run_as::<f32>(batch, size, planes),
        }
        .map_err(|error| ModelError::from_run(&error, crate::Device::Cpu))
    }

    fn run_as<T>(&mut self, batch: u32, size: Size, planes: &[f32]) -> ort::Result<Vec<Output>>
    where
        T: FromPixel + PrimitiveTensorElementType + std::fmt::Debug + 'static,
    {
        let mut packed = Vec::<T>::new();
        pack(planes, &mut packed, self.layout, self.channels as usize, size.area() as usize);
        let dims = input_dims(self.layout, batch, self.channels, size);
        // Failing is part of trying, and no reason to fill the log.
        let mut options = RunOptions::new()?;
        options.set_log_level(ort::logging::LogLevel::Fatal)?;
        let input = TensorRef::from_array_view((dims, packed.as_slice()))?;
        let outputs = flushed(|| self.session.run_with_options(ort::inputs![input], &options))?;
        collect(&outputs)
    }
}

/// The dimensions of an input, as ONNX Runtime wants them.
pub(crate) fn input_dims(layout: Layout, batch: u32, channels: u32, size: Size) -> [i64; 4] {
    let [n, c, h, w] = [batch, channels, size.height, size.width].map(i64::from);
    if layout == Layout::Nchw { [n, c, h, w] } else { [n, h, w, c] }
}

fn collect(outputs: &SessionOutputs<'_>) -> ort::Result<Vec<Output>> {
    let one = |(name, value): (&str, &ort::value::DynValue)| {
        let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
            let element = Element::Other("no tensor".into());
            return Ok(Output { name: name.to_owned(), element, dims: Vec::new(), values: Vec::new() });
        };
        let values = match element(*ty) {
            Element::F32 => value.try_extract_tensor::<f32>()?.1.to_vec(),
            Element::F16 => value.try_extract_tensor::<f16>()?.1.iter().map(|v| v.to_f32()).collect(),
            Element::F64 => value.try_extract_tensor::<f64>()?.1.iter().map(|&v| v as f32).collect(),
            element => whole_numbers(value, &element)?.unwrap_or_default(),
        };
        let dims = shape.iter().map(|&dim| dim as u64).collect();
        Ok(Output { name: name.to_owned(), element: element(*ty), dims, values })
    };
    outputs.keys().zip(outputs.values()).map(|(name, value)| one((name, &value))).collect()
}

/// Whether outputs hardly change between zeros and noise of the spread of normalised pixels, and do for raw pixels: then
/// the graph divides what it is given, by nodes that are not told here.
pub(crate) fn unmoved(trial: &[Vec<Output>; 3]) -> Option<InsideScaling> {
    let moved = |run: usize| {
        let pairs = trial[0].iter().zip(&trial[run]).flat_map(|(a, b)| a.values.iter().zip(&b.values));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let all = trial.iter().flatten().flat_map(|output| &output.values);
    let are_shares = all.clone().all(|v| (-1e-6..=1.001).contains(v));
    let (little, much) = if are_shares { (0.02, 0.2) } else { (0.1, 1.0) };
    let (unit, bytes) = (moved(1), moved(2));
    (unit < little && bytes > much).then(|| {
        InsideScaling::Unmoved(format!(
            "its output moves by {unit:.4} between samples of -2 to 2, and by {bytes:.2} between those of 0 to 255"
        ))
    })
}

/// What the trial says of each output.
pub(crate) fn head_facts(
    probe: &mut Probe<'_>,
    trial: &[Vec<Output>; 3],
    more: &MoreRuns<'_>,
    batch: u32,
    size: Size,
) -> Result<Vec<HeadFacts>, ModelError> {
    let mut heads = Vec::new();
    for (index, output) in trial[0].iter().enumerate() {
        let runs = [0, 1, 2].map(|run| &trial[run][index]);
        let images: Vec<_> = more.images.iter().map(|(window, run)| (*window, &run[index])).collect();
        let seen: Vec<&Output> = images.iter().map(|(_, run)| *run).collect();
        let input = TrialInput { layout: probe.layout, batch, size, of: probe.of };
        let (mut scores, reason) = match scores(runs, &more.again[index], &seen, &input) {
            Ok(scores) => (Some(scores), None),
            Err(reason) => (None, Some(reason)),
        };
        if let Some(scores) = scores.as_mut().filter(|_| probe.of == ScoresOf::Pixels) {
            let pairs = || images.iter().map(|(window, run)| (*window, run.values.as_slice()));
            if scores.response == Response::Image && is_echo(probe.channels, size, scores, pairs()) {
                scores.response = Response::Echo;
            }
        }
        let (name, element, seen) = (output.name.clone(), output.element.clone(), output.dims.clone());
        heads.push(HeadFacts { name, element, seen, scores, reason });
    }
    let moves = |scores: &ScoreFacts| !matches!(scores.relation, Relation::Same | Relation::Image);
    if heads.iter().filter_map(|head| head.scores.as_ref()).any(moves) {
        fit_heads(probe, &mut heads, batch, size)?;
    }
    Ok(heads)
}

/// What an output is read for.
struct TrialInput {
    layout: Layout,
    batch: u32,
    size: Size,
    of: ScoresOf,
}

fn scores(
    runs: [&Output; 3],
    again: &Output,
    images: &[&Output],
    input: &TrialInput,
) -> Result<ScoreFacts, String> {
    let [first, ..] = runs;
    let mut others = runs.iter().chain(images).chain([&again]);
    if let Some(other) = others.find(|run| run.dims != first.dims) {
        return Err(format!("its dimensions change with the image: {:?} and {:?}", first.dims, other.dims));
    }
    let &TrialInput { layout, batch, size: input, of } = input;
    let (form, classes, size) = match of {
        ScoresOf::Pixels => output_axes(&first.dims, layout, batch, input)?,
        ScoresOf::Image => image_axes(&first.dims, &first.element, batch)?,
    };
    match &first.element {
        element if element.is_float() || element.is_whole() && classes == 1 => {}
        element => {
            return Err(format!(
                "its numbers are {element} in {classes} channels: scores are f32, f16 or f64, and labels are whole numbers \
                 in one channel; export it without its last comparison or cast, or with one to float behind it (in PyTorch \
                 `.float()`)"
            ));
        }
    }
    let relation = if of == ScoresOf::Image { Relation::Image } else { relation(input, size) };
    let (fit, fit_is_sure) = (fit::guess(input, size, relation), relation == Relation::Same);
    let nothing = Values { activation: Activation::None, range: (0.0, 0.0) };
    let mut scores = ScoreFacts {
        form,
        classes,
        size,
        relation,
        fit,
        fit_is_sure,
        activation: nothing.activation,
        range: nothing.range,
        noise: nothing,
        images: None,
        response: Response::Image,
        notes: Vec::new(),
    };
    let images: Vec<&[f32]> = images.iter().map(|run| &run.values[..]).collect();
    scores.read_values(runs.map(|run| &run.values[..]), &again.values, &images, &first.element);
    Ok(scores)
}
