//! Mean and standard deviation in the metadata of a model.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The keys under which exporters write them, in pairs.
const KEYS: [(&str, &str); 8] = [
    ("mean", "std"),
    ("image_mean", "image_std"),
    ("standardization_mean", "standardization_std"),
    ("normalization_mean", "normalization_std"),
    ("norm_mean", "norm_std"),
    ("pixel_mean", "pixel_std"),
    ("input_mean", "input_std"),
    ("img_mean", "img_std"),
];
/// Keys of objects that hold them among other things.
const AROUND: [&str; 5] = ["config", "preprocessor_config", "preprocessing", "img_norm_cfg", "normalize"];

/// What the metadata of a model say of its training's normalisation: numbers for all channels, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatedNormalisation {
    /// Taken off.
    pub mean: Vec<f32>,
    /// Divided by; above 0.
    pub std: Vec<f32>,
    /// Where they stand.
    pub keys: String,
}

impl StatedNormalisation {
    /// The numbers as a job file has them.
    pub fn in_words(&self) -> String {
        format!("mean: {:?}, std: {:?}", self.mean, self.std)
    }

    /// Whether `mean` and `std` are these numbers, be it for samples of 0 to 1 or of 0 to 255.
    pub fn is(&self, mean: &[f32], std: &[f32]) -> bool {
        let at =
            |list: &[f32], place: usize, none: f32| list.get(place).or(list.first()).copied().unwrap_or(none);
        let near = |a: f32, b: f32| (a - b).abs() <= 2e-3 * a.abs().max(b.abs()).max(1e-3);
        let channels =
            [&self.mean[..], &self.std, mean, std].iter().map(|list| list.len()).max().unwrap_or(0);
        [1.0, 255.0, 1.0 / 255.0].into_iter().any(|factor| {
            (0..channels).all(|place| {
                near(at(&self.mean, place, 0.0) * factor, at(mean, place, 0.0))
                    && near(at(&self.std, place, 1.0) * factor, at(std, place, 1.0))
            })
        })
    }
}

/// What the metadata say, where they say both, and that something is done.
pub(crate) fn stated_normalisation(metadata: &BTreeMap<String, String>) -> Option<StatedNormalisation> {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
    let pairs: BTreeMap<String, Value> =
        metadata.iter().map(|(key, text)| (key.to_lowercase(), value(text))).collect();
    let inner = |key: &&str| {
        let fields = pairs.get(*key)?.as_object()?;
        let fields = fields.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).collect();
        among(&fields, &format!("{key}."))
    };
    among(&pairs, "").or_else(|| AROUND.iter().find_map(inner))
}

fn among(pairs: &BTreeMap<String, Value>, before: &str) -> Option<StatedNormalisation> {
    KEYS.iter().find_map(|(mean, std)| {
        let keys = format!("`{before}{mean}`, `{before}{std}`");
        let (mean, std) = (numbers(pairs.get(*mean)?)?, numbers(pairs.get(*std)?)?);
        let does = mean.iter().any(|m| *m != 0.0) || std.iter().any(|s| *s != 1.0);
        (does && std.iter().all(|s| *s > 0.0)).then_some(StatedNormalisation { mean, std, keys })
    })
}

/// One number, or several: as JSON, or with commas or blanks between them.
fn numbers(value: &Value) -> Option<Vec<f32>> {
    let one = |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    match value {
        Value::Number(_) => Some(vec![one(value)?]),
        Value::Array(list) if !list.is_empty() => list.iter().map(one).collect(),
        Value::String(text) => {
            let text = text.trim().trim_matches(['[', ']', '(', ')']);
            let words = text.split([',', ' ']).filter(|word| !word.is_empty());
            let list: Vec<f32> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
            (!list.is_empty() && list.iter().all(|number| number.is_finite())).then_some(list)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Option<StatedNormalisation> {
        stated_normalisation(
            &pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect(),
        )
    }

    #[test]
    fn mean_and_deviation_are_read_as_exporters_write_them() {
        let list = "[0.485, 0.456, 0.406]";
        for (mean, std) in
            [("mean", "std"), ("standardization_mean", "standardization_std"), ("Image_Mean", "image_std")]
        {
            let found = of(&[(mean, list), (std, "0.229,0.224, 0.225")]).unwrap();
            assert_eq!(found.in_words(), "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]");
        }
        let config = of(&[("config", r#"{"image_mean": [0.5], "image_std": 0.25}"#)]).unwrap();
        assert_eq!(
            (config.in_words().as_str(), config.keys.as_str()),
            ("mean: [0.5], std: [0.25]", "`config.image_mean`, `config.image_std`")
        );
        for pairs in [
            &[("mean", list)][..],
            &[("mean", "0"), ("std", "1")],
            &[("mean", "0.5"), ("std", "0")],
            &[("mean", "of all"), ("std", "1")],
        ] {
            assert_eq!(of(pairs), None, "{pairs:?}");
        }
    }

    #[test]
    fn the_same_numbers_are_the_same_for_either_range() {
        let stated = of(&[("mean", "0.485, 0.456, 0.406"), ("std", "0.229, 0.224, 0.225")]).unwrap();
        assert!(stated.is(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]));
        assert!(stated.is(&[123.675, 116.28, 103.53], &[58.395, 57.12, 57.375]));
        assert!(!stated.is(&[0.406, 0.456, 0.485], &[0.229, 0.224, 0.225]), "another order");
        assert!(!stated.is(&[0.5], &[0.5]) && !stated.is(&[], &[]));
        let one = of(&[("mean", "0.5"), ("std", "0.5")]).unwrap();
        assert!(one.is(&[0.5, 0.5, 0.5], &[0.5]));
    }
}
