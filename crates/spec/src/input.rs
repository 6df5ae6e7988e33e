//! How pixels become a model's input, and what its output means.

use super::kind::{AutoOr, Double, FLAG, Flag, Kind, Maybe, ReadKind, Single, Text, Whole, Words};
use super::node::Node;
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{KeyGroup, SaidByKeys, Section, section};
use super::table::{Bounds, CrossCheck, Shape, Word};
use marquetry_ensemble::{Labelling, OutputActivation};
use marquetry_job::{By, Fit, Mask, Measured, Over, Per};

section! {
    /// How pixels become a model's input.
    pub struct InputSpec: "input" (_) {
        /// The order of the model's input axes; `auto` is what the model's own shape tells.
        pub layout: InputLayout = InputLayout::Auto, Words(&LAYOUTS);
        /// The order of bands that the model wants; `bgr` turns them round.
        pub color as reversed: bool = false, Words(&[("rgb", false), ("bgr", true)]);
        /// Factor on sample values. `auto` looks at the model, at `mean` and `std`, and at each image's depth: samples
        /// become 0 to 1 (1/255 for 8 bits, 1/65535 for 16 bits, 1/4095 for 12), or 0 to 255 (1 for 8 bits, 255/65535 for 16 bits) for a
        /// model that takes integers and for a mean or std above 1, or stay as they are for a mean or std above 255.
        /// Floats always stay as they are. Where images hold another range than that, planning warns
        /// (`allow: [scale]`) and names the number to say: it looks at the first of each kind, and at up to 64 that are spread over the
        /// job where not all are of 8 bits.
        pub scale: Option<f64> = None, AutoOr(Double(SCALE), "`auto`, or a number above 0");
        /// What follows the scale.
        ..pub normalise: Normalise = Normalise::Fixed { mean: vec![0.0], std: vec![1.0] };
        /// Which of the job's bands the model sees, counted from 0, in this order; all of them if not given.
        pub bands: Option<Vec<u16>> = None, Maybe(Bands { distinct: false });
    }
    checks [
        CrossCheck::UnusedIf {
            keys: || vec!["mean", "std"],
            case: ("normalize", Word::Text("image")),
            because: "not used with normalize: image; leave it out, or set normalize: fixed",
        },
    ]
}

/// The order of a model's input axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputLayout {
    /// As the model's own shape tells.
    Auto,
    /// `[N, C, H, W]`.
    Nchw,
    /// `[N, H, W, C]`.
    Nhwc,
}

const LAYOUTS: [(&str, InputLayout); 3] =
    [("auto", InputLayout::Auto), ("nchw", InputLayout::Nchw), ("nhwc", InputLayout::Nhwc)];
const SCALE: Bounds = Bounds { above: Some(0.0), ..Bounds::any("auto or a number above 0") };

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
    /// What is measured of each image or window.
    Measured(Measured),
}

section! {
    /// The keys that say a [`Normalise`].
    pub(super) struct NormaliseKeys {
        /// `fixed`: `(x − mean) / std` after scaling. `image`: the same with the mean and standard deviation of each
        /// band over the whole image. A map says what is measured, and of what. Where nothing deviates, 0 comes out.
        normalize: Option<Option<Measured>> = None, Maybe(NormaliseKind);
        /// Taken off after scaling: one value for all bands, or one for each in the order in which the model sees them.
        mean: Option<Vec<f32>> = None, Maybe(OneOrEach(Bounds::any("a number")));
        /// Divided by after that, likewise.
        std: Option<Vec<f32>> = None, Maybe(OneOrEach(Bounds { above: Some(0.0), ..Bounds::any("a number above 0") }));
    }
}

impl SaidByKeys for Normalise {
    type Keys = NormaliseKeys;

    fn to_keys(&self) -> NormaliseKeys {
        match self {
            Self::Fixed { mean, std } => {
                NormaliseKeys { normalize: Some(None), mean: Some(mean.clone()), std: Some(std.clone()) }
            }
            Self::Measured(measured) => {
                NormaliseKeys { normalize: Some(Some(*measured)), mean: None, std: None }
            }
        }
    }

    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        let given = NormaliseKeys::default().over(fields, scope);
        let below = if let Self::Measured(measured) = self { Some(*measured) } else { None };
        if let Some(measured) = given.normalize.unwrap_or(below) {
            if measured != Measured::STANDARD {
                fields.forbid(&["mean", "std"], "not used where normalize measures; leave it out");
            }
            return Self::Measured(measured);
        }
        let (mean, std) = match self {
            Self::Fixed { mean, std } => (mean.clone(), std.clone()),
            Self::Measured(_) => (vec![0.0], vec![1.0]),
        };
        Self::Fixed { mean: given.mean.unwrap_or(mean), std: given.std.unwrap_or(std) }
    }
}

