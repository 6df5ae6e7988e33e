//! A job whose images, or whose weights, change between two runs.

use crate::harness::{
    Cluster, JobOf, Made, Options, Script, Seeds, TaskKind, check, image, image_of, job_of, key_of,
    say_stored, schedules,
};
use marquetry_job::PlannedImage;
use std::sync::Arc;
use std::time::Duration;

const BLOCK_0: TaskKind = TaskKind::Block { group: 0, block: 0 };

fn images(first: usize) -> Vec<PlannedImage> {
    (first..12).map(|n| image(&format!("image-{n:02}"), 8)).collect()
}

/// Enough images that the last ones are not sent at once.
fn job(images: Vec<PlannedImage>) -> JobOf {
    job_of(&[1.0], images)
}

/// A worker that has not heard of the second run says what it has done for the first: block 0 of `done`. Nobody else works
/// before that. How often something was tried again in the second run.
async fn late_word(
    cluster: &Arc<Cluster>,
    then: &JobOf,
    now: &JobOf,
    done: &PlannedImage,
) -> Result<u64, String> {
    let first = cluster.coordinator("first", then, Options::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let of_first = first.run.clone();
    first.abort_handle().abort();
    drop(first);
    let second = cluster.coordinator("second", now, Options::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    say_stored(cluster, &of_first, &then.plan, done, BLOCK_0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 0..4 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.aggregator("aggregator", Made::Well);
    let summary = second.end().await.done()?;
    check(cluster, now, &summary).await?;
    Ok(summary.retries)
}

/// An image that sorts first has come to a job since its first run: what was the eleventh image then, of which something
/// is said, is the twelfth now.
async fn one_image_more(cluster: &Arc<Cluster>) -> Result<u64, String> {
    let (then, now) = (job(images(1)), job(images(0)));
    late_word(cluster, &then, &now, &then.images[10]).await
}

/// What was tried again, where nothing had to be.
fn none(retries: u64) -> Result<(), String> {
    if retries == 0 { Ok(()) } else { Err(format!("{retries} retries: a block was missing that was done")) }
}

/// Nothing is taken for done that is not: no image is found to be without its tiles later.
#[test]
fn what_is_said_of_another_plan_marks_no_block_of_this_one() {
    schedules(&Seeds::first(10), |cluster| async move { none(one_image_more(&cluster).await?) });
}

/// The same, where the image that is the eleventh now has a block that nobody can compute: its gaps are that one, and no
/// other.
#[test]
fn what_is_said_of_another_plan_makes_no_gap() {
    schedules(&Seeds::first(10), |cluster| async move {
        cluster.poison("image-10", 5);
        one_image_more(&cluster).await.map(drop)
    });
}

/// The file of an image was replaced: a tile of the old one is no tile of the new one.
#[test]
fn what_is_said_of_an_images_old_content_marks_no_block_of_the_new_one() {
    schedules(&Seeds::first(10), |cluster| async move {
        let mut replaced = images(1);
        replaced[10] = image_of("image-11", 8, "second version");
        let (then, now) = (job(images(1)), job(replaced));
        none(late_word(&cluster, &then, &now, &then.images[10]).await?)
    });
}

/// The last image has gone: what is said of it changes nothing, its tile is no business of this run, and stays.
#[test]
fn what_is_said_of_an_image_that_has_gone_changes_nothing() {
    schedules(&Seeds::first(10), |cluster| async move {
        let mut fewer = images(1);
        let gone = fewer.pop().ok_or("there are images")?;
        let (then, now) = (job(images(1)), job(fewer));
        none(late_word(&cluster, &then, &now, &gone).await?)?;
        let tile = cluster.objects.head(&key_of(&now.plan, &gone, BLOCK_0)).await;
        tile.map(drop).map_err(|error| error.to_string())
    });
}

/// A job has been done; how many tasks the next one of `now` has done.
async fn computed_after(
    cluster: &Arc<Cluster>,
    then: &JobOf,
    now: &JobOf,
    options: Options,
) -> Result<u64, String> {
    for n in 0..4 {
        cluster.worker(&format!("worker-{n}"), Script::Healthy);
    }
    cluster.aggregator("aggregator", if options.keep_tiles { Made::LeavingTiles } else { Made::Well });
    let first = cluster.coordinator("first", then, options).end().await.done()?;
    check(cluster, then, &first).await?;
    let asked = cluster.journal.all().len();
    let second = cluster.coordinator("second", now, options).end().await.done()?;
    check(cluster, now, &second).await?;
    let again = cluster.journal.all().split_off(asked);
    let tasks = again.iter().filter(|entry| entry.what.starts_with("has ")).count() as u64;
    if tasks == second.computed { Ok(tasks) } else { Err(format!("{tasks} tasks, and told are {second:?}")) }
}

/// What the first run has stored is found by the second one, whatever place its image has now.
#[test]
fn what_an_earlier_plan_has_stored_is_found() {
    schedules(&Seeds::first(10), |cluster| async move {
        let tasks = computed_after(&cluster, &job(images(1)), &job(images(0)), Options::default()).await?;
        if tasks == 8 { Ok(()) } else { Err(format!("{tasks} tasks for the 8 of the new image")) }
    });
}

/// Other weights are another plan over the same tiles: no model runs, and the files are those of the new weights.
#[test]
fn other_weights_are_merged_from_the_tiles_that_are_there() {
    schedules(&Seeds::first(10), |cluster| async move {
        let then = job(images(8));
        let now = then.merged_otherwise();
        let options = Options { keep_tiles: true, ..Options::default() };
        let tasks = computed_after(&cluster, &then, &now, options).await?;
        if tasks == 0 { Ok(()) } else { Err(format!("{tasks} tasks for tiles that are all there")) }
    });
}
