//! Workers that follow a script.

use super::cluster::Cluster;
use super::plans::{first_blocks_of, key_of, object_of, reads_statistics};
use super::protocol::{self, announce, task_begun, task_damaged, task_done, task_failed};
use marquetry_failure::{Classify, FailureClass};
use marquetry_job::{Event, Plan, PlannedImage, RunId, TaskId, TaskKind, TaskMessage, key};
use marquetry_transport::{ObjectStore, StoreErrorKind, TaskQueue, Topic};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What an honest worker needs for a task, ms.
const WORK_MS: std::ops::Range<u64> = 20..200;

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Script {
    /// What it should.
    Healthy,
    /// What it should, so many times slower.
    Slow(u32),
    /// Fails every task at once.
    Sick(Sickness),
    /// Goes away after so many tasks, with one more in hand.
    Dies(u32),
    /// After so many tasks neither answers nor goes away.
    Hangs(u32),
    /// Says everything twice.
    SaysTwice,
    /// Says of its first so many tasks that they are stored, and stores nothing.
    Lies(u32),
    /// Says of every task that it is stored just before it is.
    Hasty,
    /// Takes so long for its first task.
    LateOnce(Duration),
    /// What it should, with two tasks in hand at a time.
    InPairs,
}

/// Why a worker fails every task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sickness {
    /// Its device is gone.
    Device,
    /// Its disk is full.
    Disk,
    /// It does not reach what it needs, and others do.
    Network,
}

impl Sickness {
    /// The class of its failures, and their reason.
    const fn says(self) -> (FailureClass, &'static str) {
        match self {
            Self::Device => (FailureClass::Worker, "cannot use cuda:0"),
            Self::Disk => (FailureClass::Worker, "no space left on the disk"),
            Self::Network => (FailureClass::Passing, "the store does not answer"),
        }
    }
}

pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) script: Script,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// By hash.
    plans: HashMap<String, Arc<Plan>>,
    tasks: u32,
    is_dead: bool,
    process: u64,
}

