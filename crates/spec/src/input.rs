//! How pixels become a model's input, and what its output means.

use super::node::Node;
use super::read::At;
use super::window::name_of;
use marquetry_ensemble::{Applied, Labelling};
use marquetry_job::Fit;

pub(super) const INPUT_KEYS: [&str; 7] = ["layout", "color", "scale", "mean", "std", "normalize", "bands"];
pub(super) const OUTPUT_KEYS: [&str; 4] = ["head", "activation", "multilabel", "fit"];

/// The order of a model's input axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As the model's own shape tells.
    Auto,
    /// `[N, C, H, W]`.
    Nchw,
    /// `[N, H, W, C]`.
    Nhwc,
}

/// How samples are brought to the range the model was trained on.
#[derive(Debug, Clone, PartialEq)]
pub enum Normalise {
    /// `(x − mean) / std` after scaling, with one value for all bands or one for each, in the order in which the model
    /// sees them.
    Fixed {
        /// Taken off.
        mean: Vec<f32>,
        /// Divided by; above 0.
        std: Vec<f32>,
    },
    /// The same with the mean and standard deviation of each band of each whole image.
    Image,
}

/// How pixels become a model's input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// The order of its axes.
    pub layout: Layout,
    /// Whether the model wants its bands in the opposite order (`color: bgr`).
    pub reversed: bool,
    /// Factor on sample values; by the image's depth if not given (1/255, 1/65535, or 1 for floats).
    pub scale: Option<f64>,
    /// What follows the scale.
    pub normalise: Normalise,
    /// Which of the job's bands the model sees, counted from 0, in this order; all of them if not given.
    pub bands: Option<Vec<u16>>,
}

impl Default for InputSpec {
    fn default() -> Self {
        Self {
            layout: Layout::Auto,
            reversed: false,
            scale: None,
            normalise: Normalise::Fixed { mean: vec![0.0], std: vec![1.0] },
            bands: None,
        }
    }
}

const LAYOUTS: [(&str, Layout); 3] = [("auto", Layout::Auto), ("nchw", Layout::Nchw), ("nhwc", Layout::Nhwc)];
const COLOURS: [(&str, bool); 2] = [("rgb", false), ("bgr", true)];

impl InputSpec {
    /// This input with what `at` says instead.
    pub(super) fn over(&self, at: &At<'_>) -> Self {
        let fields = at.fields(&INPUT_KEYS);
        let scale = |at: &At<'_>| {
            if at.as_text() == Some("auto") {
                return Some(None);
            }
            at.number("auto or a number above 0", |x| x > 0.0).map(Some)
        };
        let asked = fields.read("normalize", |at| at.one_of(&[("fixed", false), ("image", true)]));
        let by_image = asked.unwrap_or(self.normalise == Normalise::Image);
        let normalise = if by_image {
            fields.forbid(
                &["mean", "std"],
                "not used with normalize: image; leave it out, or set normalize: fixed",
            );
            Normalise::Image
        } else {
            let (old_mean, old_std) = match &self.normalise {
                Normalise::Fixed { mean, std } => (mean.clone(), std.clone()),
                Normalise::Image => (vec![0.0], vec![1.0]),
            };
            Normalise::Fixed {
                mean: fields.read("mean", |at| numbers(at, "a number", |_| true)).unwrap_or(old_mean),
                std: fields.read("std", |at| numbers(at, "a number above 0", |x| x > 0.0)).unwrap_or(old_std),
            }
        };
        Self {
            layout: fields.read("layout", |at| at.one_of(&LAYOUTS)).unwrap_or(self.layout),
            reversed: fields.read("color", |at| at.one_of(&COLOURS)).unwrap_or(self.reversed),
            scale: fields.read("scale", scale).unwrap_or(self.scale),
            normalise,
            bands: fields.read("bands", bands).or_else(|| self.bands.clone()),
        }
    }

    /// Notes at `at` what does not fit together. `image_bands` is how many bands the job takes from its images, where
    /// it says so.
    pub(super) fn check(&self, at: &At<'_>, image_bands: Option<usize>) {
        if let (Some(bands), Some(most)) = (&self.bands, image_bands)
            && let Some(band) = bands.iter().find(|&&b| usize::from(b) >= most)
        {
            at.conflict(format!("band {band} is not among the {most} of images.bands (counted from 0)"));
        }
        let lengths: &[(&str, usize)] = match &self.normalise {
            Normalise::Fixed { mean, std } => &[("mean", mean.len()), ("std", std.len())],
            Normalise::Image => &[],
        };
        let bands = self.bands.as_ref().map(|bands| ("bands", bands.len()));
        let mut many = lengths.iter().copied().filter(|(_, n)| *n > 1).chain(bands);
        if let Some((first, n)) = many.next()
            && let Some((other, m)) = many.find(|(_, m)| *m != n)
        {
            at.conflict(format!(
                "{first} has {n} values and {other} has {m}; allowed is one for all bands or one for each"
            ));
        }
    }

    pub(super) fn write(&self) -> Node {
        let (mean, std, normalise) = match &self.normalise {
            Normalise::Fixed { mean, std } => {
                (Some(Node::list(mean.iter().copied())), Some(Node::list(std.iter().copied())), "fixed")
            }
            Normalise::Image => (None, None, "image"),
        };
        Node::map([
            ("layout", Some(name_of(&LAYOUTS, self.layout))),
            ("color", Some(name_of(&COLOURS, self.reversed))),
            ("scale", Some(self.scale.map_or_else(|| "auto".into(), Node::from))),
            ("normalize", Some(normalise.into())),
            ("mean", mean),
            ("std", std),
            ("bands", self.bands.as_ref().map(|bands| Node::list(bands.iter().copied()))),
        ])
    }
}

