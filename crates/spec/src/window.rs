//! How a member looks at an image: its windows, or the whole of it.

use super::kind::{AutoOr, Axes, Double, Kind, Maybe, ReadKind, Sides, Single, Words};
use super::node::Node;
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{KeyGroup, SaidByKeys, Section, names, section};
use super::table::{Bounds, CrossCheck, Key, Shape, Word};
use marquetry_ensemble::Importance;
use marquetry_geometry::{Edges, Padding, Resample, Size, WindowSpec};

section! {
    /// What a model is shown of an image.
    pub struct Window: "window" (scope) derive [Copy] {
        /// What the model sees at once, px. `auto` is what the model takes, if that is one size alone; else, for images of which
        /// none is larger than 512 px along a side, the largest side rounded up to a multiple of 32 px (of 128 px with views of
        /// other scales) that the model takes; else 512. It is the model's or 512 with a `stride` or a `margin`, with `mode: whole`, and
        /// for a model that leaves out the border of its window.
        pub size: Option<Size> = None, AutoOr(Sides::at_least(1), "`auto`, a whole number from 1 to 16384, or `[y, x]`");
        /// How an image becomes larger or smaller, for `mode: whole` and for a member's `scale`: `linear` is OpenCV's
        /// `INTER_LINEAR` and PyTorch's, without smoothing; `area` OpenCV's `INTER_AREA` (linear where a side grows); `cubic`
        /// OpenCV's `INTER_CUBIC`; `pillow-linear` and `pillow-cubic` smooth before a side shrinks, as Pillow's `BILINEAR`
        /// and `BICUBIC` do, and torchvision with `antialias`.
        pub resample: Resample = Resample::Linear, Words(&RESAMPLES);
        /// How the image becomes that.
        ..pub mode: WindowMode = WindowMode::Slide(scope.slide);
    }
    checks [
        CrossCheck::UnusedIf {
            keys: slide_alone,
            case: ("mode", Word::Text("whole")),
            because: "not used with mode: whole; leave it out, or set mode: slide",
        },
        CrossCheck::UnusedIf {
            keys: || vec!["fit"],
            case: ("mode", Word::Text("slide")),
            because: "used with mode: whole alone; leave it out, or set mode: whole",
        },
        CrossCheck::UnusedIf {
            keys: || vec!["padding"],
            case: ("fit", Word::Text("stretch")),
            because: "not used with fit: stretch, which leaves nothing to fill; leave it out, or set fit: letterbox",
        },
        CrossCheck::Either { key: "stride", or: "overlap", because: "overlap is given too; keep one of them" },
    ]
}

/// How an image becomes windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowMode {
    /// Windows slide over the image.
    Slide(Slide),
    /// The whole image is resized to the window's size or into it, and its scores back.
    Whole(WholeImage),
}

/// How the whole image is shown at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WholeImage {
    /// How it comes to the window's size.
    pub fit: WholeFit,
    /// How the rest of the window is filled.
    pub fill: Fill,
}

impl Default for WholeImage {
    fn default() -> Self {
        Self { fit: WholeFit::Stretch, fill: Fill { padding: Padding::Constant, value: 0.0 } }
    }
}

/// How a whole image comes to a window's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeFit {
    /// Each side by a factor of its own.
    Stretch,
    /// Both sides by one factor, so that it just fits; at the top left.
    Longest,
    /// Both sides by one factor, so that it just fits; in the middle.
    Letterbox,
    /// At its own size, rounded up to a multiple of this, px; at the top left.
    Multiple(u32),
}

const WHOLE_FITS: [(&str, WholeFit); 3] =
    [("stretch", WholeFit::Stretch), ("longest", WholeFit::Longest), ("letterbox", WholeFit::Letterbox)];
pub(super) const RESAMPLES: [(&str, Resample); 5] = [
    ("linear", Resample::Linear),
    ("area", Resample::Area),
    ("cubic", Resample::Cubic),
    ("pillow-linear", Resample::PillowLinear),
    ("pillow-cubic", Resample::PillowCubic),
];

