//! Which part of a file is the image, and which of its pixels are none.

use serde::{Deserialize, Serialize};

/// What a job says of how its files become images. Nothing said: what a file says of itself counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The page that is the image, counted from 0.
    pub page: Option<u32>,
    /// What pages are, where none is named.
    pub pages: Pages,
    /// What an alpha band is.
    pub alpha: Alpha,
    /// Which value stands for no data.
    pub nodata: Nodata,
    /// The bands that the job uses, ascending, counted from 0; all of them if not given. Others do not make a pixel a
    /// missing one.
    pub bands: Option<Vec<u16>>,
}

/// What the pages of a file are to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pages {
    /// Bands, where the file's metadata says that they are channels; else other images, of which the first counts.
    #[default]
    Auto,
    /// Bands of one image, whatever the metadata says.
    Bands,
}

/// What a band that a file calls alpha is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alpha {
    /// A band where the job names it by number, else nothing.
    #[default]
    Auto,
    /// A band like any other.
    Band,
    /// Nothing.
    Drop,
    /// What says which pixels are missing: those where it is 0.
    Nodata,
}

/// Which value stands for no data. What is no finite number, or too great to be a measurement, does so always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nodata {
    /// The one that the file names, if it does.
    #[default]
    Auto,
    /// None.
    None,
    /// This one, in sample values.
    Value(f64),
}
