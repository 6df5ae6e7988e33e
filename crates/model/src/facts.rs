//! What is known of a model once it was read and tried.

use crate::stated_normalisation::StatedNormalisation;
use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

pub use marquetry_job::{Element, Layout, OutputForm};

/// One dimension of an input or output, as the model declares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// Always this.
    Fixed(u64),
    /// Decided at each run; the name the model gives it, empty where it gives none.
    Symbol(String),
}

impl Dim {
    /// The value, where it is fixed.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(value) => Some(*value),
            Self::Symbol(_) => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Symbol(name) if name.is_empty() => f.write_str("?"),
            Self::Symbol(name) => f.write_str(name),
        }
    }
}

/// Name, type and dimensions of an input or output, as the model declares them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorFacts {
    /// Name in the graph.
    pub name: String,
    /// Type of the numbers.
    pub element: Element,
    /// Dimensions, outermost first.
    pub dims: Vec<Dim>,
}

impl TensorFacts {
    /// The dimensions as text: `[N, 3, 512, 512]`.
    pub fn dims_text(&self) -> String {
        let dims: Vec<_> = self.dims.iter().map(ToString::to_string).collect();
        format!("[{}]", dims.join(", "))
    }
}

/// How the size of an output follows from the size of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// Equal.
    Same,
    /// Smaller by a whole factor.
    Down(u32),
    /// Larger by a whole factor.
    Up(u32),
    /// Smaller by this many px in each axis, half at each border where convolutions pad nothing.
    Less(u32),
    /// One number for each class, whatever the size of the input.
    Image,
    /// None of these.
    Unclear,
}

/// How an output of another size than the input is laid over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The output shows the whole window, at another resolution.
    Resize,
    /// The output shows the middle of the window, px for px; or the window lies in the middle of a larger output.
    Centre,
    /// Px for px from the top left: a larger output goes on beyond the window, a smaller one leaves its end out.
    Crop,
}

/// What the graph applies to its scores itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Nothing: any real numbers.
    None,
    /// Values in 0..=1 that sum to 1 over the classes.
    Softmax,
    /// Values in 0..=1, each class by itself.
    Sigmoid,
    /// The decision: for each pixel the number of a class.
    Labels,
}

/// What the values of some runs look like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// What they suggest that the graph applies.
    pub activation: Activation,
    /// Smallest and largest.
    pub range: (f32, f32),
}

/// Batches the model takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Batch {
    /// This number of images only.
    Fixed(u32),
    /// Any; two at once were tried and gave what each gave alone.
    Any,
    /// It declares any number, but two at once do not work. The reason.
    Broken(String),
}

/// What a graph does to samples before anything else, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InsideScaling {
    /// It brings samples of 0 to 255 to what the network was trained on.
    Bytes(String),
    /// It takes a mean off samples of 0 to 1, or divides by their deviation.
    Unit(String),
    /// Samples are to be as they are stored, of more than 8 bits: it takes off, or divides by, more than 255. What it does, in
    /// words.
    Stored(String),
    /// Nothing that could be read: but what comes out hardly changes for samples of 0 to 1, and does for 0 to 255.
    Unmoved(String),
}

/// The image input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Order of the axes.
    pub layout: Layout,
    /// Channels: fixed by the model, or the number it was tried with.
    pub channels: u32,
    /// Rows as declared.
    pub height: Dim,
    /// Columns as declared.
    pub width: Dim,
    /// Size it was tried at, px.
    pub tried: Size,
    /// What the sides must be a multiple of, px, where the model takes any size and this was found out.
    pub multiple: Option<u32>,
    /// Batches it takes.
    pub batch: Batch,
    /// What the graph does to samples itself.
    pub scaling: Option<InsideScaling>,
}

/// What the values of an output hang on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The image.
    Image,
    /// Nothing: every run gave the same.
    Constant,
    /// Chance: two runs of the same input gave different values.
    Random,
    /// The image alone: each channel is nearly the input's, in all windows of images that were shown.
    Echo,
}

