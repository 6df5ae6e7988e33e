//! What a plan must know of a model: what goes in, what comes out.

use crate::Backend;
use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a member takes and gives at each run. It is settled once, stored in the plan and kept to by every worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IoContract {
    /// Name of the image input.
    pub input: String,
    /// Order of its axes.
    pub layout: Layout,
    /// Its channels.
    pub channels: u32,
    /// Its rows and columns, px.
    pub size: Size,
    /// Images of every run: short batches are filled up.
    pub batch: u32,
    /// Type of its numbers.
    pub element_in: Element,
    /// Its open dimensions that the model gives a name, and their values here. Named beforehand, shapes are worked out
    /// once and not at every run.
    pub dims: BTreeMap<String, u32>,
    /// Name of the output with the scores.
    pub head: String,
    /// Axes of that output.
    pub form: OutputForm,
    /// Its channels: classes, one for one, unless the member's class map says otherwise.
    pub classes: u32,
    /// Its rows and columns, px.
    pub output_size: Size,
    /// Type of its numbers.
    pub element_out: Element,
    /// Whose kernels compute it.
    #[serde(default, skip_serializing_if = "Backend::is_unsaid")]
    pub backend: Backend,
}

impl IoContract {
    /// Numbers in the input of one run.
    pub fn input_len(&self) -> usize {
        self.batch as usize * self.channels as usize * self.size.area() as usize
    }

    /// Numbers in the output of one run.
    pub fn output_len(&self) -> usize {
        self.batch as usize * self.classes as usize * self.output_size.area() as usize
    }
}

/// Type of the numbers in a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 64-bit float. Numbers are widened on the way in and narrowed on the way out.
    F64,
    /// 8-bit unsigned integer. As an input it takes raw pixel values: numbers are rounded and clamped to 0..=255.
    U8,
    /// 64-bit integer: labels, as an output.
    I64,
    /// 32-bit integer: labels, as an output.
    I32,
    /// 16-bit integer: labels, as an output.
    I16,
    /// 8-bit integer: labels, as an output.
    I8,
    /// 64-bit unsigned integer: labels, as an output.
    U64,
    /// 32-bit unsigned integer: labels, as an output.
    U32,
    /// 16-bit unsigned integer: labels, as an output.
    U16,
    /// Truth values: probabilities of 0 and 1, as an output.
    Bool,
    /// Anything else, by its name. It can be looked at but not run.
    Other(String),
}

impl Element {
    /// Whether it holds fractions.
    pub const fn is_float(&self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::F64)
    }

    /// Whether it holds whole numbers, or truth values: labels or decided probabilities, as an output.
    pub const fn is_whole(&self) -> bool {
        !self.is_float() && !matches!(self, Self::Other(_))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F64 => "f64",
            Self::U8 => "u8",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U64 => "u64",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::Bool => "bool",
            Self::Other(name) => name,
        })
    }
}

/// Order of the axes of the image input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channels, rows, columns.
    Nchw,
    /// Batch, rows, columns, channels.
    Nhwc,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Nchw { "nchw" } else { "nhwc" })
    }
}

/// Axes of an output with scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputForm {
    /// Batch, classes, rows, columns.
    Nchw,
    /// Batch, rows, columns, classes.
    Nhwc,
    /// Batch, rows, columns; one class.
    Nhw,
    /// Classes, rows, columns; one image.
    Chw,
    /// Rows, columns, classes; one image.
    Hwc,
    /// Rows, columns; one image and one class.
    Hw,
    /// Batch, classes, pixels: row after row.
    Flat,
    /// Batch, pixels row after row, classes.
    FlatInterleaved,
}

impl OutputForm {
    /// The dimensions of an output of this form.
    pub fn dims(self, batch: u32, classes: u32, size: Size) -> Vec<u64> {
        let (n, c, h, w) =
            (u64::from(batch), u64::from(classes), u64::from(size.height), u64::from(size.width));
        match self {
            Self::Nchw => vec![n, c, h, w],
            Self::Nhwc => vec![n, h, w, c],
            Self::Nhw => vec![n, h, w],
            Self::Chw => vec![c, h, w],
            Self::Hwc => vec![h, w, c],
            Self::Hw => vec![h, w],
            Self::Flat => vec![n, c, h * w],
            Self::FlatInterleaved => vec![n, h * w, c],
        }
    }

    /// Whether `dims` are those of an output of this form, but for axes of length 1, which move no number.
    pub fn fits(self, dims: &[u64], batch: u32, classes: u32, size: Size) -> bool {
        let long = |dims: &[u64]| dims.iter().copied().filter(|&dim| dim != 1).collect::<Vec<_>>();
        long(dims) == long(&self.dims(batch, classes, size))
    }

    /// Whether the classes are the innermost axis, so that reading it as planes needs a transpose.
    pub fn is_interleaved(self) -> bool {
        matches!(self, Self::Nhwc | Self::Hwc | Self::FlatInterleaved)
    }

    /// Whether it has a batch axis; without one only a single image can be run at a time.
    pub fn has_batch(self) -> bool {
        matches!(self, Self::Nchw | Self::Nhwc | Self::Nhw | Self::Flat | Self::FlatInterleaved)
    }
}

impl fmt::Display for OutputForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nchw => "[n, C, H, W]",
            Self::Nhwc => "[n, H, W, C]",
            Self::Nhw => "[n, H, W]",
            Self::Chw => "[C, H, W]",
            Self::Hwc => "[H, W, C]",
            Self::Hw => "[H, W]",
            Self::Flat => "[n, C, H·W]",
            Self::FlatInterleaved => "[n, H·W, C]",
        })
    }
}