impl Worker {
    pub(crate) fn new(
        name: &str,
        script: Script,
        cluster: Arc<Cluster>,
        store: Arc<dyn ObjectStore>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            script,
            cluster,
            store,
            plans: HashMap::new(),
            tasks: 0,
            is_dead: false,
            process: fastrand::u64(..),
        }
    }

    /// Works until the queue is closed, or its script ends.
    pub(crate) async fn run(mut self) {
        if self.script == Script::InPairs {
            return self.run_in_pairs().await;
        }
        let queue = Arc::clone(&self.cluster.queue);
        let Ok(mut subscription) = queue.subscribe(Topic::Tasks, "workers").await else { return };
        while let Ok(delivery) = subscription.receive().await {
            match self.script {
                Script::Dies(after) if self.tasks >= after => {
                    // With a task in hand, as machines do.
                    if let Some(task) = protocol::task(&delivery.payload) {
                        self.begin(&task).await;
                    }
                    return;
                }
                Script::Hangs(after) if self.tasks >= after => std::future::pending().await,
                _ => self.handle(&delivery.payload).await,
            }
            if self.is_dead {
                return;
            }
            let _ = subscription.acknowledge(delivery.token).await;
        }
    }

    /// Works with two tasks in hand, where there are two and none is to be alone.
    pub(crate) async fn run_in_pairs(mut self) {
        let queue = Arc::clone(&self.cluster.queue);
        let Ok(mut subscription) = queue.subscribe(Topic::Tasks, "workers").await else { return };
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(delivery) => delivery,
                None => match subscription.receive().await {
                    Ok(delivery) => delivery,
                    Err(_) => return,
                },
            };
            let second = tokio::time::timeout(Duration::from_millis(20), subscription.receive()).await;
            let mut both = vec![first];
            let alone = |payload: &[u8]| protocol::task(payload).is_none_or(|task| task.alone);
            match second {
                Ok(Ok(second)) if !alone(&second.payload) && !alone(&both[0].payload) => both.push(second),
                Ok(Ok(second)) => next = Some(second),
                _ => {}
            }
            for delivery in &both {
                if let Some(task) = protocol::task(&delivery.payload) {
                    self.begin(&task).await;
                }
            }
            if self.is_dead {
                return;
            }
            for delivery in both {
                self.handle(&delivery.payload).await;
                let _ = subscription.acknowledge(delivery.token).await;
            }
        }
    }

    /// Does one task and says what came of it, if its run counts.
    pub(crate) async fn handle(&mut self, payload: &[u8]) {
        let Some(task) = protocol::task(payload) else { return };
        if self.script != Script::InPairs {
            self.begin(&task).await;
        }
        if !self.is_dead && counts(&*self.store, &task.run).await {
            self.cluster.journal.note(&self.name, format!("has {} attempt {}", task.id(), task.attempt));
            self.tasks += 1;
            self.work_on(&task).await;
        }
    }

    /// Says that it begins with a task, if its run counts; some end it.
    async fn begin(&mut self, task: &TaskMessage) {
        if !counts(&*self.store, &task.run).await {
            return;
        }
        let begun = task_begun(task.id(), task.attempt, self.process);
        // A queue that delivers at least once may deliver this often enough to look like many deaths.
        let times = if self.script == Script::SaysTwice { 5 } else { 1 };
        for _ in 0..times {
            announce(&*self.cluster.queue, &task.run, &self.name, begun.clone()).await;
        }
        if self.cluster.is_deadly(&task.image.id, task.task) {
            self.cluster.journal.note(&self.name, format!("is killed by {}", task.id()));
            self.is_dead = true;
        }
    }

    async fn work_on(&mut self, task: &TaskMessage) {
        let event = self.outcome(task).await;
        self.cluster.journal.note(&self.name, format!("says {}", describe(&event)));
        if self.script == Script::SaysTwice {
            announce(&*self.cluster.queue, &task.run, &self.name, event.clone()).await;
            self.pause().await;
        }
        let early = self.script == Script::Hasty;
        announce(&*self.cluster.queue, &task.run, &self.name, event).await;
        if early {
            self.pause().await;
            // It was said to be stored; what becomes of it is for the aggregator to find out.
            let _ = self.put_object(task).await;
        }
    }

    async fn outcome(&mut self, task: &TaskMessage) -> Event {
        let failed = |class, reason: &str| task_failed(task.id(), task.attempt, class, reason);
        if let Script::Sick(sickness) = self.script {
            let (class, reason) = sickness.says();
            return failed(class, reason);
        }
        let Some(plan) = self.plan(&task.run, &task.plan).await else {
            return failed(FailureClass::Passing, "the plan is not there");
        };
        if object_of(&plan, &task.image, task.task).is_none() {
            return failed(FailureClass::Input, "it is not in the plan");
        }
        if self.cluster.is_poison(&task.image.id, task.task) {
            self.pause().await;
            return failed(FailureClass::Input, "the image is cut off");
        }
        let key = key_of(&plan, &task.image, task.task);
        if !task.replace && self.store.head(&key).await.is_ok() {
            return task_done(task.id());
        }
        match self.script {
            Script::Lies(times) if self.tasks <= times => return task_done(task.id()),
            Script::LateOnce(pause) if self.tasks == 1 => tokio::time::sleep(pause).await,
            Script::Slow(times) => {
                for _ in 0..times {
                    self.pause().await;
                }
            }
            Script::Hasty => return task_done(task.id()),
            _ => self.pause().await,
        }
        if task.task == TaskKind::Unsure {
            for tile in first_blocks_of(&plan, &task.image) {
                match self.store.get(&key_of(&plan, &task.image, tile)).await {
                    Ok(found) if Some(&found) == object_of(&plan, &task.image, tile).as_ref() => {}
                    Err(error) if error.kind != StoreErrorKind::NotFound => {
                        return failed(FailureClass::Passing, "the store does not answer");
                    }
                    _ => return task_damaged(task.id(), task.attempt, tile),
                }
            }
        }
        match self.put_object(task).await {
            Ok(()) => task_done(task.id()),
            Err(class) => failed(class, "the store does not take what was computed"),
        }
    }

    /// Stores what a task computes, and first the statistics that it reads, if there are none.
    async fn put_object(&mut self, task: &TaskMessage) -> Result<(), FailureClass> {
        let Some(plan) = self.plan(&task.run, &task.plan).await else { return Err(FailureClass::Passing) };
        let statistics = TaskKind::Statistics;
        if reads_statistics(&plan, &task.image, task.task) {
            let key = key_of(&plan, &task.image, statistics);
            let is_there = self.store.head(&key).await.is_ok();
            if !is_there {
                self.put(&plan, &task.image, statistics).await?;
            }
        }
        self.put(&plan, &task.image, task.task).await
    }

    async fn put(&self, plan: &Plan, image: &PlannedImage, task: TaskKind) -> Result<(), FailureClass> {
        let object = object_of(plan, image, task).ok_or(FailureClass::Input)?;
        let put = self.store.put(&key_of(plan, image, task), object).await;
        put.map_err(|error| error.class())
    }

    async fn pause(&self) {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(WORK_MS))).await;
    }

    async fn plan(&mut self, run: &RunId, hash: &str) -> Option<Arc<Plan>> {
        if let Some(plan) = self.plans.get(hash) {
            return Some(Arc::clone(plan));
        }
        let plan = read_plan(&*self.store, run, hash).await?;
        self.plans.insert(hash.to_owned(), Arc::clone(&plan));
        Some(plan)
    }
}