section! {
    /// What is measured of each image or window, and how samples are brought to it: `(v − offset) / spread`.
    pub(super) struct MeasuredKeys: "normalize" (_) {
        /// Of the whole `image`, whatever part of it is shown, or of each `window` as it is shown.
        per: Per = Per::Image, Words(&[("image", Per::Image), ("window", Per::Window)]);
        /// Each of the `bands` by itself, or `all` that the model sees together.
        over: Over = Over::Bands, Words(&[("bands", Over::Bands), ("all", Over::All)]);
        /// Which samples count: `nodata` leaves missing pixels out; `nonzero` also every 0 of each band, which stays 0.
        /// nnU-Net's mask leaves out pixels that are 0 in all bands: of one band that is the same.
        mask: Mask = Mask::Nodata, Words(&[("nodata", Mask::Nodata), ("nonzero", Mask::Nonzero)]);
        /// Offset and spread: mean and standard deviation (`meanstd`), 0 and the greatest sample (`max`), the least sample
        /// and the rest up to the greatest (`minmax`), or the same of two percentiles.
        by: MeasuredBy = MeasuredBy::MeanStd, Words(&BYS), unset = "`percentiles` if they are given, else `meanstd`";
        /// The lower and the higher one, 0 to 100: exact, between the two nearest samples in proportion, as NumPy's.
        percentiles: Option<[f64; 2]> = None, Maybe(LowHigh);
        /// Whether what comes out is cut to 0..1.
        clip: bool = false, FLAG;
    }
}

/// The words for an offset and a spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MeasuredBy {
    MeanStd,
    Max,
    MinMax,
    Percentiles,
}

const BYS: [(&str, MeasuredBy); 4] = [
    ("meanstd", MeasuredBy::MeanStd),
    ("max", MeasuredBy::Max),
    ("minmax", MeasuredBy::MinMax),
    ("percentiles", MeasuredBy::Percentiles),
];
const PERCENTILE: Bounds =
    Bounds { min: Some(0.0), max: Some(100.0), ..Bounds::any("a percentile from 0 to 100") };

/// `fixed`, `image`, or what is measured.
struct NormaliseKind;

const NORMALISE: Words<bool> = Words(&[("fixed", false), ("image", true)]);

impl Kind for NormaliseKind {
    type Value = Option<Measured>;

    fn write(&self, measured: &Option<Measured>, scope: &Scope<'_>) -> Option<Node> {
        let Some(measured) = measured.filter(|measured| *measured != Measured::STANDARD) else {
            return NORMALISE.write(&measured.is_some(), scope);
        };
        let Measured { per, over, mask, by, clip } = measured;
        let (by, percentiles) = match by {
            By::MeanStd => (MeasuredBy::MeanStd, None),
            By::Max => (MeasuredBy::Max, None),
            By::MinMax => (MeasuredBy::MinMax, None),
            By::Percentiles { low, high } => (MeasuredBy::Percentiles, Some([low, high])),
        };
        Some(MeasuredKeys { per, over, mask, by, percentiles, clip }.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![NORMALISE.shape(), Shape::Section(MeasuredKeys::table())])
    }
}

/// Two percentiles.
struct LowHigh;

const PERCENTILES: &str = "two percentiles from 0 to 100: [low, high]";

impl Kind for LowHigh {
    type Value = [f64; 2];

    fn write(&self, pair: &[f64; 2], _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(*pair))
    }

    fn shape(&self) -> Shape {
        let item = Box::new(Double(PERCENTILE).shape());
        Shape::Described(PERCENTILES, Box::new(Shape::List { item, min: 2, max: Some(2), unique: false }))
    }
}

impl ReadKind for LowHigh {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<[f64; 2]> {
        let numbers = at.each(PERCENTILES, |at| Double(PERCENTILE).read(at, scope))?;
        <[f64; 2]>::try_from(numbers).ok().or_else(|| at.refuse(PERCENTILES))
    }
}

