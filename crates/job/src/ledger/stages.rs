//! How many tasks each stage of an image has.

/// The number of tasks of an image in each of its stages.
///
/// What comes *before* the rounds is what all blocks wait for: where something of it is given up, the image is. What is given up of
/// a *round* is a gap in what is put together, and later rounds are left out: they hang on all of those before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    tasks: Vec<u32>,
    rounds_from: usize,
    for_image: u32,
}

impl Stages {
    /// So many tasks before the rounds, and in each of these.
    pub fn new(before: u32, rounds: Vec<u32>) -> Self {
        let rounds_from = usize::from(before > 0);
        let before = (before > 0).then_some(before);
        Self { tasks: before.into_iter().chain(rounds).collect(), rounds_from, for_image: 0 }
    }

    /// The last `tasks` of those before the rounds are needed to put the image together too: they are done even where all blocks are.
    #[must_use]
    pub fn with_tasks_for_image(self, tasks: u32) -> Self {
        Self { for_image: tasks, ..self }
    }

    /// How many of the last tasks before the rounds are needed to put the image together.
    pub(super) const fn for_image(&self) -> u32 {
        self.for_image
    }

    /// The number of tasks of each stage.
    pub fn tasks(&self) -> &[u32] {
        &self.tasks
    }

    /// The first stage that is a round.
    pub(super) const fn rounds_from(&self) -> usize {
        self.rounds_from
    }
}
