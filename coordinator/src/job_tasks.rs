//! The tasks of a job: by place, as the ledger knows them, by key, as messages name them, and by what they store.

use marquetry_job::{ImageTasks, Plan, PlannedImage, Stages, TaskId, TaskKind, TaskPlace, key};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// All tasks of a job's images.
#[derive(Debug)]
pub(crate) struct JobTasks<'a> {
    plan: &'a Plan,
    images: &'a [PlannedImage],
    tasks: Vec<ImageTasks>,
    /// The places of images by their keys.
    places: HashMap<&'a str, u32>,
    /// The places of images by what tiles call them.
    contents: HashMap<&'a str, u32>,
    /// For each image what the scores of each group's tiles are called. Images that are scored by the same members share one.
    scores: Vec<Arc<[String]>>,
}

impl<'a> JobTasks<'a> {
    pub(crate) fn new(plan: &'a Plan, images: &'a [PlannedImage]) -> Self {
        let tasks = images.iter().map(|image| ImageTasks::new(plan, image)).collect();
        let places = || images.iter().zip(0_u32..);
        let mut known: HashMap<Option<&[u32]>, Arc<[String]>> = HashMap::new();
        let scores = images.iter().map(|image| {
            let scores =
                known.entry(image.members.as_deref()).or_insert_with(|| plan.scores_of(image).into());
            Arc::clone(scores)
        });
        Self {
            plan,
            images,
            tasks,
            places: places().map(|(image, place)| (image.key.as_str(), place)).collect(),
            contents: places().map(|(image, place)| (image.content_key(), place)).collect(),
            scores: scores.collect(),
        }
    }

    /// What the scores of tiles are called, each once.
    pub(crate) fn scores(&self) -> BTreeSet<&str> {
        self.scores.iter().flat_map(|scores| scores.iter()).map(String::as_str).collect()
    }

    /// The tasks whose object lies under `key`: mostly one, none if it is not of this run, several where groups are alike.
    pub(crate) fn stored_under(&self, key: &str) -> Vec<TaskPlace> {
        let place = |image: u32, kind| {
            let place = self.of(image).place(kind)?;
            Some(TaskPlace { image, place })
        };
        if let Some((scores, content, block)) = key::of_tile(key) {
            let Some(&image) = self.contents.get(content) else { return Vec::new() };
            let groups = self.scores[image as usize].iter().zip(0_u32..).filter(|(own, _)| *own == scores);
            return groups.filter_map(|(_, group)| place(image, TaskKind::Block { group, block })).collect();
        }
        if let Some(image) = key::image_of_region(key) {
            let image = self.contents.get(image).and_then(|&image| place(image, TaskKind::Region));
            return image.into_iter().collect();
        }
        if let Some(image) = key::image_of_gate(key) {
            let image = self.image_place(image).and_then(|image| place(image, TaskKind::Gate));
            return image.into_iter().collect();
        }
        if let Some(image) = key::image_of_unsure(key) {
            let image = self.image_place(image).and_then(|image| place(image, TaskKind::Unsure));
            return image.into_iter().collect();
        }
        let image = key::image_of_statistics(key).and_then(|image| self.image_place(image));
        image.and_then(|image| place(image, TaskKind::Statistics)).into_iter().collect()
    }

    /// For each image the number of tasks in each stage.
    pub(crate) fn stages(&self) -> Vec<Stages> {
        self.tasks.iter().map(ImageTasks::stages).collect()
    }

    /// Number of tasks of all images.
    pub(crate) fn len(&self) -> u64 {
        self.tasks.iter().map(|tasks| u64::from(tasks.len())).sum()
    }

    /// The image at `place`.
    ///
    /// # Panics
    /// When there are not so many.
    pub(crate) fn image(&self, place: u32) -> &'a PlannedImage {
        &self.images[place as usize]
    }

    /// The tasks of the image at `place`.
    pub(crate) fn of(&self, place: u32) -> &ImageTasks {
        &self.tasks[place as usize]
    }

    /// The place of the image whose key is `key`; `None` if it is none of this run's.
    pub(crate) fn image_place(&self, key: &str) -> Option<u32> {
        self.places.get(key).copied()
    }

    /// The place of a task; `None` if it is none of this run's.
    pub(crate) fn place(&self, task: &TaskId) -> Option<TaskPlace> {
        let image = self.image_place(&task.image)?;
        Some(TaskPlace { image, place: self.of(image).place(task.kind)? })
    }

    /// The task at `place`, as messages name it.
    pub(crate) fn id(&self, place: TaskPlace) -> TaskId {
        let kind = self.of(place.image).at(place.place);
        TaskId { image: self.image(place.image).key.clone(), kind }
    }

    /// Model runs of one window each that a task takes; 0 where a region or a cascade leaves some out, which is not known here.
    pub(crate) fn forwards(&self, place: TaskPlace) -> u64 {
        if self.plan.inference.region.is_some() || self.plan.inference.cascade.is_some() {
            return 0;
        }
        self.plan.forwards_of(self.image(place.image), self.of(place.image).at(place.place))
    }
}
