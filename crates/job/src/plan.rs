//! What is computed: everything that the scores hang on, and nothing else.
//!
//! Decisions and outputs are not part of it: with other thresholds the same tiles are used again.

use crate::{Signature, TaskId, TileDtype};
use marquetry_ensemble::{Applied, Importance, Labelling, Space, View, ViewMerge};
use marquetry_geometry::{Blocks, Grid, GridError, Padding, Size, WindowSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The version of the plan's form and of what it means; part of its hash.
pub const PLAN_FORMAT: u32 = 2;

/// What is computed for every image, by which members, and how it is merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scoring {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Class names, in the order of the models' channels.
    pub classes: Vec<String>,
    /// Whether classes exclude each other.
    pub labelling: Labelling,
    /// How views are merged.
    pub view_merge: ViewMerge,
    /// The space in which views are merged.
    pub view_space: Space,
    /// The space in which windows and members are merged, and tiles stored.
    pub space: Space,
    /// Where each class goes in a mirrored view, if left and right are classes.
    pub mirrored: Option<Vec<u16>>,
    /// How tiles are stored.
    pub tile: TileDtype,
    /// Most pixels that one block covers (one window may be more).
    pub block_pixels: u64,
    /// Members that share one geometry.
    pub groups: Vec<Group>,
}

/// Members that share one grid and its importance, so that they can be summed window by window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// How large the image is for these members.
    pub scaling: Scaling,
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
    /// To exactly the window's size, whatever the image's shape: one window per image.
    Whole,
}

/// One model of the ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its name: unique in the job.
    pub name: String,
    /// Where its model is.
    pub onnx: String,
    /// SHA-256 of the model's bytes, hexadecimal.
    pub sha256: String,
    /// Bytes of its file.
    pub model_bytes: u64,
    /// `fold`, `seed`, `epoch` and any other.
    pub tags: BTreeMap<String, String>,
    /// Its weight, per class.
    pub weights: Vec<f32>,
    /// How pixels become its input.
    pub input: Input,
    /// The activation that its graph already applies.
    pub applied: Applied,
    /// What to do when it says fewer pixels than it sees.
    pub fit: Fit,
    /// What goes in and out, for each size in which views are shown; the first is the window as it is.
    pub signatures: Vec<Signature>,
}

/// What the model's output is when it is smaller than its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The whole window, coarser: it is interpolated back.
    Resize,
    /// The central part of the window.
    Centre,
}

/// How pixels become a model's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Bands to take, counted from 0; all of them if not given.
    pub bands: Option<Vec<u16>>,
    /// Whether the order of bands is turned round (BGR).
    pub reversed: bool,
    /// Factor on sample values; by the image's depth if not given (1/255, 1/65535, 1).
    pub scale: Option<f64>,
    /// Taken off after scaling, per band, or one for all.
    pub mean: Vec<f32>,
    /// Divided by after that, per band, or one for all.
    pub std: Vec<f32>,
    /// Whether mean and standard deviation are those of each image instead.
    pub per_image: bool,
    /// How windows are filled beyond the image's border.
    pub padding: Padding,
    /// The value of constant padding, in the units of the model's input.
    pub padding_value: f32,
}

impl Input {
    /// Which of an image's bands are a model's `channels` channels, in the model's order; `None` if that is not clear.
    ///
    /// A grey image is shown to all channels. Other differences must be settled by `bands`.
    pub fn bands_of(&self, image_bands: u16, channels: u32) -> Option<Vec<u16>> {
        let mut bands = match &self.bands {
            Some(bands) => bands.clone(),
            None if image_bands == 1 => vec![0; channels as usize],
            None => (0..image_bands).collect(),
        };
        if self.reversed {
            bands.reverse();
        }
        let fits = bands.len() == channels as usize && bands.iter().all(|&b| b < image_bands);
        fits.then_some(bands)
    }
}

/// One image of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedImage {
    /// Its id: unique in the job.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Names this image's content: 16 hexadecimal digits.
    pub key: String,
    /// Its size, px, after any rotation that its metadata asks for.
    pub size: Size,
    /// Number of bands.
    pub bands: u16,
}

impl PlannedImage {
    /// The key of an image at `uri` whose content is named by `fingerprint`.
    pub fn key_of(uri: &str, fingerprint: &str) -> String {
        hash(&[uri.as_bytes(), b"\n", fingerprint.as_bytes()])[..16].to_owned()
    }
}

/// A job's images and what is computed for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The job's id: its name and the first digits of the hash of `scoring`. Other images are the same job.
    pub job: String,
    /// What is computed.
    pub scoring: Scoring,
    /// For which images.
    pub images: Vec<PlannedImage>,
}

