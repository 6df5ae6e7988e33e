use super::*;
use marquetry_failure::Classify as _;
use marquetry_geometry::Size;
use marquetry_job::{Element, Layout, OutputForm};
use std::cell::RefCell;
use std::collections::BTreeMap;

fn contract(batch: u32) -> IoContract {
    IoContract {
        input: "image".into(),
        layout: Layout::Nchw,
        channels: 3,
        size: Size::square(64),
        batch,
        element_in: Element::F32,
        dims: BTreeMap::new(),
        head: "scores".into(),
        form: OutputForm::Nchw,
        classes: 2,
        output_size: Size::square(64),
        element_out: Element::F32,
        backend: Backend::default(),
    }
}

fn hardware(gpu: Option<Device>) -> Hardware {
    Hardware { gpu, openvino: None, name: "a machine".into(), lanes: 4, threads: 2 }
}

fn with_openvino(gpu: Option<Device>) -> Hardware {
    Hardware { openvino: Some(Vec::new()), ..hardware(gpu) }
}

/// A machine on which a window takes so long, s, on the processor, and a run and each of its windows on the GPU, which has room for
/// so many.
fn settle(
    said: DeviceKind,
    hardware: Option<&Hardware>,
    (on_processor, run, window, room): (f64, f64, f64, u32),
    batches: &[u32],
) -> Result<Settled, ModelError> {
    let rate = |_: &ModelFiles, contract: &IoContract, options: &SessionOptions, sessions: usize| {
        let batch = f64::from(contract.batch);
        match options.device {
            Device::Cpu => {
                assert_eq!((options.intra_threads, sessions), (2, 4));
                Ok(sessions as f64 / on_processor)
            }
            Device::Cuda(1) if contract.batch > room => {
                Err(ModelError::OutOfMemory { reason: "full".into() })
            }
            Device::Cuda(1) => Ok(batch / (run + window * batch)),
            other @ Device::Cuda(_) => panic!("{other}"),
        }
    };
    let contracts: Vec<IoContract> = batches.iter().map(|batch| contract(*batch)).collect();
    let files = ModelFiles { onnx: Vec::new(), external: Vec::new() };
    let devices = Devices { said, hardware, memory: None, version: "1", rate: &rate };
    devices.settle(&Model { files: &files, contracts: &contracts }, "one")
}

const GPU: Option<Device> = Some(Device::Cuda(1));

#[test]
fn the_quicker_device_is_taken_and_the_smallest_batch_that_fills_it() {
    let here = hardware(GPU);
    let auto = |times| settle(DeviceKind::Auto, Some(&here), times, &BATCHES).unwrap();
    // Eight at once take 1.4 ms, sixteen 2.2: 5,714 and 7,272 windows a second; 32 come to 8,421 and 64 to 9,142.
    let quick = auto((1.0, 6e-4, 1e-4, 1000));
    assert_eq!((quick.backend, quick.batch), (Backend::exact(Provider::Cuda), Some(64)));
    assert_eq!(quick.to_string(), "cuda in f32, 64 windows at once");
    // Where one fills it, no more than that are shown at once.
    assert_eq!(auto((1.0, 1e-6, 1e-2, 1000)).batch, Some(1));
    // Where memory ends, what fitted is taken.
    assert_eq!(auto((1.0, 6e-4, 1e-4, 8)).batch, Some(8));
    let slow = auto((1e-6, 6e-4, 1e-4, 1000));
    assert_eq!((slow.backend, slow.batch), (Backend::exact(Provider::Cpu), None));
    let sessions = SessionOptions::on(Device::Cuda(1), 1).for_backend(slow.backend).unwrap();
    assert_eq!(sessions.device, Device::Cpu, "it runs where it is quicker, though the process has a GPU");
    let none = auto((1.0, 6e-4, 1e-4, 0));
    assert_eq!(none.backend, Backend::exact(Provider::Cpu), "it has no room there at all");
    assert_eq!(
        told(&[("m".to_owned(), none)]),
        [
            "device: m: cpu in f32 (windows a second: 4 on the processor; the GPU: out of memory while running models: full)"
        ]
    );
}

/// A machine on which so many windows a second are computed by ONNX Runtime, by OpenVINO, and on a GPU; none: they are not.
fn settle_by_rates(
    said: DeviceKind,
    here: &Hardware,
    rates: [Option<f64>; 3],
) -> Result<Settled, ModelError> {
    let rate = |_: &ModelFiles, contract: &IoContract, options: &SessionOptions, _: usize| {
        let at = match (options.device, contract.backend.provider) {
            (Device::Cuda(_), _) => 2,
            (_, Provider::OpenVino) => 1,
            _ => 0,
        };
        let refusal = || ModelError::Device { device: "it".into(), reason: "no kernel".into() };
        rates[at].ok_or_else(refusal)
    };
    let files = ModelFiles { onnx: Vec::new(), external: Vec::new() };
    let devices = Devices { said, hardware: Some(here), memory: None, version: "1", rate: &rate };
    devices.settle(&Model { files: &files, contracts: &[contract(1)] }, "one")
}

#[test]
fn the_quickest_of_three_computes() {
    use Provider::{Any, Cpu, Cuda, OpenVino};
    let auto = |gpu, rates: [f64; 3]| {
        settle_by_rates(DeviceKind::Auto, &with_openvino(gpu), rates.map(Some)).unwrap().backend.provider
    };
    assert_eq!(auto(None, [100.0, 111.0, 0.0]), OpenVino);
    assert_eq!(auto(None, [100.0, 109.0, 0.0]), Any, "hardly quicker: the job is the one that it was");
    assert_eq!(auto(GPU, [100.0, 150.0, 900.0]), Cuda);
    assert_eq!(auto(GPU, [100.0, 150.0, 140.0]), OpenVino);
    assert_eq!(auto(GPU, [100.0, 50.0, 90.0]), Cpu);
    assert_eq!(auto(GPU, [100.0, 104.0, 90.0]), Cpu);
}

