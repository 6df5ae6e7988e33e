//! Hearing what goes through a topic.

use crate::cluster::role::until;
use crate::cluster::setup::Cluster;
use crate::cluster::view::{spawn, wait};
use marquetry_job::{Event, ResultMessage, message};
use marquetry_transport::{TaskQueue, Topic};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Everything that was published on the results topic since this began.
pub(crate) struct Listener {
    heard: Arc<Mutex<Vec<ResultMessage>>>,
    listening: JoinHandle<()>,
}

impl Listener {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let queue = cluster.queue();
        let mut feed = wait(queue.follow(Topic::Results)).expect("a feed");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&heard);
        let listening = spawn(async move {
            while let Ok(payload) = feed.next().await {
                if let Ok(said) = message::decode(&payload) {
                    shared.lock().expect("no test panics here").push(said);
                }
            }
        });
        Self { heard, listening }
    }

    /// How many messages are `such`.
    pub(crate) fn count(&self, such: impl Fn(&ResultMessage) -> bool) -> usize {
        self.heard.lock().expect("no test panics here").iter().filter(|said| such(said)).count()
    }

    /// What `find` finds in the first event in which it finds something.
    #[track_caller]
    pub(crate) fn first<T>(&self, find: impl Fn(&Event) -> Option<T>) -> T {
        let heard = self.heard.lock().expect("no test panics here");
        heard.iter().find_map(|said| find(&said.event)).expect("it was heard")
    }

    /// Tiles that `role` has announced.
    pub(crate) fn tiles_of(&self, role: &str) -> usize {
        self.count(|said| said.from == role && matches!(said.event, Event::TaskDone { .. }))
    }

    /// Tiles that anyone has announced.
    pub(crate) fn tiles(&self) -> usize {
        self.count(|said| matches!(said.event, Event::TaskDone { .. }))
    }

    /// Waits until at least `n` tiles were announced.
    #[track_caller]
    pub(crate) fn until_tiles(&self, n: usize) {
        until(&format!("{n} tiles are announced"), || self.tiles() >= n);
    }

    /// Waits until `role` has announced at least `n` tiles.
    #[track_caller]
    pub(crate) fn until_tiles_of(&self, role: &str, n: usize) {
        until(&format!("{role} announces {n} tiles"), || self.tiles_of(role) >= n);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
