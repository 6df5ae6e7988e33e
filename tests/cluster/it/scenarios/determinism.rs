//! A seed is all that a schedule hangs on.

use super::storms::storm;
use crate::harness::{Entry, Seeds, schedules};
use std::sync::{Arc, Mutex, PoisonError};

/// What happens in the storm of the first seeds, to the millisecond. Names of runs begin with the time of day.
fn journals() -> Vec<Vec<Entry>> {
    let journals = Arc::new(Mutex::new(Vec::new()));
    schedules(&Seeds::first(20), |cluster| {
        let journals = Arc::clone(&journals);
        async move {
            storm(&cluster).await?;
            journals.lock().unwrap_or_else(PoisonError::into_inner).push(cluster.journal.all());
            Ok(())
        }
    });
    Arc::try_unwrap(journals).expect("all schedules have ended").into_inner().expect("no schedule panicked")
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let (one, two) = (journals(), journals());
    for (seed, (one, two)) in one.iter().zip(&two).enumerate() {
        let differs = one.iter().zip(two).find(|(one, two)| one != two);
        assert!(differs.is_none() && one.len() == two.len(), "seed {seed}: {differs:?}");
    }
}
