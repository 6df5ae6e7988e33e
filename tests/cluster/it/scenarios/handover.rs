//! A coordinator that starts while the one before it is about to end.

use crate::harness::{
    Cluster, Effect, End, Entry, Fault, Gate, JobOf, Made, Options, Script, Seeds, Verb, check, image,
    job_of, schedules, tiles_of,
};
use bytes::Bytes;
use marquetry_job::key;
use std::sync::Arc;
use std::time::Duration;

/// What the new coordinator's table holds.
const OF_NEW: &str = "of the new one";

fn two_jobs() -> (JobOf, JobOf) {
    let images = || vec![image("a", 4), image("b", 3)];
    (job_of(&[1.0], images()), job_of(&[1.0], images().into_iter().chain([image("c", 6)]).collect()))
}

/// The old coordinator has everything done and is held by `fault`; a new one, with one image more, has begun by the time
/// it is let go. The old one hears that it was replaced, and the new one sees the job to its end.
async fn held_at_its_end(
    cluster: Arc<Cluster>,
    fault: Fault,
    gate: Gate,
    options: Options,
) -> Result<(), String> {
    let (job, more) = two_jobs();
    cluster.worker("worker", Script::Slow(3));
    cluster.aggregator("aggregator", Made::LeavingTiles);
    let view = cluster.view("old");
    view.add(fault);
    let old = cluster.coordinator_over("old", &job, options, view);
    gate.arrived().await;
    let new = cluster.coordinator("new", &more, options);
    while tiles_of(&cluster, &more, more.image("c")).await < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gate.open();
    let (old, new) = (old.end().await, new.end().await);
    check(&cluster, &more, &new.done()?).await?;
    let fresh = format!("/{}-", more.image("c").key);
    let deleted = |entry: &&Entry| {
        entry.who == "old" && entry.what.starts_with("Delete") && entry.what.contains(&fresh)
    };
    if let Some(entry) = cluster.journal.all().iter().find(deleted) {
        return Err(format!("the old coordinator has done this: {}", entry.what));
    }
    match old {
        End::Replaced => Ok(()),
        old => Err(format!("the old coordinator was replaced, and ended so: {old:?}")),
    }
}

/// It is about to delete what is left of the tiles.
#[test]
fn a_coordinator_that_was_replaced_deletes_no_tile_of_the_next() {
    schedules(&Seeds::first(10), |cluster| async move {
        let gate = Gate::default();
        // The first list is that of its start.
        let fault = Fault::new(Verb::List, "tiles/", Effect::Hold(gate.clone())).once_after(1);
        held_at_its_end(cluster, fault, gate, Options::default()).await
    });
}

/// It is about to say that the job has ended: it has read whose run it is, and has not written yet.
#[test]
fn a_coordinator_that_was_replaced_does_not_end_the_next() {
    schedules(&Seeds::first(10), |cluster| async move {
        let gate = Gate::default();
        let fault = Fault::new(Verb::PutIf, "/run", Effect::Hold(gate.clone())).once_after(0);
        held_at_its_end(cluster, fault, gate, Options { keep_tiles: true, ..Options::default() }).await
    });
}

/// It is about to make its table, when the next one has written another.
#[test]
fn a_coordinator_that_was_replaced_writes_no_table() {
    held_with_its_table(|gate| Fault::new(Verb::Get, "/parts/", Effect::Hold(gate)));
}

/// Its table is on its way to the store, after it has looked whether it still has the job.
#[test]
fn a_table_that_was_long_on_its_way_is_not_written_over_a_newer_one() {
    held_with_its_table(|gate| Fault::new(Verb::Put, "/out/rows.csv", Effect::Hold(gate)));
}

fn held_with_its_table(fault: fn(Gate) -> Fault) {
    schedules(&Seeds::first(3), |cluster| async move {
        let (job, _) = two_jobs();
        cluster.worker("worker", Script::Healthy);
        cluster.aggregator("aggregator", Made::Well);
        let (view, gate) = (cluster.view("old"), Gate::default());
        view.add(fault(gate.clone()).once_after(0));
        let options = Options { tables: true, ..Options::default() };
        let old = cluster.coordinator_over("old", &job, options, view);
        let (run, table) = (key::run(&old.run.job), key::out(&old.run.job, "rows.csv"));
        gate.arrived().await;
        for (key, value) in [(&run, "the new one"), (&table, OF_NEW)] {
            let put = cluster.objects.put(key, Bytes::from_static(value.as_bytes())).await;
            put.map_err(|error| error.to_string())?;
        }
        gate.open();
        let end = old.end().await;
        let stored = cluster.objects.get(&table).await.map_err(|error| error.to_string())?;
        match end {
            End::Replaced if stored == OF_NEW => Ok(()),
            end => Err(format!(
                "the table is `{}`, and the old coordinator's end {end:?}",
                stored.escape_ascii()
            )),
        }
    });
}

/// Two that start at once: one of them sees the job to its end, and the other one that it was replaced.
#[test]
fn of_two_coordinators_one_ends_as_the_owner() {
    schedules(&Seeds::first(30), |cluster| async move {
        let (job, _) = two_jobs();
        for n in 0..2 {
            cluster.worker(&format!("worker-{n}"), Script::Slow(5));
        }
        cluster.aggregator("aggregator", Made::Well);
        let one = cluster.coordinator("one", &job, Options::default());
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..800))).await;
        let two = cluster.coordinator("two", &job, Options::default());
        let (one, two) = (one.end().await, two.end().await);
        match (one, two) {
            (End::Replaced, End::Done(summary)) => check(&cluster, &job, &summary).await,
            ends => Err(format!("{ends:?}")),
        }
    });
}

/// It has said that the job has ended, the answer is lost, and the store is asked again: nobody else has the job.
#[test]
fn a_coordinator_whose_last_word_got_no_answer_has_ended() {
    schedules(&Seeds::first(3), |cluster| async move {
        let (job, _) = two_jobs();
        cluster.worker("worker", Script::Healthy);
        cluster.aggregator("aggregator", Made::Well);
        let view = cluster.view("coordinator");
        view.add(Fault::new(Verb::PutIf, "/run", Effect::LoseAnswer).once_after(0));
        let end = cluster.coordinator_over("coordinator", &job, Options::default(), view).end().await;
        check(&cluster, &job, &end.done()?).await
    });
}
