//! Where lanes get their sessions from, and how many they keep.

use crate::Failure;
use crate::planned_models::PlannedModels;
use lru::LruCache;
use marquetry_job::{IoContract, Member, hash};
use marquetry_model::{Network, Runtime, SessionOptions, open_network};
use marquetry_telemetry::Metrics;
use marquetry_transport::Files;
use std::sync::Arc;
use std::time::Instant;

/// Runs that opening a network should be worth.
const RUNS_MIN: u32 = 8;

/// Opens networks for members.
pub trait NetworkSource: Send + Sync {
    /// A network of `member` with the contract `signature`, owned by the lane that asks.
    ///
    /// # Errors
    /// When the model is not there, is not the one that was planned, or does not run.
    fn open(&self, member: &Member, signature: &IoContract) -> Result<Box<dyn Network>, Failure>;

    /// Has the files of `member`'s model on this machine, so that opening it later takes no longer than reading them.
    ///
    /// # Errors
    /// When they cannot be had.
    fn fetch(&self, _member: &Member) -> Result<(), Failure> {
        Ok(())
    }

    /// About how many bytes of memory one network of `member` keeps.
    fn bytes(&self, member: &Member) -> u64;
}

/// Networks of ONNX Runtime, and of OpenVINO where a plan names it.
pub struct RuntimeSource {
    pub(crate) runtime: Runtime,
    pub(crate) options: SessionOptions,
    pub(crate) metrics: Metrics,
    pub(crate) models: PlannedModels,
}

impl RuntimeSource {
    /// Sessions on `runtime` with these options, of models that are read from `files`.
    pub fn new(runtime: Runtime, options: SessionOptions, files: Files, metrics: Metrics) -> Self {
        Self { runtime, options, metrics, models: PlannedModels::new(files) }
    }
}

impl NetworkSource for RuntimeSource {
    fn open(&self, member: &Member, signature: &IoContract) -> Result<Box<dyn Network>, Failure> {
        let started = Instant::now();
        let network = open_network(&self.runtime, &*self.models.read(member)?, signature, &self.options)?;
        self.metrics.model_load_duration.observe_duration(started.elapsed());
        tracing::debug!(member = %member.name, input = %signature.size, "opened a session");
        Ok(network)
    }

    fn fetch(&self, member: &Member) -> Result<(), Failure> {
        self.models.fetch(member)
    }

    fn bytes(&self, member: &Member) -> u64 {
        self.models.bytes(member)
    }
}

/// Names a network: one model under one signature, whichever plan asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NetworkKey([u8; 32]);

impl NetworkKey {
    pub(crate) fn new(member: &Member, signature: &IoContract) -> Self {
        let signature = serde_json::to_vec(signature).expect("a plain struct becomes JSON");
        let digest = hash(&[member.content_hash().as_bytes(), b"\n", &signature]);
        let mut key = [0; 32];
        key.copy_from_slice(&digest.as_bytes()[..32]);
        Self(key)
    }
}

/// The networks of one lane; the one that was not used for longest goes when they come to too many bytes.
pub(crate) struct Networks {
    source: Arc<dyn NetworkSource>,
    bytes_max: u64,
    /// Bytes of all that are open.
    bytes: u64,
    open: LruCache<NetworkKey, Open>,
    warned: bool,
}

struct Open {
    bytes: u64,
    runs: u32,
    network: Box<dyn Network>,
}

impl Networks {
    pub(crate) fn new(source: Arc<dyn NetworkSource>, bytes_max: u64) -> Self {
        Self { source, bytes_max, bytes: 0, open: LruCache::unbounded(), warned: false }
    }

    /// The network that `key` names, which is of `member` for this signature; opened if need be.
    pub(crate) fn get(
        &mut self,
        key: NetworkKey,
        member: &Member,
        signature: &IoContract,
    ) -> Result<&mut dyn Network, Failure> {
        if !self.open.contains(&key) {
            let network = self.source.open(member, signature)?;
            let bytes = network.bytes().unwrap_or_else(|| self.source.bytes(member));
            self.make_room(bytes);
            self.bytes += bytes;
            self.open.put(key, Open { bytes, runs: 0, network });
        }
        let open = self.open.get_mut(&key).expect("it is open by now");
        open.runs += 1;
        Ok(&mut *open.network)
    }

    /// Closes networks until `bytes` more have room, or none is left.
    fn make_room(&mut self, bytes: u64) {
        while self.bytes + bytes > self.bytes_max {
            let Some((_, closed)) = self.open.pop_lru() else { return };
            self.bytes -= closed.bytes;
            self.warn_if_hasty(&closed);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Networks that say how large they are; counts how often one was opened.
    struct Sized(AtomicU32);

    struct Nothing(IoContract);

    impl Network for Nothing {
        fn signature(&self) -> &IoContract {
            &self.0
        }

        fn run(&mut self, _: &[f32]) -> Result<&[f32], marquetry_model::ModelError> {
            Ok(&[])
        }
    }

    impl NetworkSource for Sized {
        fn open(&self, _: &Member, signature: &IoContract) -> Result<Box<dyn Network>, Failure> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(Nothing(signature.clone())))
        }

        fn bytes(&self, member: &Member) -> u64 {
            member.model_bytes
        }
    }

    #[test]
    fn the_one_that_was_not_used_for_longest_is_closed() {
        let source = Arc::new(Sized(AtomicU32::new(0)));
        let mut networks = Networks::new(Arc::clone(&source) as Arc<dyn NetworkSource>, 100);
        let signature = crate::context::tests::signature(3, 8);
        let mut opened = |megabytes: u64| {
            let mut member = crate::context::tests::members(&[0]).remove(0);
            (member.model_bytes, member.sha256) = (megabytes, megabytes.to_string());
            let before = source.0.load(Ordering::Relaxed);
            networks.get(NetworkKey::new(&member, &signature), &member, &signature).unwrap();
            source.0.load(Ordering::Relaxed) > before
        };
        assert_eq!([40, 30, 40, 20, 30].map(&mut opened), [true, true, false, true, false]);
        // 40 was used before 20 and 30, and both of them fit beside 50.
        assert_eq!([50, 20, 30, 40].map(&mut opened), [true, false, false, true]);
        // More than there is room for takes the place of all.
        assert_eq!([500, 500, 40].map(&mut opened), [true, false, true]);
    }
}
