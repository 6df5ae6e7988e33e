//! Everything at once, as the seed has it.

use crate::harness::{
    Cluster, Coordinating, Effect, End, Fault, JobOf, Made, Options, Script, Seeds, Sickness, Verb, check,
    image, job_of, schedules, staged_job_of,
};
use marquetry_job::PlannedImage;
use marquetry_transport::StoreErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// An image of up to eight blocks.
fn any_image(n: u32) -> PlannedImage {
    image(&format!("image-{n}"), fastrand::u32(1..=8))
}

/// An image of up to eight blocks, of which some are scored by some of the members only.
fn any_staged_image(n: u32) -> PlannedImage {
    let image = any_image(n);
    match fastrand::u8(0..8) {
        0 => image.scored_by(vec![0, 2]),
        1 => image.scored_by(vec![1]),
        2 => image.scored_by(vec![2]),
        _ => image,
    }
}

/// A job of up to six images, of one group of members or two, in stages or not.
fn any_job() -> JobOf {
    let count = fastrand::u32(1..=6);
    match fastrand::u8(0..5) {
        0 => job_of(&[1.0], (0..count).map(any_image).collect()),
        1 => job_of(&[1.0, 0.5], (0..count).map(any_image).collect()),
        2 => job_of(&[1.0, 0.5], (0..count).map(any_image).collect()).in_rounds(),
        3 => any_staged_job().in_rounds(),
        _ => any_staged_job(),
    }
}

/// A job of up to six images in stages.
fn any_staged_job() -> JobOf {
    staged_job_of((0..fastrand::u32(1..=6)).map(any_staged_image).collect())
}

/// A script of a worker that has some trouble, and of whose tasks none is lost by that.
fn any_script(honest: bool) -> Script {
    let few = || fastrand::u32(0..5);
    match fastrand::u8(0..if honest { 5 } else { 7 }) {
        0 => Script::Slow(2 + few()),
        1 => Script::Dies(few()),
        2 => Script::Hangs(few()),
        3 => Script::SaysTwice,
        4 => Script::LateOnce(Duration::from_secs(fastrand::u64(1..90))),
        5 => Script::Lies(1),
        _ => Script::Hasty,
    }
}

fn any_fault() -> Fault {
    let verbs = [Verb::Put, Verb::PutIf, Verb::Get, Verb::Head, Verb::List, Verb::Delete];
    let verb = verbs[fastrand::usize(..verbs.len())];
    let effect = match fastrand::u8(0..3) {
        0 => Effect::Delay(Duration::from_millis(fastrand::u64(1..3000))),
        2 => Effect::LoseAnswer,
        _ => Effect::Refuse(StoreErrorKind::Unavailable),
    };
    Fault::new(verb, "", effect).percent(fastrand::u8(1..40))
}

