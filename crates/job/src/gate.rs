//! Models that see the whole of an image and say which classes it has at all.
//!
//! What they say hangs on nothing but the image: no tile hangs on it, and no threshold is in it. It is stored once for each
//! image; whoever puts the image together holds it against the thresholds of the job.

use crate::{Group, Inference, Member, Plan, hash};
use marquetry_ensemble::Labelling;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// One model of the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateModel {
    /// It alone, and how the image is shown to it: as one window, of which one number comes for each channel.
    pub group: Group,
    /// Whether its channels exclude each other, so that logits become probabilities by a softmax and not by sigmoids.
    pub labelling: Labelling,
    /// For each class of the job the channel that says whether the image has it; of one without, it says nothing.
    pub channels: Vec<Option<u16>>,
}

impl GateModel {
    /// The model.
    ///
    /// # Panics
    /// When its group has none.
    pub fn member(&self) -> &Member {
        &self.group.members[0]
    }
}

impl Inference {
    /// All models, of members and of the gate.
    pub(crate) fn models_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        let gate = self.gate.iter_mut().map(|model| &mut model.group);
        self.groups.iter_mut().chain(gate).flat_map(|group| &mut group.members)
    }

    /// All models: of members, and of the gate.
    pub fn models(&self) -> impl Iterator<Item = &Member> {
        self.members().chain(self.gate.iter().map(GateModel::member))
    }
}

impl Plan {
    /// Whether models say which classes an image has.
    pub const fn wants_gate(&self) -> bool {
        !self.inference.gate.is_empty()
    }
}

/// What the models of the gate say of an image: computed once, and the same bits for everyone who reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageGate {
    version: u32,
    /// Key of the image.
    image: String,
    /// For each class the mean of the probabilities that the image has it; nothing where no model speaks of it.
    probabilities: Vec<Option<f64>>,
    /// Of all of the above: half an object is not taken for one.
    sha256: String,
}

/// What was stored cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageGateError {
    /// It is no JSON of this form.
    #[error("what the gate says of the image cannot be read")]
    Form(#[from] serde_json::Error),
    /// It is of another version, image or job, or damaged.
    #[error("what is stored is not what the gate says of image {0}")]
    Foreign(String),
}

impl ImageGate {
    /// What `models` say of the image whose key is `image`: of each its probabilities, channel by channel, in the order of the
    /// plan.
    ///
    /// # Panics
    /// When a model has fewer channels than its classes name.
    pub fn new(image: &str, classes: usize, models: &[(&GateModel, Vec<f32>)]) -> Self {
        let mean = |class: usize| {
            let said = models.iter().filter_map(|(model, probabilities)| {
                let channel = model.channels.get(class).copied().flatten()?;
                Some(f64::from(probabilities[usize::from(channel)]))
            });
            let (sum, count) = said.fold((0.0, 0_u32), |(sum, count), p| (sum + p, count + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        let probabilities: Vec<Option<f64>> = (0..classes).map(mean).collect();
        let sha256 = digest(image, &probabilities);
        Self { version: VERSION, image: image.to_owned(), probabilities, sha256 }
    }

    /// For each class the probability that the image has it; nothing where no model speaks of it.
    pub fn probabilities(&self) -> &[Option<f64>] {
        &self.probabilities
    }

    /// What is stored.
    ///
    /// # Panics
    /// Never: numbers and texts become JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and texts become JSON")
    }

    /// What is said in `bytes` of the image whose key is `image`, in a job of so many classes.
    ///
    /// # Errors
    /// When it is of another version, image or job, or damaged.
    pub fn from_bytes(bytes: &[u8], image: &str, classes: usize) -> Result<Self, ImageGateError> {
        let read: Self = serde_json::from_slice(bytes)?;
        let same = read.version == VERSION
            && read.image == image
            && read.probabilities.len() == classes
            && read.sha256 == digest(image, &read.probabilities);
        if same { Ok(read) } else { Err(ImageGateError::Foreign(image.to_owned())) }
    }
}

fn digest(image: &str, probabilities: &[Option<f64>]) -> String {
    let mut numbers = Vec::new();
    for probability in probabilities {
        numbers.push(u8::from(probability.is_some()));
        numbers.extend(probability.unwrap_or(0.0).to_bits().to_le_bytes());
    }
    hash(&[image.as_bytes(), &numbers])[..16].to_owned()
}

/// For each class whether it is denied: the gate's probability is below the class's threshold. The `background` never is, and
/// neither is a class of which no model speaks.
pub fn denied(probabilities: &[Option<f64>], thresholds: &[f32], background: Option<usize>) -> Vec<bool> {
    let pairs = probabilities.iter().zip(thresholds).enumerate();
    pairs
        .map(|(class, (probability, threshold))| {
            Some(class) != background && probability.is_some_and(|p| p < f64::from(*threshold))
        })
        .collect()
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
