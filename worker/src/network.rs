//! Where lanes get their sessions from, and how many they keep.

use crate::Failure;
use marquetry_job::{Member, Signature, hash};
use marquetry_model::{Network, OrtNetwork, Runtime, SessionOptions};
use marquetry_telemetry::Metrics;
use marquetry_transport::Files;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

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
    files: Files,
    metrics: Metrics,
    models: Mutex<Models>,
}

/// What was read of models. Lanes open the same model one after the other, so the last one is kept for a while.
#[derive(Default)]
struct Models {
    last: Option<(String, Weak<[u8]>)>,
    /// Length of each model by its hash, bytes.
    lengths: HashMap<String, u64>,
}

impl OrtSource {
    /// Sessions on `runtime` with these options, of models that are read from `files`.
    pub fn new(runtime: Runtime, options: SessionOptions, files: Files, metrics: Metrics) -> Self {
        Self { runtime, options, files, metrics, models: Mutex::default() }
    }

    /// The bytes of a model. They are shared by those who open it at the same time and go when the last one has.
    fn model(&self, member: &Member) -> Result<Arc<[u8]>, Failure> {
        // Held while reading, so that several lanes read a model once.
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let last = models.last.as_ref().filter(|(hash, _)| *hash == member.sha256);
        if let Some(bytes) = last.and_then(|(_, bytes)| bytes.upgrade()) {
            return Ok(bytes);
        }
        let file = self.files.local(&member.onnx, None, Some(&member.sha256))?;
        let bytes = marquetry_model::read_model(file.path())?;
        if hash(&[&bytes]) != member.sha256 {
            return Err(Failure::reject(format!(
                "{} has changed since the job was planned; run the job again to plan it anew",
                member.onnx
            )));
        }
        let bytes: Arc<[u8]> = bytes.into();
        models.lengths.insert(member.sha256.clone(), bytes.len() as u64);
        models.last = Some((member.sha256.clone(), Arc::downgrade(&bytes)));
        Ok(bytes)
    }
}

impl NetworkSource for OrtSource {
    fn open(&self, member: &Member, signature: &Signature) -> Result<Box<dyn Network>, Failure> {
        let started = Instant::now();
        let network = OrtNetwork::open(&self.runtime, &self.model(member)?, signature, &self.options)?;
        self.metrics.model_load_duration.observe_duration(started.elapsed());
        tracing::debug!(member = %member.name, input = %signature.size, "opened a session");
        Ok(Box::new(network))
    }

    fn bytes(&self, member: &Member) -> u64 {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.lengths.get(&member.sha256).copied().unwrap_or(0)
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
