//! Workers that come late, are slow, or hang.

use crate::cluster::job::alone;
use crate::cluster::listen::Listener;
use crate::cluster::role::Signal;
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::fixture::same_files;

#[test]
fn a_worker_that_comes_late_takes_its_share_from_a_slow_one() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let heard = Listener::new(&cluster);
    let slow = cluster.worker();
    let _slowed = slow.slow_down();
    let _aggregator = cluster.aggregator();
    let job = cluster.coordinator("job.yaml");
    heard.until_tiles(1);
    let quick = cluster.worker();
    let summary = job.end().ends_with(0).json();
    let (slow, quick) = (heard.tiles_of(&slow.name), heard.tiles_of(&quick.name));
    assert!(quick > 0, "{slow} by the slow one, {quick} by the quick one: {summary}");
    same_files(alone(), &cluster.outputs());
}

/// Its group waits for it, so that nothing but sending its tasks again helps.
#[test]
fn what_a_worker_has_that_hangs_is_sent_again() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let heard = Listener::new(&cluster);
    let waits = ["--group-protocol", "classic", "--kafka", "session.timeout.ms=25000"];
    let [mut hangs, first, second] = [(); 3].map(|()| cluster.worker_with(&waits));
    cluster.until_all_take_tasks(&[&hangs, &first, &second]);
    let _aggregator = cluster.aggregator();
    let job = cluster.coordinator("job.yaml");
    heard.until_tiles_of(&hangs.name, 1);
    hangs.signal(Signal::STOP);
    let summary = job.end().ends_with(0).json();
    assert!(tally(&summary, "resent") > 0, "{summary}");
    same_files(alone(), &cluster.outputs());
    // It wakes up when all is over, and what it has to say is no news any more.
    hangs.signal(Signal::CONT);
    hangs.drain().ends_with(0);
    same_files(alone(), &cluster.outputs());
}
