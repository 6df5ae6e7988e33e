use super::*;
use crate::test_plans::{images, plan};
use bytes::Bytes;
use marquetry_aggregator::expected_of;
use marquetry_failure::{Classify as _, FailureClass};
use marquetry_job::{AggregateMessage, StageSeconds, TaskId, TaskKind, TaskMessage, TaskPlace, key};
use marquetry_transport::{FolderStore, MemoryQueue, Subscription};
use tempfile::TempDir;

/// Whether a worker does a task of the image with this id, or what it fails it with.
type Script = fn(&str) -> Option<(FailureClass, &'static str)>;

struct Job {
    folder: TempDir,
    store: Arc<dyn ObjectStore>,
    queue: MemoryQueue,
    plan: Plan,
    images: Vec<PlannedImage>,
    spec: JobSpec,
    metrics: Metrics,
}

impl Job {
    /// A job of so many images, each of one block.
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = FolderStore::open(folder.path()).unwrap();
        let spec = "version: 1\nname: j\nimages: i\nclasses: [a, b]\ndefaults: {window: {size: 64}}\nmembers: [{onnx: m.onnx}]\n\
                    outputs: [{masks: png}]\n";
        Self {
            store: Arc::new(store),
            queue: MemoryQueue::new(),
            plan: plan(),
            images: images(count),
            spec: JobSpec::parse(spec).unwrap(),
            metrics: Metrics::new(),
            folder,
        }
    }

    /// Where the tile of the only block of `image` lies.
    fn tile(&self, image: &str) -> String {
        key::tile(&self.plan.job, &self.plan.scores_of_group(&self.images[0], 0), image, 0)
    }

    fn run_id(&self, run: &str) -> RunId {
        let store = self.folder.path().display().to_string();
        RunId { job: self.plan.job.clone(), store, run: run.into() }
    }

    fn runner<'a>(&'a self, run: &'a RunId) -> JobRunner<'a> {
        JobRunner {
            store: Arc::clone(&self.store),
            queue: Arc::new(self.queue.clone()),
            run,
            plan: &self.plan,
            inputs: Arc::new(StoredInputs::new(&self.plan, &self.spec, "o")),
            images: &self.images,
            spec: &self.spec,
            outputs: "o",
            attempts_max: 3,
            stop_at_loss: false,
            keep_tiles: false,
            other_results: OtherResults::Delete,
            overdue_after: Duration::from_hours(1),
            metrics: &self.metrics,
        }
    }

    /// A worker and an aggregator that answer without computing anything.
    async fn roles(&self, script: Script) -> JoinSet<()> {
        let mut roles = JoinSet::new();
        let tasks = self.queue.subscribe(Topic::Tasks, "workers").await.unwrap();
        roles.spawn(answer(self.queue.clone(), tasks, move |payload| {
            let asked: TaskMessage = message::decode(payload).unwrap();
            let (task, run, attempt) = (asked.id(), asked.run, asked.attempt);
            let seconds = StageSeconds::default();
            let done = Event::TaskDone { task: task.clone(), stored_bytes: 1, forwards: 1, seconds };
            let failed = |(class, reason): (FailureClass, &str)| Event::TaskFailed {
                task,
                attempt,
                reason: reason.into(),
                class,
                damaged: Vec::new(),
            };
            ResultMessage { run, from: "w".into(), event: script(&asked.image.id).map_or(done, failed) }
        }));
        let images = self.queue.subscribe(Topic::Aggregate, "aggregators").await.unwrap();
        roles.spawn(answer(self.queue.clone(), images, |payload| {
            let AggregateMessage { run, image, partial, .. } = message::decode(payload).unwrap();
            let event = Event::Image { image: image.key, partial, seconds: 0.1, unread: None };
            ResultMessage { run, from: "a".into(), event }
        }));
        roles
    }
}

async fn answer(
    queue: MemoryQueue,
    mut asked: Box<dyn Subscription>,
    answer: impl Fn(&[u8]) -> ResultMessage + Send,
) {
    while let Ok(delivery) = asked.receive().await {
        let answer = Bytes::from(message::encode(&answer(&delivery.payload)));
        queue.publish(Topic::Results, "", answer).await.unwrap();
    }
}

