//! Trying again while a service is away.

use crate::StoreErrorKind;
use crate::error::RequestError;
#[cfg(feature = "kafka")]
use backon::ConstantBuilder;
use backon::ExponentialBuilder;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Pauses that grow, and that differ from caller to caller, since all who wait would come back at the same moment
/// otherwise. They never end: [`Tries`] does.
pub(crate) fn growing_pauses() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
}

/// Equal pauses without an end, for what is asked of a client library that has back-off of its own.
#[cfg(feature = "kafka")]
pub(crate) fn even_pauses(pause: Duration) -> ConstantBuilder {
    ConstantBuilder::new().with_delay(pause).without_max_times()
}

/// How often something was tried, since when, and for how long it may be.
#[derive(Debug)]
pub(crate) struct Tries {
    started: Instant,
    timeout: Duration,
    count: u32,
}

impl Tries {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { started: Instant::now(), timeout, count: 0 }
    }

    /// Notes that a try has failed like this; whether there is to be another.
    pub(crate) fn go_on_after(&mut self, kind: StoreErrorKind) -> bool {
        self.count += 1;
        kind == StoreErrorKind::Unavailable && self.started.elapsed() < self.timeout
    }

    /// The reason of the last failure, and how often and how long it was tried if more than once.
    pub(crate) fn tell(&self, reason: &str) -> String {
        if self.count < 2 {
            return reason.to_owned();
        }
        let seconds = self.started.elapsed().as_secs();
        format!("{reason}; tried {} times within {seconds} s", self.count)
    }
}

impl RequestError {
    /// The same, with what was tried.
    pub(crate) fn after(self, tries: &Tries) -> Self {
        let reason = tries.tell(&self.reason);
        self.with_reason(reason)
    }
}
