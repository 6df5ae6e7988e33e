//! A queue with partitions, as a broker has them, each a queue in memory.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::select_all;
use marquetry_transport::{Delivery, Feed, MemoryQueue, QueueError, Subscription, TaskQueue, Topic};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The longest that a message is on its way, ms.
const WAY_MS: u64 = 5;

/// Tasks and images are spread over partitions. Each partition is read by one member of a group, and members share them
/// out anew when one comes or goes, as a broker has it: what waits in the partition of a member that hangs, waits.
pub(crate) struct PartitionedQueue {
    partitions: HashMap<Topic, Vec<MemoryQueue>>,
    /// Results and dead letters, which have feeds alone.
    rest: MemoryQueue,
    groups: Mutex<HashMap<(Topic, String), Group>>,
    duplicates_percent: AtomicU8,
}

/// Who is in a group, for all who are.
type Group = Arc<watch::Sender<Members>>;

/// The members of a group, oldest first.
#[derive(Debug, Clone, Default)]
struct Members {
    ids: Vec<u64>,
    next: u64,
}

impl PartitionedQueue {
    pub(crate) fn new(tasks: usize, images: usize) -> Self {
        let of = |n| (0..n).map(|_| MemoryQueue::new()).collect();
        Self {
            partitions: HashMap::from([(Topic::Tasks, of(tasks)), (Topic::Aggregate, of(images))]),
            rest: MemoryQueue::new(),
            groups: Mutex::default(),
            duplicates_percent: AtomicU8::new(0),
        }
    }

    /// From now on so many of a hundred messages come twice.
    pub(crate) fn duplicate(&self, percent: u8) {
        self.duplicates_percent.store(percent, Ordering::Relaxed);
    }

    /// Loses all tasks that no worker has finished, as a broker does whose retention is over. Nobody may be reading.
    pub(crate) async fn lose_tasks(&self) -> Result<u64, QueueError> {
        let mut lost = 0;
        for queue in self.partitions.get(&Topic::Tasks).into_iter().flatten() {
            let mut reader = queue.subscribe(Topic::Tasks, "workers").await?;
            while let Ok(delivery) = tokio::time::timeout(Duration::ZERO, reader.receive()).await {
                reader.acknowledge(delivery?.token).await?;
                lost += 1;
            }
        }
        Ok(lost)
    }

    fn group(&self, topic: Topic, group: &str) -> Group {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry((topic, group.to_owned()));
        Arc::clone(group.or_insert_with(|| Arc::new(watch::channel(Members::default()).0)))
    }

    async fn send(&self, queue: &MemoryQueue, topic: Topic, payload: Bytes) -> Result<(), QueueError> {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=WAY_MS))).await;
        if fastrand::u8(0..100) < self.duplicates_percent.load(Ordering::Relaxed) {
            queue.publish(topic, "", payload.clone()).await?;
        }
        queue.publish(topic, "", payload).await
    }
}

#[async_trait]
impl TaskQueue for PartitionedQueue {
    async fn publish(&self, topic: Topic, _key: &str, payload: Bytes) -> Result<(), QueueError> {
        match self.partitions.get(&topic) {
            Some(all) => self.send(&all[fastrand::usize(..all.len())], topic, payload).await,
            None => self.send(&self.rest, topic, payload).await,
        }
    }

    async fn partitions(&self, topic: Topic) -> Result<u32, QueueError> {
        Ok(self.partitions.get(&topic).map_or(1, |all| all.len() as u32))
    }

    async fn publish_to(&self, topic: Topic, partition: u32, payload: Bytes) -> Result<(), QueueError> {
        match self.partitions.get(&topic).and_then(|all| all.get(partition as usize)) {
            Some(queue) => self.send(queue, topic, payload).await,
            None => self.publish(topic, "", payload).await,
        }
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Subscription>, QueueError> {
        let Some(partitions) = self.partitions.get(&topic) else {
            return self.rest.subscribe(topic, group).await;
        };
        // From now on every partition keeps what comes for this group, whoever reads it.
        for partition in partitions {
            drop(partition.subscribe(topic, group).await?);
        }
        let members = self.group(topic, group);
        let mut id = 0;
        members.send_modify(|members| {
            id = members.next;
            members.next += 1;
            members.ids.push(id);
        });
        let (changes, partitions) = (members.subscribe(), partitions.clone());
        let (held, group) = (BTreeMap::new(), group.to_owned());
        Ok(Box::new(Member { id, topic, group, partitions, members, changes, held, turn: 0 }))
    }

    async fn follow(&self, topic: Topic) -> Result<Box<dyn Feed>, QueueError> {
        self.rest.follow(topic).await
    }

    async fn lag(&self, topic: Topic, group: &str) -> Result<u64, QueueError> {
        let mut lag = 0;
        for queue in self.partitions.get(&topic).into_iter().flatten() {
            lag += queue.lag(topic, group).await?;
        }
        Ok(lag)
    }
}

/// One member of a group, and the partitions that are its own.
struct Member {
    id: u64,
    topic: Topic,
    group: String,
    partitions: Vec<MemoryQueue>,
    members: Group,
    changes: watch::Receiver<Members>,
    held: BTreeMap<usize, Box<dyn Subscription>>,
    /// Partitions take turns.
    turn: usize,
}

impl Member {
    /// Gives up partitions that are others' by now, with what was not acknowledged, and takes those that are its own.
    async fn share_out(&mut self) -> Result<(), QueueError> {
        let ids = self.changes.borrow_and_update().ids.clone();
        let own = |partition: usize| ids[partition % ids.len()] == self.id;
        self.held.retain(|partition, _| own(*partition));
        for partition in (0..self.partitions.len()).filter(|partition| own(*partition)) {
            if !self.held.contains_key(&partition) {
                let subscription = self.partitions[partition].subscribe(self.topic, &self.group).await?;
                self.held.insert(partition, subscription);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Subscription for Member {
    async fn receive(&mut self) -> Result<Delivery, QueueError> {
        loop {
            self.share_out().await?;
            self.turn += 1;
            let (count, turn) = (self.partitions.len(), self.turn);
            let mut waiting: Vec<_> = self.held.iter_mut().collect();
            if waiting.is_empty() {
                // More members than partitions: this one waits until another one leaves.
                self.changes.changed().await.map_err(|_| QueueError::Closed)?;
                continue;
            }
            let first = turn % waiting.len();
            waiting.rotate_left(first);
            let receive = waiting.into_iter().map(|(&partition, subscription)| {
                Box::pin(async move { (partition, subscription.receive().await) })
            });
            tokio::select! {
                biased;
                changed = self.changes.changed() => changed.map_err(|_| QueueError::Closed)?,
                ((partition, delivery), ..) = select_all(receive) => {
                    let Delivery { payload, token } = delivery?;
                    return Ok(Delivery { payload, token: token * count as u64 + partition as u64 });
                }
            }
        }
    }

    async fn acknowledge(&mut self, token: u64) -> Result<(), QueueError> {
        let (partition, token) =
            (token as usize % self.partitions.len(), token / self.partitions.len() as u64);
        match self.held.get_mut(&partition) {
            Some(subscription) => subscription.acknowledge(token).await,
            // It is another's by now, who is given the message again.
            None => Ok(()),
        }
    }

    async fn leave(self: Box<Self>) {}
}

impl Drop for Member {
    fn drop(&mut self) {
        let id = self.id;
        self.members.send_modify(|members| members.ids.retain(|member| *member != id));
    }
}

#[test]
fn it_keeps_the_contract_of_queues() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(marquetry_transport::contract::queue(&PartitionedQueue::new(8, 4)));
}
