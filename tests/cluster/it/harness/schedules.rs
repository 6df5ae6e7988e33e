//! Many schedules, one for each seed.

use super::cluster::Cluster;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::LocalSet;

/// The longest that a schedule may take, in virtual time: a job that has not ended by then waits for ever.
const LONGEST: Duration = Duration::from_hours(3);

/// The seeds of a test.
pub(crate) struct Seeds {
    first: u64,
    count: u64,
}

impl Seeds {
    /// The first `count` seeds; or the one in `MARQUETRY_SEED`; or `MARQUETRY_SCHEDULES` many, from one that nobody chose.
    pub(crate) fn first(count: u64) -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
        };
        match (number("MARQUETRY_SEED"), number("MARQUETRY_SCHEDULES")) {
            (Some(first), _) => Self { first, count: 1 },
            (None, Some(count)) => Self { first: u64::from(fastrand::u32(..)), count },
            (None, None) => Self { first: 0, count },
        }
    }
}

/// Plays a schedule for each seed: a story is told what is in the cluster, and says what went wrong.
///
/// # Panics
/// When a schedule goes wrong, with its seed and the end of its journal.
pub(crate) fn schedules<F>(seeds: &Seeds, story: impl Fn(Arc<Cluster>) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    for seed in seeds.first..seeds.first + seeds.count {
        // Whoever rolls dice on this thread, the coordinator's own code too, does it by this seed.
        fastrand::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        // A coordinator's future stays on its thread.
        let told = LocalSet::new().block_on(&runtime, async {
            let cluster = Cluster::new().await;
            let played = tokio::time::timeout(LONGEST, story(Arc::clone(&cluster))).await;
            let played = played.unwrap_or_else(|_| Err(format!("it has not ended after {LONGEST:?}")));
            played.map_err(|reason| format!("{reason}\n\n{}", cluster.journal))
        });
        if let Err(reason) = told {
            panic!("MARQUETRY_SEED={seed}: {reason}");
        }
    }
}
