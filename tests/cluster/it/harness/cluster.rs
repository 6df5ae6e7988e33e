//! A cluster: a store, a queue, and whoever is at work on them.

use super::aggregator::{Aggregator, Made};
use super::coordinator::{Coordinating, Options};
use super::faults::FaultyStore;
use super::journal::Journal;
use super::plans::JobOf;
use super::queue::PartitionedQueue;
use super::worker::{Script, Worker};
use marquetry_job::TaskKind;
use marquetry_transport::{Feed, MemoryStore, ObjectStore, RetryingStore, TaskQueue, Topic};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

const TASK_PARTITIONS: usize = 8;
const IMAGE_PARTITIONS: usize = 4;
/// How long a store that is away is waited for.
const STORE_AWAY: Duration = Duration::from_mins(30);

/// What nobody can compute of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Poison {
    Statistics,
    Gate,
    /// This block of every group.
    Block(u32),
    /// The same, and who begins with it ends.
    DeadlyBlock(u32),
    /// Who begins to put it together ends.
    DeadlyImage,
}

pub(crate) struct Cluster {
    pub(crate) journal: Journal,
    pub(crate) queue: Arc<PartitionedQueue>,
    /// What is stored, without anybody's faults.
    pub(crate) objects: Arc<dyn ObjectStore>,
    poison: Mutex<BTreeSet<(String, Poison)>>,
    dead_letters: tokio::sync::Mutex<Box<dyn Feed>>,
}

impl Cluster {
    /// Nobody is there yet.
    pub(crate) async fn new() -> Arc<Self> {
        let queue = Arc::new(PartitionedQueue::new(TASK_PARTITIONS, IMAGE_PARTITIONS));
        let dead_letters = queue.follow(Topic::Dead).await.expect("a new queue can be listened to");
        Arc::new(Self {
            journal: Journal::new(),
            queue,
            objects: Arc::new(MemoryStore::new()),
            poison: Mutex::default(),
            dead_letters: tokio::sync::Mutex::new(dead_letters),
        })
    }

    /// The store as `who` sees it, to which faults can be added.
    pub(crate) fn view(&self, who: &str) -> Arc<FaultyStore> {
        Arc::new(FaultyStore::new(who, Arc::clone(&self.objects), self.journal.clone()))
    }

    /// Starts a worker; the handle kills it.
    pub(crate) fn worker(self: &Arc<Self>, name: &str, script: Script) -> AbortHandle {
        self.worker_over(name, script, self.view(name))
    }

    /// [`worker`](Self::worker), with the faults of its store.
    pub(crate) fn worker_over(
        self: &Arc<Self>,
        name: &str,
        script: Script,
        view: Arc<FaultyStore>,
    ) -> AbortHandle {
        let worker = Worker::new(name, script, Arc::clone(self), retrying(view));
        tokio::spawn(worker.run()).abort_handle()
    }

    /// Starts an aggregator; the handle kills it.
    pub(crate) fn aggregator(self: &Arc<Self>, name: &str, made: Made) -> AbortHandle {
        self.aggregator_over(name, made, self.view(name))
    }

    /// [`aggregator`](Self::aggregator), with the faults of its store.
    pub(crate) fn aggregator_over(
        self: &Arc<Self>,
        name: &str,
        made: Made,
        view: Arc<FaultyStore>,
    ) -> AbortHandle {
        let (name, cluster, store) = (name.to_owned(), Arc::clone(self), retrying(view));
        tokio::spawn(Aggregator { name, made, cluster, store, process: fastrand::u64(..) }.run())
            .abort_handle()
    }

    /// Starts a coordinator of `job`.
    pub(crate) fn coordinator(self: &Arc<Self>, name: &str, job: &JobOf, options: Options) -> Coordinating {
        self.coordinator_over(name, job, options, self.view(name))
    }

