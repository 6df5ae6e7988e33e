//! How a member looks at an image: its windows, or the whole of it.

use super::node::Node;
use super::read::{At, Fields};
use marquetry_ensemble::Importance;
use marquetry_geometry::{Edges, Padding, Size, WindowSpec};

pub(super) const KEYS: [&str; 8] =
    ["size", "mode", "overlap", "stride", "margin", "edges", "padding", "importance"];
const SLIDE_KEYS: [&str; 6] = ["overlap", "stride", "margin", "edges", "padding", "importance"];
/// Longest side of a window, px: 16,384² of f32 scores are 1 GiB per class.
const SIDE_MAX: u64 = 16_384;

/// What a model is shown of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// What the model sees at once, px.
    pub size: Size,
    /// How the image becomes that.
    pub mode: WindowMode,
}

/// How an image becomes windows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowMode {
    /// Windows slide over the image.
    Slide(Slide),
    /// The whole image is resized to the window's size, and its scores back.
    Whole,
}

/// How windows slide over an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slide {
    /// How far one is from the next.
    pub step: Step,
    /// What each window's scores lose on all four sides, px (`height` above and below, `width` left and right).
    pub margin: Size,
    /// What happens where the stride does not fit.
    pub edges: Edges,
    /// How windows are filled beyond the image's border.
    pub fill: Fill,
    /// The weight of a pixel by its place in its window.
    pub importance: Importance,
}

/// How far one window is from the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The fraction of the kept part of a window that it shares with the next, 0 to less than 1: `[y, x]`.
    Overlap([f64; 2]),
    /// In pixels.
    Stride(Size),
}

/// How windows are filled beyond the image's border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill {
    /// Which pixel stands in.
    pub padding: Padding,
    /// The value of [`Padding::Constant`], in the units of the model's input (after normalisation); 0 for the others.
    pub value: f32,
}

impl Window {
    /// How windows are laid over the image as the member sees it: resized by its own scale, or to `size` when whole.
    pub fn layout(&self) -> WindowSpec {
        match &self.mode {
            WindowMode::Slide(slide) => slide.layout(self.size),
            WindowMode::Whole => WindowSpec {
                inner: self.size,
                margin: Size::square(0),
                stride: self.size,
                edges: Edges::Shift,
            },
        }
    }

    pub(super) fn write(&self) -> Node {
        let size = axes([self.size.height, self.size.width]);
        let WindowMode::Slide(slide) = &self.mode else {
            return Node::map([("size", Some(size)), ("mode", Some("whole".into()))]);
        };
        let (overlap, stride) = match slide.step {
            Step::Overlap(overlap) => (Some(axes(overlap)), None),
            Step::Stride(stride) => (None, Some(axes([stride.height, stride.width]))),
        };
        Node::map([
            ("size", Some(size)),
            ("mode", Some("slide".into())),
            ("overlap", overlap),
            ("stride", stride),
            ("margin", Some(axes([slide.margin.height, slide.margin.width]))),
            ("edges", Some(name_of(&EDGES, slide.edges))),
            ("padding", Some(slide.fill.write())),
            ("importance", Some(name_of(&IMPORTANCE, slide.importance))),
        ])
    }
}

impl Slide {
    fn layout(&self, size: Size) -> WindowSpec {
        let inner = Size::new(
            size.height.saturating_sub(2 * self.margin.height),
            size.width.saturating_sub(2 * self.margin.width),
        );
        let stride = match self.step {
            Step::Stride(stride) => stride,
            Step::Overlap([y, x]) => Size::new(stride(inner.height, y), stride(inner.width, x)),
        };
        WindowSpec { inner, margin: self.margin, stride, edges: self.edges }
    }
}

/// `int(side · (1 − overlap))`, at least 1, as MONAI has it. What is a whole number but for rounding counts as one:
/// 10 · (1 − 0.9) is 1, not 0.999….
fn stride(side: u32, overlap: f64) -> u32 {
    ((f64::from(side) * (1.0 - overlap) + 1e-6).floor() as u32).max(1)
}

impl Fill {
    fn read(at: &At<'_>) -> Option<Self> {
        if !at.is_map() {
            let words = [
                ("reflect", Padding::Reflect),
                ("replicate", Padding::Replicate),
                ("constant", Padding::Constant),
            ];
            return at.one_of(&words).map(|padding| Self { padding, value: 0.0 });
        }
        let fields = at.fields(&FILL_KEYS);
        let value = fields.need("constant", "a number in the units of the model's input")?;
        let value = value.single("a number in the units of the model's input", |_| true)?;
        Some(Self { padding: Padding::Constant, value })
    }

