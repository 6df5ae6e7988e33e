//! A cluster: topics and a store of its own, and the processes of its roles.

use crate::cluster::job;
use crate::cluster::role::{Guard, Role, until};
use crate::cluster::services::Services;
use crate::cluster::view;
use crate::fixture::{Place, Ran, same_files};
use bytes::Bytes;
use marquetry_transport::{KafkaQueue, ObjectStore, TaskQueue, Topic};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a cluster keeps its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    InFolder,
    InBucket,
}

/// A cluster. Its roles belong to the test, and end when the test lets go of them.
pub(crate) struct Cluster {
    pub(crate) services: Services,
    pub(crate) place: Place,
    /// What its topics begin with.
    pub(crate) prefix: String,
    /// Where its roles look for a broker.
    pub(crate) brokers: String,
    /// Where its roles look for S3.
    pub(crate) s3: String,
    /// The store of its jobs.
    pub(crate) uri: String,
    /// How many partitions its roles count on.
    pub(crate) partitions: u32,
    /// OpenVINO's library, for roles that are started from now on; empty: they have none.
    pub(crate) openvino: String,
    guard: Guard,
    started: u32,
}

impl Cluster {
    /// `None` where there are no services.
    pub(crate) fn start(kept: Kept) -> Option<Self> {
        static CLUSTERS: AtomicU32 = AtomicU32::new(0);
        let services = Services::find()?;
        let place = job::place();
        std::fs::create_dir_all(place.path("tmp")).expect("a folder");
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
        let prefix = format!("it-{nanos:x}-{}", CLUSTERS.fetch_add(1, Ordering::Relaxed));
        let uri = match kept {
            Kept::InFolder => place.path("store").display().to_string(),
            Kept::InBucket => format!("s3://{}/{prefix}", services.bucket),
        };
        let (brokers, s3) = (services.kafka.clone(), services.s3.clone());
        let (partitions, guard) = (8, Guard::new());
        let openvino = String::new();
        let cluster =
            Self { services, place, prefix, brokers, s3, uri, partitions, openvino, guard, started: 0 };
        cluster.job("job.yaml", "");
        Some(cluster)
    }

    /// From now on jobs are kept in another store, beside the first one.
    pub(crate) fn move_to(&mut self, name: &str) {
        let (folder, _) = self.uri.rsplit_once('/').expect("a store is in something");
        self.uri = format!("{folder}/{}-{name}", self.prefix);
        self.job("job.yaml", "");
    }

    /// Writes the job file `name`, which ends in `more`.
    pub(crate) fn job(&self, name: &str, more: &str) -> &Self {
        self.place.write(name, job::job(&self.uri, more));
        self
    }

    pub(crate) fn role(&mut self, role: &str, args: &[&str]) -> Role {
        self.started += 1;
        let name = format!("{role}-{}", self.started);
        let mut command = self.place.command(&[role]);
        if role != "coordinate" {
            // The others do not work in the folder that the job file is in.
            command.current_dir(self.place.path("tmp"));
        }
        command
            .args(["--brokers", &self.brokers, "--topic-prefix", &self.prefix])
            .args(["--partitions", &self.partitions.to_string()])
            .args(args)
            .env("MARQUETRY_NAME", &name)
            // What a killed role leaves behind goes with the test.
            .env("TMPDIR", self.place.path("tmp"))
            .env("OPENVINO_DYLIB_PATH", &self.openvino)
            .env("AWS_ENDPOINT_URL", &self.s3);
        Role::start(&name, &mut command, &self.place.path("logs"), &mut self.guard)
    }

    /// Starts a worker of one lane.
    pub(crate) fn worker(&mut self) -> Role {
        self.worker_with(&[])
    }

    pub(crate) fn worker_with(&mut self, args: &[&str]) -> Role {
        self.role("worker", &[&["--lanes", "1", "--threads", "1"], args].concat())
    }

    /// Starts an aggregator.
    pub(crate) fn aggregator(&mut self) -> Role {
        self.role("aggregate", &[])
    }

    /// Starts a coordinator for a job file. What is late is sent again after two seconds.
    pub(crate) fn coordinator(&mut self, job: &str) -> Role {
        self.coordinator_with(job, &["--late-seconds", "2"])
    }

