//! The plans that a worker has read.

use crate::Failure;
use crate::context::PlanContext;
use lru::LruCache;
use marquetry_job::{Plan, StoredPlanError, TaskMessage, key};
use marquetry_transport::ObjectStore;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Plans that are kept: of the jobs worked on last, each once for every set of members that scores an image.
const PLANS_MAX: NonZeroUsize = NonZeroUsize::new(32).expect("it is not 0");

/// What a plan is read for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    store: String,
    job: String,
    plan: String,
    members: Option<Vec<u32>>,
}

type PlanSlot = Arc<OnceCell<Arc<PlanContext>>>;

/// Plans by their hash.
#[derive(Debug)]
pub(crate) struct Plans {
    read: Mutex<LruCache<PlanKey, PlanSlot>>,
}

impl Default for Plans {
    fn default() -> Self {
        Self { read: Mutex::new(LruCache::new(PLANS_MAX)) }
    }
}

impl Plans {
    /// The plan of a task, with the members that score its image, read from `store` once. Only those who want the same
    /// one wait meanwhile.
    pub(crate) async fn get(
        &self,
        message: &TaskMessage,
        store: &dyn ObjectStore,
    ) -> Result<Arc<PlanContext>, Failure> {
        let key = PlanKey {
            store: message.run.store.clone(),
            job: message.run.job.clone(),
            plan: message.plan.clone(),
            members: message.image.members.clone(),
        };
        let slot = {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(read.get_or_insert(key, PlanSlot::default))
        };
        let read = async || {
            let bytes = store.get(&key::plan(&message.run.job, &message.plan)).await?;
            let plan = Plan::from_bytes(&bytes, &message.plan).map_err(|error| {
                let reason = format!("job {}: {error}", message.run.job);
                match error {
                    // The coordinator stores it again.
                    StoredPlanError::Changed(_) => Failure::passing(reason),
                    StoredPlanError::Form(_) => Failure::reject(reason),
                }
            })?;
            Ok(Arc::new(PlanContext::new(&plan, &message.image)?))
        };
        slot.get_or_try_init(read).await.map(Arc::clone)
    }
}
