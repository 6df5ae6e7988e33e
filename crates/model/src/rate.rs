//! How quickly a model runs, by trying.

use crate::probe::Noise;
use crate::{ModelError, ModelFiles, Network as _, OrtNetwork, Runtime, SessionOptions};
use marquetry_job::IoContract;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// So long each session is run at least. Runs are of milliseconds mostly, and the first of them is not counted.
const AT_LEAST: Duration = Duration::from_millis(250);
/// And so often, however long one takes.
const RUNS_MIN: u32 = 2;

/// Windows a second that `sessions` sessions side by side score, each on a thread of its own, run as `contract` and `options` say. Copies
/// to a device and back are part of it.
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
        let opened = OrtNetwork::open(runtime, model, contract, options);
        // The first run chooses kernels and takes its memory.
        let mut opened = opened.and_then(|mut network| network.run(&shown).map(drop).map(|()| network));
        barrier.wait();
        let network = opened.as_mut().map_err(|_| ()).ok();
        let Some(network) = network else { return opened.map(|_| 0.0) };
        let (started, mut runs) = (Instant::now(), 0);
        while runs < RUNS_MIN || started.elapsed() < AT_LEAST {
            network.run(&shown)?;
            runs += 1;
        }
        Ok(f64::from(runs * contract.batch) / started.elapsed().as_secs_f64())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..sessions).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a session does not panic")).sum()
    })
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
        assert!(of(&IoContract { head: "nothing".into(), ..contract.clone() }).is_err());
    }
}
