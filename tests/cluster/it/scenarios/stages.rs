//! Images of which some members want statistics: these are the first stage, and blocks the second. That no block comes
//! before them is looked at after every schedule (`harness/check.rs`).

use crate::harness::{
    Cluster, Effect, Entry, Fault, JobOf, Made, Options, Script, Seeds, TaskId, TaskKind, Verb, check, image,
    left_of_tasks, say_stored, schedules, staged_job_of,
};
use marquetry_job::PlannedImage;
use std::sync::Arc;
use std::time::Duration;

/// The members of [`staged_job_of`] that do not want statistics.
const PLAIN: [u32; 2] = [0, 2];

fn people(cluster: &Arc<Cluster>) {
    for n in 0..3 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.aggregator("aggregator", Made::Well);
}

/// The statistics tasks that workers had, in the order in which they came.
fn statistics_asked(entries: &[Entry]) -> Vec<&str> {
    let asked = entries.iter().filter_map(|entry| entry.what.strip_prefix("has statistics of image "));
    asked.filter_map(|asked| asked.split(' ').next()).collect()
}

/// Each image whose statistics are wanted has one task for them, others have none.
#[test]
fn statistics_come_first_and_once() {
    schedules(&Seeds::first(20), |cluster| async move {
        people(&cluster);
        let plain = image("plain", 4).scored_by(PLAIN.to_vec());
        let job = staged_job_of(vec![image("a", 5), plain, image("c", 3)]);
        let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await?;
        let entries = cluster.journal.all();
        let mut asked = statistics_asked(&entries);
        asked.sort_unstable();
        let mut wanted = [job.image("a").key.as_str(), job.image("c").key.as_str()];
        wanted.sort_unstable();
        if asked == wanted { Ok(()) } else { Err(format!("asked were the statistics of {asked:?}")) }
    });
}

/// While the statistics of one image take their time, no block of it is sent, and the other images are finished.
#[test]
fn an_image_waits_for_its_own_statistics_and_for_no_others() {
    schedules(&Seeds::first(10), |cluster| async move {
        let plain = image("plain", 4).scored_by(PLAIN.to_vec());
        let job = staged_job_of(vec![image("slow", 4), plain, image("c", 3)]);
        let of_slow = format!("/statistics/{}", job.image("slow").key);
        for n in 0..8 {
            let name = format!("worker-{n}");
            let view = cluster.view(&name);
            view.add(Fault::new(Verb::Put, &of_slow, Effect::Delay(Duration::from_secs(15))));
            cluster.worker_over(&name, Script::Healthy, view);
        }
        cluster.aggregator("aggregator", Made::Well);
        // What waits behind the slow task is sent to others after this.
        let options = Options { overdue_after: Duration::from_secs(2), ..Options::default() };
        let coordinator = cluster.coordinator("coordinator", &job, options);
        check(&cluster, &job, &coordinator.end().await.done()?).await?;
        let entries = cluster.journal.all();
        let at = |what: &str| entries.iter().find(|entry| entry.what == what).map(|entry| entry.at);
        let finished =
            |id: &str| at(&format!("says that image {} is stored, partial: false", job.image(id).key));
        let id = TaskId { image: job.image("slow").key.clone(), kind: TaskKind::Statistics };
        match (at(&format!("says that {id} is stored")), finished("plain"), finished("c")) {
            (Some(slow), Some(plain), Some(c)) if plain < slow && c < slow => Ok(()),
            times => Err(format!("the slow statistics and the other images are there at {times:?}")),
        }
    });
}

/// What cannot be measured is lost, with the statistics to blame; all other images are whole.
#[test]
fn lost_statistics_lose_their_image_and_no_other() {
    schedules(&Seeds::first(20), |cluster| async move {
        people(&cluster);
        let job = staged_job_of(vec![image("a", 5), image("broken", 4), image("c", 3)]);
        cluster.poison_statistics("broken");
        let summary = cluster.coordinator("coordinator", &job, Options::default()).end().await.done()?;
        let broken = &job.image("broken").key;
        let blocks = format!("of image {broken} attempt");
        let entries = cluster.journal.all();
        if let Some(entry) =
            entries.iter().find(|e| e.what.starts_with("has block") && e.what.contains(&blocks))
        {
            return Err(format!("{} {}, which is lost", entry.who, entry.what));
        }
        check(&cluster, &job, &summary).await?;
        if summary.lost_images.iter().eq([broken]) { Ok(()) } else { Err(format!("{summary:?}")) }
    });
}

/// The same image, scored by members that want no statistics, is not lost with them.
#[test]
fn an_image_whose_members_want_no_statistics_needs_none() {
    schedules(&Seeds::first(10), |cluster| async move {
        people(&cluster);
        let job = staged_job_of(vec![image("broken", 4).scored_by(PLAIN.to_vec()), image("c", 3)]);
        cluster.poison_statistics("broken");
        let summary = cluster.coordinator("coordinator", &job, Options::default()).end().await.done()?;
        // What nobody asks for cannot be lost.
        if summary.lost_tasks.is_empty() && summary.progress.images_done == 2 {
            Ok(())
        } else {
            Err(format!("{summary:?}"))
        }
    });
}