    /// [`coordinator`](Self::coordinator), with the faults of its store.
    pub(crate) fn coordinator_over(
        self: &Arc<Self>,
        name: &str,
        job: &JobOf,
        options: Options,
        view: Arc<FaultyStore>,
    ) -> Coordinating {
        Coordinating::start(self, name, retrying(view), job, options)
    }

    /// From now on no worker can compute this block of this image.
    pub(crate) fn poison(&self, image: &str, block: u32) {
        self.poisoned().insert((image.to_owned(), Poison::Block(block)));
    }

    /// From now on every worker that begins with this block of this image ends.
    pub(crate) fn make_deadly(&self, image: &str, block: u32) {
        self.poisoned().insert((image.to_owned(), Poison::DeadlyBlock(block)));
    }

    /// Whether whoever begins with this task of this image ends.
    pub(crate) fn is_deadly(&self, image: &str, task: TaskKind) -> bool {
        let TaskKind::Block { block, .. } = task else { return false };
        self.poisoned().contains(&(image.to_owned(), Poison::DeadlyBlock(block)))
    }

    /// From now on every aggregator that begins with this image ends.
    pub(crate) fn make_deadly_image(&self, image: &str) {
        self.poisoned().insert((image.to_owned(), Poison::DeadlyImage));
    }

    /// Whether whoever begins to put this image together ends.
    pub(crate) fn is_deadly_image(&self, image: &str) -> bool {
        self.poisoned().contains(&(image.to_owned(), Poison::DeadlyImage))
    }

    /// Starts an aggregator that is started again a second after it has ended.
    pub(crate) fn supervised_aggregator(self: &Arc<Self>, name: &str, made: Made) {
        let (cluster, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            for life in 0.. {
                let (store, name) = (retrying(cluster.view(&name)), format!("{name}-{life}"));
                let (cluster, process) = (Arc::clone(&cluster), fastrand::u64(..));
                Aggregator { name, made, cluster, store, process }.run().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Starts a worker that is started again a second after it has ended.
    pub(crate) fn supervised_worker(self: &Arc<Self>, name: &str, script: Script) {
        let (cluster, name) = (Arc::clone(self), name.to_owned());
        tokio::spawn(async move {
            for life in 0.. {
                let store = retrying(cluster.view(&name));
                let name = format!("{name}-{life}");
                Worker::new(&name, script.clone(), Arc::clone(&cluster), store).run().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// From now on no worker can compute the statistics of this image.
    pub(crate) fn poison_statistics(&self, image: &str) {
        self.poisoned().insert((image.to_owned(), Poison::Statistics));
    }

    /// From now on no worker can say which classes this image has.
    pub(crate) fn poison_gate(&self, image: &str) {
        self.poisoned().insert((image.to_owned(), Poison::Gate));
    }

    /// From now on workers can compute everything.
    pub(crate) fn cure(&self) {
        self.poisoned().clear();
    }

    /// Whether no worker can do this task of this image.
    pub(crate) fn is_poison(&self, image: &str, task: TaskKind) -> bool {
        let poison = match task {
            TaskKind::Statistics => Poison::Statistics,
            TaskKind::Gate => Poison::Gate,
            TaskKind::Region | TaskKind::Unsure => return self.is_deadly(image, task),
            TaskKind::Block { block, .. } => Poison::Block(block),
        };
        self.is_deadly(image, task) || self.poisoned().contains(&(image.to_owned(), poison))
    }

    fn poisoned(&self) -> MutexGuard<'_, BTreeSet<(String, Poison)>> {
        self.poison.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many dead letters came since this was last asked.
    pub(crate) async fn dead_letters(&self) -> usize {
        let mut feed = self.dead_letters.lock().await;
        let mut letters = 0;
        while let Ok(Ok(_)) = tokio::time::timeout(Duration::ZERO, feed.next()).await {
            letters += 1;
        }
        letters
    }
}

/// The store as it is used on a cluster: while it is away it is asked again.
fn retrying(view: Arc<FaultyStore>) -> Arc<dyn ObjectStore> {
    Arc::new(RetryingStore::new(view, STORE_AWAY))
}
