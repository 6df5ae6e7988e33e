//! Images in, by windows.
//!
//! PNG, JPEG, WebP, BMP, PNM (PBM, PGM, PPM) and TIFF, told apart by content. Whatever the file does (palettes, few bits, alpha, CMYK, EXIF
//! orientation, strips, tiles, planes, pages), a reader sees bands of values of the image as it is shown, and NaN where
//! there is no value. A TIFF of any size
//! is read by the chunks that a window touches; a PNG too large for memory is decoded to disk; anything else that is
//! too large, damaged or not understood is a [`ReadError`] that says what was found and what to do.

mod aux_xml;
mod beside;
mod cache;
mod colour;
mod damage;
pub(crate) mod error;
pub(crate) mod file;
mod guarded;
mod header;
mod image;
mod jpeg;
mod kinds;
pub mod labels;
mod luma;
mod missing;
mod other;
mod pixels;
mod png;
mod pnm;
mod samples;
pub(crate) mod tiff;
mod traits;
mod whole;
mod wkt;

#[cfg(test)]
mod tests;

pub use aux_xml::AuxXml;
pub use beside::Beside;
pub use damage::DamagedPart;
pub use error::{ReadError, ReadErrorKind};
pub use file::ReadAt;
pub use guarded::is_decoder_panic;
pub use header::{Depth, Format, ImageInfo, Limits};
pub use image::{Image, probe, probe_from};
pub(crate) use kinds::detect;
pub use luma::luma_of;
pub use pixels::Pixels;
pub use traits::{AlphaUse, ImageTraits, PageUse};
pub use wkt::EpsgSystem;