impl Scoring {
    /// SHA-256 of all that the scores hang on; 16 hexadecimal digits. Where models lie is not among it: what is in them
    /// is, and the same models in another folder or in a bucket are the same job.
    ///
    /// # Panics
    /// Never: plain structs become JSON.
    pub fn hash(&self) -> String {
        let mut wherever = self.clone();
        wherever.groups.iter_mut().flat_map(|g| &mut g.members).for_each(|m| m.onnx.clear());
        let json = serde_json::to_vec(&wherever).expect("plain structs become JSON");
        hash(&[&json])[..16].to_owned()
    }

    /// Sum over all members of each class's weight.
    pub fn total_weights(&self) -> Vec<f32> {
        sum_weights(self.groups.iter().flat_map(|g| &g.members), self.classes.len())
    }
}

impl Group {
    /// Sum over this group's members of each class's weight.
    pub fn weights(&self, classes: usize) -> Vec<f32> {
        sum_weights(self.members.iter(), classes)
    }

    /// The size of an image of `image` px for these members, px.
    pub fn scaled(&self, image: Size) -> Size {
        let by = |side: u32, factor: f64| ((f64::from(side) * factor).round() as u32).max(1);
        match self.scaling {
            Scaling::Factor(factor) => Size::new(by(image.height, factor), by(image.width, factor)),
            Scaling::Whole => self.window.inner,
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

impl Plan {
    /// A plan for a job called `name`.
    pub fn new(name: &str, scoring: Scoring, images: Vec<PlannedImage>) -> Self {
        Self { job: format!("{name}-{}", &scoring.hash()[..8]), scoring, images }
    }

    /// The windows and blocks of one image for one group; `None` when there are no such ones.
    pub fn layout(&self, image: u32, group: u32) -> Option<(Grid, Blocks)> {
        let group = self.scoring.groups.get(group as usize)?;
        let grid = group.grid(self.images.get(image as usize)?.size).ok()?;
        let blocks = Blocks::new(&grid, self.scoring.block_pixels);
        Some((grid, blocks))
    }

    /// Number of blocks of `image`, for each group.
    pub fn blocks_of(&self, image: u32) -> Vec<u32> {
        let groups = 0..self.scoring.groups.len() as u32;
        groups.map(|group| self.layout(image, group).map_or(0, |(_, blocks)| blocks.len())).collect()
    }

    /// All tasks of `image`, in the order in which they are sent.
    pub fn tasks_of(&self, image: u32) -> impl Iterator<Item = TaskId> + use<> {
        let counts = self.blocks_of(image);
        counts.into_iter().enumerate().flat_map(move |(group, blocks)| {
            (0..blocks).map(move |block| TaskId { image, group: group as u32, block })
        })
    }

    /// Model runs of one window each that `task` takes; 0 if there is no such task.
    pub fn forwards_of(&self, task: TaskId) -> u64 {
        let Some((_, blocks)) = self.layout(task.image, task.group) else { return 0 };
        let group = &self.scoring.groups[task.group as usize];
        let windows = blocks.get(task.block).map_or(0, |b| b.windows());
        windows * group.members.len() as u64 * group.views.len() as u64
    }

    /// What the job will cost.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let classes = self.scoring.classes.len() as u64;
        for image in 0..self.images.len() as u32 {
            cost.pixels += self.images[image as usize].size.area();
            for (g, group) in self.scoring.groups.iter().enumerate() {
                let Some((grid, blocks)) = self.layout(image, g as u32) else { continue };
                cost.windows += grid.len() * group.members.len() as u64;
                cost.forwards += grid.len() * group.members.len() as u64 * group.views.len() as u64;
                cost.tasks += u64::from(blocks.len());
                for block in blocks.iter() {
                    let pixels = block.extent(&grid).size.area();
                    cost.tile_bytes += pixels * classes * self.scoring.tile.bytes();
                    cost.canvas_bytes_max = cost.canvas_bytes_max.max(pixels * classes * 4);
                }
            }
        }
        cost
    }
}

/// What a plan costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Pixels of all images.
    pub pixels: u64,
    /// Windows × members.
    pub windows: u64,
    /// Model runs of one window each: windows × members × views.
    pub forwards: u64,
    /// Blocks to compute.
    pub tasks: u64,
    /// Bytes of all tiles before compression. They are deleted image by image unless they are kept.
    pub tile_bytes: u64,
    /// Bytes of the greatest canvas.
    pub canvas_bytes_max: u64,
}

fn sum_weights<'a>(members: impl Iterator<Item = &'a Member>, classes: usize) -> Vec<f32> {
    let mut sum = vec![0.0; classes];
    for member in members {
        sum.iter_mut().zip(&member.weights).for_each(|(s, w)| *s += w);
    }
    sum
}

/// SHA-256 of all parts, hexadecimal.
pub fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    sha.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
