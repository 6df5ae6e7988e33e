//! The loop that workers and aggregators share: receive, handle several messages at a time, acknowledge what is done.

use crate::{Delivery, QueueError, Subscription};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// When to stop, and how long what is in hand may take after that.
#[derive(Debug, Clone)]
pub struct Drain {
    /// Cancelled when nothing more is to be taken.
    pub stop: CancellationToken,
    /// How long messages in hand may take to be finished; what is not finished then comes to another consumer.
    pub grace: Duration,
}

impl Drain {
    /// Never stops, unless the queue is closed.
    pub fn never() -> Self {
        Self { stop: CancellationToken::new(), grace: Duration::ZERO }
    }
}

/// Hands messages to `handle` and acknowledges those of which it says `true`, until the queue is closed or `drain` says
/// so. A message that is not acknowledged comes again, here or elsewhere.
///
/// A message is taken when `admission` has a permit free, which goes to `handle` with it: who keeps it until the end
/// bounds how many are in hand; who gives it back early takes the next while this one is being worked on.
///
/// # Errors
/// When the queue is lost for good.
pub async fn consume<F>(
    mut subscription: Box<dyn Subscription>,
    admission: Arc<Semaphore>,
    drain: &Drain,
    handle: impl Fn(Bytes, OwnedSemaphorePermit) -> F,
) -> Result<(), QueueError>
where
    F: Future<Output = bool> + Send + 'static,
{
    let mut in_hand: JoinSet<Option<u64>> = JoinSet::new();
    loop {
        tokio::select! {
            () = drain.stop.cancelled() => break,
            Some(finished) = in_hand.join_next() => acknowledge(&mut *subscription, finished).await?,
            next = admit(&admission, &mut *subscription) => match next {
                Ok((Delivery { payload, token }, permit)) => {
                    let handled = handle(payload, permit);
                    in_hand.spawn(async move { handled.await.then_some(token) });
                }
                Err(QueueError::Closed) => return Ok(()),
                Err(error) => return Err(error),
            },
        }
    }
    let finish = async {
        while let Some(finished) = in_hand.join_next().await {
            acknowledge(&mut *subscription, finished).await?;
        }
        Ok(())
    };
    let finished = tokio::time::timeout(drain.grace, finish).await;
    if finished.is_err() {
        tracing::warn!(messages = in_hand.len(), "the time to finish is over; what is left goes to others");
        in_hand.abort_all();
    }
    subscription.leave().await;
    finished.unwrap_or(Ok(()))
}

/// The next message and the permit to work on it. Safe to cancel, as its parts are.
async fn admit(
    admission: &Arc<Semaphore>,
    subscription: &mut dyn Subscription,
) -> Result<(Delivery, OwnedSemaphorePermit), QueueError> {
    let permit = Arc::clone(admission).acquire_owned().await.map_err(|_| QueueError::Closed)?;
    Ok((subscription.receive().await?, permit))
}

/// A message whose handling panicked is not acknowledged: it comes again. Who handles it ends with the panic: nobody would
/// learn of it otherwise, and what waits for an answer would wait for ever.
async fn acknowledge(
    subscription: &mut dyn Subscription,
    finished: Result<Option<u64>, tokio::task::JoinError>,
) -> Result<(), QueueError> {
    match finished {
        Ok(Some(token)) => subscription.acknowledge(token).await,
        Ok(None) => Ok(()),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // It was aborted.
            Err(_) => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryQueue, TaskQueue, Topic};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_drained_consumer_finishes_what_it_has_and_gives_the_rest_back() {
        let queue = MemoryQueue::new();
        for i in 0..10_u8 {
            queue.publish(Topic::Tasks, "k", Bytes::copy_from_slice(&[i])).await.unwrap();
        }
        let drain = Drain { stop: CancellationToken::new(), grace: Duration::from_secs(30) };
        let started = Arc::new(AtomicUsize::new(0));
        let subscription = queue.subscribe(Topic::Tasks, "workers").await.unwrap();
        let handle = |_, permit| {
            let (started, stop) = (Arc::clone(&started), drain.stop.clone());
            async move {
                started.fetch_add(1, Ordering::Relaxed);
                stop.cancel();
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(permit);
                true
            }
        };
        consume(subscription, Arc::new(Semaphore::new(3)), &drain, handle).await.unwrap();
        let finished = started.load(Ordering::Relaxed) as u64;
        assert!((1..=3).contains(&finished), "{finished} of at most 3");
        assert_eq!(queue.lag(Topic::Tasks, "workers").await.unwrap(), 10 - finished);
    }

    #[tokio::test]
    async fn what_takes_longer_than_the_grace_is_given_back() {
        let queue = MemoryQueue::new();
        queue.publish(Topic::Tasks, "k", Bytes::from_static(b"long")).await.unwrap();
        let drain = Drain { stop: CancellationToken::new(), grace: Duration::from_millis(10) };
        let subscription = queue.subscribe(Topic::Tasks, "workers").await.unwrap();
        let handle = |_, _| {
            drain.stop.cancel();
            std::future::pending::<bool>()
        };
        consume(subscription, Arc::new(Semaphore::new(1)), &drain, handle).await.unwrap();
        assert_eq!(queue.lag(Topic::Tasks, "workers").await.unwrap(), 1);
    }
}