/// One number, or one for each band.
fn numbers(at: &At<'_>, allowed: &str, accept: impl Fn(f32) -> bool + Copy) -> Option<Vec<f32>> {
    if at.is_number() {
        return at.single(allowed, accept).map(|x| vec![x]);
    }
    let list = format!("{allowed}, or a list with one for each band");
    let numbers = at.each(&list, |at| at.single(allowed, accept))?;
    if numbers.is_empty() { at.refuse(list) } else { Some(numbers) }
}

/// Bands counted from 0; one may be named several times (a grey band for three channels).
pub(super) fn bands(at: &At<'_>) -> Option<Vec<u16>> {
    let allowed = "a list of bands, counted from 0";
    let bands = at.each(allowed, |at| at.integer(0..=65_534).map(|band| band as u16))?;
    if bands.is_empty() { at.refuse(allowed) } else { Some(bands) }
}

/// What a model's output means.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputSpec {
    /// Name of the output to use; the model's first one if not given.
    pub head: Option<String>,
    /// The activation that the graph already applies.
    pub activation: Applied,
    /// What to do when the output is smaller than the input.
    pub fit: Fit,
    /// Whether classes exclude each other; the same for all members of a job.
    pub labelling: Labelling,
}

impl Default for OutputSpec {
    fn default() -> Self {
        Self { head: None, activation: Applied::None, fit: Fit::Resize, labelling: Labelling::Multiclass }
    }
}

const ACTIVATIONS: [(&str, Applied); 3] =
    [("none", Applied::None), ("softmax", Applied::Softmax), ("sigmoid", Applied::Sigmoid)];
const FITS: [(&str, Fit); 3] = [("resize", Fit::Resize), ("centre", Fit::Centre), ("center", Fit::Centre)];
const MULTILABEL: [(bool, Labelling); 2] = [(false, Labelling::Multiclass), (true, Labelling::Multilabel)];

impl OutputSpec {
    /// This output with what `at` says instead.
    pub(super) fn over(&self, at: &At<'_>) -> Self {
        let fields = at.fields(&OUTPUT_KEYS);
        let multilabel = fields.read("multilabel", At::flag).map(|flag| MULTILABEL[usize::from(flag)].1);
        Self {
            head: fields
                .read("head", |at| at.text("the name of an output of the model"))
                .or_else(|| self.head.clone()),
            activation: fields.read("activation", |at| at.one_of(&ACTIVATIONS)).unwrap_or(self.activation),
            fit: fields.read("fit", |at| at.one_of(&FITS)).unwrap_or(self.fit),
            labelling: multilabel.unwrap_or(self.labelling),
        }
    }

    /// Notes at `at` what does not fit together.
    pub(super) fn check(&self, at: &At<'_>) {
        if self.labelling == Labelling::Multilabel && self.activation == Applied::Softmax {
            at.conflict("activation: softmax makes classes exclude each other, and multilabel: true says that they do not");
        }
    }

    pub(super) fn write(&self) -> Node {
        Node::map([
            ("head", self.head.as_deref().map(Node::from)),
            ("activation", Some(name_of(&ACTIVATIONS, self.activation))),
            ("multilabel", Some((self.labelling == Labelling::Multilabel).into())),
            ("fit", Some(name_of(&FITS, self.fit))),
        ])
    }
}
