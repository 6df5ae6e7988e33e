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
    /// A model runs at another batch than the job says.
    Batch,
    /// A model seems to be made for something else than segmentation.
    Purpose,
}

const CONCERNS: [(&str, Concern); 2] = [("batch", Concern::Batch), ("purpose", Concern::Purpose)];

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