/// One of the words, or `multiple(n)`.
struct WholeFitKind;

const MULTIPLE_MAX: u32 = 1024;

impl Kind for WholeFitKind {
    type Value = WholeFit;

    fn write(&self, fit: &WholeFit, _: &Scope<'_>) -> Option<Node> {
        if let WholeFit::Multiple(of) = fit {
            return Some(format!("multiple({of})").as_str().into());
        }
        WHOLE_FITS.iter().find(|(_, of)| of == fit).map(|(word, _)| (*word).into())
    }

    fn shape(&self) -> Shape {
        let multiple = Shape::Text {
            allowed: "multiple(n), as multiple(32)",
            pattern: Some("^multiple\\(\\s*[0-9]+\\s*\\)$"),
        };
        Shape::AnyOf(vec![Words(&WHOLE_FITS).shape(), multiple])
    }
}

impl ReadKind for WholeFitKind {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<WholeFit> {
        let number = |text: &str| text.strip_prefix("multiple(")?.strip_suffix(')')?.trim().parse().ok();
        let Some(text) = at.as_text() else { return at.refuse(WHOLE_FIT) };
        if let Some((_, fit)) = WHOLE_FITS.iter().find(|(word, _)| *word == text) {
            return Some(*fit);
        }
        match number(text) {
            Some(of) if (1..=MULTIPLE_MAX).contains(&of) => Some(WholeFit::Multiple(of)),
            _ => at.refuse(WHOLE_FIT),
        }
    }
}

const WHOLE_FIT: &str = "stretch, longest, letterbox or multiple(n), as multiple(32), with n from 1 to 1024";

/// The keys that mean something where windows slide and nowhere else.
fn slide_alone() -> Vec<&'static str> {
    names::<Slide>().into_iter().filter(|key| *key != "padding").collect()
}

section! {
    /// How windows slide over an image.
    pub struct Slide derive [Copy] {
        /// How far one is from the next.
        ..pub spacing: Spacing = Spacing::Overlap([0.5; 2]);
        /// What each window's scores lose on all four sides, px: a centre crop. `[y, x]` is above and below, left and
        /// right.
        pub margin: Size = Size::square(0), Sides::at_least(0);
        /// What happens where the stride does not fit: `shift` puts the last window flush with the border, `spread`
        /// spaces all windows evenly (nnU-Net), `pad` lets the last one reach beyond the border.
        pub edges: Edges = Edges::Shift, Words(&EDGES);
        /// How windows are filled beyond the image's border; a map gives the value of a constant, which is 0 otherwise. With
        /// `mode: whole` the default is `{constant: 0}`.
        pub padding as fill: Fill = Fill { padding: Padding::Reflect, value: 0.0 }, FillKind;
        /// The weight of a pixel by its place in its window: `gaussian` is MONAI's, `gaussian-nnunet` nnU-Net's.
        pub importance: Importance = Importance::Gaussian, Words(&IMPORTANCE);
    }
}

/// How far one window is from the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spacing {
    /// The fraction of the kept part of a window that it shares with the next, 0 to less than 1: `[y, x]`.
    Overlap([f64; 2]),
    /// In pixels.
    Stride(Size),
}

section! {
    /// The keys that say a [`Spacing`].
    pub(super) struct SpacingKeys {
        /// The fraction of a window, without its margin, that it shares with the next.
        overlap: Option<[f64; 2]> = None, Maybe(Axes { allowed: "a fraction", each: Double(FRACTION) });
        /// From one window to the next, px; in place of `overlap`.
        stride: Option<Size> = None, Maybe(Sides::at_least(1));
    }
}

const FRACTION: Bounds =
    Bounds { min: Some(0.0), below: Some(1.0), ..Bounds::any("a fraction from 0 to less than 1") };