/// A job in mid run, over a topic of three partitions; with all of its tasks out.
async fn all_tasks_out<'a>(runner: &JobRunner<'a>) -> RunState<'a> {
    let lease = RunLease::acquire(Arc::clone(&runner.store), runner.run.clone()).await.unwrap();
    let mut state = runner.begin(&lease).await.unwrap();
    state.in_flight = InFlight::new(runner.overdue_after, [3, 1]);
    runner.fill(&mut state);
    state
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_does_not_go_back_to_where_it_failed() {
    // Every partition has its share, so the one that a failure vacates is the emptiest.
    let job = Job::new(9);
    let run = job.run_id("r");
    let runner = job.runner(&run);
    let mut state = all_tasks_out(&runner).await;
    let task = TaskId { image: job.images[0].key.clone(), kind: TaskKind::Block { group: 0, block: 0 } };
    let key = InFlightKey::Task(TaskPlace { image: 0, place: 0 });
    let mut met = vec![state.in_flight.partition(key).unwrap()];
    for attempt in 1..3 {
        let event = Event::TaskFailed {
            task: task.clone(),
            attempt,
            reason: "no".into(),
            class: FailureClass::Worker,
            damaged: Vec::new(),
        };
        assert!(runner.take_in(&Heard { from: format!("w{attempt}"), event }, &mut state));
        met.push(state.in_flight.partition(key).unwrap());
    }
    met.sort_unstable();
    assert_eq!(met, [0, 1, 2], "each try in another partition");
    let event = Event::TaskFailed {
        task,
        attempt: 3,
        reason: "cut off".into(),
        class: FailureClass::Input,
        damaged: Vec::new(),
    };
    runner.take_in(&Heard { from: "w".into(), event }, &mut state);
    assert_eq!((state.in_flight.tasks(), state.in_flight.partition(key)), (8, None));
    assert_eq!(state.tally.losses.total(), 2, "the block and its image");
}

#[tokio::test(start_paused = true)]
async fn a_job_in_which_all_fails_alike_stops_and_says_why() {
    let job = Job::new(200);
    let run = job.run_id("r");
    let _roles = job.roles(|_| Some((FailureClass::Config, "cannot write tiles: not allowed"))).await;
    let Err(error) = job.runner(&run).run(|_| {}).await else { panic!("the job ended") };
    assert_eq!(error.class(), FailureClass::Config);
    assert!(error.to_string().contains("not allowed"), "{error}");
    let status = crate::Status::read(&*job.store, &job.plan.job).await.unwrap().unwrap();
    assert_eq!(status.state, JobState::Failed);
    assert_eq!(status.sick_workers[0].name, "w");
    assert!(status.failure.reason.unwrap().contains("not allowed"));
}

