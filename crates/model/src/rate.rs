//! How quickly a model runs, by trying.

use crate::denormals::flushed;
use crate::probe::{Noise, input_dims};
use crate::session::{self, Device};
use crate::{ModelError, ModelFiles, Network, Runtime, SessionOptions, open_network};
use marquetry_job::{Element, IoContract};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// So long each session is run at least. Runs are of milliseconds mostly, and the first of them is not counted.
const AT_LEAST: Duration = Duration::from_millis(150);
/// And so often, however long one takes.
const RUNS_MIN: u32 = 2;

/// Windows a second that `sessions` sessions side by side score, each on a thread of its own, run as `contract` and `options` say.
/// On a GPU scores stay there: whoever reads them has views and classes merged on the device first, and takes far less over the bus.
///
/// # Errors
/// When the model cannot be opened or run so.
///
/// # Panics
/// When a thread panics.
pub fn rate(
    runtime: &Runtime,
    model: &ModelFiles,
    contract: &IoContract,
    options: &SessionOptions,
    sessions: usize,
) -> Result<f64, ModelError> {
    let barrier = Barrier::new(sessions);
    let shown = Noise::fill(3, contract.input_len(), -2.0, 2.0);
    let run = || {
        // The first run chooses kernels and takes its memory.
        let opened = Timed::open(runtime, model, contract, options);
        let opened = opened.and_then(|mut timed| timed.run(&shown).map(|()| timed));
        barrier.wait();
        let mut timed = opened?;
        let (started, mut runs) = (Instant::now(), 0);
        while runs < RUNS_MIN || started.elapsed() < AT_LEAST {
            timed.run(&shown)?;
            runs += 1;
        }
        Ok(f64::from(runs * contract.batch) / started.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..sessions).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a session does not panic")).sum()
    })
}

/// A session whose runs are timed.
enum Timed {
    /// Scores come back.
    Whole(Box<dyn Network>),
    /// Scores stay on the device.
    There(Box<OnDevice>),
}

struct OnDevice {
    // Memory goes before the session that it was taken from.
    input: Tensor<f32>,
    binding: IoBinding,
    session: Session,
    name: String,
    device: Device,
}

impl Timed {
    fn open(
        runtime: &Runtime,
        model: &ModelFiles,
        contract: &IoContract,
        options: &SessionOptions,
    ) -> Result<Self, ModelError> {
        let settled = options.for_backend(contract.backend)?;
        match (settled.device, &contract.element_in) {
            (Device::Cuda(_), Element::F32) => {
                Ok(Self::There(Box::new(OnDevice::open(runtime, model, contract, &settled)?)))
            }
            _ => open_network(runtime, model, contract, options).map(Self::Whole),
        }
    }

    fn run(&mut self, shown: &[f32]) -> Result<(), ModelError> {
        match self {
            Self::Whole(network) => network.run(shown).map(drop),
            Self::There(there) => there.run(),
        }
    }
}

impl OnDevice {
    fn open(
        runtime: &Runtime,
        model: &ModelFiles,
        contract: &IoContract,
        options: &SessionOptions,
    ) -> Result<Self, ModelError> {
        let session = session::open(runtime, model.into(), options, &contract.dims)?;
        let device = options.device;
        let bound = || -> ort::Result<(Tensor<f32>, IoBinding)> {
            let dims = input_dims(contract.layout, contract.batch, contract.channels, contract.size);
            let mut input = Tensor::<f32>::new(&Allocator::default(), dims)?;
            input.extract_tensor_mut().1.copy_from_slice(&Noise::fill(3, contract.input_len(), -2.0, 2.0));
            let (place, id) = match device {
                Device::Cpu => (AllocationDevice::CPU, 0),
                Device::Cuda(id) => (AllocationDevice::CUDA, id as i32),
            };
            let memory = MemoryInfo::new(place, id, AllocatorType::Device, MemoryType::Default)?;
            let mut binding = session.create_binding()?;
            binding.bind_output_to_device(contract.head.as_str(), &memory)?;
            Ok((input, binding))
        };
        let (input, binding) = bound().map_err(|error| ModelError::from_run(&error, device))?;
        Ok(Self { input, binding, session, name: contract.input.clone(), device })
    }

    fn run(&mut self) -> Result<(), ModelError> {
        let mut run = || {
            self.binding.bind_input(self.name.as_str(), &self.input)?;
            flushed(|| self.session.run_binding(&self.binding)).map(drop)
        };
        run().map_err(|error: ort::Error| ModelError::from_run(&error, self.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;
    use crate::{InspectOptions, IoRequest, inspect, resolve};
    use marquetry_geometry::Size;

    #[test]
    fn what_runs_has_a_rate_and_what_does_not_is_told() {
        let runtime = crate::runtime::for_tests();
        let toy = Toy { kernel: 9, ..Toy::default() };
        let model = ModelFiles { onnx: toy.bytes(), external: Vec::new() };
        let facts = inspect(&runtime, &model, &InspectOptions::default()).unwrap();
        let wanted = IoRequest {
            head: None,
            channels_out: Vec::new(),
            layout: None,
            channels: None,
            size: Size::square(64),
            batch: 2,
        };
        let contract = resolve(&facts, &wanted).unwrap().signature;
        let of = |contract: &IoContract| rate(&runtime, &model, contract, &SessionOptions::default(), 2);
        assert!(of(&contract).unwrap() > 0.0);
        // What is bound on a GPU can be bound here too.
        let mut there = OnDevice::open(&runtime, &model, &contract, &SessionOptions::default()).unwrap();
        (0..3).for_each(|_| there.run().unwrap());
        assert!(of(&IoContract { head: "nothing".into(), ..contract.clone() }).is_err());
    }
}
