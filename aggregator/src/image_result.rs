//! What a finished image leaves behind for the end of the job.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use marquetry_ensemble::ConfidenceCounts;
use marquetry_evaluation::ImageCounts;
use marquetry_job::{RegionForwards, hash};
use marquetry_region::Finding;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VERSION: u32 = 1;

/// What one image adds to the tables and to the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageResult {
    version: u32,
    /// The image's id.
    pub image_id: String,
    /// Pixels of each class. Classes that do not exclude each other may share pixels.
    pub class_pixels: Vec<u64>,
    /// Pixels whose scores are missing, because blocks were given up.
    pub missing_pixels: u64,
    /// Mean over pixels of the greatest share of a class (multi-label: of the distance from one half, doubled).
    pub confidence: f64,
    /// What the image adds to each table: the output's number among the job's outputs, and the text.
    #[serde(rename = "pieces")]
    pub table_rows: BTreeMap<usize, String>,
    /// PNG files in base64: image, mask, confidence.
    pictures: Option<[String; 3]>,
    /// What was counted of it beside its truth, if it is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<ImageCounts>,
    /// Whether its truth would agree better, or worse, with rows taken for columns; nothing where it is not evaluated, no
    /// square, or the same either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits_turned: Option<bool>,
    /// What its region has left of it, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionCounts>,
    /// How it was computed in rounds, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cascade: Option<CascadeCounts>,
    /// What the gate says of it, where the job has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateCounts>,
    /// What is not as it should be, though the outputs are whole: `no picture: …`, `no georeference: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Of each output of pseudo-labels, by its number among the job's outputs: pixels of each class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<usize, KeptPixels>,
    /// In base64: how sure the ensemble is of the pixels of each class, where thresholds hang on that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidences: Option<String>,
}

/// What the region of an image has left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionCounts {
    /// Whether it is what was asked for, or the whole image, and why.
    pub finding: Finding,
    /// Model runs of one window each: those of its windows, and those of all.
    pub forwards: RegionForwards,
    /// Pixels outside, whose class is stated; missing ones are not among them.
    pub skipped_pixels: u64,
    /// What of the truth lies outside, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<TruthOutside>,
}

/// How an image was computed in rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CascadeCounts {
    /// Model runs of one window each: those that were made, and those that all members would have made.
    pub forwards: RegionForwards,
    /// Unsure pixels: all members have looked at them, but for the next ones.
    pub unsure_pixels: u64,
    /// Unsure pixels that have the scores of the first round all the same, since blocks of the others were given up.
    #[serde(default, skip_serializing_if = "is_none")]
    pub first_alone: u64,
    /// Whether the members after the first round were left out, since blocks of the first one were given up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// How right the first round is where it is sure, where the truth is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<SureTruth>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none(pixels: &u64) -> bool {
    *pixels == 0
}

/// What the gate says of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateCounts {
    /// For each class the probability that the image has it; nothing where no model speaks of it.
    pub probabilities: Vec<Option<f64>>,
    /// For each class whether it is denied.
    pub denied: Vec<bool>,
    /// Pixels of each class in the truth, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<Vec<u64>>,
}

/// How right members are where they are sure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SureTruth {
    /// Sure pixels of which the truth is known.
    pub sure: u64,
    /// Those of them whose label is another.
    pub wrong: u64,
}

/// How much of the truth lies outside of a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthOutside {
    /// Pixels of the truth that are of any class but the one that is stated outside.
    pub foreground: u64,
    /// Those of them that are skipped.
    pub outside: u64,
}

/// Pixels of each class that have a label, and those of them that are kept as pseudo-labels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPixels {
    /// Up for keeping.
    pub labelled: Vec<u64>,
    /// Kept.
    pub kept: Vec<u64>,
}

/// The second line of a stored result: what it is to be found as.
fn check_of(json: &[u8]) -> String {
    hash(&[json])[..16].to_owned()
}

/// What was stored is not the result of an image in this version's form.
#[derive(Debug, thiserror::Error)]
pub enum ImageResultError {
    /// It is no JSON of this form.
    #[error("the result of an image cannot be read: {0}; delete it, and run the job again")]
    Json(#[from] serde_json::Error),
    /// Its counts are none.
    #[error(
        "the counts of confidence in the result of an image cannot be read; delete it, and run the job again"
    )]
    Counts,
    /// It is not as it was stored.
    #[error("the result of an image is damaged; delete it, and run the job again")]
    Damaged,
    /// Another version of Marquetry wrote it.
    #[error("the result of an image cannot be read: version {0}; delete it, and run the job again")]
    Version(u32),
}

impl ImageResult {
    /// The result of an image of which nothing is known yet.
    pub fn new(image_id: &str) -> Self {
        Self {
            version: VERSION,
            image_id: image_id.to_owned(),
            class_pixels: Vec::new(),
            missing_pixels: 0,
            confidence: 0.0,
            table_rows: BTreeMap::new(),
            pictures: None,
            evaluation: None,
            fits_turned: None,
            region: None,
            cascade: None,
            gate: None,
            warnings: Vec::new(),
            kept: BTreeMap::new(),
            confidences: None,
        }
    }