#[tokio::test(start_paused = true)]
async fn what_one_image_is_to_blame_for_costs_that_image_only() {
    let job = Job::new(150);
    let run = job.run_id("r");
    let cut = |image: &str| (image == "image 7").then_some((FailureClass::Input, "cut off"));
    let _roles = job.roles(cut).await;
    let ended = job.runner(&run).run(|_| {}).await.unwrap();
    let progress = ended.tally.progress;
    assert_eq!((progress.images_done, progress.images_failed, ended.tally.retries), (149, 1, 0));
    assert_eq!(ended.tally.unfinished.iter().collect::<Vec<_>>(), [&job.images[7].key]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_replaced_at_its_end_leaves_everything_to_the_new_one() {
    let job = Job::new(2);
    let (old, new) = (job.run_id("old"), job.run_id("new"));
    let _roles = job.roles(|_| None).await;
    let ended = job.runner(&old).run(|_| {}).await.unwrap();
    let outputs = ended.finishing();
    outputs.put(&key::out(&job.plan.job, "table.csv"), Bytes::from_static(b"old")).await.unwrap();

    let _new = RunLease::acquire(Arc::clone(&job.store), new).await.unwrap();
    let tile = job.tile(&job.images[0].key);
    job.store.put(&tile, Bytes::from_static(b"new")).await.unwrap();
    assert!(outputs.put(&key::out(&job.plan.job, "table.csv"), Bytes::from_static(b"older")).await.is_err());
    let replaced = |result| matches!(result, Err(RunError::Stopped(Stopped::Replaced)));
    assert!(replaced(ended.clean_up(&*job.store, &job.plan, &job.images).await));
    assert!(replaced(ended.release(JobState::Done, None).await));
    assert_eq!(job.store.get(&tile).await.unwrap(), "new");
    assert_eq!(job.store.get(&key::run(&job.plan.job)).await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn cleaning_takes_late_tiles_of_the_own_plan_and_no_others() {
    let job = Job::new(2);
    let run = job.run_id("r");
    let cut = |image: &str| (image == "image 1").then_some((FailureClass::Input, "cut off"));
    let _roles = job.roles(cut).await;
    let ended = job.runner(&run).run(|_| {}).await.unwrap();
    let of_other_scores = key::tile(&job.plan.job, "0123456789abcdef", &job.images[0].key, 0);
    let of_other_image = job.tile("ffffffffffffffff");
    let keys = [job.tile(&job.images[0].key), job.tile(&job.images[1].key), of_other_image, of_other_scores];
    for key in &keys {
        job.store.put(key, Bytes::from_static(b"tile")).await.unwrap();
    }
    ended.clean_up(&*job.store, &job.plan, &job.images).await.unwrap();
    let mut there = Vec::new();
    for key in &keys {
        there.push(job.store.head(key).await.is_ok());
    }
    assert_eq!(there, [false, true, true, true], "finished, with gaps, and of other plans");
    ended.release(JobState::Partial, None).await.unwrap();
    let status = crate::Status::read(&*job.store, &job.plan.job).await.unwrap().unwrap();
    assert_eq!(status.state, JobState::Partial);
}

/// A result that a slow request stores when another coordinator has the files made for other decisions already.
#[tokio::test(start_paused = true)]
async fn a_result_that_came_late_says_nothing_of_files_that_were_made_for_others() {
    let job = Job::new(1);
    let late = key::part(&job.plan.job, "o", &job.images[0].key);
    let files = expected_of(&job.spec, "o", &job.images[0]);
    let mut found = Vec::new();
    for outputs in ["o", "others", "o"] {
        let run = job.run_id(outputs);
        let runner = JobRunner { outputs, ..job.runner(&run) };
        let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
        found.push(runner.begin(&lease).await.unwrap().tally.images_found);
        for key in files.iter().map(|file| key::out(&job.plan.job, file)).chain([late.clone()]) {
            job.store.put(&key, Bytes::from_static(b"{}")).await.unwrap();
        }
    }
    assert_eq!(found, [0, 0, 0]);
    // Nor does one of another content of the image.
    let mut other = Job { images: job.images.clone(), ..Job::new(1) };
    other.store = Arc::clone(&job.store);
    other.images[0].key = PlannedImage::key_of(&job.images[0].id, "another content", None);
    let run = job.run_id("other");
    let runner = other.runner(&run);
    let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
    assert_eq!(runner.begin(&lease).await.unwrap().tally.images_found, 0);
    job.store.put(&late, Bytes::from_static(b"{}")).await.unwrap();
    let run = job.run_id("again");
    let runner = job.runner(&run);
    let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
    assert_eq!(runner.begin(&lease).await.unwrap().tally.images_found, 0);
    job.store.put(&late, Bytes::from_static(b"{}")).await.unwrap();
    // Whoever goes on with the same ones believes it.
    let run = job.run_id("next");
    let runner = job.runner(&run);
    let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
    assert_eq!(runner.begin(&lease).await.unwrap().tally.images_found, 1);
}

/// A job that is looked through for minutes, after one that has ended, is seen at work.
#[tokio::test(start_paused = true)]
async fn a_job_that_begins_is_seen_at_work_at_once() {
    let job = Job::new(3);
    let run = job.run_id("r");
    let runner = job.runner(&run);
    let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
    runner.begin(&lease).await.unwrap();
    let status = crate::Status::read(&*job.store, &job.plan.job).await.unwrap().unwrap();
    assert_eq!((status.state, status.run.run.as_str()), (JobState::Running, "r"));
    assert_eq!((status.progress.tasks, status.progress.images, status.progress.tasks_done), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_cannot_be_written_holds_up_no_job() {
    let job = Job::new(1);
    std::fs::write(job.folder.path().join("status"), "in the way").unwrap();
    let run = job.run_id("r");
    let runner = job.runner(&run);
    let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
    assert!(runner.begin(&lease).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn results_of_a_first_pass_stay_for_the_second() {
    for (other_results, stay) in [
        (OtherResults::Delete, [false, false]),
        (OtherResults::KeepOf("first"), [true, false]),
        (OtherResults::KeepAll, [true, true]),
    ] {
        let job = Job::new(1);
        let run = job.run_id("r");
        let keys = ["first", "another", "o"].map(|outputs| {
            let image = &job.images[0].key;
            key::part(&job.plan.job, outputs, image)
        });
        for key in &keys {
            job.store.put(key, Bytes::from_static(b"{}")).await.unwrap();
        }
        let runner = JobRunner { other_results, ..job.runner(&run) };
        let lease = RunLease::acquire(Arc::clone(&runner.store), run.clone()).await.unwrap();
        runner.begin(&lease).await.unwrap();
        let mut there = Vec::new();
        for key in &keys {
            there.push(job.store.head(key).await.is_ok());
        }
        // Its own has no mask any more.
        assert_eq!(there, [stay[0], stay[1], false], "{other_results:?}");
    }
}
