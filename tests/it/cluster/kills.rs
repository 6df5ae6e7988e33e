//! Processes that die at any moment, machines and stores that are not as they should be, all at random.
//!
//! One storm on each kind of store is one test. `cargo xtask chaos` runs storm after storm, by `MARQUETRY_CHAOS_MINUTES`
//! or until `MARQUETRY_CHAOS_FAULTS` things went wrong.

use crate::cluster::setup::Kept;
use crate::cluster::storm::{Brought, storm};
use crate::pictures::seed;
use std::time::{Duration, Instant};

#[test]
fn whatever_goes_wrong_the_bytes_stay_the_same() {
    let mut seed = seed();
    let number = |name: &str| std::env::var(name).ok().and_then(|m| m.parse::<f64>().ok()).unwrap_or(0.0);
    let length = Duration::from_secs_f64(60.0 * number("MARQUETRY_CHAOS_MINUTES"));
    let faults = number("MARQUETRY_CHAOS_FAULTS") as usize;
    let start = Instant::now();
    let (mut storms, mut all) = (0, Brought::default());
    loop {
        for kept in [Kept::InFolder, Kept::InBucket] {
            let Some(brought) = storm(kept, seed) else { return };
            seed = seed.wrapping_add(1);
            storms += 1;
            all.add(&brought);
        }
        let (blows, refused) = (all.blows(), all.refused);
        eprintln!("{storms} storms: {blows} blows, {refused} requests refused, the bytes are the same");
        if start.elapsed() >= length && blows >= faults {
            break;
        }
    }
    for (blow, times) in &all.blows {
        eprintln!("{times:>6} {blow}");
    }
}