    /// Sets the PNG files of the image, its mask and its confidence.
    pub fn set_pictures(&mut self, pictures: &[Vec<u8>; 3]) {
        self.pictures = Some(std::array::from_fn(|i| BASE64_STANDARD.encode(&pictures[i])));
    }

    /// Sets how sure the ensemble is of the pixels of each class.
    pub fn set_confidences(&mut self, counts: &ConfidenceCounts) {
        self.confidences = Some(BASE64_STANDARD.encode(counts.to_bytes()));
    }

    /// How sure the ensemble is of the pixels of each of `classes` classes, if that was counted.
    ///
    /// # Errors
    /// When what is stored is something else.
    pub fn confidences(&self, classes: usize) -> Result<Option<ConfidenceCounts>, ImageResultError> {
        let Some(text) = &self.confidences else { return Ok(None) };
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| ImageResultError::Counts)?;
        ConfidenceCounts::from_bytes(&bytes, classes).map(Some).map_err(|_| ImageResultError::Counts)
    }

    /// The PNG files of the image, its mask and its confidence, if it has a place in the report.
    pub fn pictures(&self) -> Option<[Vec<u8>; 3]> {
        let texts = self.pictures.as_ref()?;
        let mut decoded = texts.iter().filter_map(|t| BASE64_STANDARD.decode(t).ok());
        Some([decoded.next()?, decoded.next()?, decoded.next()?])
    }

    /// Its bytes, as [`from_bytes`](Self::from_bytes) reads them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("numbers and texts become JSON");
        let check = check_of(&bytes);
        bytes.push(b'\n');
        bytes.extend(check.into_bytes());
        bytes
    }

    /// Reads a result.
    ///
    /// # Errors
    /// When it is not one of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImageResultError> {
        // Those of earlier days have no second line.
        let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
        let (json, check) = (lines.next().unwrap_or_default(), lines.next());
        if check.is_some_and(|check| check != check_of(json).as_bytes()) {
            return Err(ImageResultError::Damaged);
        }
        let result: Self = serde_json::from_slice(json)?;
        if result.version == VERSION { Ok(result) } else { Err(ImageResultError::Version(result.version)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What version 1 wrote before there were warnings, to the byte.
    const STORED: &str = concat!(
        r#"{"version":1,"image_id":"a/b","class_pixels":[3,1],"missing_pixels":2,"confidence":0.75,"#,
        r#""pieces":{"1":"rows"},"pictures":["aQ==","bQ==","Yw=="]}"#
    );

    #[test]
    fn the_stored_form_stays() {
        let mut result = ImageResult::new("a/b");
        (result.class_pixels, result.missing_pixels, result.confidence) = (vec![3, 1], 2, 0.75);
        result.table_rows.insert(1, "rows".into());
        result.set_pictures(&[b"i".to_vec(), b"m".to_vec(), b"c".to_vec()]);
        let stored = String::from_utf8(result.to_bytes()).unwrap();
        assert_eq!(stored.split_once('\n').map(|(json, check)| (json, check.len())), Some((STORED, 16)));
        assert_eq!(ImageResult::from_bytes(STORED.as_bytes()).unwrap(), result);
        assert_eq!(result.pictures().unwrap()[2], b"c");
        result.warnings.push("no picture: it was replaced".into());
        assert_eq!(ImageResult::from_bytes(&result.to_bytes()).unwrap(), result);

        let mut counts = ConfidenceCounts::new(2);
        [0.5, 0.75, 0.75].iter().for_each(|p| counts.add(1, *p));
        assert_eq!(result.confidences(2).unwrap(), None);
        result.set_confidences(&counts);
        result.kept.insert(0, KeptPixels { labelled: vec![3, 1], kept: vec![2, 0] });
        let stored = String::from_utf8(result.to_bytes()).unwrap();
        let text = stored.lines().next().unwrap();
        let added = r#""kept":{"0":{"labelled":[3,1],"kept":[2,0]}},"confidences":"AgACgBAB/wcC"}"#;
        assert!(text.ends_with(added), "{text}");
        let read = ImageResult::from_bytes(text.as_bytes()).unwrap();
        assert_eq!((read.confidences(2).unwrap(), read.kept), (Some(counts), result.kept.clone()));
        assert!(result.confidences(3).is_err(), "of other classes");
    }

    #[test]
    fn what_is_damaged_is_no_result() {
        let mut result = ImageResult::new("a");
        result.table_rows.insert(1, "rows of a table\n".into());
        let stored = result.to_bytes();
        for at in 0..stored.len() {
            for bit in 0..8 {
                let mut bytes = stored.clone();
                bytes[at] ^= 1 << bit;
                assert!(ImageResult::from_bytes(&bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let later = STORED.replacen('1', "2", 1);
        for (bytes, words) in [(later.as_str(), "version 2"), ("{}", "version"), ("no", "expected")] {
            let error = ImageResult::from_bytes(bytes.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words) && error.ends_with("run the job again"), "{error}");
        }
    }
}
