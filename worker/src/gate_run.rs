//! An image before the models of the gate: one piece of work for one lane.

use crate::Failure;
use crate::context::PlanContext;
use crate::image::OpenImage;
use marquetry_job::StageSeconds;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::Span;

/// For each model the probability of each of its channels, and where the time went.
pub(crate) type GateOutcome = Result<(Vec<Vec<f32>>, StageSeconds), Failure>;

/// One image that all models of the gate are shown.
#[derive(Debug)]
pub(crate) struct GateRun {
    pub(crate) context: Arc<PlanContext>,
    pub(crate) image: Arc<OpenImage>,
    /// What a lane does for it is traced under this span.
    pub(crate) span: Span,
    /// Cancelled when a lane begins with it.
    pub(crate) begun: CancellationToken,
    /// Cancelled when it is no use any more.
    pub(crate) abandoned: CancellationToken,
    pub(crate) done: oneshot::Sender<GateOutcome>,
}

impl GateRun {
    /// What is to be done, and where its outcome will come.
    pub(crate) fn new(
        context: Arc<PlanContext>,
        image: Arc<OpenImage>,
        span: Span,
    ) -> (Self, oneshot::Receiver<GateOutcome>) {
        let (done, outcome) = oneshot::channel();
        let (begun, abandoned) = (CancellationToken::new(), CancellationToken::new());
        (Self { context, image, span, begun, abandoned, done }, outcome)
    }
}
