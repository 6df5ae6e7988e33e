//! Members that look only at what the first ones are unsure of.

use crate::harness::{
    Cluster, Entry, Made, Options, Script, Seeds, check, image, job_of, left_of_tasks, schedules,
    staged_job_of,
};
use marquetry_job::TaskKind;
use std::sync::Arc;
use std::time::Duration;

fn people(cluster: &Arc<Cluster>) {
    for n in 0..3 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.aggregator("aggregator", Made::Well);
}

/// The tiles that tell what is unsure are there when they are asked: a liar's is computed first, and nothing is lost by it.
#[test]
fn what_is_unsure_is_found_in_tiles_that_are_there() {
    schedules(&Seeds::first(30), |cluster| async move {
        people(&cluster);
        cluster.worker("liar", Script::Lies(1));
        let job =
            staged_job_of(vec![image("a", 5), image("b", 4).scored_by(vec![2]), image("c", 3)]).in_rounds();
        let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await?;
        let left = left_of_tasks(&cluster, &job).await;
        if left.is_empty() { Ok(()) } else { Err(format!("left are {left:?}")) }
    });
}

/// An image of which a block of the first round is given up has no second one, until somebody asks for another try: then it has all
/// of both, and is what it would be if nothing had failed.
#[test]
fn an_image_without_a_block_of_the_first_round_gets_the_second_with_it() {
    schedules(&Seeds::first(30), |cluster| async move {
        people(&cluster);
        let job = job_of(&[1.0, 0.5], vec![image("a", 5), image("broken", 4), image("c", 3)]).in_rounds();
        cluster.poison("broken", 2);
        let coordinator = cluster.coordinator("first", &job, Options::default());
        let summary = coordinator.end().await.done()?;
        check(&cluster, &job, &summary).await?;
        let broken = &job.image("broken").key;
        let later = format!("of group 1 of image {broken} attempt");
        let unsure = format!("unsure pixels of image {broken} attempt");
        let asked = |entry: &&Entry| {
            let what = &entry.what;
            what.starts_with("has") && (what.contains(&later) || what.contains(&unsure))
        };
        if let Some(entry) = cluster.journal.all().iter().find(asked) {
            return Err(format!("{} {}, which hangs on a block that is lost", entry.who, entry.what));
        }
        if summary.lost_tasks.iter().any(|task| task.kind != (TaskKind::Block { group: 0, block: 2 })) {
            return Err(format!("{summary:?}"));
        }
        cluster.cure();
        let end = cluster.coordinator("second", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await
    });
}

/// The same while the job still runs, since another image takes long.
#[test]
fn another_try_of_the_first_round_brings_the_second() {
    schedules(&Seeds::first(30), |cluster| async move {
        people(&cluster);
        let job = job_of(&[1.0, 0.5], vec![image("broken", 4), image("long", 60)]).in_rounds();
        cluster.poison("broken", 1);
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        let done = format!("says that image {} is stored", job.image("broken").key);
        while !cluster.journal.all().iter().any(|entry| entry.what.starts_with(&done)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.cure();
        let asked = marquetry_coordinator::retry(&*cluster.queue, &coordinator.run).await;
        asked.map_err(|error| error.to_string())?;
        if coordinator.has_ended() {
            return Err("the job has ended before it was asked".to_owned());
        }
        check(&cluster, &job, &coordinator.end().await.done()?).await
    });
}