/// An output that has a score for each pixel and class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreFacts {
    /// Its axes.
    pub form: OutputForm,
    /// Number of channels, which are classes unless the job says otherwise.
    pub classes: u32,
    /// Rows and columns at the size the model was tried at.
    pub size: Size,
    /// How that follows from the size of the input.
    pub relation: Relation,
    /// How it is laid over the input.
    pub fit: Fit,
    /// Whether that was seen, rather than guessed from the sizes.
    pub fit_is_sure: bool,
    /// What the values of all runs look like.
    pub activation: Activation,
    /// Smallest and largest value seen.
    pub range: (f32, f32),
    /// What noise alone showed.
    pub noise: Values,
    /// What windows of the job's own images alone showed, where there were any.
    pub images: Option<Values>,
    /// What it hangs on.
    pub response: Response,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// An output as the trial runs showed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadFacts {
    /// Name in the graph.
    pub name: String,
    /// Type of the numbers.
    pub element: Element,
    /// Dimensions it came with.
    pub seen: Vec<u64>,
    /// The scores it holds.
    pub scores: Option<ScoreFacts>,
    /// Why it holds no usable scores, where it does not.
    pub reason: Option<String>,
}

/// What a model declares and what trying it showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Size of all its files, bytes.
    pub bytes: u64,
    /// The files beside it that hold weights, as it writes their paths.
    #[serde(default)]
    pub external: Vec<String>,
    /// The program that wrote it.
    pub producer: String,
    /// Version of the standard set of operators.
    pub opset: Option<u32>,
    /// Free text pairs stored in the file.
    pub metadata: BTreeMap<String, String>,
    /// Class names found in the metadata, one list for each head, or one list for all. A name is empty where a number has none.
    pub class_names: Vec<Vec<String>>,
    /// What of them could not be made out, as a sentence.
    #[serde(default)]
    pub class_names_doubt: Option<String>,
    /// Mean and standard deviation found in the metadata.
    #[serde(default)]
    pub normalisation: Option<StatedNormalisation>,
    /// Inputs as declared.
    pub inputs: Vec<TensorFacts>,
    /// Outputs as declared.
    pub outputs: Vec<TensorFacts>,
    /// The image input; none where there is no single one, or no run worked.
    pub image: Option<ImageFacts>,
    /// The outputs as seen, in order; empty where no run worked.
    pub heads: Vec<HeadFacts>,
    /// Why it is no segmentation model, where it is not.
    pub refusal: Option<String>,
    /// Why it seems to be none, although its outputs look like scores.
    #[serde(default)]
    pub doubt: Option<String>,
}

impl ModelFacts {
    /// The heads that hold scores, in the order of the outputs.
    pub fn usable(&self) -> impl Iterator<Item = (&HeadFacts, &ScoreFacts)> {
        self.heads.iter().filter_map(|head| head.scores.as_ref().map(|scores| (head, scores)))
    }

    /// All outputs in words: name, channels and size where it holds scores.
    pub fn heads_in_words(&self) -> Vec<String> {
        let one = |head: &HeadFacts| match &head.scores {
            Some(ScoreFacts { activation: Activation::Labels, size, .. }) => {
                format!("`{}` (labels, {size} px)", head.name)
            }
            Some(ScoreFacts { relation: Relation::Image, classes: 1, .. }) => {
                format!("`{}` (1 channel)", head.name)
            }
            Some(ScoreFacts { relation: Relation::Image, classes, .. }) => {
                format!("`{}` ({classes} channels)", head.name)
            }
            Some(ScoreFacts { classes: 1, size, .. }) => format!("`{}` (1 channel, {size} px)", head.name),
            Some(scores) => format!("`{}` ({} channels, {} px)", head.name, scores.classes, scores.size),
            None => format!("`{}` (no scores, {:?})", head.name, head.seen),
        };
        self.heads.iter().map(one).collect()
    }

    /// The names that its metadata has for classes, where there are not as many as `head` has channels: they cannot be
    /// those of its channels.
    pub fn unfit_class_names(&self, head: &str) -> Option<&[String]> {
        let only = (self.class_names.len() == 1).then(|| self.class_names[0].as_slice())?;
        self.class_names_of(head).is_none().then_some(only)
    }

    /// The names that the model itself gives the channels (or labels) of a head, where its metadata has as many.
    pub fn class_names_of(&self, head: &str) -> Option<&[String]> {
        let (place, head) = self.heads.iter().enumerate().find(|(_, other)| other.name == head)?;
        let scores = head.scores.as_ref()?;
        let own =
            if self.class_names.len() == 1 { self.class_names.first() } else { self.class_names.get(place) };
        let own = own?.as_slice();
        let channels = scores.classes as usize;
        match own {
            _ if scores.activation == Activation::Labels || own.len() == channels => Some(own),
            // Counted from 1, and as many as there are channels: by their order.
            [first, names @ ..] if first.is_empty() && names.len() == channels => Some(names),
            _ => None,
        }
    }
}
