//! Processes that die at any moment.
//!
//! One storm is one test. `cargo xtask chaos` runs storm after storm, by `MARQUETRY_CHAOS_MINUTES`.

use crate::cluster::role::{Role, Signal};
use crate::cluster::setup::{Cluster, Kept};
use crate::pictures::{Dice, seed};
use std::time::{Duration, Instant};

/// Blows of one storm. After them the weather clears, so that the job can end.
const BLOWS: u32 = 10;

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

/// A job during which roles are killed, asked to stop or held up at random moments, and started again.
fn storm(kept: Kept, seed: u64) -> Option<()> {
    eprintln!("a storm over a cluster that is kept {kept:?}: MARQUETRY_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut cluster = Cluster::start(kept)?;
    let kinds = [Kind::Coordinator, Kind::Worker, Kind::Worker, Kind::Aggregator, Kind::Aggregator];
    let mut roles: Vec<Role> = kinds.iter().map(|kind| kind.start(&mut cluster)).collect();
    let mut blows = Vec::new();
    while blows.len() < BLOWS as usize {
        // The moments are what is random here; nothing is waited for.
        std::thread::sleep(Duration::from_secs_f64(dice.between(0.05, 0.8)));
        if !roles[0].is_running() {
            break;
        }
        let at = dice.next() as usize % roles.len();
        let blow = blow(&mut roles[at], &mut dice);
        blows.push((kinds[at], blow));
        if !roles[at].is_running() {
            roles[at] = kinds[at].start(&mut cluster);
        }
    }
    eprintln!("it has brought {blows:?}");
    assert!(!blows.is_empty(), "the job was over before anything happened");
    roles.remove(0).end().ends_with(0);
    cluster.has_the_same_bytes();
    Some(())
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
    loop {
        for kept in [Kept::InFolder, Kept::InBucket] {
            if storm(kept, seed).is_none() {
                return;
            }
            seed = seed.wrapping_add(1);
        }
        if start.elapsed() >= length {
            break;
        }
    }
}
