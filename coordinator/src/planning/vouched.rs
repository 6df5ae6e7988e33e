//! Whether a member may be computed by OpenVINO: it bears the model at every size that it is shown, and gives ONNX Runtime's scores.

use crate::planning::memory::PlanMemory;
use marquetry_job::{Backend, IoContract, Precision, Provider, hash};
use marquetry_model::{
    ModelError, ModelFiles, Network as _, OpenVinoNetwork, Runtime, SessionOptions, check_openvino,
};
use serde::{Deserialize, Serialize};

/// Counted up whenever something else would be found.
const VOUCHED_FORMAT: u32 = 1;

/// What was found of a member.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Vouched {
    /// Why it may not, if so.
    pub(crate) refusal: Option<String>,
    /// Bytes of memory that a network of each contract keeps, where they are known.
    bytes: Vec<Option<u64>>,
}

/// A member that is to be computed by OpenVINO.
pub(crate) struct Voucher<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) model: &'a ModelFiles,
    /// Names its content.
    pub(crate) content: &'a str,
    /// For each size that it is shown, with the backend that is to be.
    pub(crate) contracts: &'a [IoContract],
    /// Of the job's images, for the first of them, each `[channels, H, W]`.
    pub(crate) windows: &'a [Vec<f32>],
    /// Whether a member that is the same but for its weights is known to be computed rightly: then one window is enough.
    pub(crate) is_like_another: bool,
    /// Names windows, machine and library.
    pub(crate) shown: &'a str,
    pub(crate) options: SessionOptions,
}

impl Voucher<'_> {
    /// Whether it may. What was found is remembered, and what was tried is not tried again by whoever opens it.
    ///
    /// # Errors
    /// When that cannot be found out now, which says nothing of the model.
    pub(crate) fn vouch(&self, memory: Option<&PlanMemory>) -> Result<Option<String>, ModelError> {
        let asked = (VOUCHED_FORMAT, self.runtime.version(), self.content, self.contracts, self.shown);
        let asked = format!("{:?}", (asked, self.is_like_another));
        let vouched = match memory {
            Some(memory) => {
                memory.seen(&format!("openvino {}", hash(&[asked.as_bytes()])), "", || self.look())
            }
            None => self.look(),
        }?;
        if vouched.refusal.is_none() {
            for (contract, bytes) in self.contracts.iter().zip(&vouched.bytes) {
                self.runtime.trust_openvino(self.model, contract, *bytes);
            }
        }
        Ok(vouched.refusal)
    }

    fn look(&self) -> Result<Vouched, ModelError> {
        let refusal = match self.contracts.iter().enumerate().try_for_each(|(at, of)| self.check(at, of)) {
            Ok(()) => None,
            Err(error @ ModelError::NotTried { .. }) => return Err(error),
            Err(ModelError::Device { reason, .. }) => Some(reason),
            Err(error) => Some(error.to_string()),
        };
        let bytes = self.contracts.iter().map(|of| self.runtime.openvino_bytes(self.model, of)).collect();
        Ok(Vouched { refusal, bytes })
    }

    fn check(&self, at: usize, contract: &IoContract) -> Result<(), ModelError> {
        let Self { runtime, model, windows, options, .. } = self;
        let most = if self.is_like_another { 1 } else { usize::MAX };
        let windows = if at == 0 { &windows[..windows.len().min(most)] } else { &[][..] };
        let at_size = |error: ModelError| match error {
            ModelError::Device { device, reason } if self.contracts.len() > 1 => {
                ModelError::Device { device, reason: format!("at {} px {reason}", contract.size) }
            }
            other => other,
        };
        // A window says more than noise.
        let has_noise = !self.is_like_another || windows.is_empty();
        check_openvino(runtime, model, contract, (windows, has_noise), options).map_err(at_size)?;
        if contract.backend.precision == Precision::F32 {
            return Ok(());
        }
        // Its labels were compared; that it runs at every size is seen here.
        let mut network = OpenVinoNetwork::open(runtime, *model, contract, options).map_err(at_size)?;
        network.run(&vec![0.0; contract.input_len()]).map(drop)
    }
}

/// The contracts as OpenVINO would have them.
pub(crate) fn by_openvino(contracts: &[IoContract], precision: Precision) -> Vec<IoContract> {
    let backend = Backend { provider: Provider::OpenVino, precision };
    contracts.iter().map(|contract| IoContract { backend, ..contract.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_geometry::Size;
    use marquetry_model::toy::{Toy, Weights};
    use marquetry_model::{InspectOptions, IoRequest, RuntimeSearch, inspect, resolve};

    fn contract(runtime: &Runtime, model: &ModelFiles, side: u32) -> IoContract {
        let size = Size::square(side);
        let options = InspectOptions { size: Some(size), ..Default::default() };
        let facts = inspect(runtime, model, &options).unwrap();
        let wanted =
            IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size, batch: 1 };
        resolve(&facts, &wanted).unwrap().signature
    }

    #[test]
    fn every_size_is_looked_at_and_what_was_found_is_remembered() {
        let runtime = Runtime::load(&RuntimeSearch::from_process()).unwrap();
        let toy = Toy { classes: 3, kernel: 3, weights: Weights::Seeded(6), ..Toy::default() };
        let model = ModelFiles { onnx: toy.bytes(), external: Vec::new() };
        let vouched = |model: &ModelFiles, contracts: &[IoContract], memory: Option<&PlanMemory>| {
            let windows = [vec![0.5; 3 * 16 * 16]];
            let contracts = by_openvino(contracts, Precision::F32);
            let voucher = Voucher {
                runtime: &runtime,
                model,
                content: "a model",
                contracts: &contracts,
                windows: &windows,
                is_like_another: false,
                shown: "a window",
                options: SessionOptions::default(),
            };
            voucher.vouch(memory).unwrap()
        };
        let [small, large] = [16, 24].map(|side| contract(&runtime, &model, side));
        assert_eq!(vouched(&model, &[small.clone(), large.clone()], None), None);
        let other = IoContract { output_size: Size::square(7), ..large };
        let memory = PlanMemory::default();
        let refused = vouched(&model, &[small.clone(), other.clone()], Some(&memory)).unwrap();
        assert!(refused.starts_with("at 24 × 24 px it does not compute"), "{refused}");
        let nothing = ModelFiles { onnx: Vec::new(), external: Vec::new() };
        assert_eq!(
            vouched(&nothing, &[small, other], Some(&memory)),
            Some(refused),
            "it is not opened again"
        );
    }
}
