//! The plans that a worker has read.

use crate::Failure;
use crate::context::PlanContext;
use marquetry_job::{Plan, RunId, key};
use marquetry_transport::ObjectStore;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Plans that are kept: of the jobs worked on last.
const PLANS_MAX: usize = 8;

/// Plans by run: a later run of the same job may have other images.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    /// Most recently used last.
    read: Mutex<Vec<(RunId, Arc<PlanContext>)>>,
}

impl Plans {
    /// The plan of `run`, read from `store` once. Others wait meanwhile: most likely they want the same one.
    pub(crate) async fn get(
        &self,
        run: &RunId,
        store: &dyn ObjectStore,
    ) -> Result<Arc<PlanContext>, Failure> {
        let mut read = self.read.lock().await;
        if let Some(at) = read.iter().position(|(known, _)| known == run) {
            let entry = read.remove(at);
            let context = Arc::clone(&entry.1);
            read.push(entry);
            return Ok(context);
        }
        let bytes = store.get(&key::plan(&run.job)).await?;
        let plan: Plan = serde_json::from_slice(&bytes)
            .map_err(|e| Failure::reject(format!("the plan of job {} cannot be read: {e}", run.job)))?;
        let context = Arc::new(PlanContext::new(plan)?);
        if read.len() >= PLANS_MAX {
            read.remove(0);
        }
        read.push((run.clone(), Arc::clone(&context)));
        Ok(context)
    }
}
