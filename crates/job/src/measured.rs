//! Normalisation by what is measured of an image or a window.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Samples become `(v − offset) / spread`, of which both are measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Of what they are measured.
    pub per: Per,
    /// Whether each band has its own, or all have the same.
    pub over: Over,
    /// Which samples count.
    pub mask: Mask,
    /// What they are.
    pub by: By,
    /// Whether what comes out is cut to 0..1.
    pub clip: bool,
}

impl Measured {
    /// Mean and standard deviation of each band of the whole image.
    pub const STANDARD: Self =
        Self { per: Per::Image, over: Over::Bands, mask: Mask::Nodata, by: By::MeanStd, clip: false };

    /// What is to be measured for a model that sees these bands; all of them where none are named.
    pub fn measure(self, bands: Option<&[u16]>) -> Measure {
        let Self { over, mask, by, .. } = self;
        let named = bands.filter(|_| over == Over::All).unwrap_or_default();
        Measure { over, mask, by, among: named.iter().copied().collect() }
    }
}

/// Of what statistics are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// The whole image, whatever part of it is shown.
    Image,
    /// Each window, as it is shown: with its margin, and what fills it but for a constant.
    Window,
}

/// Whether bands are measured apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// Each by itself.
    Bands,
    /// All that the model sees together.
    All,
}

/// Which samples count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mask {
    /// All but those of missing pixels.
    Nodata,
    /// Of these, all that are not 0; a 0 stays 0.
    Nonzero,
}

/// What offset and spread are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The mean, and the standard deviation of the population.
    MeanStd,
    /// 0, and the greatest sample.
    Max,
    /// The least sample, and by how much the greatest is above it.
    MinMax,
    /// The percentile `low`, and by how much the percentile `high` is above it: 0 to 100, exact, between the two nearest
    /// samples in proportion (NumPy's `linear`).
    Percentiles {
        /// The lower one.
        low: f64,
        /// The higher one.
        high: f64,
    },
}

/// What is to be measured of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Whether bands are measured apart.
    pub over: Over,
    /// Which samples count.
    pub mask: Mask,
    /// What is measured.
    pub by: By,
    /// The bands that are measured together; all of them if none are named.
    pub among: BTreeSet<u16>,
}

impl Measure {
    /// Whether a band is among those that are measured together.
    pub fn is_among(&self, band: usize) -> bool {
        self.among.is_empty() || self.among.iter().any(|among| usize::from(*among) == band)
    }
}
