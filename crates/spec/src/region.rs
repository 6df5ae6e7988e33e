//! Which part of each image is computed.

use super::classes::CLASS;
use super::images::TRUTH;
use super::kind::{Kind, Maybe, ReadKind, Text, Whole};
use super::node::Node;
use super::pattern::is_glob;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;
use super::truth::{AFFIX, NoRow, Truth};
use marquetry_job::RegionRule;

/// What `from` says where images tell themselves what is to be computed.
const NONBLANK: &str = "nonblank";
/// Farther than any model sees.
const MARGIN: Whole<u32> = Whole::new(0, 16_384);

section! {
    /// Which part of each image is computed, where that is not all of it. Windows that do not touch it run through no model;
    /// inside of it every score is what it would be without. Pixels outside have a class that is stated here, and count as
    /// covered: only pixels that an image does not have are missing.
    pub struct Region: "region" (_) derive [Eq] {
        /// `nonblank`: what is not blank in a brightfield image (RGB of 8 bits, such as a slide): tissue, and what was drawn on
        /// the glass. An image of which that cannot be told is computed whole, which is said. Else masks in which every number
        /// but 0 is inside: a folder of images (PNG, TIFF, BMP, NumPy), any other source of labels that `truth` takes, or a
        /// folder in S3. A mask belongs to its image as a label of `truth` does; an image without one is computed whole.
        pub from: Option<String> = None, Maybe(TRUTH);
        /// In place of `from`: the column of the list of images (`images.from`, a CSV file) that names each image's mask,
        /// relative to the list.
        pub column: Option<String> = None, Maybe(Text::not_blank("the name of a column of the list of images"));
        /// How far the region reaches around what was found, px of the image, along both axes.
        pub margin as margin_px: u32 = 64, MARGIN;
        /// The class of the pixels outside.
        pub class: Option<usize> = None, Maybe(ClassName), unset = "`decide.background`; with `multilabel: true` there is none, and no class is there";
        /// What file names of masks begin with; others are passed over.
        pub prefix: String = String::new(), AFFIX;
        /// What they have before their extension, such as `_mask`; others are passed over.
        pub suffix: String = String::new(), AFFIX;
        /// What file names of images have before their extension that those of masks have not.
        pub image_suffix: String = String::new(), AFFIX;
    }
}

impl Region {
    /// How the region of an image is found.
    pub fn rule(&self) -> RegionRule {
        let margin_px = self.margin_px;
        if self.is_nonblank() { RegionRule::Nonblank { margin_px } } else { RegionRule::Masks { margin_px } }
    }

    /// Whether images tell themselves.
    pub fn is_nonblank(&self) -> bool {
        self.from.as_deref() == Some(NONBLANK)
    }

    /// Where masks are, as a truth of the same place is read.
    pub fn masks(&self) -> Truth {
        Truth {
            from: self.from.clone(),
            column: self.column.clone(),
            prefix: self.prefix.clone(),
            suffix: self.suffix.clone(),
            image_suffix: self.image_suffix.clone(),
            no_row: NoRow::NoLabel,
            ..Scope::documented(Truth::standard)
        }
    }
}

/// The name of a class.
struct ClassName;

impl Kind for ClassName {
    type Value = usize;

    fn write(&self, &class: &usize, scope: &Scope<'_>) -> Option<Node> {
        // Without classes (their list is broken, which is noted) none has a name.
        (class < scope.classes.len()).then(|| scope.classes.name(class).into())
    }

    fn shape(&self) -> Shape {
        CLASS
    }
}

impl ReadKind for ClassName {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<usize> {
        scope.classes.find(at)
    }
}

/// A word or place alone, or a map.
pub(super) struct RegionKind;

impl Kind for RegionKind {
    type Value = Region;

    fn write(&self, region: &Region, scope: &Scope<'_>) -> Option<Node> {
        Some(region.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![TRUTH.shape(), Shape::Section(Region::table())])
    }
}

impl ReadKind for RegionKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Region> {
        let region = if at.is_map() {
            Region::read(at, scope)?
        } else {
            Region { from: Some(TRUTH.read(at, scope)?), ..Region::standard(scope) }
        };
        if region.from.is_some() == region.column.is_some() {
            at.conflict(
                "one of `from` and `column` is needed: `nonblank` or where masks are, or the column that names them",
            );
        }
        if region.from.as_deref().is_some_and(is_glob) {
            at.conflict("it is no pattern: name the folder of the masks, and prefix and suffix choose among its files");
        }
        let own = [&region.prefix, &region.suffix, &region.image_suffix];
        if region.is_nonblank() && own.iter().any(|affix| !affix.is_empty()) {
            at.conflict(
                "prefix, suffix and image_suffix are of masks, and `from: nonblank` has none; leave them out",
            );
        }
        if scope.background.is_none()
            && let Some(at) = at.entry("class")
        {
            at.conflict("classes do not exclude each other (multilabel: true), so none of them is there outside; leave it out");
        }
        Some(region)
    }
}
