//! The tasks of a job: by place, as the ledger knows them, and by key, as messages name them.

use marquetry_job::{ImageTasks, Plan, PlannedImage, TaskId, TaskPlace};
use std::collections::HashMap;

/// All tasks of a job's images.
#[derive(Debug)]
pub(crate) struct JobTasks<'a> {
    plan: &'a Plan,
    images: &'a [PlannedImage],
    tasks: Vec<ImageTasks>,
    /// The places of images by their keys.
    places: HashMap<&'a str, u32>,
}

impl<'a> JobTasks<'a> {
    pub(crate) fn new(plan: &'a Plan, images: &'a [PlannedImage]) -> Self {
        let tasks = images.iter().map(|image| ImageTasks::new(plan, image)).collect();
        let places = images.iter().enumerate().map(|(place, image)| (image.key.as_str(), place as u32));
        Self { plan, images, tasks, places: places.collect() }
    }

    /// For each image the number of tasks in each stage.
    pub(crate) fn stages(&self) -> Vec<Vec<u32>> {
        self.tasks.iter().map(ImageTasks::stages).collect()
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

    /// Model runs of one window each that a task takes.
    pub(crate) fn forwards(&self, place: TaskPlace) -> u64 {
        self.plan.forwards_of(self.image(place.image), self.of(place.image).at(place.place))
    }
}
