//! What a file says of its image beside size, bands and depth, and what is done about it: for people.

use super::colour::Colour;
use super::header::Header;
use marquetry_geometry::D4;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How the pages of a file are used.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PageUse {
    /// Pages in the file; previews, masks and pyramids are none.
    pub count: u32,
    /// Those that are read, counted from 0.
    pub used: Vec<u32>,
    /// What the file's metadata says that they are: `channels 3, z 5`.
    pub axes: Option<String>,
}

/// What becomes of an alpha band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlphaUse {
    /// There is none.
    #[default]
    None,
    /// It is not used.
    Dropped,
    /// It is the band of this number.
    Band(u16),
    /// Pixels where it is 0 are missing.
    Nodata,
}

/// What there is to tell of a kind of image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageTraits {
    /// The format's name.
    pub format: String,
    /// What samples are: `8-bit`, `signed 16-bit`, `32-bit float`.
    pub samples: String,
    /// What colours are made of, where that is not what is stored: `palette`, `CMYK`, `white is 0`.
    pub colour: Option<String>,
    /// Bands.
    pub bands: u16,
    /// Pages; none for a format that has no such thing.
    pub pages: PageUse,
    /// Alpha.
    pub alpha: AlphaUse,
    /// The value for no data.
    pub nodata: Option<String>,
    /// What the file has in its place that is no number.
    pub nodata_unread: Option<String>,
    /// Whether a mask in the file says which pixels are missing.
    pub mask: bool,
    /// Whether pixels may be missing because they are no number.
    pub float: bool,
    /// The reference system of its georeference.
    pub crs: Option<String>,
    /// How it is turned to be shown.
    pub turn: Option<String>,
    /// What else there is to know, each in some words.
    pub remarks: Vec<String>,
    /// What outlines on a map lose, where they are asked for.
    pub outlines: Vec<String>,
}

impl ImageTraits {
    pub(super) fn of(header: &Header) -> Self {
        let colour = match header.colour {
            Colour::AsStored => None,
            Colour::Stretched { .. } => Some("stretched to 0..255"),
            Colour::WhiteIsZero { .. } => Some("white is 0, turned round"),
            Colour::Palette(_) => Some("palette, read as RGB"),
            Colour::Cmyk { .. } => Some("CMYK, read as RGB"),
        };
        let turn = |d4: D4| (d4 != D4::IDENTITY).then(|| d4.to_string());
        Self {
            format: format!("{:?}", header.format).to_uppercase(),
            samples: match header.greatest.map(u32::from) {
                None => header.sample.in_words(),
                Some(greatest) if (greatest + 1).is_power_of_two() => {
                    format!("{}-bit in 16 (0 to {greatest})", (greatest + 1).ilog2())
                }
                Some(greatest) => format!("16-bit (0 to {greatest})"),
            },
            colour: colour.map(str::to_owned),
            bands: header.colour.bands(header.kept.len() as u16),
            pages: header.pages.clone(),
            alpha: header.alpha_use,
            nodata: header.missing.nodata_in_words(),
            nodata_unread: header.nodata_unread.clone(),
            mask: header.missing.mask.is_some() && header.alpha_use != AlphaUse::Nodata,
            float: header.sample.is_float(),
            crs: header.crs.clone(),
            turn: turn(header.orientation),
            remarks: header.remarks.clone(),
            outlines: Vec::new(),
        }
    }
}

impl fmt::Display for PageUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, used, axes } = self;
        let axes = axes.as_ref().map_or_else(String::new, |axes| format!(" ({axes})"));
        match used.as_slice() {
            _ if *count < 2 => write!(f, "1 page"),
            [one] => write!(
                f,
                "page {one} of {count}{axes}, counted from 0; the other {} are LEFT OUT (`images: {{page: N}}` or `{{pages: \
                 bands}}` choose)",
                count - 1
            ),
            used if used.len() == *count as usize => write!(f, "{count} pages as bands{axes}"),
            used => write!(
                f,
                "{} pages as bands{axes}; the other {} of {count} are LEFT OUT (`images: {{page: N, pages: bands}}` has the \
                 channels beside page N)",
                used.len(),
                *count as usize - used.len()
            ),
        }
    }
}

impl fmt::Display for ImageTraits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.format)?;
        if self.pages.count > 0 {
            write!(f, ", {}", self.pages)?;
        }
        let plural = if self.bands == 1 { "" } else { "s" };
        write!(f, ", {} band{plural}, {}", self.bands, self.samples)?;
        for part in [&self.colour, &self.crs, &self.turn].into_iter().flatten() {
            write!(f, ", {part}")?;
        }
        match self.alpha {
            AlphaUse::None => {}
            AlphaUse::Dropped => {
                write!(f, ", alpha DROPPED (`images: {{alpha: band}}` or `{{alpha: nodata}}` keep it)")?;
            }
            AlphaUse::Band(band) => write!(f, ", alpha is band {band}")?,
            AlphaUse::Nodata => write!(f, ", alpha 0 is missing")?,
        }
        if self.mask {
            write!(f, ", the file's mask says which pixels are missing")?;
        }
        if let Some(text) = &self.nodata_unread {
            write!(f, ", its nodata {text:?} is NOT UNDERSTOOD (`images: {{nodata: NUMBER}}` says it)")?;
        }
        match (&self.nodata, self.float) {
            (Some(nodata), true) => write!(f, ", nodata {nodata} and NaN are missing pixels"),
            (Some(nodata), false) => write!(f, ", nodata {nodata} is missing pixels"),
            (None, true) => write!(f, ", NaN is missing pixels"),
            (None, false) => Ok(()),
        }?;
        self.remarks.iter().try_for_each(|remark| write!(f, ", {remark}"))
    }
}