/// Stores what `task` of `image` computes, and tells the coordinator of `run`, as a worker does that has had it in hand.
pub(crate) async fn say_stored(
    cluster: &Cluster,
    run: &RunId,
    plan: &Plan,
    image: &PlannedImage,
    task: TaskKind,
) {
    if let Some(object) = object_of(plan, image, task) {
        // The store has no faults here.
        let _ = cluster.objects.put(&key_of(plan, image, task), object).await;
    }
    let said = task_done(TaskId { image: image.key.clone(), kind: task });
    cluster.journal.note("late", format!("says {}", describe(&said)));
    announce(&*cluster.queue, run, "late", said).await;
}

/// Whether `run` is the one that counts. While the store does not say, what was asked is done.
pub(crate) async fn counts(store: &dyn ObjectStore, run: &RunId) -> bool {
    match store.get(&key::run(&run.job)).await {
        Ok(named) => named == run.run.as_bytes(),
        Err(error) => error.kind != StoreErrorKind::NotFound,
    }
}

/// The plan of `run` whose hash is `hash`.
pub(crate) async fn read_plan(store: &dyn ObjectStore, run: &RunId, hash: &str) -> Option<Arc<Plan>> {
    let bytes = store.get(&key::plan(&run.job, hash)).await.ok()?;
    Some(Arc::new(Plan::from_bytes(&bytes, hash).ok()?))
}

/// What is said, in few words.
pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::TaskBegun { task, attempt, .. } => format!("that {task} attempt {attempt} begins"),
        Event::TaskLeft { task, attempt, .. } => format!("that {task} attempt {attempt} is for another"),
        Event::TaskDone { task, .. } => format!("that {task} is stored"),
        Event::TaskFailed { task, attempt, reason, .. } => {
            format!("that {task} attempt {attempt} failed: {reason}")
        }
        Event::ImageBegun { image, attempt, .. } => format!("that image {image} attempt {attempt} begins"),
        Event::Image { image, partial, .. } => format!("that image {image} is stored, partial: {partial}"),
        Event::ImageFailed { image, attempt, reason, .. } => {
            format!("that image {image} attempt {attempt} failed: {reason}")
        }
        Event::Unread { reason } => format!("that it has not understood: {reason}"),
        Event::Retry => "that all is to be tried again".to_owned(),
    }
}
