//! Masks: their formats, and what their numbers are to programs that show them.

use super::kind::{Kind, Maybe, ReadKind, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;

section! {
    /// One image of labels for each image.
    pub(super) struct Masks: "masks" (_) {
        /// `png`: with a palette. `tiff`: tiled, with the source's georeference, and a palette too. `{png: grey}` and
        /// `{tiff: grey}` have none: programs that make colours of palettes (OpenCV, TensorFlow, torchvision) read labels
        /// from these.
        pub(super) masks: MaskForm = MaskForm { format: MaskFormat::Png, look: MaskLook::Palette }, MasksKind,
            required = "png or tiff";
    }
}

section! {
    /// A format of masks, and what their numbers are to programs that show them.
    pub(super) struct MaskFile: "maskFile" (_) {
        /// PNG: 8 bits, 16 where a label is above 255.
        png: Option<MaskLook> = None, Maybe(Words(&LOOKS));
        /// Tiled TIFF: 8 bits, 16 where a label is above 255.
        tiff: Option<MaskLook> = None, Maybe(Words(&LOOKS));
    }
}

/// A format of masks, and what their numbers are to programs that show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskForm {
    /// The format.
    pub format: MaskFormat,
    /// Colours or brightnesses.
    pub look: MaskLook,
}

/// What the numbers of a mask are to programs that show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskLook {
    /// Places in a palette of the classes' colours; above 255 labels a PNG has none.
    Palette,
    /// Brightnesses: the labels themselves, dark as they are.
    Grey,
}

/// How masks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskFormat {
    /// PNG with a palette.
    Png,
    /// Tiled TIFF, with the source's georeference.
    Tiff,
}

impl MaskFormat {
    /// How the names of its files end.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Tiff => "tiff",
        }
    }
}

const MASKS: [(&str, MaskFormat); 2] = [("png", MaskFormat::Png), ("tiff", MaskFormat::Tiff)];
const LOOKS: [(&str, MaskLook); 2] = [("palette", MaskLook::Palette), ("grey", MaskLook::Grey)];

/// The word of a format, or a map of it and a look.
pub(super) struct MasksKind;

impl Kind for MasksKind {
    type Value = MaskForm;

    fn write(&self, masks: &MaskForm, scope: &Scope<'_>) -> Option<Node> {
        let MaskForm { format, look } = *masks;
        if look == MaskLook::Palette {
            return Words(&MASKS).write(&format, scope);
        }
        let of = |wanted| (format == wanted).then_some(look);
        Some(MaskFile { png: of(MaskFormat::Png), tiff: of(MaskFormat::Tiff) }.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![Words(&MASKS).shape(), Shape::Section(MaskFile::table())])
    }
}

impl ReadKind for MasksKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<MaskForm> {
        if !at.is_map() {
            let format = Words(&MASKS).read(at, scope)?;
            return Some(MaskForm { format, look: MaskLook::Palette });
        }
        let MaskFile { png, tiff } = MaskFile::read(at, scope)?;
        match (png, tiff) {
            (Some(look), None) => Some(MaskForm { format: MaskFormat::Png, look }),
            (None, Some(look)) => Some(MaskForm { format: MaskFormat::Tiff, look }),
            _ => {
                at.conflict("one of `png` and `tiff` is needed; two formats are two entries of the list");
                None
            }
        }
    }
}
