//! What one run of a job had.

use marquetry_job::key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Counted up whenever the form changes.
const FORM: u32 = 1;

/// What one run of a job had, in the order of the job's images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    form: u32,
    /// The job's name, which stays when its members change.
    pub name: String,
    /// When it ended, in UTC: `2026-11-27T02-00-00Z`.
    pub at: String,
    /// The job: another one as soon as a member, a window or a view is.
    pub job: String,
    /// Names the decisions and outputs.
    pub outputs: String,
    /// Its classes, in their order.
    pub classes: Vec<NightClass>,
    /// Whether classes exclude each other.
    pub exclusive: bool,
    /// Its members.
    pub members: Vec<NightMember>,
    /// The mean IoU over the data set, where the job evaluates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_iou: Option<f64>,
    /// How many images came to their result in which way.
    pub counts: BTreeMap<Came, u64>,
    /// Images that the night before had, and this one has not: their ids.
    pub gone: Vec<String>,
    /// Images that could not be used, or were given up.
    pub lost: Vec<LostImage>,
    /// Keys of labels that the night before had, and this one has not: they may be deleted with the last night that had them.
    pub replaced: Vec<String>,
    /// Keys of labels that this night has, and the one before had not.
    pub added: Vec<String>,
    /// Those that have a result.
    pub images: Vec<NightImage>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightClass {
    /// Its name.
    pub name: String,
    /// Its colour: red, green, blue.
    pub colour: [u8; 3],
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightMember {
    /// Its name.
    pub name: String,
    /// SHA-256 of the model's file.
    pub sha256: String,
}

/// An image without a result, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostImage {
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// An image and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NightImage {
    /// Its id.
    pub id: String,
    /// Where it lies.
    pub uri: String,
    /// Names its content and who scores it.
    pub key: String,
    /// Names the labels that are right for it, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
    /// Why it has this result.
    pub came: Came,
    /// The night that this result is of.
    pub since: String,
    /// Pixels of each class.
    pub class_pixels: Vec<u64>,
    /// Pixels without a label.
    pub missing_pixels: u64,
    /// Mean confidence, 0 to 1.
    pub confidence: f64,
}

/// Why an image has its result: what was new beside the night before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Came {
    /// The image itself is new.
    New,
    /// Its content, or who scores it, is another one.
    Changed,
    /// Members, windows or views are others.
    Members,
    /// Decisions or outputs are others.
    Decisions,
    /// The labels that are right for it are others.
    Truth,
    /// It was made anew: something had been missing.
    Again,
    /// It lies elsewhere, and nothing was computed.
    Moved,
    /// Nothing is new, and nothing was computed.
    Same,
}

impl Came {
    /// In a word or two, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "another content",
            Self::Members => "other members or windows",
            Self::Decisions => "other decisions",
            Self::Truth => "another truth",
            Self::Again => "made anew",
            Self::Moved => "moved",
            Self::Same => "the same",
        }
    }
}

/// Stored bytes are no night of this version.
#[derive(Debug, thiserror::Error)]
pub enum NightReadError {
    /// They are no JSON of this form.
    #[error("it is not what a run of a job had (a file nights/NAME/DATE.json of its store): {0}")]
    Json(#[from] serde_json::Error),
    /// They are of another version.
    #[error("it is of form {0}, and this Marquetry reads form {FORM}")]
    Form(u32),
}

impl Night {
    /// A night of this name and time, which has nothing yet.
    pub fn new(name: &str, at: &str, job: &str, outputs: &str) -> Self {
        Self {
            form: FORM,
            name: name.to_owned(),
            at: at.to_owned(),
            job: job.to_owned(),
            outputs: outputs.to_owned(),
            classes: Vec::new(),
            exclusive: true,
            members: Vec::new(),
            mean_iou: None,
            counts: BTreeMap::new(),
            gone: Vec::new(),
            lost: Vec::new(),
            replaced: Vec::new(),
            added: Vec::new(),
            images: Vec::new(),
        }
    }

    /// The night in `bytes`.
    ///
    /// # Errors
    /// When they are none, or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NightReadError> {
        #[derive(Deserialize)]
        struct Head {
            form: u32,
        }
        let Head { form } = serde_json::from_slice(bytes)?;
        if form != FORM {
            return Err(NightReadError::Form(form));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The bytes that are stored: JSON, a line for each image.
    ///
    /// # Panics
    /// Never: plain structs become JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        // The images come last, and a quote in a text is never bare.
        let mut text = serde_json::to_string(&self.clone_head()).unwrap_or_default();
        let lines = self.images.iter().map(|image| serde_json::to_string(image).unwrap_or_default());
        let lines: Vec<String> = lines.collect();
        if let Some(at) = text.rfind("\"images\":[]") {
            text.replace_range(
                at..at + "\"images\":[]".len(),
                &format!("\"images\":[\n{}\n]", lines.join(",\n")),
            );
        }
        text.push('\n');
        text.into_bytes()
    }