impl ReadKind for NormaliseKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Option<Measured>> {
        if !at.is_map() {
            return NORMALISE.read(at, scope).map(|measured| measured.then_some(Measured::STANDARD));
        }
        let is_said = at.entry("by").is_some();
        let MeasuredKeys { per, over, mask, by, percentiles, clip } = MeasuredKeys::read(at, scope)?;
        let by = match (by, percentiles) {
            (MeasuredBy::Percentiles, None) => {
                at.conflict("percentiles is missing; needed is two, as percentiles: [1, 99]");
                return None;
            }
            (_, Some([low, high])) if low >= high => {
                at.conflict(format!("the lower percentile {low} is not below the higher one, {high}"));
                return None;
            }
            (MeasuredBy::Percentiles, Some([low, high])) => By::Percentiles { low, high },
            (MeasuredBy::MeanStd, Some([low, high])) if !is_said => By::Percentiles { low, high },
            (_, Some(_)) => {
                at.conflict("percentiles is for by: percentiles alone; leave one of the two out");
                return None;
            }
            (MeasuredBy::MeanStd, None) => By::MeanStd,
            (MeasuredBy::Max, None) => By::Max,
            (MeasuredBy::MinMax, None) => By::MinMax,
        };
        Some(Some(Measured { per, over, mask, by, clip }))
    }
}

impl InputSpec {
    /// Notes at `at` what does not fit together once all layers are in. `image_bands` is how many bands the job takes
    /// from its images, where it says so.
    pub(super) fn check(&self, at: &At<'_>, image_bands: Option<usize>) {
        if let (Some(bands), Some(most)) = (&self.bands, image_bands)
            && let Some(band) = bands.iter().find(|&&b| usize::from(b) >= most)
        {
            at.conflict(format!("band {band} is not among the {most} of images.bands (counted from 0)"));
        }
        let lengths: &[(&str, usize)] = match &self.normalise {
            Normalise::Fixed { mean, std } => &[("mean", mean.len()), ("std", std.len())],
            Normalise::Measured(_) => &[],
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
}

/// One number for all bands, or one for each.
struct OneOrEach(Bounds);

impl Kind for OneOrEach {
    type Value = Vec<f32>;

    fn write(&self, numbers: &Vec<f32>, _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(numbers.iter().copied()))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![Shape::Real(self.0), Shape::list_of(Shape::Real(self.0), 1, None)])
    }
}

impl ReadKind for OneOrEach {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<f32>> {
        let number = |at: &At<'_>| Single(self.0).read(at, scope);
        if at.is_number() {
            return number(at).map(|x| vec![x]);
        }
        let list = format!("{}, or a list with one for each band", self.0.allowed);
        let numbers = at.each(&list, number)?;
        if numbers.is_empty() { at.refuse(list) } else { Some(numbers) }
    }
}

/// Bands counted from 0. A model may see one several times (a grey band for three channels).
pub(super) struct Bands {
    /// Whether each may be named once only.
    pub(super) distinct: bool,
}

const BAND: Whole<u16> = Whole::new(0, 65_534);

impl Kind for Bands {
    type Value = Vec<u16>;

    fn write(&self, bands: &Vec<u16>, _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(bands.iter().copied()))
    }

    fn shape(&self) -> Shape {
        Shape::List { item: Box::new(BAND.shape()), min: 1, max: None, unique: self.distinct }
    }
}

impl ReadKind for Bands {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<u16>> {
        let allowed = "a list of bands, counted from 0";
        let bands = at.each(allowed, |at| BAND.read(at, scope))?;
        if bands.is_empty() {
            return at.refuse(allowed);
        }
        if self.distinct
            && let Some(n) = (0..bands.len()).find(|&n| bands[..n].contains(&bands[n]))
        {
            at.conflict(format!("band {} is named twice", bands[n]));
        }
        Some(bands)
    }
}