const EDGES: [(&str, Edges); 3] = [("shift", Edges::Shift), ("spread", Edges::Spread), ("pad", Edges::Pad)];
const IMPORTANCE: [(&str, Importance); 4] = [
    ("gaussian", Importance::Gaussian),
    ("constant", Importance::Constant),
    ("gaussian-nnunet", Importance::GaussianNnunet),
    ("pyramid", Importance::Pyramid),
];

/// How windows are filled beyond the image's border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Which pixel stands in.
    pub padding: Padding,
    /// The value of [`Padding::Constant`], in the units of the model's input (after normalisation); 0 for the others.
    pub value: f32,
}

section! {
    /// A value for what lies beyond the image's border.
    pub(super) struct ConstantFill: "padding" (_) {
        /// The value, in the units of the model's input (after normalisation).
        constant: f32 = 0.0, Single(Bounds::any(UNITS)), required = UNITS;
    }
}

const UNITS: &str = "a number in the units of the model's input";
const PADDINGS: Words<Padding> = Words(&[
    ("reflect", Padding::Reflect),
    ("replicate", Padding::Replicate),
    ("constant", Padding::Constant),
]);

struct FillKind;

impl Kind for FillKind {
    type Value = Fill;

    fn write(&self, fill: &Fill, scope: &Scope<'_>) -> Option<Node> {
        match fill.padding {
            Padding::Constant => Some(ConstantFill { constant: fill.value }.node(scope)),
            padding => PADDINGS.write(&padding, scope),
        }
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![PADDINGS.shape(), Shape::Section(ConstantFill::table())])
    }
}

impl ReadKind for FillKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Fill> {
        if !at.is_map() {
            return PADDINGS.read(at, scope).map(|padding| Fill { padding, value: 0.0 });
        }
        let ConstantFill { constant: value } = ConstantFill::read(at, scope)?;
        Some(Fill { padding: Padding::Constant, value })
    }
}

impl SaidByKeys for Spacing {
    type Keys = SpacingKeys;

    fn to_keys(&self) -> SpacingKeys {
        match *self {
            Self::Overlap(overlap) => SpacingKeys { overlap: Some(overlap), stride: None },
            Self::Stride(stride) => SpacingKeys { overlap: None, stride: Some(stride) },
        }
    }

    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        let given = SpacingKeys::default().over(fields, scope);
        let overlap = given.overlap.map(Self::Overlap);
        overlap.or(given.stride.map(Self::Stride)).unwrap_or(*self)
    }
}

section! {
    /// The keys that say which [`WindowMode`] it is.
    pub(super) struct ModeKeys {
        /// `slide`: windows slide over the image. `whole`: the image is resized to `size`, and its scores back, in the
        /// space in which they are merged (of logits and of probabilities that is not the same).
        mode: bool = false, Words(&[("slide", false), ("whole", true)]);
        /// How a whole image comes to `size`: `stretch`, each side by a factor of its own; `longest`, both by one factor so
        /// that it just fits, at the top left of the window; `letterbox`, the same in its middle. What is left of the window
        /// is filled as `padding` says, and its scores are cut off. Scores go back by one resize. `multiple(32)` shows each
        /// image as it is, with sides that are rounded up to multiples of 32 px below and to the right; `size` is not used
        /// then, and the model is tried at each size that comes of it.
        fit: Option<WholeFit> = None, Maybe(WholeFitKind);
    }
}

impl KeyGroup for WindowMode {
    fn names(keys: &mut Vec<&'static str>) {
        ModeKeys::names(keys);
        Slide::names(keys);
    }

