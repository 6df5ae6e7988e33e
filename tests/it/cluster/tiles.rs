//! Tiles that are damaged in the store.

use crate::cluster::listen::Listener;
use crate::cluster::role::until;
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view::wait;
use bytes::Bytes;
use marquetry_job::Event;

fn damaged_tiles_are_computed_again(kept: Kept) {
    let Some(mut cluster) = Cluster::start(kept) else { return };
    let heard = Listener::new(&cluster);
    let _workers = [cluster.worker(), cluster.worker()];
    // Nobody puts images together yet: every tile is stored, and stays.
    let job = cluster.coordinator_with("job.yaml", &["--late-seconds", "3600"]);
    until("all tiles are stored", || {
        cluster.status().first().is_some_and(|s| s["progress"]["tasks_done"] == s["progress"]["tasks"])
    });
    let store = cluster.store();
    let tiles = wait(store.list(&marquetry_job::key::tiles(&cluster.jobs()[0]))).expect("a list");
    assert_eq!(cluster.status()[0]["progress"]["tasks"], tiles.len());
    let read = |n: usize| wait(store.get(&tiles[n].key)).expect("a tile").to_vec();
    let write = |n: usize, bytes: Vec<u8>| wait(store.put(&tiles[n].key, Bytes::from(bytes))).expect("put");
    let whole = read(0);
    write(0, whole[..whole.len() / 2].to_vec());
    for (n, place) in [(5, 0.1), (10, 0.5), (15, 0.99)] {
        let mut bytes = read(n);
        let at = (bytes.len() as f64 * place) as usize;
        bytes[at] ^= 0x10;
        write(n, bytes);
    }
    write(20, read(21));
    write(25, Vec::new());
    wait(store.delete(&tiles[30].key)).expect("deleted");

    let _aggregators = [cluster.aggregator(), cluster.aggregator()];
    let summary = job.end().ends_with(0).json();
    assert_eq!(tally(&summary, "tasks_computed") as usize, tiles.len() + 7, "{summary}");
    assert!(heard.count(|said| matches!(said.event, Event::ImageFailed { .. })) > 0);
    cluster.has_the_same_bytes();
}

#[test]
fn damaged_tiles_in_a_folder_are_computed_again() {
    damaged_tiles_are_computed_again(Kept::InFolder);
}

#[test]
fn damaged_tiles_in_a_bucket_are_computed_again() {
    damaged_tiles_are_computed_again(Kept::InBucket);
}
