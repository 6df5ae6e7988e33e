//! Where lanes get their sessions from, and how many they keep.

use crate::Failure;
use marquetry_job::{Member, Signature, hash};
use marquetry_model::{Network, OrtNetwork, Runtime, SessionOptions};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Runs that opening a network should be worth.
const RUNS_MIN: u32 = 8;

/// Opens networks for members.
pub trait NetworkSource: Send + Sync {
    /// A network of `member` with the contract `signature`, owned by the lane that asks.
    ///
    /// # Errors
    /// When the model is not there, is not the one that was planned, or does not run.
    fn open(&self, member: &Member, signature: &Signature) -> Result<Box<dyn Network>, Failure>;

    /// About how many bytes of memory one network of `member` keeps.
    fn bytes(&self, member: &Member) -> u64;
}

/// Networks of ONNX Runtime.
pub struct OrtSource {
    runtime: Runtime,
    options: SessionOptions,
    models: Mutex<HashMap<String, Arc<[u8]>>>,
}

impl OrtSource {
    /// Sessions on `runtime` with these options.
    pub fn new(runtime: Runtime, options: SessionOptions) -> Self {
        Self { runtime, options, models: Mutex::new(HashMap::new()) }
    }

    fn model(&self, member: &Member) -> Result<Arc<[u8]>, Failure> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = models.get(&member.sha256) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = marquetry_model::read_model(Path::new(&member.onnx))?;
        if hash(&[&bytes]) != member.sha256 {
            return Err(Failure::reject(format!(
                "{} has changed since the job was planned; run the job again to plan it anew",
                member.onnx
            )));
        }
        let bytes: Arc<[u8]> = bytes.into();
        models.insert(member.sha256.clone(), Arc::clone(&bytes));
        Ok(bytes)
    }
}

impl NetworkSource for OrtSource {
    fn open(&self, member: &Member, signature: &Signature) -> Result<Box<dyn Network>, Failure> {
        let network = OrtNetwork::open(&self.runtime, &self.model(member)?, signature, &self.options)?;
        tracing::debug!(member = %member.name, input = %signature.size, "opened a session");
        Ok(Box::new(network))
    }

    fn bytes(&self, member: &Member) -> u64 {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.get(&member.sha256).map_or(0, |bytes| bytes.len() as u64)
    }
}

/// The networks of one lane; the one that was not used for longest goes when they come to too many bytes.
pub(crate) struct Networks {
    source: Arc<dyn NetworkSource>,
    bytes_max: u64,
    /// Most recently used last.
    open: Vec<Open>,
    warned: bool,
}

struct Open {
    key: (String, Signature),
    bytes: u64,
    runs: u32,
    network: Box<dyn Network>,
}

impl Networks {
    pub(crate) fn new(source: Arc<dyn NetworkSource>, bytes_max: u64) -> Self {
        Self { source, bytes_max, open: Vec::new(), warned: false }
    }

    /// The network of `member` for this signature, opened if need be.
    pub(crate) fn get(
        &mut self,
        member: &Member,
        signature: &Signature,
    ) -> Result<&mut dyn Network, Failure> {
        let known = self.open.iter().position(|o| o.key.0 == member.sha256 && o.key.1 == *signature);
        let open = if let Some(at) = known {
            self.open.remove(at)
        } else {
            let network = self.source.open(member, signature)?;
            let bytes = self.source.bytes(member);
            while !self.open.is_empty()
                && self.open.iter().map(|o| o.bytes).sum::<u64>() + bytes > self.bytes_max
            {
                let closed = self.open.remove(0);
                self.warn_if_hasty(&closed);
            }
            Open { key: (member.sha256.clone(), signature.clone()), bytes, runs: 0, network }
        };
        self.open.push(open);
        let last = self.open.len() - 1;
        self.open[last].runs += 1;
        Ok(&mut *self.open[last].network)
    }

    /// Windows go through all members of a pass in turn; where those have no room together, each run opens its model.
    fn warn_if_hasty(&mut self, closed: &Open) {
        if closed.runs < RUNS_MIN && !self.warned {
            self.warned = true;
            tracing::warn!(
                runs = closed.runs,
                "a model was closed after few runs, since a lane keeps at most {} MB of models open: a greater \
                 --models-mb or fewer lanes are faster",
                self.bytes_max >> 20
            );
        }
    }
}