/// Workers and aggregators, healthy ones and others, over a store with faults.
fn people(cluster: &Arc<Cluster>, honest: bool) {
    for n in 0..fastrand::u8(1..=3) {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    for n in 0..fastrand::u8(0..=4) {
        let name = format!("odd-worker-{n}");
        let view = cluster.view(&name);
        if fastrand::bool() {
            view.add(any_fault());
        }
        cluster.worker_over(&name, any_script(honest), view);
    }
    cluster.aggregator("aggregator", Made::Well);
    for n in 0..fastrand::u8(0..=2) {
        let name = format!("odd-aggregator-{n}");
        let view = cluster.view(&name);
        if fastrand::bool() {
            view.add(any_fault());
        }
        let dies = Made::UntilItDies(fastrand::u32(0..3));
        cluster.aggregator_over(&name, if fastrand::bool() { dies } else { Made::LeavingTiles }, view);
    }
    if fastrand::bool() {
        cluster.queue.duplicate(fastrand::u8(1..30));
    }
}

/// A coordinator over a store that has a fault or none.
fn coordinator(cluster: &Arc<Cluster>, name: &str, job: &JobOf) -> Coordinating {
    let view = cluster.view(name);
    if fastrand::bool() {
        view.add(any_fault());
    }
    cluster.coordinator_over(name, job, Options::default(), view)
}

/// One job with one coordinator, and all that may go wrong with the others.
pub(super) async fn storm(cluster: &Arc<Cluster>) -> Result<(), String> {
    storm_over(cluster, any_job()).await
}

async fn storm_over(cluster: &Arc<Cluster>, job: JobOf) -> Result<(), String> {
    let poisoned = fastrand::u8(0..5) == 0;
    if poisoned {
        let image = &job.images[fastrand::usize(..job.images.len())];
        if fastrand::bool() {
            cluster.poison_statistics(&image.id);
        } else {
            cluster.poison(&image.id, fastrand::u32(0..2));
        }
    }
    // What a worker says and has not stored is taken for one of the blocks that are given up, if there are such ones.
    people(cluster, poisoned);
    let summary = coordinator(cluster, "coordinator", &job).end().await.done()?;
    check(cluster, &job, &summary).await
}

#[test]
fn storms_over_workers_and_aggregators() {
    schedules(&Seeds::first(150), |cluster| async move { storm(&cluster).await });
}

#[test]
fn storms_over_jobs_in_stages() {
    schedules(&Seeds::first(100), |cluster| async move { storm_over(&cluster, any_staged_job()).await });
}

#[test]
fn storms_over_jobs_with_a_gate() {
    schedules(&Seeds::first(100), |cluster| async move {
        let job = if fastrand::bool() { any_staged_job() } else { any_staged_job().in_rounds() };
        storm_over(&cluster, job.with_gate()).await
    });
}

/// Coordinators are killed and started again.
#[test]
fn storms_of_restarts() {
    schedules(&Seeds::first(100), |cluster| async move {
        let job = any_job();
        people(&cluster, true);
        for n in 0..fastrand::u8(1..4) {
            let killed = coordinator(&cluster, &format!("killed-{n}"), &job);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..3000))).await;
            killed.abort_handle().abort();
            if let End::Broken(_) = killed.end().await {
                cluster.journal.note("coordinator", "is killed");
            }
        }
        let summary = coordinator(&cluster, "last", &job).end().await.done()?;
        check(&cluster, &job, &summary).await
    });
}

/// As above, with workers that fail all they get.
#[test]
fn storms_with_sick_workers() {
    schedules(&Seeds::first(100), |cluster| async move {
        let job = any_job();
        people(&cluster, true);
        for n in 0..fastrand::u8(1..=2) {
            let sickness = if fastrand::bool() { Sickness::Device } else { Sickness::Disk };
            cluster.worker(&format!("sick-{n}"), Script::Sick(sickness));
        }
        let summary = coordinator(&cluster, "coordinator", &job).end().await.done()?;
        check(&cluster, &job, &summary).await
    });
}

/// Coordinators take over from others that are still at work, and images come and go.
#[test]
fn storms_of_takeovers() {
    schedules(&Seeds::first(60), |cluster| async move {
        people(&cluster, true);
        // Their store has no faults, so that who starts last has the job last.
        let staged = fastrand::bool();
        let job_of = |images| {
            if staged { staged_job_of(images).in_rounds() } else { job_of(&[1.0], images) }
        };
        let all: Vec<_> = (0..8).map(if staged { any_staged_image } else { any_image }).collect();
        let any_images = || all.iter().filter(|_| fastrand::u8(0..4) > 0).cloned().collect::<Vec<_>>();
        let mut before: Vec<Coordinating> = Vec::new();
        for n in 0..fastrand::u8(1..4) {
            let job = job_of(any_images());
            before.push(cluster.coordinator(&format!("replaced-{n}"), &job, Options::default()));
            tokio::time::sleep(Duration::from_millis(fastrand::u64(100..3000))).await;
        }
        // Those that have seen the end of their job by now may have done so.
        let ended: Vec<bool> = before.iter().map(Coordinating::has_ended).collect();
        let job = job_of(all.clone());
        let summary = cluster.coordinator("last", &job, Options::default()).end().await.done()?;
        check(&cluster, &job, &summary).await?;
        for (replaced, ended) in before.into_iter().zip(ended) {
            match replaced.end().await {
                End::Done(_) if !ended => return Err("two have seen the end of the job as its owner".into()),
                End::Broken(reason) | End::Failed(_, reason) => return Err(reason),
                End::Done(_) | End::Replaced | End::Cancelled => {}
            }
        }
        Ok(())
    });
}