    fn keys(&self, scope: &Scope<'_>, keys: &mut Vec<Key>) {
        self.mode_keys().keys(scope, keys);
        self.slide(scope).keys(scope, keys);
    }

    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        let said = self.mode_keys().over(fields, scope);
        // Read in any case: what is wrong with its values is said too.
        let slide = self.slide(scope).over(fields, scope);
        if !said.mode {
            return Self::Slide(slide);
        }
        let below = if let Self::Whole(whole) = self { *whole } else { WholeImage::default() };
        let fill = if fields.get("padding").is_some() { slide.fill } else { below.fill };
        let fit = said.fit.unwrap_or(below.fit);
        Self::Whole(WholeImage { fit, fill })
    }

    fn write(&self, scope: &Scope<'_>, entries: &mut Vec<(&'static str, Node)>) {
        self.mode_keys().write(scope, entries);
        match self {
            Self::Slide(slide) => slide.write(scope, entries),
            Self::Whole(WholeImage { fit: WholeFit::Stretch, .. }) => {}
            Self::Whole(whole) => {
                entries.extend(FillKind.write(&whole.fill, scope).map(|fill| ("padding", fill)));
            }
        }
    }
}

impl WindowMode {
    fn mode_keys(&self) -> ModeKeys {
        match self {
            Self::Slide(_) => ModeKeys { mode: false, fit: None },
            Self::Whole(whole) => ModeKeys { mode: true, fit: Some(whole.fit) },
        }
    }

    /// How windows slide once they do. A layer with `mode: whole` cannot say how, so above it the job's defaults hold.
    const fn slide(&self, scope: &Scope<'_>) -> Slide {
        match self {
            Self::Slide(slide) => *slide,
            Self::Whole(_) => scope.slide,
        }
    }
}

impl Window {
    /// How windows are laid over the image as the member sees it: resized by its own scale, or to `size` when whole.
    pub fn layout(&self) -> WindowSpec {
        match &self.mode {
            WindowMode::Slide(slide) => slide.layout(self.size_px()),
            WindowMode::Whole(whole) => WindowSpec {
                inner: self.size_px(),
                margin: Size::square(0),
                stride: self.size_px(),
                // An image smaller than its window lies at the top left, or in the middle.
                edges: match whole.fit {
                    WholeFit::Longest | WholeFit::Multiple(_) => Edges::Pad,
                    WholeFit::Stretch | WholeFit::Letterbox => Edges::Shift,
                },
            },
        }
    }

    /// What a model is shown where nothing speaks for another size, px.
    pub const USUAL: Size = Size::square(512);

    /// What the model sees at once, px; the usual size where that is not settled yet.
    pub fn size_px(&self) -> Size {
        self.size.unwrap_or(Self::USUAL)
    }

    /// Notes at `at` what contradicts itself once all layers are in, as far as the size is known.
    pub(super) fn check(&self, at: &At<'_>) {
        if let Some(contradiction) = self.size.and_then(|_| self.contradiction()) {
            at.conflict(contradiction);
        }
    }

    /// What contradicts itself at this size, in words.
    pub fn contradiction(&self) -> Option<String> {
        let WindowMode::Slide(slide) = &self.mode else { return None };
        let size = self.size_px();
        let layout = slide.layout(size);
        if layout.inner.is_empty() {
            Some(format!(
                "margin {} px leaves nothing of a window of {size} px; allowed is less than half the window",
                slide.margin
            ))
        } else if layout.stride.height > layout.inner.height || layout.stride.width > layout.inner.width {
            Some(format!(
                "stride {} px leaves pixels out; allowed is 1 to {} px, the window without its margin",
                layout.stride, layout.inner
            ))
        } else {
            None
        }
    }
}

impl Slide {
    fn layout(&self, size: Size) -> WindowSpec {
        let inner = Size::new(
            size.height.saturating_sub(2 * self.margin.height),
            size.width.saturating_sub(2 * self.margin.width),
        );
        let stride = match self.spacing {
            Spacing::Stride(stride) => stride,
            Spacing::Overlap([y, x]) => Size::new(stride(inner.height, y), stride(inner.width, x)),
        };
        WindowSpec { inner, margin: self.margin, stride, edges: self.edges }
    }
}

/// `int(side · (1 − overlap))`, at least 1, as MONAI has it. What is a whole number but for rounding counts as one:
/// 10 · (1 − 0.9) is 1, not 0.999….
fn stride(side: u32, overlap: f64) -> u32 {
    ((f64::from(side) * (1.0 - overlap) + 1e-6).floor() as u32).max(1)
}
