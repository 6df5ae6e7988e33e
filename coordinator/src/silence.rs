//! How long nobody has answered, and when that is worth a line.

use crate::in_flight::InFlight;
use marquetry_transport::lag::Lag;
use std::time::Duration;
use tokio::time::Instant;

/// After so long without an answer it is said.
const SILENT: Duration = Duration::from_mins(1);

/// Watches for workers that are not there.
#[derive(Debug)]
pub(crate) struct Silence {
    /// When something was last heard, or sent while nothing was out.
    since: Instant,
    /// It is said after so long, and again after twice as long.
    patience: Duration,
    next: Duration,
}

impl Silence {
    /// Nothing was sent yet. `overdue_after`: nothing is worth a line before this.
    pub(crate) fn new(overdue_after: Duration, now: Instant) -> Self {
        let patience = overdue_after.max(SILENT);
        Self { since: now, patience, next: patience }
    }

    /// Somebody has said something.
    pub(crate) fn heard(&mut self, now: Instant) {
        (self.since, self.next) = (now, self.patience);
    }

    /// Says it if nobody has answered for long, more and more seldom; for how many seconds, if so.
    pub(crate) fn look(&mut self, in_flight: &InFlight, waiting: Option<Lag>, now: Instant) -> Option<u64> {
        let (tasks, images) = (in_flight.tasks(), in_flight.images());
        // Whoever has begun answers when it is done.
        if tasks + images == 0 || in_flight.is_any_begun() {
            self.heard(now);
            return None;
        }
        let silent = now.duration_since(self.since);
        if silent < self.patience {
            return None;
        }
        let seconds = silent.as_secs();
        if silent >= self.next {
            self.next = silent * 2;
            let queued =
                waiting.map_or_else(|| "an unknown number of".to_owned(), |lag| lag.messages.to_string());
            tracing::warn!(
                "nobody has answered for {seconds} s: {tasks} tasks and {images} images are out, {queued} tasks wait in \
                 the queue; are workers and aggregators there, with this broker and topic prefix?"
            );
        }
        Some(seconds)
    }
}
