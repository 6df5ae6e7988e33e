//! Which warnings may pass.

use super::kind::{Kind, ReadKind, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::table::Shape;
use std::fmt;

/// What a warning is about. Each is one word of the job's `allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Concern {
    /// What a graph applies is measured, and the job says otherwise.
    Activation,
    /// A model runs at another batch than the job says.
    Batch,
    /// The class names in a model's own metadata are not the job's.
    Classes,
    /// What a model says does not hang on the image.
    Constant,
    /// Several outputs of a model are as good as each other.
    Head,
    /// A model seems to be made for something else than segmentation.
    Purpose,
    /// Two runs of one input differ.
    Random,
    /// Members may have seen in training what they score out of fold.
    Folds,
    /// Labels of the truth are odd, or some images have none.
    Truth,
    /// Masks belong to no image, or are odd.
    Region,
    /// Samples come in another range than the model, its mean or its deviation is for.
    Scale,
    /// An output lies in its window otherwise than the job says, or it cannot be seen how.
    Fit,
    /// Outlines do not come in longitude and latitude, or not exactly.
    Outlines,
    /// Views of a set are left out.
    Views,
    /// Weights that differ by class, of logits that have no common zero.
    Weights,
}

const CONCERNS: [(&str, Concern); 15] = [
    ("activation", Concern::Activation),
    ("batch", Concern::Batch),
    ("classes", Concern::Classes),
    ("constant", Concern::Constant),
    ("fit", Concern::Fit),
    ("folds", Concern::Folds),
    ("head", Concern::Head),
    ("outlines", Concern::Outlines),
    ("purpose", Concern::Purpose),
    ("random", Concern::Random),
    ("region", Concern::Region),
    ("scale", Concern::Scale),
    ("truth", Concern::Truth),
    ("views", Concern::Views),
    ("weights", Concern::Weights),
];

impl Concern {
    /// Its word in a job file.
    pub fn word(self) -> &'static str {
        CONCERNS.iter().find(|(_, concern)| *concern == self).map_or("", |(word, _)| word)
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A list of concerns.
pub(super) struct Concerns;

const WORD: Words<Concern> = Words(&CONCERNS);

impl Kind for Concerns {
    type Value = Vec<Concern>;

    fn write(&self, concerns: &Vec<Concern>, _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(concerns.iter().map(|concern| concern.word())))
    }

    fn shape(&self) -> Shape {
        Shape::list(WORD.shape())
    }
}

impl ReadKind for Concerns {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<Concern>> {
        at.each("a list of words that warnings name", |at| WORD.read(at, scope))
    }
}
