//! Tasks: what a worker is asked for, what it stores, and the order in which they are done.

use crate::{Plan, PlannedImage, Stages, key};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What a task computes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TaskKind {
    /// Mean and standard deviation of each band over the whole image, for members that normalise by them.
    Statistics,
    /// The part of the image that is computed, where the image itself tells which that is.
    Region,
    /// Which classes the image has at all, where models of their own say that.
    Gate,
    /// The tile of one block for one group of members.
    Block {
        /// Place of the group in the plan.
        group: u32,
        /// Place of the block in the group's grid over the image, row-major.
        block: u32,
    },
    /// The part of the image at which the members of the first round are unsure, for those after them.
    Unsure,
}

impl TaskKind {
    /// The key of the object that it stores for `image`: what says that it is done. `scores` names what each group of the
    /// plan infers of the image ([`Plan::scores_of`]); `None` where there is no such group.
    pub fn produces(self, job: &str, image: &PlannedImage, scores: &[String]) -> Option<String> {
        match self {
            Self::Statistics => Some(key::statistics(job, &image.key)),
            Self::Region => Some(key::region(job, image.content_key())),
            Self::Gate => Some(key::gate(job, &image.key)),
            Self::Block { group, block } => {
                Some(key::tile(job, scores.get(group as usize)?, image.content_key(), block))
            }
            Self::Unsure => Some(key::unsure(job, &image.key)),
        }
    }
}

impl std::fmt::Display for TaskKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Statistics => f.write_str("statistics"),
            Self::Region => f.write_str("region"),
            Self::Gate => f.write_str("gate"),
            Self::Block { group, block } => write!(f, "block {block} of group {group}"),
            Self::Unsure => f.write_str("unsure pixels"),
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
/// All tasks of a stage are done before one of the next begins. The statistics, the region and the gate of an image are the first
/// stage, where they are wanted; the blocks of all groups are the next. Where some members look only at what those of the first round
/// are unsure of, the blocks of these come first, then what they are unsure of, then the others' blocks.
///
/// ```text
/// place    0           1       2     3 4 5 6         7       8 9 10
/// task     statistics  region  gate  group 0, 0..4   unsure  group 1, 0..3
/// stage    0           0       0     1               2       3
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTasks {
    /// What comes before the blocks, in order.
    before: Vec<TaskKind>,
    /// The place of the first block of each group, and the number of tasks at the end.
    offsets: Box<[u32]>,
    /// The groups of the first round, where another follows.
    first_groups: Option<u32>,
}

impl ImageTasks {
    /// The tasks of `image`.
    pub fn new(plan: &Plan, image: &PlannedImage) -> Self {
        let blocks = (0..plan.inference.groups.len() as u32)
            .map(|group| plan.layout(image, group).map_or(0, |(_, blocks)| blocks.len()));
        let first_groups = plan.cascade_of(image).map(|rule| rule.groups);
        let before = [
            (TaskKind::Statistics, plan.wants_statistics(image)),
            (TaskKind::Region, plan.wants_region()),
            (TaskKind::Gate, plan.wants_gate()),
        ];
        let before = before.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind).collect();
        Self::of(before, blocks, first_groups)
    }

    /// With so many `blocks` of each group, after what comes `before` them.
    fn of(before: Vec<TaskKind>, blocks: impl IntoIterator<Item = u32>, first_groups: Option<u32>) -> Self {
        let mut offsets = vec![before.len() as u32];
        for (group, blocks) in (1..).zip(blocks) {
            let unsure = u32::from(first_groups == Some(group));
            offsets.push(offsets[offsets.len() - 1] + blocks + unsure);
        }
        Self { before, offsets: offsets.into(), first_groups }
    }

    /// The place of the task that finds what is unsure.
    fn unsure(&self) -> Option<u32> {
        Some(self.offsets[self.first_groups? as usize] - 1)
    }

    /// Where the blocks of `group` begin and end.
    fn blocks(&self, group: usize) -> Option<Range<u32>> {
        let (start, end) = (*self.offsets.get(group)?, *self.offsets.get(group + 1)?);
        // What is unsure lies between the groups of the first round and the others.
        let unsure = u32::from(self.first_groups == Some(group as u32 + 1));
        Some(start..end - unsure)
    }

    /// Number of tasks in each stage; no stage is empty.
    pub fn stages(&self) -> Stages {
        let first = self.offsets[0];
        let rounds = match self.unsure() {
            None => vec![self.len() - first],
            Some(unsure) => vec![unsure - first, 1, self.len() - unsure - 1],
        };
        // Tiles do not hang on the gate, but what is made of them does.
        let for_image = self.before.iter().filter(|kind| **kind == TaskKind::Gate).count() as u32;
        Stages::new(first, rounds).with_tasks_for_image(for_image)
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
        if let Some(kind) = self.before.get(place as usize) {
            return *kind;
        }
        if self.unsure() == Some(place) {
            return TaskKind::Unsure;
        }
        let group = self.offsets.partition_point(|&start| start <= place) - 1;
        TaskKind::Block { group: group as u32, block: place - self.offsets[group] }
    }

    /// The place of a task; `None` if it is none of these.
    pub fn place(&self, task: TaskKind) -> Option<u32> {
        match task {
            TaskKind::Statistics | TaskKind::Region | TaskKind::Gate => {
                self.before.iter().position(|kind| *kind == task).map(|place| place as u32)
            }
            TaskKind::Block { group, block } => {
                let blocks = self.blocks(group as usize)?;
                blocks.start.checked_add(block).filter(|place| blocks.contains(place))
            }
            TaskKind::Unsure => self.unsure(),
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
        fn places_and_tasks_are_one_to_one(
            statistics: bool, region: bool, gate: bool, blocks in prop::collection::vec(0_u32..5, 1..6), first in 0_u32..6,
        ) {
            let first_groups = (1..blocks.len() as u32).contains(&first).then_some(first);
            let kinds = [(TaskKind::Statistics, statistics), (TaskKind::Region, region), (TaskKind::Gate, gate)];
            let kinds: Vec<TaskKind> = kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind).collect();
            let before = kinds.len() as u32;
            let tasks = ImageTasks::of(kinds, blocks.iter().copied(), first_groups);
            let unsure = u32::from(first_groups.is_some());
            prop_assert_eq!(tasks.len(), before + unsure + blocks.iter().sum::<u32>());
            prop_assert_eq!(tasks.stages().tasks().iter().sum::<u32>(), tasks.len());
            let all: Vec<TaskKind> = tasks.iter().collect();
            for (place, task) in all.iter().enumerate() {
                prop_assert_eq!(tasks.place(*task), Some(place as u32));
            }
            for (group, &n) in blocks.iter().enumerate() {
                prop_assert_eq!(tasks.place(TaskKind::Block { group: group as u32, block: n }), None);
                // Whatever is unsure is known before others look at it.
                let is_later = first_groups.is_some_and(|first| group as u32 >= first);
                for block in 0..n {
                    let place = tasks.place(TaskKind::Block { group: group as u32, block }).unwrap();
                    prop_assert_eq!(tasks.unsure().is_some_and(|unsure| place > unsure), is_later);
                }
            }
            prop_assert_eq!(tasks.place(TaskKind::Block { group: blocks.len() as u32, block: 0 }), None);
        }
    }
}
