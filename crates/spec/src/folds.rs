//! Which members score an image.

use super::images::FOLDS;
use super::kind::{Kind, Maybe, ReadKind, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;

/// Which members score an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folds {
    /// All of them.
    All,
    /// Those that were trained without it.
    OutOfFold(OutOfFold),
}

section! {
    /// Out of fold: every image is scored by the members that were trained without it.
    pub struct OutOfFold: "folds" (_) derive [Eq] {
        /// Which fold an image is of: nnU-Net's `splits_final.json`, whose cases are found by the names of image files, or a
        /// CSV file with the columns `image_id` and `fold`.
        pub from: Option<String> = None, Maybe(FOLDS), unset = "the column `fold` of the list of images";
        /// What a member's tag `fold` says. `left_out`: the fold that it was trained without, which is K-fold training's usual
        /// way; `seen`: the one fold that it was trained on.
        pub tags: FoldTags = FoldTags::LeftOut, Words(&TAGS);
    }
}

/// What a member's tag `fold` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldTags {
    /// The fold that it was trained without.
    LeftOut,
    /// The one fold that it was trained on.
    Seen,
}

const TAGS: [(&str, FoldTags); 2] = [("left_out", FoldTags::LeftOut), ("seen", FoldTags::Seen)];

/// One of the two words.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    All,
    OutOfFold,
}

const WORD: Words<Word> = Words(&[("all", Word::All), ("out_of_fold", Word::OutOfFold)]);

/// A word, or a map that says where folds stand.
pub(super) struct FoldsKind;

impl Kind for FoldsKind {
    type Value = Folds;

    fn write(&self, folds: &Folds, scope: &Scope<'_>) -> Option<Node> {
        match folds {
            Folds::All => Some("all".into()),
            Folds::OutOfFold(how) if *how == OutOfFold::standard(scope) => Some("out_of_fold".into()),
            Folds::OutOfFold(how) => Some(how.node(scope)),
        }
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![WORD.shape(), Shape::Section(OutOfFold::table())])
    }
}

impl ReadKind for FoldsKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Folds> {
        if at.is_map() {
            return OutOfFold::read(at, scope).map(Folds::OutOfFold);
        }
        WORD.read(at, scope).map(|word| match word {
            Word::All => Folds::All,
            Word::OutOfFold => Folds::OutOfFold(OutOfFold::standard(scope)),
        })
    }
}
