//! What is inferred: everything that the scores in tiles hang on, and nothing else.
//!
//! How members are merged, decisions and outputs are not part of it: with other ones the same tiles are used again.

use crate::{
    CascadeRule, GateModel, IoContract, Measure, Measured, Per, PlannedImage, RegionRule, Scale, TileDtype,
    hash,
};
use marquetry_ensemble::{ClassMap, Importance, Labelling, OutputActivation, ScoreSpace, View, ViewMerge};
use marquetry_geometry::{D4, Grid, GridError, Padding, Reading, Rect, Resample, Size, WindowSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the plan's form and of what it means; part of the hash of what is inferred.
pub const PLAN_FORMAT: u32 = 4;

/// What is computed for every image, by which members, and how it is merged within a tile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Which part of each file is the image, and which of its pixels are none.
    pub reading: Reading,
    /// Class names, by label.
    pub classes: Vec<String>,
    /// Whether classes exclude each other.
    pub labelling: Labelling,
    /// How views are merged.
    pub view_merge: ViewMerge,
    /// The space in which views are merged.
    pub view_space: ScoreSpace,
    /// The space in which windows, and the members of a group, are merged, and in which tiles are stored.
    pub tile_space: ScoreSpace,
    /// Whether tiles hold logits without the greatest of each pixel, which changes no probability and keeps the digits of
    /// half precision for what differs. Only where no member weighs differently by class: what all classes share would
    /// weigh then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub centred: bool,
    /// For each symmetry in which classes change places: for each class as the model names it there, the class of the
    /// image.
    pub swapped: BTreeMap<D4, Vec<u16>>,
    /// How tiles are stored.
    pub tile: TileDtype,
    /// Most pixels that one block covers (one window may be more).
    pub block_pixels: u64,
    /// Which part of each image is computed; all of it if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionRule>,
    /// Which members look only at what others are unsure of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cascade: Option<CascadeRule>,
    /// Models that say of each image which classes it has at all. No tile hangs on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<GateModel>,
    /// Members that share one geometry and one tile.
    pub groups: Vec<Group>,
}

/// Members that share one grid and its importance, so that they can be summed window by window into one tile. Where
/// tiles are kept per member, each is a group of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// How large the image is for these members.
    pub scaling: Scaling,
    /// How it comes to that.
    pub resample: Resample,
    /// How windows are laid over it.
    pub window: WindowSpec,
    /// The weight of a pixel by its place in its window.
    pub importance: Importance,
    /// The views each window is shown in, without duplicates.
    pub views: Vec<View>,
    /// The members, in the order in which they are summed.
    pub members: Vec<Member>,
}

/// How an image is resized before windows are laid over it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scaling {
    /// Both sides by this factor; 1 leaves the image as it is.
    Factor(f64),
    /// To exactly this, whatever the image's shape: one window per image. Its scores are as large as the window, which is
    /// the model's output where that is coarser: they are brought to the image's pixels once, and not twice.
    Whole(Size),
    /// Both sides by one factor, so that the image just fits into the window: one window per image.
    Inside,
}

/// One model of the ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name: unique in the job.
    pub name: String,
    /// Where its model is.
    pub onnx: String,
    /// SHA-256 of the bytes of its file, hexadecimal.
    pub sha256: String,
    /// The files beside it that hold weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<ExternalFile>,
    /// Bytes of all its files.
    pub model_bytes: u64,
    /// `fold`, `seed`, `epoch` and any other.
    pub tags: BTreeMap<String, String>,
    /// Its weight in the tile of its group, per class. 1 where it has tiles of its own: these do not hang on how members
    /// are merged.
    pub weights: Vec<f32>,
    /// How pixels become its input.
    pub input: Input,
    /// The activation that its graph already applies.
    pub applied: OutputActivation,
    /// Which of its channels speak for which class.
    #[serde(default, skip_serializing_if = "ClassMap::is_by_channel")]
    pub classes: ClassMap,
    /// What to do when it says fewer pixels than it sees.
    pub fit: Fit,
    /// What goes in and out, for each size in which views are shown; the first is the window as it is.
    pub signatures: Vec<IoContract>,
}

