//! Writes that are long on their way, and come when somebody else has the job.

use crate::cluster::job::{self, IMAGES};
use crate::cluster::refusals::through;
use crate::cluster::ruled_s3::{Held, Rule, RuledS3};
use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view::wait;
use marquetry_job::key;

/// An aggregator's mask and a coordinator's table are held on their way; meanwhile the job file gets other decisions, and a
/// second coordinator sees the job to its end.
fn a_late_write_changes_nothing(in_path: &str, is_of_aggregator: bool) {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let held = Held::default();
    let proxy = RuledS3::new(&cluster.services.s3, vec![Rule::hold("PUT", in_path, &held)]);
    let text = job::job(&cluster.uri, "");
    let older = text.replace("min_area: 6", "min_area: 900");
    assert_ne!(text, older);
    cluster.place.write("job.yaml", older);
    let _worker = cluster.worker();
    let (aggregator, old) = if is_of_aggregator {
        let aggregator = through(&mut cluster, &proxy, Cluster::aggregator);
        (aggregator, cluster.coordinator("job.yaml"))
    } else {
        let aggregator = cluster.aggregator();
        (aggregator, through(&mut cluster, &proxy, |cluster| cluster.coordinator("job.yaml")))
    };
    held.arrived();
    let _another = cluster.aggregator();
    cluster.place.write("job.yaml", text);
    cluster.coordinate("job.yaml").ends_with(0);
    cluster.has_the_same_bytes();
    held.let_go();
    old.end().ends_with(75).says(&["another coordinator has taken this job over"]);
    // Whatever is still on its way, or would be tried once more, has come when the aggregator has ended.
    aggregator.drain().ends_with(0);
    cluster.has_the_same_bytes();
    assert_eq!(cluster.status()[0]["state"], "done");
}

#[test]
fn a_mask_that_is_long_on_its_way_is_not_written_over_a_newer_one() {
    a_late_write_changes_nothing("/out/masks/", true);
}

#[test]
fn a_table_that_is_long_on_its_way_is_not_written_over_a_newer_one() {
    a_late_write_changes_nothing("/out/submission", false);
}

/// Late, or by somebody who tidies up: what was made is not what it was, and nothing else tells.
#[test]
fn a_mask_that_was_written_over_after_the_end_is_made_again() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let _roles = [cluster.worker(), cluster.aggregator()];
    let summary = cluster.coordinate("job.yaml").ends_with(0).json();
    let job = summary["job"].as_str().expect("a name").to_owned();
    let store = cluster.store();
    let place = |image: u64| key::out(&job, &format!("masks/{image}.png"));
    let other = wait(store.get(&place(1))).expect("a mask");
    wait(store.put(&place(0), other)).expect("it is written over");
    let again = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!(tally(&again, "images_found"), IMAGES - 1, "{again}");
    cluster.has_the_same_bytes();
    let again = cluster.coordinate("job.yaml").ends_with(0).json();
    assert_eq!(tally(&again, "images_found"), IMAGES, "{again}");
}
