//! Jobs of two passes: outputs whose decisions hang on all images, which are counted first.

use super::corrected_labels::CorrectedLabels;
use super::job::JobSpec;
use super::masks::{MaskForm, MaskFormat, MaskLook};
use super::nights::Nights;
use super::output::Output;
use super::pseudo_labels::{Choose, KeepRule, PseudoLabels};
use super::settings::Tiles;
use marquetry_ensemble::ConfidenceCounts;

impl JobSpec {
    /// The first pass of a job of which outputs need the pixels of all images before they decide: the same scores, and
    /// outputs that only count. Its tiles stay for the second pass. `None` where one pass is enough.
    ///
    /// What it counts hangs on no key of the outputs, so other shares find it done.
    pub fn survey(&self) -> Option<Self> {
        let mut outputs: Vec<Output> = Vec::new();
        for counting in self.outputs.iter().filter_map(Output::counting) {
            if !outputs.contains(&counting) {
                outputs.push(counting);
            }
        }
        let tiles = Tiles { keep: true, ..self.tiles };
        let nights = Nights { keep: 0 };
        (!outputs.is_empty()).then(|| Self { outputs, nights, tiles, ..self.clone() })
    }

    /// The second pass, in which every decision that hung on all images is made: by how sure the ensemble is of the pixels of each
    /// class, and by what is `usual` of labels.
    #[must_use]
    pub fn settled(&self, counts: &ConfidenceCounts, usual: &str) -> Self {
        let settle = |output: &Output| match output {
            Output::PseudoLabels(pseudo) if pseudo.needs_counts() => {
                Output::PseudoLabels(pseudo.settled(counts))
            }
            Output::CorrectedLabels(corrected) if corrected.needs_survey() => {
                Output::CorrectedLabels(CorrectedLabels {
                    usual: Some(usual.to_owned()),
                    ..corrected.clone()
                })
            }
            other => other.clone(),
        };
        Self { outputs: self.outputs.iter().map(settle).collect(), ..self.clone() }
    }
}

impl Output {
    /// What counts all images for it, where it decides by them and has not yet.
    fn counting(&self) -> Option<Self> {
        match self {
            Self::PseudoLabels(pseudo) if pseudo.needs_counts() => Some(Self::PseudoLabels(PseudoLabels {
                form: MaskForm { format: MaskFormat::Png, look: MaskLook::Palette },
                keep: KeepRule::Share { share: 1.0, least: 0.0, most: 1.0 },
                choose: Choose::Label,
                min_pixels: 0,
                agreement: 0.0,
                file: "survey".to_owned(),
            })),
            Self::CorrectedLabels(corrected) if corrected.needs_survey() => {
                Some(Self::CorrectedLabels(CorrectedLabels::counting()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(output: &str) -> JobSpec {
        let text = format!(
            "version: 1\nimages: i\nclasses: [a, b, c]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}, {output}]\n"
        );
        JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn thresholds(spec: &JobSpec) -> &[f32] {
        match &spec.outputs[1] {
            Output::PseudoLabels(PseudoLabels { keep: KeepRule::Threshold(thresholds), .. }) => thresholds,
            other => panic!("{other:?}"),
        }
    }

    /// Ten pixels of `b`, whose confidences are those of the golden values; none of `c`.
    fn counts() -> ConfidenceCounts {
        let mut counts = ConfidenceCounts::new(3);
        [0.95, 0.9, 0.8, 0.6, 0.55, 0.99, 0.7, 0.5, 0.85, 0.65].iter().for_each(|p| counts.add(1, *p));
        (0..4).for_each(|_| counts.add(0, 0.999));
        counts
    }

    #[test]
    fn thresholds_that_are_said_need_no_survey() {
        let spec = job("{pseudo_labels: png}");
        assert_eq!((spec.survey(), thresholds(&spec)), (None, &[0.9; 3][..]));
        let spec = job("{pseudo_labels: png, thresholds: {a: 0.99, c: 0.5}}");
        assert_eq!((spec.survey(), thresholds(&spec)), (None, &[0.99, 0.9, 0.5][..]));
    }

    #[test]
    fn thresholds_follow_from_all_pixels() {
        let near = |output: &str, wanted: [f32; 3]| {
            let spec = job(output);
            let survey = spec.survey().expect("it counts first");
            assert!(survey.tiles.keep && survey.outputs.len() == 1 && survey.survey().is_some());
            assert_eq!(
                survey,
                job("{pseudo_labels: tiff, rule: median}").survey().unwrap(),
                "whatever the rule"
            );
            assert_eq!(JobSpec::parse(&survey.to_yaml()).unwrap(), survey);
            let settled = spec.settled(&counts(), "what is usual");
            assert_eq!(JobSpec::parse(&settled.to_yaml()).unwrap(), settled, "to the last digit");
            assert_eq!(settled.survey(), None);
            let found = thresholds(&settled);
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 2.5e-4), "{output}: {found:?}");
        };
        near("{pseudo_labels: png, share: 0.2, least: 0, most: 1}", [1.0, 0.95, 1.0]);
        near("{pseudo_labels: png, share: 0.5, least: 0, most: 1}", [0.999, 0.8, 1.0]);
        near("{pseudo_labels: png, rule: share}", [0.95, 0.8, 0.95]);
        near("{pseudo_labels: png, share: 0.9}", [0.95, 0.6, 0.95]);
        near("{pseudo_labels: png, rule: median}", [0.9, 0.7, 0.9]);
        near("{pseudo_labels: png, rule: median, most: 0.6}", [0.6, 0.6, 0.6]);
        near("{pseudo_labels: png, min_pixels: 4}", [0.9, 0.85, 0.9]);
        near("{pseudo_labels: png, rule: share, share: 0.1, min_pixels: 6}", [0.95, 0.7, 0.95]);
    }

    #[test]
    fn labels_are_corrected_by_what_is_usual() {
        let text = "version: 1\nimages: i\nclasses: [a, b, c]\nmembers: [{onnx: m.onnx}]\ntruth: t\noutputs: [{corrected_labels: tiff, \
                    probability: 0.95}, {pseudo_labels: png, rule: share}]\n";
        let spec = JobSpec::parse(text).unwrap();
        let survey = spec.survey().expect("it counts first");
        assert_eq!(survey.outputs.len(), 2, "one for each");
        assert_eq!(JobSpec::parse(&survey.to_yaml()).unwrap(), survey);
        let settled = spec.settled(&counts(), r#"{"images":3}"#);
        assert_eq!((settled.survey(), JobSpec::parse(&settled.to_yaml()).unwrap()), (None, settled.clone()));
        let Output::CorrectedLabels(corrected) = &settled.outputs[0] else { panic!("it is one") };
        assert_eq!((corrected.usual.as_deref(), corrected.probability), (Some(r#"{"images":3}"#), 0.95));
    }
}