/// A file beside a model that holds weights of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExternalFile {
    /// Its path from the model's folder.
    pub location: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

impl Member {
    /// Names all that its model is: SHA-256 of its file, or of the hashes of all its files where it has several.
    pub fn content_hash(&self) -> String {
        if self.external.is_empty() {
            return self.sha256.clone();
        }
        let each = self.external.iter().flat_map(|file| [&file.location, "\n", &file.sha256, "\n"]);
        let parts: Vec<&[u8]> = [&self.sha256, "\n"].into_iter().chain(each).map(str::as_bytes).collect();
        hash(&parts)
    }
}

/// What the model's output is when it is of another size than its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The whole window, coarser or finer: it is interpolated back.
    Resize,
    /// The central part of the window, px for px; of a larger output the central part is the window.
    Centre,
    /// The window px for px from the top left; what a larger output says beyond it is cut off.
    Crop,
}

/// What of an image a model's channels are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channels {
    /// These bands.
    Bands(Vec<u16>),
    /// The luma of red, green and blue.
    Luma,
}

/// How pixels become a model's input: as they are stored, in 0 to 1, if nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Bands to take, counted from 0; all of them if not given.
    pub bands: Option<Vec<u16>>,
    /// Whether the order of bands is turned round (BGR).
    pub reversed: bool,
    /// The range that samples are brought to.
    pub scale: Scale,
    /// Taken off after scaling, per band, or one for all.
    pub mean: Vec<f32>,
    /// Divided by after that, per band, or one for all.
    pub std: Vec<f32>,
    /// What is measured of each image or window instead of scale, mean and deviation.
    pub measured: Option<Measured>,
    /// How windows are filled beyond the image's border.
    pub padding: Padding,
    /// The value of constant padding, in the units of the model's input.
    pub padding_value: f32,
}

impl Input {
    /// What is to be measured of the whole image.
    pub fn wants(&self) -> Option<Measure> {
        let measured = self.measured.filter(|measured| measured.per == Per::Image)?;
        Some(measured.measure(self.bands.as_deref()))
    }

    /// What of an image a model's `channels` channels are shown, in the model's order; `None` if that is not clear.
    ///
    /// A grey image is shown to all three channels of a model of colours, and a model of one channel is shown the luma of one that is `rgb`. Other
    /// differences must be settled by `bands`.
    pub fn channels_of(&self, image_bands: u16, rgb: bool, channels: u32) -> Option<Channels> {
        if self.bands.is_none() && channels == 1 && image_bands == 3 && rgb {
            return Some(Channels::Luma);
        }
        self.bands_of(image_bands, channels).map(Channels::Bands)
    }

    fn bands_of(&self, image_bands: u16, channels: u32) -> Option<Vec<u16>> {
        let mut bands = match &self.bands {
            Some(bands) => bands.clone(),
            None if image_bands == 1 && channels == COLOURS => vec![0; channels as usize],
            None => (0..image_bands).collect(),
        };
        if self.reversed {
            bands.reverse();
        }
        let fits = bands.len() == channels as usize && bands.iter().all(|&b| b < image_bands);
        fits.then_some(bands)
    }
}

/// Channels of a model that sees colours.
const COLOURS: u32 = 3;

impl Inference {
    /// SHA-256 of all that scores in tiles hang on; 16 hexadecimal digits. Where models lie is not among it: what is in
    /// them is, and the same models in another folder or in a bucket are the same job.
    ///
    /// # Panics
    /// Never: plain structs become JSON.
    pub fn hash(&self) -> String {
        let mut wherever = self.clone();
        wherever.models_mut().for_each(|model| model.onnx.clear());
        let json = serde_json::to_vec(&wherever).expect("plain structs become JSON");
        hash(&[&json])[..16].to_owned()
    }

