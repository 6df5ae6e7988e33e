//! Tasks that end every worker that begins with them.

use crate::harness::{Made, Options, Script, Seeds, check, image, job_of, schedules};

/// More deaths than these are too many: three to suspect it, two to be sure, and some for what was on its way.
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
                let all = cluster.journal.all();
                let deaths = all.iter().filter(|entry| entry.what.starts_with("is killed by")).count();
                if deaths > DEATHS_MAX { Err(format!("{deaths} workers were killed")) } else { Ok(()) }
            }
        });
    }
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
