//! What is refused for good, what is lost on its way, and jobs of which nothing can come.

use crate::harness::{
    Cluster, Effect, End, Fault, Made, Options, Script, Seeds, Verb, check, image, job_of, schedules,
};
use marquetry_coordinator::Status;
use marquetry_failure::FailureClass;
use marquetry_transport::StoreErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn denied(verb: Verb, in_key: &str) -> Fault {
    Fault::new(verb, in_key, Effect::Refuse(StoreErrorKind::Denied))
}

/// A worker that may not write tiles.
fn denied_worker(cluster: &Arc<Cluster>, name: &str) {
    let view = cluster.view(name);
    view.add(denied(Verb::Put, "tiles/"));
    cluster.worker_over(name, Script::Healthy, view);
}

fn is_refusal(end: End, words: &str) -> Result<(), String> {
    match end {
        End::Failed(FailureClass::Config, why) if why.contains(words) => Ok(()),
        end => Err(format!("the job should have been stopped for what was refused: {end:?}")),
    }
}

/// A store that lets no worker write stops the job within seconds, in its own words.
#[test]
fn what_is_refused_to_all_workers_stops_the_job() {
    schedules(&Seeds::first(8), |cluster| async move {
        denied_worker(&cluster, "worker-0");
        denied_worker(&cluster, "worker-1");
        cluster.aggregator("aggregator", Made::Well);
        let job = job_of(&[1.0], vec![image("a", 9), image("b", 8)]);
        let started = Instant::now();
        let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
        let took = started.elapsed();
        if took > Duration::from_secs(30) {
            return Err(format!("it took {took:?}"));
        }
        is_refusal(end, "the store does not take what was computed")
    });
}

/// One worker without rights beside others costs nothing.
#[test]
fn what_is_refused_to_one_worker_is_done_by_others() {
    schedules(&Seeds::first(8), |cluster| async move {
        denied_worker(&cluster, "denied");
        (0..3).for_each(|n| drop(cluster.worker(&format!("worker-{n}"), Script::Healthy)));
        cluster.aggregator("aggregator", Made::Well);
        let job = job_of(&[1.0], (0..8).map(|n| image(&format!("image-{n}"), 8)).collect());
        let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await
    });
}

/// A coordinator that is let in no longer ends, and says why.
#[test]
fn a_store_that_lets_the_coordinator_in_no_longer_ends_the_job() {
    schedules(&Seeds::first(3), |cluster| async move {
        let view = cluster.view("coordinator");
        let job = job_of(&[1.0], vec![image("a", 3)]);
        let options = Options::default();
        let coordinator = cluster.coordinator_over("coordinator", &job, options, Arc::clone(&view));
        tokio::time::sleep(Duration::from_secs(5)).await;
        view.add(denied(Verb::Get, "/run"));
        is_refusal(coordinator.end().await, "cannot read")
    });
}

/// Whoever may not delete gets all the same what was computed; what was to be deleted stays.
#[test]
fn no_right_to_delete_costs_nothing_but_room() {
    schedules(&Seeds::first(5), |cluster| async move {
        cluster.worker("worker", Script::Healthy);
        let view = |who: &str| {
            let view = cluster.view(who);
            view.add(denied(Verb::Delete, ""));
            view
        };
        cluster.aggregator_over("aggregator", Made::Well, view("aggregator"));
        let job = job_of(&[1.0], vec![image("a", 3), image("b", 4)]);
        for life in ["first", "second"] {
            let coordinator = cluster.coordinator_over(life, &job, Options::default(), view(life));
            check(&cluster, &job, &coordinator.end().await.done()?).await?;
        }
        Ok(())
    });
}

/// Tasks that the queue has lost before any worker came are sent again.
#[test]
fn tasks_that_the_queue_has_lost_are_sent_again() {
    schedules(&Seeds::first(8), |cluster| async move {
        let job = job_of(&[1.0], vec![image("a", 9), image("b", 8)]);
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        tokio::time::sleep(Duration::from_secs(5)).await;
        let lost = cluster.queue.lose_tasks().await.map_err(|error| error.to_string())?;
        if lost == 0 {
            return Err("nothing was lost".to_owned());
        }
        cluster.worker("worker", Script::Healthy);
        cluster.aggregator("aggregator", Made::Well);
        check(&cluster, &job, &coordinator.end().await.done()?).await
    });
}

/// While all tasks wait in the queue for workers that are not there yet, nothing is sent twice.
#[test]
fn tasks_that_wait_for_workers_are_not_sent_again() {
    schedules(&Seeds::first(3), |cluster| async move {
        let job = job_of(&[1.0], vec![image("a", 9), image("b", 8)]);
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        tokio::time::sleep(Duration::from_mins(30)).await;
        let status =
            Status::read(&*cluster.objects, &job.plan.job).await.map_err(|error| error.to_string())?;
        let silent = status.and_then(|status| status.silent_seconds);
        if silent.is_none_or(|seconds| seconds < 29 * 60) {
            return Err(format!("nobody has answered for half an hour, and the status says {silent:?}"));
        }
        let sent = cluster.queue.lose_tasks().await.map_err(|error| error.to_string())?;
        if sent != 17 {
            return Err(format!("17 tasks were sent {sent} times"));
        }
        cluster.worker("worker", Script::Healthy);
        cluster.aggregator("aggregator", Made::Well);
        check(&cluster, &job, &coordinator.end().await.done()?).await
    });
}

/// A small job of which all fails for one cause says that cause, and not that it is done.
#[test]
fn a_small_job_of_which_all_fails_alike_says_so() {
    schedules(&Seeds::first(3), |cluster| async move {
        cluster.worker("worker", Script::Healthy);
        cluster.aggregator("aggregator", Made::Well);
        let names: Vec<String> = (0..11).map(|n| format!("image-{n}")).collect();
        names.iter().for_each(|name| cluster.poison(name, 0));
        let job = job_of(&[1.0], names.iter().map(|name| image(name, 1)).collect());
        match cluster.coordinator("coordinator", &job, Options::default()).end().await {
            End::Failed(FailureClass::Input, why)
                if why.contains("all 11 failures") && why.contains("cut off") =>
            {
                Ok(())
            }
            end => Err(format!("{end:?}")),
        }
    });
}
