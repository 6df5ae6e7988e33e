//! What sample values are multiplied by before a model sees them.

use serde::{Deserialize, Serialize};

/// The range that samples are brought to. Floats have no full value: they stay as they are, but for a factor that is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Times this, whatever the depth.
    Factor(f64),
    /// To 0..1: 1/255 for 8 bits, 1/65535 for 16.
    #[default]
    Unit,
    /// To 0..255: 8 bits as they are, 255/65535 for 16.
    Bytes,
}

impl Scale {
    /// The factor on samples whose full value is `full`; `None` for floats, which have none.
    pub fn factor(self, full: Option<f64>) -> f64 {
        match (self, full) {
            (Self::Factor(factor), _) => factor,
            (Self::Unit, Some(full)) => 1.0 / full,
            (Self::Bytes, Some(full)) => 255.0 / full,
            (Self::Unit | Self::Bytes, None) => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scale;

    #[test]
    fn full_is_1_or_255_whatever_the_depth() {
        for full in [255.0, 4095.0, 65_535.0] {
            assert!((Scale::Unit.factor(Some(full)) * full - 1.0).abs() < 1e-12);
            assert!((Scale::Bytes.factor(Some(full)) * full - 255.0).abs() < 1e-9);
            assert_eq!(Scale::Factor(0.5).factor(Some(full)), 0.5);
        }
        assert_eq!(Scale::Bytes.factor(Some(255.0)), 1.0, "8 bits are left as they are, to the bit");
        assert_eq!([Scale::Unit, Scale::Bytes].map(|scale| scale.factor(None)), [1.0, 1.0]);
    }
}