#[test]
fn what_openvino_does_not_compute_is_computed_by_onnx_runtime_unless_the_job_insists() {
    let here = with_openvino(None);
    let rates = [Some(100.0), None, None];
    let auto = settle_by_rates(DeviceKind::Auto, &here, rates).unwrap();
    assert_eq!(auto.backend, Backend::default());
    assert_eq!(auto.choice(), Choice { value: "cpu in f32".to_owned(), from: Origin::Measured });
    assert_eq!(
        told(&[("m".to_owned(), auto)]),
        ["device: m: cpu in f32 (windows a second: 100 on the processor; OpenVINO: no kernel)"]
    );
    let refused = settle_by_rates(DeviceKind::OpenVino, &here, rates).unwrap_err();
    assert!(refused.to_string().contains("no kernel"), "{refused}");
    let said = settle_by_rates(DeviceKind::OpenVino, &here, [Some(100.0), Some(7.0), None]).unwrap();
    assert_eq!(said.backend, Backend::exact(Provider::OpenVino), "slower, and said");
    assert_eq!(said.choice(), Choice { value: "openvino in f32".to_owned(), from: Origin::Said });
    // On a cluster it is each worker's.
    let files = ModelFiles { onnx: Vec::new(), external: Vec::new() };
    let rate = |_: &ModelFiles, _: &IoContract, _: &SessionOptions, _: usize| panic!("nothing is measured");
    let devices =
        Devices { said: DeviceKind::OpenVino, hardware: None, memory: None, version: "1", rate: &rate };
    let there = devices.settle(&Model { files: &files, contracts: &[contract(1)] }, "one").unwrap();
    assert_eq!((there.backend, there.measured), (Backend::exact(Provider::OpenVino), None));
}

#[test]
fn what_the_job_says_holds() {
    let here = hardware(GPU);
    let times = (1e-6, 6e-4, 1e-4, 1000);
    let cuda = settle(DeviceKind::Cuda, Some(&here), times, &[1]).unwrap();
    assert_eq!((cuda.backend, cuda.batch), (Backend::exact(Provider::Cuda), Some(1)), "slower, and said");
    let cpu = settle(DeviceKind::Cpu, Some(&here), times, &BATCHES).unwrap();
    assert_eq!((cpu.backend, cpu.batch), (Backend::exact(Provider::Cpu), None));
    let full = settle(DeviceKind::Cuda, Some(&here), (1.0, 1.0, 1.0, 0), &BATCHES).unwrap_err();
    assert_eq!(full.class(), marquetry_failure::FailureClass::Worker);
}

#[test]
fn a_coordinator_measures_nothing() {
    let times = (f64::NAN, f64::NAN, f64::NAN, 0);
    let of = |said, batches: &[u32]| settle(said, None, times, batches).unwrap();
    assert_eq!(of(DeviceKind::Auto, &BATCHES).backend, Backend::default());
    assert_eq!(of(DeviceKind::Cuda, &BATCHES).batch, Some(16));
    assert_eq!(of(DeviceKind::Cuda, &[24]).batch, None, "the only one that the model takes");
    assert_eq!(of(DeviceKind::Cuda, &BATCHES).backend, Backend::exact(Provider::Cuda));
    let no_gpu = hardware(None);
    let here = settle(DeviceKind::Auto, Some(&no_gpu), times, &BATCHES).unwrap();
    assert_eq!((here.backend, here.measured), (Backend::default(), None));
}

#[test]
fn one_architecture_is_measured_once_on_one_machine() {
    let (memory, asked) = (PlanMemory::default(), RefCell::new(0));
    let rate = |_: &ModelFiles, contract: &IoContract, _: &SessionOptions, _: usize| {
        *asked.borrow_mut() += 1;
        Ok(f64::from(contract.batch))
    };
    let files = ModelFiles { onnx: Vec::new(), external: Vec::new() };
    let contracts = [contract(1), contract(2)];
    let mut counts = Vec::new();
    for (name, architecture) in [("a", "one"), ("a", "one"), ("a", "two"), ("b", "one")] {
        let here = Hardware { name: name.into(), ..hardware(GPU) };
        let devices = Devices {
            said: DeviceKind::Auto,
            hardware: Some(&here),
            memory: Some(&memory),
            version: "1",
            rate: &rate,
        };
        devices.settle(&Model { files: &files, contracts: &contracts }, architecture).unwrap();
        counts.push(*asked.borrow());
    }
    assert_eq!(counts, [3, 3, 6, 9]);
}

#[test]
fn models_alike_are_told_together() {
    let rate = |provider, per_second| Rate { provider, batch: 16, per_second };
    let of = |here, there| Settled {
        backend: Backend::exact(Provider::Cuda),
        batch: Some(16),
        measured: Some(Measured {
            rates: vec![rate(Provider::Cuda, there), rate(Provider::Cpu, here)],
            refusals: Vec::new(),
        }),
    };
    let unsaid = Settled { backend: Backend::default(), batch: None, measured: None };
    let settled = [("a", of(60.0, 5400.0)), ("b", of(60.0, 5400.0)), ("c", of(3.0, 9.6)), ("d", unsaid)];
    let settled = settled.map(|(name, of)| (name.to_owned(), of));
    assert_eq!(
        told(&settled),
        [
            "device: a and 1 like it: cuda in f32, 16 windows at once (windows a second: 5400 on the GPU, 60 on the processor)",
            "device: c: cuda in f32, 16 windows at once (windows a second: 10 on the GPU, 3 on the processor)"
        ]
    );
}
