//! A label image as numbers or colours.

use crate::colours::number;
use crate::error::LabelError;
use crate::raw::{LabelFacts, RawLabel};
use crate::rules::{AlphaRule, NodataRule};
use marquetry_geometry::{Rect, Size};
use marquetry_raster::read::labels::{LabelInfo, LabelReader, Labels};
use marquetry_raster::read::{Format, Limits};
use std::path::Path;

/// Numbers that are read at a time, at most, where one row has no more: few enough to stay near the processor while they are
/// looked at again and again.
const STEP: u64 = 1 << 15;
/// The same of a TIFF, of which chunks may be decoded anew for each part.
const STEP_OF_CHUNKS: u64 = 1 << 20;

/// A file, and how it is to be read.
pub(crate) struct LabelFile<'a> {
    pub(crate) path: &'a Path,
    /// Whether palettes and grey values stand for colours.
    pub(crate) as_colours: bool,
    pub(crate) alpha: AlphaRule,
    pub(crate) nodata: NodataRule,
    /// The size of what it belongs to.
    pub(crate) image: Option<Size>,
}

impl LabelFile<'_> {
    pub(crate) fn read(&self, limits: &Limits, out: &mut RawLabel) -> Result<(), LabelError> {
        let mut reader = LabelReader::open(self.path, limits)?;
        // Some programs write labels for the image as it is stored and copy its orientation along.
        if let Some(image) = self.image
            && reader.info().size != image
            && reader.info().stored_size == image
        {
            reader = reader.as_stored();
        }
        if self.nodata == NodataRule::Value {
            reader = reader.with_nodata_as_number();
        }
        let info = reader.info().clone();
        if info.pages_left_out > 0 {
            let found = format!(
                "it has {} pages, and which of them is the label is not known; a label is a file of one page, as \
                 `tifffile.imwrite` writes each",
                info.pages_left_out + 1
            );
            return Err(LabelError::meaning(&self.path.display(), found));
        }
        let colours = info.bands - u16::from(info.alpha.is_some());
        let label_is_alpha = info.alpha.is_some() && self.alpha == AlphaRule::Label;
        if ![1, 3].contains(&colours) && !label_is_alpha {
            let found = format!("it has {colours} bands; a label has one, or three for a colour");
            return Err(LabelError::meaning(&self.path.display(), found));
        }
        let coloured = !label_is_alpha && (colours == 3 || self.as_colours);
        out.size = info.size;
        out.values.clear();
        out.missing.clear();
        out.facts = LabelFacts {
            kind: kind(&info),
            coloured,
            lossy: info.lossy,
            palette: info.palette.clone().filter(|_| !coloured),
            alpha_varies: false,
            nodata: info.nodata,
            contested: 0,
            seams: [0; 2],
        };
        let mut labels = std::mem::take(&mut out.labels);
        let step = if info.format == Some(Format::Tiff) { STEP_OF_CHUNKS } else { STEP };
        let rows = (step / u64::from(info.size.width.max(1)) / u64::from(info.bands.max(1))).max(1) as u32;
        for top in (0..info.size.height).step_by(rows as usize) {
            let part = Size::new(rows.min(info.size.height - top), info.size.width);
            reader.read(Rect::new(i64::from(top), 0, part), &mut labels)?;
            self.take(&labels, &info, part.area() as usize, out)?;
        }
        out.labels = labels;
        Ok(())
    }

    /// Takes over `area` pixels.
    fn take(
        &self,
        labels: &Labels,
        info: &LabelInfo,
        area: usize,
        out: &mut RawLabel,
    ) -> Result<(), LabelError> {
        let band = |band: usize| &labels.values[band * area..(band + 1) * area];
        let alpha = info.alpha.map(|at| band(usize::from(at)));
        let first = usize::from(info.alpha == Some(0));
        let from = out.values.len();
        if let (Some(alpha), AlphaRule::Label) = (alpha, self.alpha) {
            out.values.extend(alpha.iter().map(|value| value.cast_unsigned()));
        } else if !out.facts.coloured {
            out.values.extend(band(first).iter().map(|value| value.cast_unsigned()));
        } else if let Some(palette) = &info.palette {
            // An index beyond the palette has no colour; every reader but this one paints it black.
            let colour = |&index: &i32| palette.get(usize::try_from(index).ok()?).map(|&rgb| number(rgb));
            let colours: Option<Vec<u32>> = band(first).iter().map(colour).collect();
            let found = "it has an index beyond its palette";
            out.values.extend(colours.ok_or_else(|| LabelError::meaning(&self.path.display(), found))?);
        } else {
            if labels.values.iter().any(|value| !(0..=255).contains(value)) {
                let found = "its colours have more than 8 bits; a colour of a label has 8 for each of three";
                return Err(LabelError::meaning(&self.path.display(), found));
            }
            let bands: [&[i32]; 3] = if info.bands - u16::from(info.alpha.is_some()) == 3 {
                let place = |channel: usize| {
                    let at = info.alpha.map_or(usize::MAX, usize::from);
                    band(channel + usize::from(channel >= at))
                };
                [place(0), place(1), place(2)]
            } else {
                [band(first); 3]
            };
            let colours = (0..area).map(|at| number(bands.map(|values| values[at] as u8)));
            out.values.extend(colours);
        }
        out.missing.extend_from_slice(&labels.missing[first * area..(first + 1) * area]);
        if let Some(alpha) = alpha {
            let opaque = if alpha.iter().any(|&value| value > 255) { i32::from(u16::MAX) } else { 255 };
            match self.alpha {
                AlphaRule::Refuse => {
                    out.facts.alpha_varies |= alpha.iter().any(|&value| value != opaque);
                }
                AlphaRule::Missing => {
                    let flags = out.missing[from..].iter_mut().zip(alpha);
                    flags.for_each(|(missing, &value)| *missing |= value == 0);
                }
                AlphaRule::Drop | AlphaRule::Label => {}
            }
        }
        Ok(())
    }
}

/// A file's kind in words.
fn kind(info: &LabelInfo) -> String {
    let format = match info.format {
        Some(Format::Png) => "PNG",
        Some(Format::Jpeg) => "JPEG",
        Some(Format::WebP) => "WebP",
        Some(Format::Bmp) => "BMP",
        Some(Format::Pnm) => "PNM",
        Some(Format::Tiff) => "TIFF",
        None => "painted",
    };
    let samples = match (&info.palette, info.bands, info.alpha) {
        (Some(_), 1, _) => "palette".to_owned(),
        (Some(_), ..) => "palette with alpha".to_owned(),
        (None, 1, _) => "grey".to_owned(),
        (None, 2, Some(_)) => "grey with alpha".to_owned(),
        (None, 3, None) => "colours".to_owned(),
        (None, 4, Some(_)) => "colours with alpha".to_owned(),
        (None, bands, _) => format!("{bands} bands"),
    };
    let lossy = if info.lossy { ", lossy" } else { "" };
    format!("{format}, {samples}{lossy}")
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
