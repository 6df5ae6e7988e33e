//! What a job computes and how it is merged: the plan, as it is stored and named by its hash.

use crate::{GateModel, Inference, PlannedImage, RegionRule, TaskKind};
use marquetry_ensemble::{ScoreSpace, Voice};
use marquetry_geometry::{Blocks, Grid};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a job computes and how it is merged, whichever its images are.
///
/// Inference names the job and its tiles; the merge names, with decisions and outputs, what is made of them. So other
/// weights over tiles of single members run no model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The job's id: its name and the first digits of the hash of `inference`. Other images are the same job.
    pub job: String,
    /// What is computed.
    pub inference: Inference,
    /// How members become one.
    pub merge: Merge,
}

/// How the scores of members become one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// The space in which groups are merged.
    pub space: ScoreSpace,
    /// The weight of each member, per class, in the order of [`Inference::members`].
    pub weights: Vec<Vec<f32>>,
}

impl Plan {
    /// A plan for a job called `name`.
    pub fn new(name: &str, inference: Inference, merge: Merge) -> Self {
        Self { job: format!("{name}-{}", &inference.hash()[..8]), inference, merge }
    }

    /// Names the plan as it is stored, with where its models lie: 16 hexadecimal digits.
    ///
    /// # Panics
    /// Never: plain structs become JSON.
    pub fn hash(&self) -> String {
        hash(&[&self.to_bytes()])[..16].to_owned()
    }

