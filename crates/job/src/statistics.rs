//! What was measured of an image's bands, as they are stored.

use crate::{Measure, hash};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 2;

/// Of one band, in sample values: a sample becomes `(v − offset) / spread`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BandStatistics {
    /// The mean, or the least value that counts.
    pub offset: f64,
    /// The standard deviation, or by how much the greatest value that counts is above the least.
    pub spread: f64,
}

/// What was measured of one image in one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredBands {
    /// How.
    pub measure: Measure,
    /// Band by band; then, of an image of three bands, of its luma.
    pub bands: Vec<BandStatistics>,
}

/// The statistics of one image: computed once, and the same bits for everyone who reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageStatistics {
    version: u32,
    /// Key of the image.
    image: String,
    /// One for each way in which members want it measured.
    measured: Vec<MeasuredBands>,
    /// Of all of the above: half an object is not taken for one.
    sha256: String,
}

/// Statistics that cannot be used; they are computed again.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// They are no JSON of this form.
    #[error("the image's statistics cannot be read")]
    Form(#[from] serde_json::Error),
    /// They are of another version or image, or damaged.
    #[error("the stored statistics are not those of image {0}")]
    Foreign(String),
}

impl ImageStatistics {
    /// The statistics of the image whose key is `image`.
    pub fn new(image: &str, measured: Vec<MeasuredBands>) -> Self {
        let sha256 = digest(image, &measured);
        Self { version: VERSION, image: image.to_owned(), measured, sha256 }
    }

    /// What was measured.
    pub fn measured(&self) -> &[MeasuredBands] {
        &self.measured
    }

    /// What is stored.
    ///
    /// # Panics
    /// Never: numbers and texts become JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts become JSON")
    }

    /// The statistics in `bytes`, if they are those of the image whose key is `image`.
    ///
    /// # Errors
    /// When they are of another version or image, or damaged.
    pub fn from_bytes(bytes: &[u8], image: &str) -> Result<Self, StatisticsError> {
        let read: Self = serde_json::from_slice(bytes)?;
        let same =
            read.version == VERSION && read.image == image && read.sha256 == digest(image, &read.measured);
        if same { Ok(read) } else { Err(StatisticsError::Foreign(image.to_owned())) }
    }
}

fn digest(image: &str, measured: &[MeasuredBands]) -> String {
    let mut numbers = Vec::new();
    for MeasuredBands { measure, bands } in measured {
        numbers.extend(serde_json::to_vec(measure).expect("words and numbers become JSON"));
        for band in bands {
            numbers.extend(band.offset.to_bits().to_le_bytes());
            numbers.extend(band.spread.to_bits().to_le_bytes());
        }
    }
    hash(&[image.as_bytes(), &numbers])[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measured;
    use proptest::prelude::*;

    fn measured(numbers: &[(f64, f64)]) -> Vec<MeasuredBands> {
        let bands = numbers.iter().map(|&(offset, spread)| BandStatistics { offset, spread }).collect();
        vec![MeasuredBands { measure: Measured::STANDARD.measure(None), bands }]
    }

    proptest! {
        /// Every bit comes back: scores hang on them.
        #[test]
        fn bits_survive(numbers in prop::collection::vec((any::<f64>(), any::<f64>()), 1..5)) {
            prop_assume!(numbers.iter().all(|(a, b)| a.is_finite() && b.is_finite()));
            let all = measured(&numbers);
            let stored = ImageStatistics::new("k", all.clone()).to_bytes();
            let read = ImageStatistics::from_bytes(&stored, "k").unwrap();
            for (a, b) in read.measured()[0].bands.iter().zip(&all[0].bands) {
                prop_assert_eq!(
                    (a.offset.to_bits(), a.spread.to_bits()),
                    (b.offset.to_bits(), b.spread.to_bits())
                );
            }
        }
    }

    #[test]
    fn what_is_of_another_image_or_damaged_is_not_used() {
        let stored = ImageStatistics::new("k", measured(&[(12.5, 3.0)])).to_bytes();
        assert!(ImageStatistics::from_bytes(&stored, "other").is_err());
        assert!(ImageStatistics::from_bytes(&stored[..stored.len() - 3], "k").is_err());
        let text = String::from_utf8(stored).unwrap();
        assert!(ImageStatistics::from_bytes(text.replace("12.5", "12.6").as_bytes(), "k").is_err());
        assert!(ImageStatistics::from_bytes(text.replace("meanstd", "max").as_bytes(), "k").is_err());
        assert!(
            ImageStatistics::from_bytes(text.replace("\"version\":2", "\"version\":1").as_bytes(), "k")
                .is_err()
        );
    }
}
