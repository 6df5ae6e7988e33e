//! What a value of the job file may have to know of the rest of it.

use super::classes::{Class, Classes};
use super::window::Slide;
use marquetry_ensemble::Labelling;

/// What is known of the job where a value is read or printed.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) classes: &'a Classes,
    /// Whether classes exclude each other.
    pub(super) labelling: Labelling,
    /// The class of pixels that are nothing else.
    pub(super) background: Option<usize>,
    /// Whether merged scores are still probabilities.
    pub(super) probabilities: bool,
    /// Whether each member has tiles of its own.
    pub(super) member_tiles: bool,
    /// How windows slide where the job says nothing of it.
    pub(super) slide: Slide,
}

impl<'a> Scope<'a> {
    /// A job of these classes, of which nothing else is known yet.
    pub(super) fn of(classes: &'a Classes) -> Self {
        Self {
            classes,
            labelling: Labelling::Multiclass,
            background: Some(0),
            probabilities: true,
            member_tiles: true,
            slide: Slide::default(),
        }
    }

    /// How many labels masks hold, counted from 0: classes, or 2 where each class has a plane of its own.
    pub(super) fn labels(&self) -> usize {
        if self.labelling == Labelling::Multilabel { 2 } else { self.classes.len() }
    }

    /// Calls `make` with the job that the documentation tells defaults of: one class and a background.
    pub(super) fn documented<T>(make: impl FnOnce(&Scope<'_>) -> T) -> T {
        let class = |name: &str| Class { name: name.to_owned(), colour: None };
        let classes = Classes::from([class("background"), class("class")].as_slice());
        make(&Scope::of(&classes))
    }
}
