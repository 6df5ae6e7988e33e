//! Jobs that share workers.

use crate::harness::{Cluster, JobOf, Made, Options, Script, Seeds, image, job_of, schedules};
use marquetry_spec::Priority;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A job of many blocks; jobs of different scales are different jobs.
fn large(name: &str, scale: f64) -> JobOf {
    job_of(&[scale], (0..120).map(|n| image(&format!("{name}-{n:03}"), 8)).collect())
}

/// Tasks of each job that workers had until now.
fn begun(cluster: &Cluster, jobs: &[&JobOf]) -> Vec<u64> {
    let keys: Vec<BTreeSet<&str>> =
        jobs.iter().map(|job| job.images.iter().map(|image| image.key.as_str()).collect()).collect();
    let mut counts = vec![0; jobs.len()];
    for entry in cluster.journal.all() {
        let Some((task, _)) = entry.what.strip_prefix("has ").and_then(|task| task.split_once(" attempt"))
        else {
            continue;
        };
        let image = task.rsplit(' ').next().unwrap_or_default();
        counts
            .iter_mut()
            .zip(&keys)
            .filter(|(_, keys)| keys.contains(image))
            .for_each(|(count, _)| *count += 1);
    }
    counts
}

/// Tasks of two large jobs that workers had in the same minute, while both had many left.
async fn side_by_side(cluster: &Arc<Cluster>, first: JobOf, second: JobOf) -> Result<[u64; 2], String> {
    for n in 0..4 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.aggregator("aggregator", Made::Well);
    let jobs = [&first, &second];
    let running = [
        cluster.coordinator("first", &first, Options::default()),
        cluster.coordinator("second", &second, Options::default()),
    ];
    while begun(cluster, &jobs).iter().sum::<u64>() < 100 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let before = begun(cluster, &jobs);
    while begun(cluster, &jobs).iter().sum::<u64>() < 700 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let after = begun(cluster, &jobs);
    running.iter().for_each(|running| running.abort_handle().abort());
    Ok([after[0] - before[0], after[1] - before[1]])
}

fn between([first, second]: [u64; 2], low: f64, high: f64) -> Result<(), String> {
    let ratio = first as f64 / second.max(1) as f64;
    if (low..high).contains(&ratio) {
        Ok(())
    } else {
        Err(format!("{first} tasks of one, {second} of the other"))
    }
}

#[test]
fn jobs_of_one_priority_get_equal_shares_and_others_by_theirs() {
    schedules(&Seeds::first(8), |cluster| async move {
        between(side_by_side(&cluster, large("a", 1.0), large("b", 0.5)).await?, 0.7, 1.4)
    });
    schedules(&Seeds::first(8), |cluster| async move {
        let high = large("a", 1.0).of_priority(Priority::High);
        between(side_by_side(&cluster, high, large("b", 0.5)).await?, 2.5, 6.0)
    });
    schedules(&Seeds::first(8), |cluster| async move {
        let low = large("b", 0.5).of_priority(Priority::Low);
        between(side_by_side(&cluster, large("a", 1.0), low).await?, 2.5, 6.0)
    });
}

/// A job of some tasks that comes to workers which are busy with a much larger one is done when that has gone on by about
/// as many, and what was out already.
#[test]
fn a_large_job_holds_no_small_one_up() {
    schedules(&Seeds::first(8), |cluster| async move {
        for n in 0..4 {
            cluster.worker(&format!("worker-{n}"), Script::Healthy);
        }
        cluster.aggregator("aggregator", Made::Well);
        let large = large("large", 1.0);
        let small = job_of(&[0.5], (0..5).map(|n| image(&format!("small-{n}"), 8)).collect());
        let running = cluster.coordinator("large", &large, Options::default());
        while begun(&cluster, &[&large])[0] < 100 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let before = begun(&cluster, &[&large])[0];
        cluster.coordinator("small", &small, Options::default()).end().await.done()?;
        let [went_on, tasks] = [begun(&cluster, &[&large])[0] - before, begun(&cluster, &[&small])[0]];
        running.abort_handle().abort();
        if went_on <= 64 + 3 * tasks {
            Ok(())
        } else {
            Err(format!("{went_on} tasks of the large one for {tasks}"))
        }
    });
}
