//! Pseudo-labels of all images together: their table, and how much of each class is kept.

use crate::tables::{number, up_to_outputs};
use crate::{Finished, TableError};
use marquetry_aggregator::{ImageResult, PseudoLabelRow};
use marquetry_spec::{Choose, JobSpec, KeepRule, Output};
use serde::Serialize;
use std::io::Write;

/// The columns of a table of pseudo-labels.
const COLUMNS: [&str; 7] = ["image_id", "path", "label", "weight", "kept_share", "reliability", "source"];
/// What the labels of such a table come from.
const SOURCE: &str = "pseudo";
/// How much more than the share that was asked for may be kept of a class without a word, as a factor.
const OVER: f64 = 1.1;

/// Writes the table `file` below a job's outputs; `rows` has what an image adds to it, and `uri` says where it lies.
pub(crate) fn write_pseudo_labels<'u>(
    out: impl Write,
    file: &str,
    ids: &[String],
    uri: impl Fn(&str) -> &'u str,
    mut rows: impl FnMut(&str) -> std::io::Result<Option<String>>,
) -> Result<(), TableError> {
    let up = up_to_outputs(file);
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS).map_err(std::io::Error::other)?;
    for id in ids {
        let Some(text) = rows(id)? else { continue };
        let row: PseudoLabelRow = serde_json::from_str(&text).map_err(std::io::Error::other)?;
        let weight = row.kept_share * row.reliability.unwrap_or(1.0);
        let record = [
            id.clone(),
            uri(id).to_owned(),
            format!("{up}{}", row.label),
            number(weight),
            number(row.kept_share),
            row.reliability.map(number).unwrap_or_default(),
            SOURCE.to_owned(),
        ];
        table.write_record(record).map_err(std::io::Error::other)?;
    }
    Ok(table.flush()?)
}

/// How much of each class an output of pseudo-labels keeps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptLabels {
    /// Its table.
    pub file: String,
    /// All classes, by label.
    pub classes: Vec<KeptClass>,
    /// Whether a label also needs members that agree on it.
    #[serde(skip)]
    pub needs_agreement: bool,
    /// The share of each class that was asked for, if one was.
    #[serde(skip)]
    asked: Option<AskedShare>,
}

/// A share of each class's pixels that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct AskedShare {
    share: f64,
    /// Highest threshold.
    most: f32,
    /// Fewest pixels of a class.
    min_pixels: u64,
}

impl AskedShare {
    /// What output `number` of `spec` asks for, where labels are those of the job: the others are not those that were counted.
    fn of(spec: &JobSpec, number: usize) -> Option<Self> {
        let Output::PseudoLabels(pseudo) = spec.outputs.get(number)? else { return None };
        match pseudo.keep {
            KeepRule::Share { share, most, .. } if pseudo.choose == Choose::Label => {
                Some(Self { share, most, min_pixels: pseudo.min_pixels })
            }
            _ => None,
        }
    }

    /// Whether more is kept of a class, for no other reason than that many of its pixels are equally sure.
    fn is_passed_by(&self, class: &KeptClass) -> bool {
        let wanted = (class.labelled as f64 * self.share).max(self.min_pixels as f64);
        class.threshold < self.most && class.kept as f64 > wanted * OVER
    }
}

/// How much of a class is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptClass {
    /// Its name.
    pub name: String,
    /// Probability that is enough.
    pub threshold: f32,
    /// Pixels of all images that were up for keeping.
    pub labelled: u64,
    /// Pixels that were kept.
    pub kept: u64,
}

impl KeptClass {
    /// Share of its pixels that is kept.
    pub fn share(&self) -> f64 {
        self.kept as f64 / self.labelled.max(1) as f64
    }
}

impl KeptLabels {
    /// Those of a finished job, whose images came to `results`.
    pub fn of(finished: &Finished<'_>, results: &[Option<ImageResult>]) -> Vec<Self> {
        let outputs = finished.spec.outputs.iter().enumerate();
        let of_output = |(number, output): (usize, &Output)| {
            let Output::PseudoLabels(pseudo) = output else { return None };
            let KeepRule::Threshold(thresholds) = &pseudo.keep else { return None };
            let classes = finished.spec.classes.iter().zip(thresholds);
            let mut classes: Vec<KeptClass> = classes
                .map(|(class, threshold)| KeptClass {
                    name: class.name.clone(),
                    threshold: *threshold,
                    labelled: 0,
                    kept: 0,
                })
                .collect();
            for pixels in results.iter().flatten().filter_map(|result| result.kept.get(&number)) {
                for ((class, labelled), kept) in classes.iter_mut().zip(&pixels.labelled).zip(&pixels.kept) {
                    class.labelled += labelled;
                    class.kept += kept;
                }
            }
            let asked = AskedShare::of(finished.asked, number);
            let needs_agreement = pseudo.agreement > 0.0;
            Some(Self { file: pseudo.file.clone(), classes, needs_agreement, asked })
        };
        outputs.filter_map(of_output).collect()
    }

    /// Share of all pixels that is kept.
    pub fn share(&self) -> f64 {
        let (kept, labelled) =
            self.classes.iter().fold((0, 0), |(kept, all), class| (kept + class.kept, all + class.labelled));
        kept as f64 / labelled.max(1) as f64
    }

    /// One line of how much is kept.
    pub fn line(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let class = |c: &KeptClass| format!("{} {} from {:.3} on", c.name, percent(c.share()), c.threshold);
        let classes: Vec<String> = self.classes.iter().map(class).collect();
        format!("{}: {} of all pixels are kept ({})", self.file, percent(self.share()), classes.join(", "))
    }