    /// Names all that the scores in tiles of the last of `groups` hang on: 16 hexadecimal digits. What others infer beside it is not
    /// among it, and neither is what its members are called or where they lie: a job that comes to have one member more, each
    /// with tiles of its own, finds those of the others. Where it looks only at what others are unsure of, these come before it.
    ///
    /// # Panics
    /// Never: plain structs become JSON.
    pub fn scores_of(&self, mut groups: Vec<Group>) -> String {
        for member in groups.iter_mut().flat_map(|group| &mut group.members) {
            member.onnx.clear();
            member.name.clear();
            member.tags.clear();
        }
        let alone = Self {
            format: self.format,
            reading: self.reading.clone(),
            classes: self.classes.clone(),
            labelling: self.labelling,
            view_merge: self.view_merge,
            view_space: self.view_space,
            tile_space: self.tile_space,
            centred: self.centred,
            swapped: self.swapped.clone(),
            tile: self.tile,
            block_pixels: self.block_pixels,
            region: self.region,
            cascade: self.cascade.clone().filter(|_| groups.len() > 1),
            gate: Vec::new(),
            groups,
        };
        let json = serde_json::to_vec(&alone).expect("plain structs become JSON");
        hash(&[&json])[..16].to_owned()
    }

    /// The same with the members that score `image`, and no others. Groups keep their places, also those that are left
    /// empty.
    #[must_use]
    pub fn scored_by(&self, image: &PlannedImage) -> Self {
        let mut scored = self.clone();
        let mut place = 0;
        for group in &mut scored.groups {
            group.members.retain(|_| {
                place += 1;
                image.is_scored_by(place - 1)
            });
        }
        scored
    }

    /// All members, in the order of the plan: group by group.
    pub fn members(&self) -> impl Iterator<Item = &Member> + Clone {
        self.groups.iter().flat_map(|g| &g.members)
    }

    /// The place of the first member of `group` among all members.
    pub fn first_member(&self, group: usize) -> usize {
        self.groups[..group].iter().map(|g| g.members.len()).sum()
    }
}

impl Group {
    /// The sum of the members' weights in the group's tile, per class.
    pub fn tile_weights(&self, classes: usize) -> Vec<f32> {
        let mut sum = vec![0.0; classes];
        for member in &self.members {
            sum.iter_mut().zip(&member.weights).for_each(|(s, w)| *s += w);
        }
        sum
    }

    /// The size of an image of `image` px for these members, px.
    pub fn scaled(&self, image: Size) -> Size {
        let by = |side: u32, factor: f64| ((f64::from(side) * factor).round() as u32).max(1);
        match self.scaling {
            Scaling::Factor(factor) => Size::new(by(image.height, factor), by(image.width, factor)),
            Scaling::Whole(_) => self.window.inner,
            Scaling::Inside => inside(image, self.window.inner),
        }
    }

    /// What models see of a window, px, and the size of the image that it is a part of.
    pub fn shown(&self, image: Size, window: Rect) -> (Rect, Size) {
        match self.scaling {
            Scaling::Whole(shown) => (Rect::whole(shown), shown),
            Scaling::Factor(_) | Scaling::Inside => (window.grown(self.window.margin), self.scaled(image)),
        }
    }

    /// The size of what models see of a window, px.
    pub fn shown_size(&self) -> Size {
        match self.scaling {
            Scaling::Whole(shown) => shown,
            Scaling::Factor(_) | Scaling::Inside => self.window.outer(),
        }
    }

    /// The windows of an image of `image` px.
    ///
    /// # Errors
    /// When the image or the window is empty, or the stride impossible.
    pub fn grid(&self, image: Size) -> Result<Grid, GridError> {
        Grid::new(self.scaled(image), &self.window)
    }
}

/// The size of an image that just fits into `window` px, rounded to whole px, at least 1.
fn inside(image: Size, window: Size) -> Size {
    let factor = |window: u32, side: u32| f64::from(window) / f64::from(side.max(1));
    let factor = factor(window.height, image.height).min(factor(window.width, image.width));
    let by = |side: u32, most: u32| ((f64::from(side) * factor).round() as u32).clamp(1, most.max(1));
    Size::new(by(image.height, window.height), by(image.width, window.width))
}
