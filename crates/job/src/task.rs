//! Tasks: what a worker is asked for, what it stores, and the order in which they are done.

use crate::{Plan, PlannedImage, key};
use serde::{Deserialize, Serialize};

/// What a task computes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TaskKind {
    /// Mean and standard deviation of each band over the whole image, for members that normalise by them.
    Statistics,
    /// The part of the image that is computed, where the image itself tells which that is.
    Region,
    /// The tile of one block for one group of members.
    Block {
        /// Place of the group in the plan.
        group: u32,
        /// Place of the block in the group's grid over the image, row-major.
        block: u32,
    },
}

impl TaskKind {
    /// The key of the object that it stores for `image`: what says that it is done. `scores` names what each group of the
    /// plan infers of the image ([`Plan::scores_of`]); `None` where there is no such group.
    pub fn produces(self, job: &str, image: &PlannedImage, scores: &[String]) -> Option<String> {
        match self {
            Self::Statistics => Some(key::statistics(job, &image.key)),
            Self::Region => Some(key::region(job, image.content_key())),
            Self::Block { group, block } => {
                Some(key::tile(job, scores.get(group as usize)?, image.content_key(), block))
            }
        }
    }
}

impl std::fmt::Display for TaskKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Statistics => f.write_str("statistics"),
            Self::Region => f.write_str("region"),
            Self::Block { group, block } => write!(f, "block {block} of group {group}"),
        }
    }
}

/// One task of a job. It names its image by key, never by its place in a list: another run may have another list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId {
    /// Key of the image.
    pub image: String,
    /// What is computed of it.
    #[serde(flatten)]
    pub kind: TaskKind,
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of image {}", self.kind, self.image)
    }
}

/// The tasks of one image: stage by stage, and within a stage in the order in which they are sent.
///
/// All tasks of a stage are done before one of the next begins. The statistics and the region of an image are the first
/// stage, where they are wanted; the blocks of all groups are the second.
///
/// ```text
/// place    0           1       2 3 4 5         6 7 8
/// task     statistics  region  group 0, 0..4   group 1, 0..3
/// stage    0           0       1               1
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTasks {
    statistics: bool,
    region: bool,
    /// The place of the first block of each group, and the number of tasks at the end.
    offsets: Box<[u32]>,
}

impl ImageTasks {
    /// The tasks of `image`.
    pub fn new(plan: &Plan, image: &PlannedImage) -> Self {
        let statistics = plan.wants_statistics(image);
        let region = plan.wants_region();
        let mut offsets = vec![u32::from(statistics) + u32::from(region)];
        for group in 0..plan.inference.groups.len() as u32 {
            let blocks = plan.layout(image, group).map_or(0, |(_, blocks)| blocks.len());
            offsets.push(offsets[offsets.len() - 1] + blocks);
        }
        Self { statistics, region, offsets: offsets.into() }
    }

    /// Number of tasks in each stage; no stage is empty.
    pub fn stages(&self) -> Vec<u32> {
        let first = self.offsets[0];
        let blocks = self.len() - first;
        if first > 0 { vec![first, blocks] } else { vec![blocks] }
    }

    /// Number of tasks.
    pub fn len(&self) -> u32 {
        self.offsets[self.offsets.len() - 1]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The task at `place`.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn at(&self, place: u32) -> TaskKind {
        assert!(place < self.len(), "task {place} of {}", self.len());
        if self.statistics && place == 0 {
            return TaskKind::Statistics;
        }
        if place < self.offsets[0] {
            return TaskKind::Region;
        }
        let group = self.offsets.partition_point(|&start| start <= place) - 1;
        TaskKind::Block { group: group as u32, block: place - self.offsets[group] }
    }

    /// The place of a task; `None` if it is none of these.
    pub fn place(&self, task: TaskKind) -> Option<u32> {
        match task {
            TaskKind::Statistics => self.statistics.then_some(0),
            TaskKind::Region => self.region.then(|| self.offsets[0] - 1),
            TaskKind::Block { group, block } => {
                let (start, end) =
                    (*self.offsets.get(group as usize)?, *self.offsets.get(group as usize + 1)?);
                start.checked_add(block).filter(|&place| place < end)
            }
        }
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = TaskKind> + '_ {
        (0..self.len()).map(|place| self.at(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_and_tasks_are_one_to_one(statistics: bool, region: bool, blocks in prop::collection::vec(0_u32..5, 1..6)) {
            let first = u32::from(statistics) + u32::from(region);
            let mut offsets = vec![first];
            blocks.iter().for_each(|n| offsets.push(offsets[offsets.len() - 1] + n));
            let tasks = ImageTasks { statistics, region, offsets: offsets.into() };
            prop_assert_eq!(tasks.len(), first + blocks.iter().sum::<u32>());
            prop_assert_eq!(tasks.stages().iter().sum::<u32>(), tasks.len());
            let all: Vec<TaskKind> = tasks.iter().collect();
            prop_assert!(all.is_sorted());
            for (place, task) in all.into_iter().enumerate() {
                prop_assert_eq!(tasks.place(task), Some(place as u32));
            }
            for (group, &n) in blocks.iter().enumerate() {
                prop_assert_eq!(tasks.place(TaskKind::Block { group: group as u32, block: n }), None);
            }
            prop_assert_eq!(tasks.place(TaskKind::Block { group: blocks.len() as u32, block: 0 }), None);
        }
    }
}
