//! How much the prediction speaks against the label of one pixel.

/// Steps of evidence in a nat.
pub(crate) const STEPS: u64 = 25;

/// A label's probability counts as no less: beyond, members are sure of what they cannot know.
const LEAST: f32 = 1e-4;

/// `ln(p / p_label)` of the predicted class, in steps of 1/25 nat: 0 to 9.2 nats, in a byte.
pub(crate) fn evidence(predicted: f32, label: f32) -> u8 {
    let nats = (f64::from(predicted) / f64::from(label.max(LEAST))).ln();
    // A cast takes what is below 0 for 0.
    (nats * STEPS as f64 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::evidence;

    #[test]
    fn a_byte_of_nats() {
        assert_eq!(evidence(0.5, 0.5), 0);
        assert_eq!(evidence(0.75, 0.25), 27, "ln 3");
        assert_eq!(evidence(1.0, 0.0), 230, "ln 10,000");
        assert_eq!(evidence(0.4, 0.5), 0);
    }
}
