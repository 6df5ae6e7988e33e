//! Sinks whose failure costs nobody anything but what they would have made.

use crate::error::panic_message;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_failure::chain;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A sink that may fail or panic: the image's result then has a warning, and all else goes on.
pub(crate) struct Optional {
    /// Nothing once it has failed.
    inner: Option<Box<dyn RowSink>>,
    /// What there is not if it fails: `no picture`.
    without: &'static str,
    warning: Option<String>,
}

impl Optional {
    /// `without` says what there is not if `inner` fails.
    pub(crate) fn new(without: &'static str, inner: Box<dyn RowSink>) -> Self {
        Self { inner: Some(inner), without, warning: None }
    }

    fn attempt(&mut self, work: impl FnOnce() -> Result<(), SinkError>) -> bool {
        // What a panic leaves half done is thrown away with the sink.
        let reason = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => chain(&error),
            Err(panic) => format!("a bug: {}", panic_message(&*panic)),
        };
        self.warning = Some(format!("{}: {reason}", self.without));
        false
    }
}

impl RowSink for Optional {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        if let Some(mut inner) = self.inner.take()
            && self.attempt(|| inner.row(row))
        {
            self.inner = Some(inner);
        }
        Ok(())
    }

    fn needs_whole_rows(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.needs_whole_rows())
    }

    fn needs_members(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.needs_members())
    }

    fn finish(mut self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        if let Some(inner) = self.inner.take() {
            self.attempt(|| inner.finish(image));
        }
        if let Some(warning) = self.warning {
            tracing::warn!(image = image.result.image_id, "{warning}");
            image.result.warnings.push(warning);
        }
        Ok(())
    }
}
