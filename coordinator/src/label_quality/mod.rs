//! Which labels are probably wrong: every image's findings held against those of all, the most suspicious first.

mod lists;
mod page;

use crate::TableError;
use marquetry_geometry::Size;
use marquetry_label_quality::{Action, Doubt, Findings, ImageQuality, Kind, Reason, Survey, Usual, judge};
use marquetry_spec::LABEL_QUALITY;
use std::collections::{BTreeMap, HashMap};
use std::io::{Error, Result};

/// So many areas of an image are kept, the strongest.
const DOUBTS: usize = 20;
/// Areas that are less probably wrong are not listed.
const LISTED: f64 = 0.05;
/// Evidence of an area of which members are sure, nats · px: half of the most there is.
const SURE: f64 = 18.0;
/// One image in so many with such an area that is kept is worth a word.
const MANY: u64 = 20;
/// Of fewer images what is usual is hardly known.
const FEW: u64 = 30;

/// What the tables and the page are made of, beside the findings of images.
pub(crate) struct Labelled {
    /// The names of classes.
    pub(crate) classes: Vec<String>,
    /// The path of each image's label, by the image's id.
    pub(crate) labels: BTreeMap<String, String>,
    /// The colour of each class in pictures.
    pub(crate) colours: Vec<[u8; 3]>,
    /// How many images the page shows.
    pub(crate) shown: usize,
}

/// An image and what is held of its label.
struct Judged<'a> {
    id: &'a str,
    /// The path of its label.
    label: &'a str,
    size: Size,
    quality: ImageQuality,
}

/// The files, by their places below the job's outputs, and what there is to tell.
pub(crate) struct LabelQualityFiles {
    pub(crate) files: Vec<(String, Vec<u8>)>,
    pub(crate) told: String,
}

impl Labelled {
    /// Judges all labels; `rows` has the findings of an image, and is asked twice.
    pub(crate) fn files(
        &self,
        job: &str,
        ids: &[String],
        images: &HashMap<String, (String, Size)>,
        mut rows: impl FnMut(&str) -> Result<Option<String>>,
    ) -> std::result::Result<LabelQualityFiles, TableError> {
        let mut findings = |id: &str| -> Result<Option<Findings>> {
            rows(id)?.map(|text| serde_json::from_str(&text).map_err(Error::other)).transpose()
        };
        let mut survey = Survey::new(self.classes.len());
        for id in ids {
            if let Some(findings) = findings(id)? {
                survey.add(&findings);
            }
        }
        let usual = Usual::new(&survey);
        let (mut judged, mut usual_areas) = (Vec::new(), 0_u64);
        for id in ids {
            let (Some(findings), Some((_, size))) = (findings(id)?, images.get(id)) else { continue };
            let mut quality = judge(&findings, &usual, DOUBTS);
            let is_sure = |doubt: &Doubt| doubt.component.evidence() >= SURE;
            usual_areas +=
                u64::from(quality.suggestion.action == Action::Keep && quality.doubts.iter().any(is_sure));
            quality.doubts.retain(|doubt| doubt.probability >= LISTED);
            let label = self.labels.get(id).map_or("", String::as_str);
            judged.push(Judged { id, label, size: *size, quality });
        }
        // A stable sort: of equal ones the first of the job; those without a labelled pixel last.
        judged.sort_by(|a, b| {
            let rank = |judged: &Judged<'_>| judged.quality.quality.unwrap_or(f64::INFINITY);
            rank(a).total_cmp(&rank(b))
        });
        let few = (survey.images() < FEW).then(|| {
            format!("judged by {} labels: what is usual is hardly known of fewer than {FEW}", survey.images())
        });
        let alike = (usual_areas * MANY > survey.images()).then(|| {
            format!(
                "{usual_areas} more have an area of which members are sure that it differs, but so many have one that it is taken for \
                 what members usually get wrong; should labels be wrong alike, they stand first all the same: look at these"
            )
        });
        let few = [few, alike].into_iter().flatten().reduce(|a, b| format!("{a}; {b}"));
        let at = |name: &str| format!("{LABEL_QUALITY}/{name}");
        let files = vec![
            (at("labels.csv"), lists::labels(&judged)?),
            (at("doubts.csv"), lists::doubts(&judged, &self.classes)?),
            (at("index.html"), page::page(job, self, &judged, few.as_deref())?),
        ];
        let told = told(&judged, few.as_deref());
        Ok(LabelQualityFiles { files, told })
    }
}

/// How many labels are suspicious, in a sentence.
fn told(judged: &[Judged<'_>], few: Option<&str>) -> String {
    let of = |action| judged.iter().filter(|image| image.quality.suggestion.action == action).count();
    let few = few.map_or(String::new(), |few| format!(" ({few})"));
    format!(
        "label_quality: of {} labels {} seem to need mending and {} to be of no use{few}: see {LABEL_QUALITY}/index.html",
        judged.len(),
        of(Action::Relabel),
        of(Action::Delete)
    )
}

const fn action_name(action: Action) -> &'static str {
    match action {
        Action::Keep => "keep",
        Action::Relabel => "relabel",
        Action::Delete => "delete",
    }
}

/// What is wrong with areas of a kind.
const fn kind_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "not labelled",
        Kind::Extra => "labelled, and not there",
        Kind::Swapped => "of another class",
        Kind::Boundary => "with its outline far off",
    }
}

/// Why something is suggested, in words.
fn reason_words(reason: &Reason) -> String {
    match *reason {
        Reason::NothingToSay => "no pixel is labelled".to_owned(),
        Reason::UsualMistakes => "differs from the prediction no more than is usual".to_owned(),
        Reason::Components { missing, extra, swapped, boundary } => {
            let counts = [missing, extra, swapped, boundary];
            let some = counts.iter().zip(Kind::ALL).filter(|(count, _)| **count > 0);
            let words = some.map(|(count, kind)| {
                format!("{count} {} {}", if *count == 1 { "area" } else { "areas" }, kind_words(kind))
            });
            words.collect::<Vec<_>>().join(", ")
        }
        Reason::Boundaries { shift_px: None } => "outlines are off all over the image".to_owned(),
        Reason::Boundaries { shift_px: Some([down, right]) } => {
            let along = |px: i32, forth: &str, back: &str| match px {
                0 => None,
                1.. => Some(format!("{px} px {forth}")),
                _ => Some(format!("{} px {back}", -px)),
            };
            let both = [along(down, "down", "up"), along(right, "right", "left")];
            let both: Vec<String> = both.into_iter().flatten().collect();
            format!("outlines would fit better moved {}", both.join(" and "))
        }
        Reason::DiffersFar { share } => {
            format!("{:.0} % of its pixels differ from the prediction, far more than is usual", 100.0 * share)
        }
        Reason::AgreesByChance { kappa } => format!(
            "agrees with the prediction hardly better than by chance (kappa {kappa:.2}): the label of another image?"
        ),
    }
}

#[cfg(test)]
mod tests;