    /// All of it but the images.
    fn clone_head(&self) -> Self {
        Self {
            classes: self.classes.clone(),
            exclusive: self.exclusive,
            members: self.members.clone(),
            mean_iou: self.mean_iou,
            counts: self.counts.clone(),
            gone: self.gone.clone(),
            lost: self.lost.clone(),
            replaced: self.replaced.clone(),
            added: self.added.clone(),
            ..Self::new(&self.name, &self.at, &self.job, &self.outputs)
        }
    }

    /// The key in the store of the labels of an image of this night.
    pub fn labels_key(&self, image: &NightImage) -> String {
        key::out(&self.job, &key::night_labels(&self.outputs, &image.key))
    }

    /// This night once more, at another time: nothing was new.
    #[must_use]
    pub fn again(&self, at: &str) -> Self {
        let image = |image: &NightImage| NightImage { came: Came::Same, ..image.clone() };
        let images: Vec<NightImage> = self.images.iter().map(image).collect();
        let counts =
            if images.is_empty() { BTreeMap::new() } else { [(Came::Same, images.len() as u64)].into() };
        let (at, gone, replaced, added) = (at.to_owned(), Vec::new(), Vec::new(), Vec::new());
        Self { at, counts, gone, replaced, added, images, ..self.clone_head() }
    }

    /// Says of each image why it has its result, beside what the night before had.
    pub fn follow(&mut self, before: Option<&Self>) {
        let known: HashMap<&str, &NightImage> =
            before.iter().flat_map(|night| &night.images).map(|image| (image.id.as_str(), image)).collect();
        let (job, outputs, at) = (self.job.clone(), self.outputs.clone(), self.at.clone());
        for image in &mut self.images {
            let earlier = before.and_then(|night| Some((night, *known.get(image.id.as_str())?)));
            (image.came, image.since) = match earlier {
                None => (Came::New, at.clone()),
                Some((night, earlier)) => {
                    let came = came(image, earlier, (&job, &outputs), (&night.job, &night.outputs));
                    let is_kept = matches!(came, Came::Same | Came::Moved);
                    (came, if is_kept { earlier.since.clone() } else { at.clone() })
                }
            };
            *self.counts.entry(image.came).or_default() += 1;
        }
        let keys =
            |night: &Self| night.images.iter().map(|image| night.labels_key(image)).collect::<Vec<_>>();
        let (own, then) = (keys(self), before.map(keys).unwrap_or_default());
        let without = |all: &[String], other: &[String]| -> Vec<String> {
            let other: HashSet<&String> = other.iter().collect();
            all.iter().filter(|key| !other.contains(key)).cloned().collect()
        };
        self.replaced = without(&then, &own);
        self.added = without(&own, &then);
        let images = self.images.iter().map(|image| image.id.as_str());
        let there: HashSet<&str> = images.chain(self.lost.iter().map(|lost| lost.id.as_str())).collect();
        let gone =
            before.iter().flat_map(|night| &night.images).filter(|image| !there.contains(image.id.as_str()));
        self.gone = gone.map(|image| image.id.clone()).collect();
    }

    /// Of the stored bytes of a night those that say all but its images, as far as `bytes` reach; nothing where they do not
    /// reach so far.
    pub fn head_in(bytes: &[u8]) -> Option<Result<Self, NightReadError>> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        Some(Self::from_bytes(&[&bytes[..line], b"]}"].concat()))
    }
}

fn came(image: &NightImage, earlier: &NightImage, now: (&str, &str), then: (&str, &str)) -> Came {
    let result = |image: &NightImage| (image.class_pixels.clone(), image.missing_pixels);
    if now.0 != then.0 {
        Came::Members
    } else if image.key != earlier.key {
        Came::Changed
    } else if now.1 != then.1 {
        Came::Decisions
    } else if image.truth != earlier.truth {
        Came::Truth
    } else if result(image) != result(earlier) {
        Came::Again
    } else if image.uri != earlier.uri {
        Came::Moved
    } else {
        Came::Same
    }
}

#[cfg(test)]
#[path = "night_tests.rs"]
pub(crate) mod tests;
