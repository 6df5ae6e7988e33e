//! Tasks and images that end whoever begins with them.

use crate::harness::{Made, Options, Script, Seeds, check, image, job_of, schedules};

/// More deaths than these are too many: three to suspect it, three to be sure, and some for what was on its way.
const DEATHS_MAX: usize = 8;

/// A block that kills its workers is given up after a few deaths and named; all else is done, also what was in hand with it.
#[test]
fn a_task_that_kills_its_workers_is_given_up_and_nothing_else() {
    for script in [Script::Healthy, Script::InPairs] {
        schedules(&Seeds::first(12), |cluster| {
            let script = script.clone();
            async move {
                for n in 0..4 {
                    cluster.supervised_worker(&format!("worker-{n}"), script.clone());
                }
                cluster.aggregator("aggregator", Made::Well);
                cluster.make_deadly("b", 1);
                let job = job_of(&[1.0], vec![image("a", 6), image("b", 5), image("c", 7)]);
                let coordinator = cluster.coordinator("coordinator", &job, Options::default());
                check(&cluster, &job, &coordinator.end().await.done()?).await?;
                let deaths = cluster.journal.deaths();
                if deaths > DEATHS_MAX { Err(format!("{deaths} workers were killed")) } else { Ok(()) }
            }
        });
    }
}

/// An image that kills whoever puts it together is given up after a few deaths and named; all others are put together.
#[test]
fn an_image_that_kills_its_aggregators_is_given_up_and_nothing_else() {
    schedules(&Seeds::first(12), |cluster| async move {
        cluster.worker("worker", Script::Healthy);
        for n in 0..3 {
            cluster.supervised_aggregator(&format!("aggregator-{n}"), Made::Well);
        }
        cluster.make_deadly_image("b");
        let images = ["a", "b", "c", "d", "e"].map(|id| image(id, 4));
        let job = job_of(&[1.0], images.into());
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        check(&cluster, &job, &coordinator.end().await.done()?).await?;
        let deaths = cluster.journal.deaths();
        if deaths > DEATHS_MAX { Err(format!("{deaths} aggregators were killed")) } else { Ok(()) }
    });
}

/// Aggregators that are killed by their machines, with an image that was stored and not announced, cost no image.
#[test]
fn aggregators_that_die_by_themselves_cost_no_image() {
    schedules(&Seeds::first(12), |cluster| async move {
        cluster.worker("worker", Script::Healthy);
        for n in 0..4 {
            cluster.supervised_aggregator(&format!("spot-{n}"), Made::UntilItDies(3));
        }
        let images = (0..20).map(|n| image(&format!("image-{n}"), 2)).collect();
        let job = job_of(&[1.0], images);
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        check(&cluster, &job, &coordinator.end().await.done()?).await
    });
}

/// Workers that are killed by their machines, one after the other, cost no task.
#[test]
fn workers_that_die_by_themselves_cost_no_task() {
    schedules(&Seeds::first(12), |cluster| async move {
        for n in 0..4 {
            cluster.supervised_worker(&format!("spot-{n}"), Script::Dies(3));
        }
        cluster.aggregator("aggregator", Made::Well);
        let job = job_of(&[1.0], vec![image("a", 12), image("b", 15), image("c", 17)]);
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        check(&cluster, &job, &coordinator.end().await.done()?).await
    });
}