section! {
    /// What a model's output means.
    pub struct OutputSpec: "headOutput" (_) {
        /// Name of the output to use. `auto` is the one with the job's number of channels, then one that is not called as what
        /// models learn beside classes (`edge`, `flow`, `normals`, `ds1`, …), then the one as large as the input, then the last
        /// that is not called auxiliary.
        pub head: Option<String> = None, AutoOr(HEAD, "`auto`, or the name of an output of the model");
        /// What the graph already applies to its scores; `labels` is a decision (`ArgMax` inside), of which each pixel is
        /// a vote: probabilities are shares of votes then. `auto` looks at the values of a trial run, on windows of the
        /// job's first images and on noise: softmax where all channels of a pixel sum to 1, sigmoid where all lie in 0
        /// to 1, labels where they are whole numbers in one channel (truth values are a sigmoid's), else none.
        pub activation: Option<OutputActivation> = None, Words(&ACTIVATIONS);
        /// Which channels (labels, of a model that says labels) are which class: `{person: 15, road: [1, 3]}`, counted
        /// from 0; the probabilities of several are summed, after a softmax over all channels (those of a sigmoid come to 1 at most). A class that is not named
        /// keeps the mean of the other members. Without it the class names in the model's own metadata are used where
        /// they are the job's, some of them, or more; else channels are classes, one for one, and one channel of two
        /// classes is the one that is not the background.
        pub classes: Option<Vec<Vec<u16>>> = None, Maybe(ClassChannels),
            unset = "by the class names in the model's metadata, else one for one";
        /// What becomes of channels that are no class of the job: `background` gives their probability to the
        /// background, as what is none of the job's classes is that; `drop` leaves them out, and the named channels
        /// share 1 between them.
        pub rest: Option<RestSpec> = None, Maybe(Words(&RESTS)),
            unset = "`background`; `drop` with `multilabel: true`";
        /// Whether classes are independent of each other, so that a pixel may be of several; the same for all members
        /// of a job.
        pub multilabel as labelling: Labelling = Labelling::Multiclass,
            Flag { no: Labelling::Multiclass, yes: Labelling::Multilabel };
        /// What an output of another size than the input is: the whole window at another resolution (`resize`), the
        /// middle of the window px for px (`centre`; the window is the middle of a larger output), or the window px for px
        /// from its top left, with what lies beyond it cut off (`crop`). `auto` is what a trial run shows: where two spots
        /// in the input come out.
        pub fit: Option<Fit> = None, Words(&FITS);
    }
    checks [
        CrossCheck::Never {
            cases: [("activation", Word::Text("softmax")), ("multilabel", Word::Flag(true))],
            because:
                "activation: softmax makes classes exclude each other, and multilabel: true says that they do not",
        },
        CrossCheck::Never {
            cases: [("activation", Word::Text("labels")), ("multilabel", Word::Flag(true))],
            because: "activation: labels says one class a pixel, and multilabel: true that there may be several",
        },
        CrossCheck::Never {
            cases: [("rest", Word::Text("background")), ("multilabel", Word::Flag(true))],
            because: "multilabel: true has no background that rest: background could give probability to",
        },
    ]
}

pub(super) const HEAD: Text = Text::not_blank("the name of an output of the model");
const ACTIVATIONS: [(&str, Option<OutputActivation>); 5] = [
    ("auto", None),
    ("none", Some(OutputActivation::None)),
    ("softmax", Some(OutputActivation::Softmax)),
    ("sigmoid", Some(OutputActivation::Sigmoid)),
    ("labels", Some(OutputActivation::Labels)),
];

/// What becomes of channels that are no class of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestSpec {
    /// They are the background's.
    Background,
    /// They are left out.
    Drop,
}

const RESTS: [(&str, RestSpec); 2] = [("background", RestSpec::Background), ("drop", RestSpec::Drop)];

/// For each class the channels that are its own; each channel is of one class.
struct ClassChannels;

const CHANNEL: Whole<u16> = Whole::new(0, 65_534);

impl Kind for ClassChannels {
    type Value = Vec<Vec<u16>>;

    fn write(&self, channels: &Self::Value, scope: &Scope<'_>) -> Option<Node> {
        let write = |_, own: &Vec<u16>| match own[..] {
            [] => None,
            [one] => Some(one.into()),
            _ => Some(Node::list(own.iter().copied())),
        };
        Some(scope.classes.map(channels, write))
    }

    fn shape(&self) -> Shape {
        let many = Shape::List { item: Box::new(CHANNEL.shape()), min: 1, max: None, unique: true };
        Shape::MapOf("class", Box::new(Shape::AnyOf(vec![CHANNEL.shape(), many])))
    }
}

impl ReadKind for ClassChannels {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value> {
        let allowed = "a map from class to a channel, or to a list of channels";
        let own = |at: &At<'_>| {
            let channels = if at.is_list() {
                at.each(allowed, |at| CHANNEL.read(at, scope))?
            } else {
                vec![CHANNEL.read(at, scope)?]
            };
            if channels.is_empty() { at.refuse("a channel, or a list of channels") } else { Some(channels) }
        };
        let channels = scope.classes.values(at, allowed, own)?;
        let channels: Vec<Vec<u16>> = channels.into_iter().map(Option::unwrap_or_default).collect();
        let mut named: Vec<u16> = channels.iter().flatten().copied().collect();
        named.sort_unstable();
        if let Some(&[twice, _]) = named.array_windows().find(|[a, b]| a == b) {
            at.conflict(format!("channel {twice} is named twice; it is of one class"));
        } else if at.entries(allowed)?.is_empty() {
            at.conflict("no class; needed is at least one");
        }
        Some(channels)
    }
}

const FITS: [(&str, Option<Fit>); 5] = [
    ("auto", None),
    ("resize", Some(Fit::Resize)),
    ("centre", Some(Fit::Centre)),
    ("center", Some(Fit::Centre)),
    ("crop", Some(Fit::Crop)),
];
