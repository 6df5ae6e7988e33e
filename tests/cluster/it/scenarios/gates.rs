//! Models that say which classes an image has.

use crate::harness::{
    Cluster, Made, Options, Script, Seeds, check, image, job_of, left_of_tasks, schedules, staged_job_of,
};
use marquetry_job::{TaskKind, key};
use std::sync::Arc;

fn people(cluster: &Arc<Cluster>, made: Made) {
    for n in 0..3 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.aggregator("aggregator", made);
}

/// The gate is asked before blocks, once for each image, and goes with the tiles; a liar's is found again.
#[test]
fn the_gate_comes_before_blocks_and_goes_with_them() {
    schedules(&Seeds::first(30), |cluster| async move {
        people(&cluster, Made::Well);
        cluster.worker("liar", Script::Lies(2));
        let job = staged_job_of(vec![image("a", 5), image("b", 1), image("c", 3)]).with_gate();
        let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await?;
        let left = left_of_tasks(&cluster, &job).await;
        if left.is_empty() { Ok(()) } else { Err(format!("left are {left:?}")) }
    });
}

/// An image without its gate is lost, until somebody asks for another try.
#[test]
fn an_image_without_its_gate_is_lost_and_comes_back() {
    schedules(&Seeds::first(30), |cluster| async move {
        people(&cluster, Made::Well);
        let job = job_of(&[1.0], vec![image("a", 5), image("broken", 4), image("c", 3)]).with_gate();
        cluster.poison_gate("broken");
        let coordinator = cluster.coordinator("first", &job, Options::default());
        let summary = coordinator.end().await.done()?;
        check(&cluster, &job, &summary).await?;
        if summary.lost_tasks.iter().any(|task| task.kind != TaskKind::Gate) {
            return Err(format!("{summary:?}"));
        }
        cluster.cure();
        let end = cluster.coordinator("second", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await
    });
}

/// Where all tiles are there and the gate is not, it alone is asked for, and the image put together once.
#[test]
fn a_gate_that_is_gone_is_asked_for_alone() {
    schedules(&Seeds::first(20), |cluster| async move {
        people(&cluster, Made::LeavingTiles);
        let job = job_of(&[1.0, 0.5], vec![image("a", 5), image("b", 2)]).with_gate();
        let keep = || Options { keep_tiles: true, ..Options::default() };
        let end = cluster.coordinator("first", &job, keep()).end().await;
        check(&cluster, &job, &end.done()?).await?;
        for image in job.images.iter() {
            let gate = key::gate(&job.plan.job, &image.key);
            cluster.objects.delete(&gate).await.map_err(|error| error.to_string())?;
            let part = key::part(&job.plan.job, &job.outputs, &image.key);
            cluster.objects.delete(&part).await.map_err(|error| error.to_string())?;
        }
        let before = cluster.journal.all().len();
        let end = cluster.coordinator("second", &job, keep()).end().await;
        check(&cluster, &job, &end.done()?).await?;
        let entries = cluster.journal.all();
        let asked =
            |what: &str| entries[before..].iter().filter(|entry| entry.what.starts_with(what)).count();
        match (asked("has block"), asked("has gate")) {
            (0, 2) => Ok(()),
            asked => Err(format!("blocks and gates that were asked for: {asked:?}")),
        }
    });
}
