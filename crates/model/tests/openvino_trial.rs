//! Networks that crash OpenVINO: they are tried in a process of their own first.
#![cfg(unix)]

use marquetry_geometry::Size;
use marquetry_job::{Backend, Provider};
use marquetry_model::toy::{Toy, Weights};
use marquetry_model::{
    InspectOptions, IoContract, IoRequest, ModelFiles, OpenVinoTrial, Runtime, RuntimeSearch, SessionOptions,
    check_openvino, inspect, open_network, resolve,
};
use std::fs;

fn contract(runtime: &Runtime, model: &ModelFiles) -> IoContract {
    let size = Size::square(16);
    let options = InspectOptions { size: Some(size), ..Default::default() };
    let facts = inspect(runtime, model, &options).expect("a model");
    let wanted =
        IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size, batch: 1 };
    IoContract {
        backend: Backend::exact(Provider::OpenVino),
        ..resolve(&facts, &wanted).expect("a contract").signature
    }
}

/// The shell stands in for a program that tries models: it notes that it was asked, and is killed.
#[test]
fn what_kills_who_tries_it_is_refused_and_what_is_trusted_is_not_tried() {
    let place = tempfile::tempdir().unwrap();
    let (script, notes) = (place.path().join("try"), place.path().join("notes"));
    fs::write(&script, format!("cat > /dev/null\necho $* >> {}\nkill -SEGV $$\n", notes.display())).unwrap();
    let trial = OpenVinoTrial { program: "/bin/sh".into(), command: script.to_string_lossy().into_owned() };
    let search = RuntimeSearch { openvino_trial: Some(trial), ..RuntimeSearch::from_process() };
    let runtime = Runtime::load(&search).unwrap_or_else(|error| panic!("{error}"));
    let toy = |seed, classes| {
        let toy = Toy { classes, kernel: 3, weights: Weights::Seeded(seed), ..Toy::default() };
        ModelFiles { onnx: toy.bytes(), external: Vec::new() }
    };
    let (first, second, other) = (toy(1, 3), toy(2, 3), toy(1, 4));
    let asked =
        || fs::read_to_string(&notes).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let options = SessionOptions::default();
    for model in [&first, &first, &second] {
        let contract = contract(&runtime, model);
        let error = open_network(&runtime, model, &contract, &options).map(drop).unwrap_err().to_string();
        assert_eq!(error, "cannot use openvino: OpenVINO crashes on this model (signal 11)");
        assert!(check_openvino(&runtime, model, &contract, (&[], true), &options).is_err());
    }
    assert_eq!(asked().len(), 1, "models that are alike but for their weights are tried once");
    assert!(asked()[0].ends_with(" 1 f32 1 3 16 16"), "{:?}", asked());
    let contract = contract(&runtime, &other);
    runtime.trust_openvino(&other, &contract, Some(7));
    let mut network = open_network(&runtime, &other, &contract, &options).unwrap();
    assert_eq!((network.bytes(), runtime.openvino_bytes(&other, &contract)), (Some(7), Some(7)));
    assert_eq!(network.run(&vec![0.5; 3 * 256]).unwrap().len(), 4 * 256);
    assert_eq!(asked().len(), 1, "it was computed before");
}