    /// The classes that training would not see any more, and those of which it would see more than was asked for.
    pub fn warnings(&self) -> Vec<String> {
        let or_agreement = if self.needs_agreement { " or agreement" } else { "" };
        let vanishes = |class: &KeptClass| match (class.labelled, class.kept) {
            (0, _) => Some(format!("class `{}` is nowhere: no pixel of any image has it", class.name)),
            (pixels, 0) => Some(format!(
                "class `{}` vanishes: of its {pixels} pixels none is kept (threshold {}); lower its threshold{or_agreement}, \
                 or say min_pixels",
                class.name, class.threshold
            )),
            _ => None,
        };
        let too_many = |class: &KeptClass| {
            let asked = self.asked.filter(|asked| asked.is_passed_by(class))?;
            Some(format!(
                "class `{}`: {:.1} % of its pixels are kept, where share asks for {:.1} %: so many are as sure as its threshold ({:.4}), \
                 and of equally sure ones all are kept; to keep fewer, say rule: threshold with a higher one, or agreement",
                class.name,
                class.share() * 100.0,
                asked.share * 100.0,
                class.threshold
            ))
        };
        let words = self.classes.iter().flat_map(|class| vanishes(class).into_iter().chain(too_many(class)));
        words.map(|words| format!("{}: {words}", self.file)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_as_it_is() {
        let row = |id: &str, reliability| {
            let label = format!("pseudo_labels/{id}.png");
            serde_json::to_string(&PseudoLabelRow { label, kept_share: 0.5, reliability }).unwrap()
        };
        let ids = ["a,b", "lost", "c"].map(str::to_owned);
        let write = |file: &str| {
            let mut out = Vec::new();
            let rows = |id: &str| {
                Ok(match id {
                    "lost" => None,
                    "c" => Some(row(id, Some(0.25))),
                    _ => Some(row(id, None)),
                })
            };
            let uri = |id: &str| if id == "c" { "/data/c.png" } else { "/data/a,b.png" };
            write_pseudo_labels(&mut out, file, &ids, uri, rows).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            write("lists/p.csv"),
            "image_id,path,label,weight,kept_share,reliability,source\n\
             \"a,b\",\"/data/a,b.png\",\"../pseudo_labels/a,b.png\",0.500000,0.500000,,pseudo\n\
             c,/data/c.png,../pseudo_labels/c.png,0.125000,0.500000,0.250000,pseudo\n"
        );
        assert!(write("p.csv").contains(",pseudo_labels/c.png,"));
    }

    #[test]
    fn a_class_that_vanishes_is_told() {
        let class =
            |name: &str, labelled, kept| KeptClass { name: name.into(), threshold: 0.9, labelled, kept };
        let all = KeptLabels {
            file: "p.csv".into(),
            classes: vec![class("a", 6, 3), class("b", 4, 0), class("c", 0, 0)],
            needs_agreement: false,
            asked: None,
        };
        assert_eq!(
            all.line(),
            "p.csv: 30.0 % of all pixels are kept (a 50.0 % from 0.900 on, b 0.0 % from 0.900 on, c 0.0 % from 0.900 on)"
        );
        let warnings = all.warnings();
        assert!(warnings.len() == 2 && warnings[0].starts_with("p.csv: class `b` vanishes"), "{warnings:?}");
        assert!(warnings[1].contains("`c` is nowhere"), "{warnings:?}");
        assert!(warnings[0].ends_with("lower its threshold, or say min_pixels"), "{warnings:?}");
        let warnings = KeptLabels { needs_agreement: true, ..all }.warnings();
        assert!(warnings[0].ends_with("lower its threshold or agreement, or say min_pixels"), "{warnings:?}");
    }
    /// A model that is certain of most pixels: those that are as sure as the threshold are many, and all are kept.
    #[test]
    fn more_than_the_share_that_was_asked_for_is_told() {
        let class =
            |name: &str, threshold, kept| KeptClass { name: name.into(), threshold, labelled: 1000, kept };
        let kept = |classes, output: &str| {
            let text = format!(
                "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{output}]\n"
            );
            let asked = AskedShare::of(&JobSpec::parse(&text).unwrap(), 0);
            KeptLabels { file: "p.csv".into(), classes, needs_agreement: false, asked }.warnings()
        };
        let both = || vec![class("a", 0.9998, 850), class("b", 0.7, 219)];
        let told = kept(both(), "{pseudo_labels: png, share: 0.2, most: 1}");
        assert_eq!(told.len(), 1, "{told:?}");
        let words = "p.csv: class `a`: 85.0 % of its pixels are kept, where share asks for 20.0 %: so many are as sure";
        assert!(told[0].starts_with(words) && told[0].contains("(0.9998)"), "{told:?}");
        // The job asks for it otherwise: a highest threshold, fewest pixels, a label of its own, a median.
        for output in [
            "{pseudo_labels: png, share: 0.2, most: 0.7}",
            "{pseudo_labels: png, share: 0.2, most: 1, min_pixels: 800}",
            "{pseudo_labels: png, share: 0.2, most: 1, choose: ratio}",
            "{pseudo_labels: png, rule: median}",
            "{pseudo_labels: png}",
        ] {
            assert_eq!(kept(both(), output), Vec::<String>::new(), "{output}");
        }
    }
}
