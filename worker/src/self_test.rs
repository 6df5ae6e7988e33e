//! What a worker tries before it takes tasks, and once more before it stops: what it needs, and no job is to blame for.

use crate::Failure;
use marquetry_failure::FailureClass;
use marquetry_geometry::Size;
use marquetry_job::{Backend, Element, IoContract, Layout, OutputForm, Provider};
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{ModelFiles, Runtime, SessionOptions, open_network};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type Try = Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>;

/// Things that a worker needs, each with how it is tried.
#[derive(Clone, Default)]
pub struct SelfTest {
    checks: Vec<(&'static str, Try)>,
}

impl SelfTest {
    /// Nothing to try.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tries `what` too. `attempt` may take a while.
    #[must_use]
    pub fn and(
        mut self,
        what: &'static str,
        attempt: impl Fn() -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((what, Arc::new(attempt)));
        self
    }

    /// Tries everything. Blocks.
    ///
    /// # Errors
    /// With all that does not work; of class `config` if any of it is.
    pub fn run(&self) -> Result<(), Failure> {
        let tried = self.checks.iter().filter_map(|(what, attempt)| Some((*what, attempt().err()?)));
        let (mut reasons, mut class) = (Vec::new(), None);
        for (what, failure) in tried {
            reasons.push(format!("{what}: {failure}"));
            let is_worse = class.is_none() || failure.class == FailureClass::Config;
            // No job has given it what it fails at.
            let to_blame =
                if failure.class == FailureClass::Input { FailureClass::Worker } else { failure.class };
            class = if is_worse { Some(to_blame) } else { class };
        }
        class.map_or(Ok(()), |class| Err(Failure::new(class, reasons.join("; "))))
    }
}

impl fmt::Debug for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.iter().map(|(what, _)| what)).finish()
    }
}

/// Side of the picture that the small model is shown, px.
const SIDE_PX: u32 = 16;
const CHANNELS: u32 = 3;

/// Runs a model of one convolution, which gives back what it is shown, by `provider` as sessions with these `options` run it.
///
/// # Errors
/// When the device cannot be used, or does not compute what it should.
pub fn try_device(runtime: &Runtime, provider: Provider, options: &SessionOptions) -> Result<(), Failure> {
    let toy =
        Toy { channels: CHANNELS, classes: CHANNELS, kernel: 3, weights: Weights::Copy, ..Toy::default() };
    let model = ModelFiles { onnx: toy.bytes(), external: Vec::new() };
    let size = Size::square(SIDE_PX);
    let contract = IoContract {
        input: "image".into(),
        layout: Layout::Nchw,
        channels: CHANNELS,
        size,
        batch: 1,
        element_in: Element::F32,
        dims: BTreeMap::new(),
        head: "scores".into(),
        form: OutputForm::Nchw,
        classes: CHANNELS,
        output_size: size,
        element_out: Element::F32,
        backend: Backend::exact(provider),
    };
    let shown: Vec<f32> = (0..CHANNELS * SIDE_PX * SIDE_PX).map(|n| (n % 97) as f32 / 97.0).collect();
    let mut network = open_network(runtime, &model, &contract, options)?;
    let said = network.run(&shown)?;
    // Devices may compute with ten bits of a fraction.
    if said.iter().zip(&shown).all(|(said, shown)| (said - shown).abs() < 0.01) {
        return Ok(());
    }
    let what = if provider == Provider::Any { options.device.to_string() } else { provider.to_string() };
    let reason = format!("{what} runs models and computes wrong numbers");
    Err(Failure::new(FailureClass::Worker, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_model::{Device, RuntimeSearch};

    #[test]
    fn all_that_does_not_work_is_told_at_once() {
        let failing = |class| move || Err(Failure::new(class, format!("a {class} matter")));
        let test = SelfTest::new()
            .and("well", || Ok(()))
            .and("device", failing(FailureClass::Worker))
            .and("store", failing(FailureClass::Config))
            .and("cache", failing(FailureClass::Worker));
        let found = test.run().unwrap_err();
        assert_eq!(found.class, FailureClass::Config);
        assert_eq!(found.reason, "device: a worker matter; store: a config matter; cache: a worker matter");
        assert!(SelfTest::new().and("well", || Ok(())).run().is_ok());
        let absent = SelfTest::new().and("cache", failing(FailureClass::Input)).run().unwrap_err();
        assert_eq!(absent.class, FailureClass::Worker);
    }

    #[test]
    fn a_device_that_works_computes_what_it_should() {
        let Ok(runtime) = Runtime::load(&RuntimeSearch::from_process()) else { return };
        try_device(&runtime, Provider::Any, &SessionOptions::on(Device::Cpu, 1)).unwrap();
    }
}
