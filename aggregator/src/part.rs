//! What a finished image leaves behind for the end of the job.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VERSION: u32 = 1;

/// One image's part of the submission and of the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    version: u32,
    /// The image's id.
    pub image_id: String,
    /// Pixels of each class. Classes that do not exclude each other may share pixels.
    pub class_pixels: Vec<u64>,
    /// Pixels whose scores are missing, because blocks were given up.
    pub missing_pixels: u64,
    /// Mean over pixels of the greatest probability (multi-label: of the distance from one half, doubled).
    pub confidence: f64,
    /// What the image adds to each table: the output's number among the job's outputs, and the text.
    pub pieces: BTreeMap<usize, String>,
    /// PNG files in base64: image, mask, confidence.
    pictures: Option<[String; 3]>,
}

/// A part that is not one of this version's.
#[derive(Debug, thiserror::Error)]
#[error("the part of an image cannot be read: {0}; delete it, and run the job again")]
pub struct PartError(String);

impl Part {
    /// A part of nothing yet.
    pub fn new(image_id: &str) -> Self {
        Self {
            version: VERSION,
            image_id: image_id.to_owned(),
            class_pixels: Vec::new(),
            missing_pixels: 0,
            confidence: 0.0,
            pieces: BTreeMap::new(),
            pictures: None,
        }
    }

    /// Sets the PNG files of the image, its mask and its confidence.
    pub fn set_pictures(&mut self, pictures: &[Vec<u8>; 3]) {
        self.pictures = Some(std::array::from_fn(|i| BASE64_STANDARD.encode(&pictures[i])));
    }

    /// The PNG files of the image, its mask and its confidence, if it has a place in the report.
    pub fn pictures(&self) -> Option<[Vec<u8>; 3]> {
        let texts = self.pictures.as_ref()?;
        let mut decoded = texts.iter().filter_map(|t| BASE64_STANDARD.decode(t).ok());
        Some([decoded.next()?, decoded.next()?, decoded.next()?])
    }

    /// Its bytes, as [`from_bytes`](Self::from_bytes) reads them.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts become JSON")
    }

    /// Reads a part.
    ///
    /// # Errors
    /// When it is not one of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PartError> {
        let part: Self = serde_json::from_slice(bytes).map_err(|e| PartError(e.to_string()))?;
        if part.version == VERSION { Ok(part) } else { Err(PartError(format!("version {}", part.version))) }
    }
}