    pub(crate) fn coordinator_with(&mut self, job: &str, args: &[&str]) -> Role {
        self.role("coordinate", &[&[job, "--format", "json"], args].concat())
    }

    /// Runs a job to its end.
    #[track_caller]
    pub(crate) fn coordinate(&mut self, job: &str) -> Ran {
        self.coordinator(job).end()
    }

    /// The store, seen without the proxies that roles may see it through.
    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        view::store(&self.services, &self.uri)
    }

    /// The queue.
    pub(crate) fn queue(&self) -> KafkaQueue {
        view::queue(&self.brokers, &self.prefix)
    }

    /// Deletes all messages of a topic, as its retention does; whether there was such a topic.
    pub(crate) fn purge(&self, topic: Topic) -> bool {
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&format!("{}.{}", self.prefix, topic.name()), 0, self.partitions as i32 - 1);
        all.set_all_offsets(Offset::End).expect("offsets");
        view::wait(admin(&self.brokers).delete_records(&all, &AdminOptions::new())).is_ok()
    }

    /// Runs a command on the cluster's store, such as `status`.
    pub(crate) fn control(&self, args: &[&str]) -> Ran {
        let mut command = self.place.command(args);
        command.env("MARQUETRY_STORE", &self.uri).env("AWS_ENDPOINT_URL", &self.services.s3);
        command.env("MARQUETRY_BROKERS", &self.brokers).env("MARQUETRY_TOPIC_PREFIX", &self.prefix);
        Ran::of(&command.output().expect("the binary runs"))
    }

    /// What `status` says of each job, by name of the job.
    #[track_caller]
    pub(crate) fn status(&self) -> Vec<Value> {
        let said = self.control(&["status", "--format", "json"]).ends_with(0).json();
        said.as_array().expect("a list of jobs").clone()
    }

    /// The names of the jobs in the store.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let all = view::wait(self.store().list("jobs/")).expect("a list");
        let mut names: Vec<String> =
            all.iter().filter_map(|m| m.key.split('/').nth(1)).map(str::to_owned).collect();
        names.dedup();
        names
    }

    /// The outputs of `job`, but the report: it tells how long things took.
    pub(crate) fn outputs_of(&self, job: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = view::objects(&*self.store(), &format!("jobs/{job}/out/"));
        files.remove("report.html").expect("the job writes a report");
        files
    }

    /// The outputs of the one job in the store.
    #[track_caller]
    pub(crate) fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        let jobs = self.jobs();
        assert_eq!(jobs.len(), 1, "one job was run: {jobs:?}");
        self.outputs_of(&jobs[0])
    }

    /// Fails the test unless the one job has left the bytes that one process leaves.
    #[track_caller]
    pub(crate) fn has_the_same_bytes(&self) {
        same_files(job::alone(), &self.outputs());
    }

    /// Waits until each of `workers` takes tasks. A group's first member has all partitions until the others are let
    /// in, and a short job would be over by then. What they are asked makes no sense; they say so, and drop it.
    #[track_caller]
    pub(crate) fn until_all_take_tasks(&self, workers: &[&Role]) {
        let queue = self.queue();
        let mut n = 0_u32;
        until("each worker takes tasks", || {
            n += 1;
            let key = n.to_string();
            let ask = queue.publish(Topic::Tasks, &key, Bytes::from_static(b"a test"));
            view::wait(ask).expect("published");
            workers.iter().all(|worker| worker.said().contains("dropped a message on the task topic"))
        });
    }
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client")
}

/// Deletes topics that begin with `prefix`.
pub(crate) fn delete_topics(brokers: &str, prefix: &str, topics: &[Topic]) {
    let names: Vec<String> = topics.iter().map(|topic| format!("{prefix}.{}", topic.name())).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    view::wait(admin(brokers).delete_topics(&names, &AdminOptions::new())).expect("deleted");
}

/// `tally.key` of a summary.
#[track_caller]
pub(crate) fn tally(summary: &Value, key: &str) -> u64 {
    summary["tally"][key].as_u64().unwrap_or_else(|| panic!("tally.{key} is a number in {summary}"))
}