    /// The bytes that are stored, of which [`hash`](Self::hash) is the hash.
    ///
    /// # Panics
    /// Never: plain structs become JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain structs become JSON")
    }

    /// The plan in `bytes`, whose hash is `name`.
    ///
    /// # Errors
    /// When the bytes are not those of that plan.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, StoredPlanError> {
        if hash(&[bytes])[..16] != *name {
            return Err(StoredPlanError::Changed(name.to_owned()));
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// What the scores in the tiles of `image` of the group at place `group` are called ([`Inference::scores_of`]): they hang
    /// on the members that score the image, and on no others.
    ///
    /// # Panics
    /// When there is no such group.
    pub fn scores_of_group(&self, image: &PlannedImage, group: usize) -> String {
        let rule = self.cascade_of(image).filter(|rule| rule.is_later(group));
        let before = (0..rule.map_or(0, |rule| rule.groups as usize)).chain([group]);
        let scored = before.map(|group| {
            let mut scored = self.inference.groups[group].clone();
            let (first, mut place) = (self.inference.first_member(group), 0);
            scored.members.retain(|_| {
                place += 1;
                image.is_scored_by(first + place - 1)
            });
            scored
        });
        self.inference.scores_of(scored.collect())
    }

    /// [`scores_of_group`](Self::scores_of_group) of all groups.
    pub fn scores_of(&self, image: &PlannedImage) -> Vec<String> {
        (0..self.inference.groups.len()).map(|group| self.scores_of_group(image, group)).collect()
    }

    /// The members of `group` that score `image`, as places among the group's members.
    pub fn members_of(&self, image: &PlannedImage, group: usize) -> Vec<usize> {
        let first = self.inference.first_member(group);
        let all = 0..self.inference.groups.get(group).map_or(0, |g| g.members.len());
        all.filter(|member| image.is_scored_by(first + member)).collect()
    }

    /// What the tile of `group` weighs in the merge of `image`, per class: the sum of the weights of its members that
    /// score the image; `None` where there are none. The one place from which weights come.
    pub fn group_weights(&self, image: &PlannedImage, group: usize) -> Option<Vec<f32>> {
        let members = self.members_of(image, group);
        let first = self.inference.first_member(group);
        (!members.is_empty()).then(|| self.sum_weights(members.into_iter().map(|member| first + member)))
    }

    /// The sum of the weights of all members that score `image`, per class.
    pub fn total_weights(&self, image: &PlannedImage) -> Vec<f32> {
        let all = 0..self.merge.weights.len();
        self.sum_weights(all.filter(|&member| image.is_scored_by(member)))
    }

    fn sum_weights(&self, members: impl Iterator<Item = usize>) -> Vec<f32> {
        let mut sum = vec![0.0; self.inference.classes.len()];
        for member in members {
            sum.iter_mut().zip(&self.merge.weights[member]).for_each(|(s, w)| *s += w);
        }
        sum
    }

    /// In what the member at `place` among all members has a say, where it scores an image.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn voice(&self, place: usize) -> Voice {
        let member = self.inference.members().nth(place).expect("a place among the members");
        let channels = member.signatures.first().map_or(0, |signature| signature.classes as usize);
        Voice::new(self.merge.weights[place].clone(), &member.classes, member.applied, channels)
    }

    /// The windows and blocks of one image for one group; `None` when there is no such group, or no member of it scores
    /// the image.
    pub fn layout(&self, image: &PlannedImage, group: u32) -> Option<(Grid, Blocks)> {
        let members = self.members_of(image, group as usize);
        let group = self.inference.groups.get(group as usize).filter(|_| !members.is_empty())?;
        let grid = group.grid(image.size).ok()?;
        let blocks = Blocks::new(&grid, self.inference.block_pixels);
        Some((grid, blocks))
    }

    /// Whether some member that scores `image`, or a model of the gate, wants its statistics.
    pub fn wants_statistics(&self, image: &PlannedImage) -> bool {
        let members = self.inference.members().enumerate();
        let scoring = members.filter(|(place, _)| image.is_scored_by(*place)).map(|(_, member)| member);
        let gate = self.inference.gate.iter().map(GateModel::member);
        scoring.chain(gate).any(|model| model.input.wants().is_some())
    }

    /// Whether a task finds the region of each image.
    pub fn wants_region(&self) -> bool {
        self.inference.region.is_some_and(RegionRule::is_task)
    }

    /// Model runs of one window each that a task of `image` takes; 0 if there is no such task.
    pub fn forwards_of(&self, image: &PlannedImage, task: TaskKind) -> u64 {
        let (group, block) = match task {
            TaskKind::Block { group, block } => (group, block),
            TaskKind::Gate => return self.inference.gate.len() as u64,
            TaskKind::Statistics | TaskKind::Region | TaskKind::Unsure => return 0,
        };
        let Some((_, blocks)) = self.layout(image, group) else { return 0 };
        let windows = blocks.get(block).map_or(0, |b| b.windows());
        let members = self.members_of(image, group as usize).len() as u64;
        windows * members * self.inference.groups[group as usize].views.len() as u64
    }

    /// Model runs of one window each that `image` takes in the group at place `group`.
    pub fn forwards_of_group(&self, image: &PlannedImage, group: usize) -> u64 {
        let Some((grid, _)) = self.layout(image, group as u32) else { return 0 };
        grid.len() * (self.members_of(image, group).len() * self.inference.groups[group].views.len()) as u64
    }

    /// What the job will cost for `images`.
    pub fn cost(&self, images: &[PlannedImage]) -> Cost {
        let mut cost = Cost::default();
        let classes = self.inference.classes.len() as u64;
        for image in images {
            cost.pixels += image.size.area();
            cost.tasks += u64::from(self.wants_statistics(image)) + u64::from(self.wants_region());
            cost.tasks += u64::from(self.cascade_of(image).is_some()) + u64::from(self.wants_gate());
            cost.forwards += self.inference.gate.len() as u64;
            for (g, group) in self.inference.groups.iter().enumerate() {
                let Some((grid, blocks)) = self.layout(image, g as u32) else { continue };
                let windows = grid.len() * self.members_of(image, g).len() as u64;
                cost.windows += windows;
                cost.forwards += windows * group.views.len() as u64;
                cost.tasks += u64::from(blocks.len());
                for block in blocks.iter() {
                    let pixels = block.extent(&grid).size.area();
                    cost.tile_bytes += pixels * classes * self.inference.tile.bytes();
                    cost.canvas_bytes_max = cost.canvas_bytes_max.max(pixels * classes * 4);
                }
            }
        }
        cost
    }
}

/// Why a stored plan cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredPlanError {
    /// Its bytes are others than those that were stored.
    #[error("the plan {0} is not what was stored under this name")]
    Changed(String),
    /// It has another form.
    #[error("the plan is of another version of Marquetry; run the job again")]
    Form(#[from] serde_json::Error),
}

/// What a plan costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Pixels of all images.
    pub pixels: u64,
    /// Windows × members.
    pub windows: u64,
    /// Model runs of one window each: windows × members × views, and one for each image and model of the gate.
    pub forwards: u64,
    /// Blocks to compute, and images whose statistics, region, gate or unsure pixels are to be found.
    pub tasks: u64,
    /// Bytes of all tiles before compression. They are deleted image by image unless they are kept.
    pub tile_bytes: u64,
    /// Bytes of the greatest canvas.
    pub canvas_bytes_max: u64,
}

/// SHA-256 of all parts, hexadecimal.
pub fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(part);
    }
    sha.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
