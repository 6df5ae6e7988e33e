//! A worker that fails everything, beside healthy ones.

use crate::harness::{Cluster, End, Made, Options, Script, Seeds, Sickness, check, image, job_of, schedules};
use marquetry_failure::FailureClass;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What became of a job with a sick worker.
struct Outcome {
    /// What is wrong with it.
    checked: Result<(), String>,
    /// What the sick worker was asked, oldest first.
    asked: Vec<String>,
}

/// One worker for each of the eight partitions, the last of them sick; more tasks than are sent ahead.
async fn one_of_eight(cluster: Arc<Cluster>, sickness: Sickness) -> Result<Outcome, String> {
    for n in 0..7 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.worker("sick", Script::Sick(sickness));
    cluster.aggregator("aggregator", Made::Well);
    let job = job_of(&[1.0], (0..24).map(|n| image(&format!("image-{n}"), 8)).collect());
    let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
    let checked = check(&cluster, &job, &end.done()?).await;
    let of_sick = cluster.journal.all().into_iter().filter(|entry| entry.who == "sick");
    let asked = of_sick.filter_map(|entry| Some(entry.what.strip_prefix("has ")?.to_owned())).collect();
    Ok(Outcome { checked, asked })
}

/// The device of one worker is gone: others do its tasks, and nothing is lost.
#[test]
fn a_worker_without_its_device_costs_no_task() {
    schedules(
        &Seeds::first(8),
        |cluster| async move { one_of_eight(cluster, Sickness::Device).await?.checked },
    );
}

/// The disk of one worker is full: others do its tasks, and nothing is lost.
#[test]
fn a_worker_with_a_full_disk_costs_no_task() {
    schedules(
        &Seeds::first(8),
        |cluster| async move { one_of_eight(cluster, Sickness::Disk).await?.checked },
    );
}

/// The next try of a task is for another worker than the one that has just failed it.
#[test]
fn a_task_does_not_return_to_the_worker_that_failed_it() {
    for sickness in [Sickness::Network, Sickness::Disk, Sickness::Device] {
        schedules(&Seeds::first(8), |cluster| async move {
            let asked = one_of_eight(cluster, sickness).await?.asked;
            let mut seen = BTreeSet::new();
            for task in asked.iter().filter_map(|asked| asked.split(" attempt").next()) {
                if !seen.insert(task) {
                    return Err(format!("{task} has come back to the worker that failed it ({sickness:?})"));
                }
            }
            Ok(())
        });
    }
}

/// What feeds the shortest queue feeds whoever fails fastest: a sick worker is to be found out by then.
#[test]
fn a_sick_worker_does_not_draw_tasks_to_itself() {
    schedules(&Seeds::first(8), |cluster| async move {
        let asked = one_of_eight(cluster, Sickness::Device).await?.asked.len();
        // A fair share of the 192 tasks is 24.
        if asked > 48 { Err(format!("the sick worker was asked for {asked} of 192 tasks")) } else { Ok(()) }
    });
}

/// Nothing is kept from anybody: a job whose only worker is sick ends, and says the one cause.
#[test]
fn a_job_with_sick_workers_alone_ends() {
    schedules(&Seeds::first(5), |cluster| async move {
        cluster.worker("sick", Script::Sick(Sickness::Network));
        cluster.aggregator("aggregator", Made::Well);
        let job = job_of(&[1.0], vec![image("a", 3), image("b", 2)]);
        match cluster.coordinator("coordinator", &job, Options::default()).end().await {
            End::Failed(FailureClass::Passing, why) if why.contains("the store does not answer") => Ok(()),
            end => Err(format!("{end:?}")),
        }
    });
}