/// A coordinator that starts when some statistics are stored, and no tile.
async fn after_statistics(cluster: &Arc<Cluster>, job: &JobOf, known: &PlannedImage) -> Result<(), String> {
    let first = cluster.coordinator("first", job, Options::default());
    say_stored(cluster, &first.run, &job.plan, known, TaskKind::Statistics).await;
    first.abort_handle().abort();
    drop(first.end().await);
    people(cluster);
    let end = cluster.coordinator("second", job, Options::default()).end().await;
    check(cluster, job, &end.done()?).await
}

/// Statistics that an earlier run has stored are found: nobody is asked for them, and blocks are sent at once.
#[test]
fn statistics_that_are_found_are_not_asked_for() {
    schedules(&Seeds::first(10), |cluster| async move {
        let job = staged_job_of(vec![image("a", 5), image("b", 4)]);
        after_statistics(&cluster, &job, job.image("a")).await?;
        let entries = cluster.journal.all();
        let asked = statistics_asked(&entries);
        if asked == [job.image("b").key.as_str()] { Ok(()) } else { Err(format!("asked were {asked:?}")) }
    });
}

/// A worker says that it has stored statistics and has not: whoever needs them measures again, and nothing is lost.
#[test]
fn statistics_that_were_said_to_be_stored_and_are_not_cost_nothing() {
    schedules(&Seeds::first(20), |cluster| async move {
        let job = staged_job_of(vec![image("a", 5)]);
        cluster.worker("liar", Script::Lies(1));
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        let said = |entry: &Entry| entry.who == "liar" && entry.what.starts_with("says that statistics");
        while !cluster.journal.all().iter().any(said) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        people(&cluster);
        let summary = coordinator.end().await.done()?;
        check(&cluster, &job, &summary).await?;
        if summary.retries == 0 { Ok(()) } else { Err(format!("{summary:?}")) }
    });
}

/// Statistics go with the tiles of their image, whoever has left them behind.
#[test]
fn nothing_that_tasks_have_stored_is_left_behind() {
    for made in [Made::Well, Made::LeavingTiles] {
        schedules(&Seeds::first(10), |cluster| async move {
            for n in 0..2 {
                cluster.worker(&format!("worker-{n}"), Script::Healthy);
            }
            cluster.aggregator("aggregator", made);
            let job = staged_job_of(vec![image("a", 5), image("b", 4)]);
            let end = cluster.coordinator("coordinator", &job, Options::default()).end().await;
            check(&cluster, &job, &end.done()?).await?;
            let left = left_of_tasks(&cluster, &job).await;
            if left.is_empty() { Ok(()) } else { Err(format!("left are {left:?}")) }
        });
    }
}

/// A person has set right what was wrong, and asks for another try while the job is at work: what was lost is done, stage
/// by stage, and in the end nothing is missing.
#[test]
fn what_was_lost_is_done_when_a_person_asks_for_another_try() {
    schedules(&Seeds::first(20), |cluster| async move {
        people(&cluster);
        let job = staged_job_of(vec![image("a", 5), image("b", 2), image("c", 3), image("last", 60)]);
        cluster.poison_statistics("a");
        cluster.poison("b", 0);
        cluster.poison("b", 1);
        cluster.poison("c", 2);
        let coordinator = cluster.coordinator("coordinator", &job, Options::default());
        let losses = |cluster: &Cluster| {
            let failed = |entry: &&Entry| entry.what.ends_with("failed: the image is cut off");
            cluster.journal.all().iter().filter(failed).count()
        };
        while losses(&cluster) < fastrand::usize(1..4) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        cluster.cure();
        // Tries that were under way have failed by then.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(300..800))).await;
        let asked = marquetry_coordinator::retry(&*cluster.queue, &coordinator.run).await;
        asked.map_err(|error| error.to_string())?;
        if coordinator.has_ended() {
            return Err("the job has ended before it was asked".to_owned());
        }
        check(&cluster, &job, &coordinator.end().await.done()?).await
    });
}

/// Regions are found in the first stage, beside statistics where an image has both, and go with the tiles of their image;
/// whoever dies in between, and whoever goes on.
#[test]
fn regions_come_before_blocks_and_go_with_them() {
    schedules(&Seeds::first(20), |cluster| async move {
        let plain = image("plain", 4).scored_by(PLAIN.to_vec());
        let job = staged_job_of(vec![image("a", 5), plain, image("c", 3)]).of_what_is_not_blank();
        cluster.worker("liar", Script::Lies(1));
        people(&cluster);
        let first = cluster.coordinator("first", &job, Options::default());
        let found = |entry: &Entry| entry.what.starts_with("says that region of image");
        while !cluster.journal.all().iter().any(found) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        first.abort_handle().abort();
        let end = cluster.coordinator("second", &job, Options::default()).end().await;
        check(&cluster, &job, &end.done()?).await?;
        let entries = cluster.journal.all();
        let wanted = |image: &PlannedImage| {
            let has = format!("has region of image {} ", image.key);
            entries.iter().any(|entry| entry.what.starts_with(&has))
        };
        if let Some(image) = job.images.iter().find(|image| !wanted(image)) {
            return Err(format!("nobody was asked for the region of {}", image.id));
        }
        let left = left_of_tasks(&cluster, &job).await;
        if left.is_empty() { Ok(()) } else { Err(format!("left are {left:?}")) }
    });
}
