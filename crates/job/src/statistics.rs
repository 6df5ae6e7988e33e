//! Mean and standard deviation of an image's bands, as they are stored.

use crate::hash;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// Of one band over the whole image, in sample values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BandStatistics {
    /// Σ v / n
    pub mean: f64,
    /// √(Σ v² / n − mean²): of the population.
    pub std: f64,
}

/// The statistics of one image: computed once, and the same bits for everyone who reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageStatistics {
    version: u32,
    /// Key of the image.
    image: String,
    /// Band by band.
    bands: Vec<BandStatistics>,
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
    pub fn new(image: &str, bands: Vec<BandStatistics>) -> Self {
        let sha256 = digest(image, &bands);
        Self { version: VERSION, image: image.to_owned(), bands, sha256 }
    }

    /// Band by band.
    pub fn bands(&self) -> &[BandStatistics] {
        &self.bands
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
            read.version == VERSION && read.image == image && read.sha256 == digest(image, &read.bands);
        if same { Ok(read) } else { Err(StatisticsError::Foreign(image.to_owned())) }
    }
}

fn digest(image: &str, bands: &[BandStatistics]) -> String {
    let numbers: Vec<u8> = bands
        .iter()
        .flat_map(|b| [b.mean.to_bits().to_le_bytes(), b.std.to_bits().to_le_bytes()])
        .flatten()
        .collect();
    hash(&[image.as_bytes(), &numbers])[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every bit comes back: scores hang on them.
        #[test]
        fn bits_survive(numbers in prop::collection::vec((any::<f64>(), any::<f64>()), 1..5)) {
            prop_assume!(numbers.iter().all(|(a, b)| a.is_finite() && b.is_finite()));
            let bands: Vec<_> = numbers.iter().map(|&(mean, std)| BandStatistics { mean, std }).collect();
            let stored = ImageStatistics::new("k", bands.clone()).to_bytes();
            let read = ImageStatistics::from_bytes(&stored, "k").unwrap();
            for (a, b) in read.bands().iter().zip(&bands) {
                prop_assert_eq!((a.mean.to_bits(), a.std.to_bits()), (b.mean.to_bits(), b.std.to_bits()));
            }
        }
    }

    #[test]
    fn what_is_of_another_image_or_damaged_is_not_used() {
        let stored = ImageStatistics::new("k", vec![BandStatistics { mean: 12.5, std: 3.0 }]).to_bytes();
        assert!(ImageStatistics::from_bytes(&stored, "other").is_err());
        assert!(ImageStatistics::from_bytes(&stored[..stored.len() - 3], "k").is_err());
        let text = String::from_utf8(stored).unwrap();
        assert!(ImageStatistics::from_bytes(text.replace("12.5", "12.6").as_bytes(), "k").is_err());
        assert!(
            ImageStatistics::from_bytes(text.replace("\"version\":1", "\"version\":2").as_bytes(), "k")
                .is_err()
        );
    }
}
