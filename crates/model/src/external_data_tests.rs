use super::*;
use crate::runtime::for_tests;
use crate::toy::{Toy, Weights};
use crate::{InspectOptions, IoRequest, Network, OrtNetwork, SessionOptions, inspect, resolve};
use marquetry_geometry::Size;

fn toy() -> Toy {
    Toy { channels: 3, classes: 300, kernel: 5, coarse: 4, weights: Weights::Seeded(3), ..Toy::default() }
}

fn scores(model: &ModelFiles) -> Vec<f32> {
    let (runtime, size) = (for_tests(), Size::new(12, 16));
    let facts =
        inspect(&runtime, model, &InspectOptions { size: Some(size), ..InspectOptions::default() }).unwrap();
    let wanted =
        IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size, batch: 1 };
    let signature = resolve(&facts, &wanted).unwrap().signature;
    let mut network = OrtNetwork::open(&runtime, model, &signature, &SessionOptions::default()).unwrap();
    let pixels: Vec<f32> = (0..3 * 12 * 16).map(|n| (n % 17) as f32 / 17.0).collect();
    network.run(&pixels).unwrap().to_vec()
}

fn refusal(model: &ModelFiles) -> String {
    inspect(&for_tests(), model, &InspectOptions::default()).unwrap_err().to_string()
}

#[test]
fn weights_in_other_files_are_the_same_weights() {
    let whole = ModelFiles { onnx: toy().bytes(), external: Vec::new() };
    // 300 × 3 × 5 × 5 weights are a large tensor; biases and the scales of the resize are small ones.
    for locations in [&["model.onnx.data"][..], &["weights/a.bin", "./b.bin", "onnx::Conv_12 d"]] {
        let split = toy().with_external_data(locations);
        assert!(split.onnx.len() < 2000, "the weights are gone: {} bytes", split.onnx.len());
        let mut sorted = locations.to_vec();
        sorted.sort_unstable();
        assert_eq!(external_locations(&split.onnx).unwrap(), sorted);
        assert_eq!(scores(&split), scores(&whole), "{locations:?}");
        let (_, large) = resolved((&split).into()).unwrap();
        assert_eq!(large.len(), 1, "only the file of the large tensor is handed over as a file");
    }
    assert_eq!(external_locations(&whole.onnx).unwrap(), Vec::<String>::new());
}

#[test]
fn a_file_that_was_not_given_is_never_looked_for() {
    let mut split = toy().with_external_data(&["model.onnx.data"]);
    // Were it looked for in the working directory, which for this test is that of the crate, it would be found.
    let here = std::env::current_dir().unwrap();
    assert!(here.join("Cargo.toml").exists());
    for location in ["model.onnx.data", "Cargo.toml"] {
        split = toy().with_external_data(&[location]);
        split.external.clear();
        let error = refusal(&split);
        assert!(error.contains(&format!("`{location}`")) && error.contains("was not given along"), "{error}");
    }
    split.external = toy().with_external_data(&["another"]).external;
    assert!(refusal(&split).contains("was not given along"));
}

#[test]
fn files_outside_of_the_model_s_folder_are_refused() {
    for location in [
        "../weights.bin",
        "a/../../weights.bin",
        "/etc/passwd",
        "..",
        "",
        "a/",
        ".",
        "s3://bucket/weights.bin",
        "C:\\weights.bin",
        "C:weights.bin",
        "a\\..\\..\\weights.bin",
        "\\\\host\\share\\weights.bin",
        "a\0b",
    ] {
        let split = toy().with_external_data(&[location]);
        for error in [external_locations(&split.onnx).unwrap_err().to_string(), refusal(&split)] {
            assert!(error.contains("own folder"), "{location:?}: {error}");
        }
    }
}

#[test]
fn a_file_that_is_too_short_is_said_to_be() {
    let mut split = toy().with_external_data(&["model.onnx.data"]);
    let bytes = &split.external[0].bytes;
    let all = bytes.len();
    split.external[0].bytes = bytes[..all - 100].into();
    let error = refusal(&split);
    assert!(error.contains(&format!("it has {} bytes", all - 100)) && error.contains("cut short"), "{error}");
    // Small weights could be read from a pointer to them.
    let mut small = Toy::default().with_external_data(&["model.onnx.data"]);
    let needed = small.external[0].bytes.len();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "0".repeat(400));
    for (text, word) in
        [(pointer, "Git LFS pointer"), (format!("<!DOCTYPE html>{}", " ".repeat(400)), "a web page")]
    {
        assert!(text.len() > needed, "it is long enough to be read as weights");
        let stands_in = ExternalData { location: "model.onnx.data".into(), bytes: text.into_bytes().into() };
        small.external = vec![stands_in];
        let error = refusal(&small);
        assert!(error.contains("`model.onnx.data`") && error.contains(word), "{error}");
    }
    split.onnx.truncate(split.onnx.len() - 5);
    assert!(external_locations(&split.onnx).is_err());
}