    fn write(self) -> Node {
        match self.padding {
            Padding::Reflect => "reflect".into(),
            Padding::Replicate => "replicate".into(),
            Padding::Constant => Node::map([("constant", Some(self.value.into()))]),
        }
    }
}

pub(super) const FILL_KEYS: [&str; 1] = ["constant"];

const EDGES: [(&str, Edges); 3] = [("shift", Edges::Shift), ("spread", Edges::Spread), ("pad", Edges::Pad)];
const IMPORTANCE: [(&str, Importance); 4] = [
    ("gaussian", Importance::Gaussian),
    ("constant", Importance::Constant),
    ("gaussian-nnunet", Importance::GaussianNnunet),
    ("pyramid", Importance::Pyramid),
];

/// The word of a value that has one.
pub(super) fn name_of<T: PartialEq + Copy>(words: &[(&str, T)], value: T) -> Node {
    words.iter().find(|(_, v)| *v == value).map_or("", |(word, _)| *word).into()
}

/// One value where both axes agree, else `[y, x]`.
fn axes<T: Copy + PartialEq + Into<Node>>([y, x]: [T; 2]) -> Node {
    if y == x { y.into() } else { Node::list([y, x]) }
}

/// A window whose parts may still be overridden: what slides is kept while `mode` is `whole`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    pub(super) size: Size,
    pub(super) whole: bool,
    pub(super) slide: Slide,
}

impl Layer {
    /// This window with what `at` says instead.
    pub(super) fn over(&self, at: &At<'_>) -> Self {
        let fields = at.fields(&KEYS);
        let whole =
            fields.read("mode", |at| at.one_of(&[("slide", false), ("whole", true)])).unwrap_or(self.whole);
        if whole {
            fields.forbid(&SLIDE_KEYS, "not used with mode: whole; leave it out, or set mode: slide");
        }
        Self {
            size: fields.read("size", |at| size(at, 1)).unwrap_or(self.size),
            whole,
            slide: self.slide.over(&fields),
        }
    }

    /// The finished window. What contradicts itself is noted at `at`.
    pub(super) fn finish(&self, at: &At<'_>) -> Window {
        if self.whole {
            return Window { size: self.size, mode: WindowMode::Whole };
        }
        let (size, slide) = (self.size, self.slide);
        let layout = slide.layout(size);
        if layout.inner.is_empty() {
            at.conflict(format!(
                "margin {} px leaves nothing of a window of {size} px; allowed is less than half the window",
                slide.margin
            ));
        } else if layout.stride.height > layout.inner.height || layout.stride.width > layout.inner.width {
            at.conflict(format!(
                "stride {} px leaves pixels out; allowed is 1 to {} px, the window without its margin",
                layout.stride, layout.inner
            ));
        }
        Window { size, mode: WindowMode::Slide(slide) }
    }
}

impl Slide {
    fn over(&self, fields: &Fields<'_>) -> Self {
        let fraction =
            |at: &At<'_>| at.number("a fraction from 0 to less than 1", |x| (0.0..1.0).contains(&x));
        let overlap = |at: &At<'_>| at.both_axes("a fraction", fraction).map(Step::Overlap);
        let stride = |at: &At<'_>| size(at, 1).map(Step::Stride);
        if fields.get("overlap").is_some() {
            fields.forbid(&["stride"], "overlap is given too; keep one of them");
        }
        Self {
            step: fields
                .read("overlap", overlap)
                .or_else(|| fields.read("stride", stride))
                .unwrap_or(self.step),
            margin: fields.read("margin", |at| size(at, 0)).unwrap_or(self.margin),
            edges: fields.read("edges", |at| at.one_of(&EDGES)).unwrap_or(self.edges),
            fill: fields.read("padding", Fill::read).unwrap_or(self.fill),
            importance: fields.read("importance", |at| at.one_of(&IMPORTANCE)).unwrap_or(self.importance),
        }
    }
}

/// `512` or `[height, width]`, px.
pub(super) fn size(at: &At<'_>, least: u64) -> Option<Size> {
    let [height, width] = at.both_axes("a number of pixels", |at| at.integer(least..=SIDE_MAX))?;
    Some(Size::new(height as u32, width as u32))
}
