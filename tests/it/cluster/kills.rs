//! Processes that die at any moment, tiles that go, and a store that refuses.
//!
//! One storm is one test. `cargo xtask chaos` runs storm after storm, by `MARQUETRY_CHAOS_MINUTES`.

use crate::cluster::role::{Role, Signal};
use crate::cluster::ruled_s3::{Rule, RuledS3};
use crate::cluster::setup::{Cluster, Kept};
use crate::cluster::view::wait;
use crate::pictures::{Dice, seed};
use std::time::{Duration, Instant};

/// Blows of one storm. After them the weather clears, so that the job can end.
const BLOWS: u32 = 10;
/// Tiles of one storm that go or are damaged.
const TILES_HIT_MAX: u32 = 2;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Worker,
    Aggregator,
    Coordinator,
}

impl Kind {
    fn start(self, cluster: &mut Cluster) -> Role {
        match self {
            Self::Worker => cluster.worker(),
            Self::Aggregator => cluster.aggregator(),
            Self::Coordinator => cluster.coordinator("job.yaml"),
        }
    }
}

/// What a storm has brought.
#[derive(Debug, Default)]
struct Brought {
    blows: Vec<(Kind, &'static str)>,
    /// Requests to the store that were refused.
    refused: u64,
}

/// A job during which roles are killed, asked to stop or held up at random moments, and started again; workers come that
/// are not fit to work, stored tiles go or are damaged, and a bucket refuses some requests.
fn storm(kept: Kept, seed: u64) -> Option<Brought> {
    eprintln!("a storm over a cluster that is kept {kept:?}: MARQUETRY_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::start(kept)?;
    let busy = (kept == Kept::InBucket).then(|| {
        let every = 7 + dice.next() % 20;
        RuledS3::new(&cluster.s3, vec![Rule::refuse("", "", 503, "SlowDown").every(every)])
    });
    if let Some(busy) = &busy {
        cluster.s3.clone_from(&busy.url);
    }
    let kinds = [Kind::Coordinator, Kind::Worker, Kind::Worker, Kind::Aggregator, Kind::Aggregator];
    let mut roles: Vec<Role> = kinds.iter().map(|kind| kind.start(&mut cluster)).collect();
    let (mut blows, mut tiles_hit) = (Vec::new(), 0);
    while blows.len() < BLOWS as usize {
        // The moments are what is random here; nothing is waited for.
        std::thread::sleep(Duration::from_secs_f64(dice.between(0.05, 0.8)));
        if !roles[0].is_running() {
            break;
        }
        let at = dice.next() as usize % roles.len();
        let blow = match dice.next() % 10 {
            0 => unfit(&mut cluster),
            // An image is given up when its tiles are found damaged as often as it may be tried.
            1 | 2 if tiles_hit < TILES_HIT_MAX => match hit_a_tile(&cluster, &mut dice) {
                Some(blow) => {
                    tiles_hit += 1;
                    blow
                }
                None => blow(&mut roles[at], &mut dice),
            },
            _ => blow(&mut roles[at], &mut dice),
        };
        blows.push((kinds[at], blow));
        if !roles[at].is_running() {
            roles[at] = kinds[at].start(&mut cluster);
        }
    }
    let brought = Brought { blows, refused: busy.as_ref().map_or(0, RuledS3::refused) };
    eprintln!("it has brought {brought:?}");
    assert!(!brought.blows.is_empty(), "the job was over before anything happened");
    roles.remove(0).end().ends_with(0);
    cluster.has_the_same_bytes();
    Some(brought)
}

/// A worker that cannot keep a file: it says so and ends before it takes anything.
fn unfit(cluster: &mut Cluster) -> &'static str {
    cluster.worker_with(&["--cache", "/proc/no-cache"]).end().ends_with(69);
    "an unfit worker"
}

/// Takes a stored tile away, or cuts it short.
fn hit_a_tile(cluster: &Cluster, dice: &mut Dice) -> Option<&'static str> {
    let (store, job) = (cluster.store(), cluster.jobs().into_iter().next()?);
    let tiles = wait(store.list(&marquetry_job::key::tiles(&job))).ok()?;
    let tile = &tiles.get(dice.next() as usize % tiles.len().max(1))?.key;
    if dice.next().is_multiple_of(2) {
        return wait(store.delete(tile)).ok().map(|()| "a tile that is gone");
    }
    // It may be gone by now, since its image is finished.
    let bytes = wait(store.get(tile)).ok()?;
    wait(store.put(tile, bytes.slice(..bytes.len() / 2))).ok().map(|()| "a tile cut short")
}

fn blow(role: &mut Role, dice: &mut Dice) -> &'static str {
    match dice.next() % 5 {
        0 => {
            role.signal(Signal::STOP);
            std::thread::sleep(Duration::from_secs_f64(dice.between(0.1, 1.5)));
            role.signal(Signal::CONT);
            "held up"
        }
        1 => {
            role.signal(Signal::TERM);
            role.until_it_ends();
            "asked to stop"
        }
        _ => {
            role.kill9();
            "killed"
        }
    }
}

#[test]
fn whoever_is_killed_the_bytes_stay_the_same() {
    let mut seed = seed();
    let minutes = std::env::var("MARQUETRY_CHAOS_MINUTES").ok().and_then(|m| m.parse().ok());
    let length = Duration::from_secs_f64(60.0 * minutes.unwrap_or(0.0));
    let start = Instant::now();
    let (mut storms, mut blows, mut refused) = (0, 0, 0);
    loop {
        for kept in [Kept::InFolder, Kept::InBucket] {
            let Some(brought) = storm(kept, seed) else { return };
            seed = seed.wrapping_add(1);
            storms += 1;
            blows += brought.blows.len();
            refused += brought.refused;
        }
        eprintln!("{storms} storms: {blows} blows, {refused} requests refused, the bytes are the same");
        if start.elapsed() >= length {
            break;
        }
    }
}
