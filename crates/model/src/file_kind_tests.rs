use super::*;
use crate::toy::Toy;
use crate::{InspectOptions, external_locations, inspect};

fn refusals(bytes: &[u8]) -> [String; 2] {
    let runtime = crate::runtime::for_tests();
    let inspected = inspect(&runtime, bytes, &InspectOptions::default()).unwrap_err();
    // Who only looks for other files says the same.
    let looked = external_locations(bytes)
        .err()
        .unwrap_or_else(|| crate::ModelError::NotAModel { reason: String::new() });
    [inspected.to_string(), looked.to_string()]
}

#[test]
fn files_of_other_kinds_are_called_by_their_names() {
    let zip = |names: &[&str]| {
        let each = names.iter().map(|name| format!("PK\x03\x04{}{name}", "\0".repeat(26)));
        each.collect::<String>().into_bytes()
    };
    let header = b"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    let safetensors = [&(header.len() as u64).to_le_bytes(), &header[..], &[0; 4]].concat();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n".to_vec();
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (Vec::new(), &["empty"]),
        (lfs, &["Git LFS pointer", "12345 bytes", "git lfs pull"]),
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>".to_vec(), &["web page", "download"]),
        (b"<HTML></HTML>".to_vec(), &["web page"]),
        (
            b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".to_vec(),
            &["a text", "AccessDenied"],
        ),
        (b"{\"error\": \"not found\"}".to_vec(), &["a text", "not found"]),
        ("Entry n\u{fc} found".into(), &["a text and no model"]),
        (zip(&["archive/data.pkl", "archive/version"]), &["PyTorch checkpoint", "torch.onnx.export"]),
        (zip(&["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"]), &["TorchScript", "torch.jit.load"]),
        (zip(&["m/archive_format", "m/models/model.json"]), &["torch.export", ".pt2"]),
        (b"ftrt\0\0\0\0\x01".to_vec(), &["TensorRT engine"]),
        (zip(&["config.json", "model.weights.h5"]), &["Keras"]),
        (zip(&["model.onnx"]), &["zip archive", "unpack"]),
        (b"\x80\x02}q\x00X\x05\x00\x00\x00epoch".to_vec(), &["pickle", "torch.onnx.export"]),
        (b"\x1c\0\0\0TFL3\0\0\0\0\0\0\0\0".to_vec(), &["TensorFlow Lite"]),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0".to_vec(), &["HDF5", "Keras"]),
        (safetensors, &["safetensors", "no graph"]),
        (vec![0x1f, 0x8b, 8, 0, 0], &["archive", "unpack"]),
        (vec![0xff; 64], &["no ONNX model"]),
    ];
    for (bytes, words) in cases {
        for said in refusals(&bytes) {
            for word in words {
                assert!(said.contains(word), "`{word}` is not in: {said}");
            }
            assert!(!said.contains("protobuf") && !said.contains("onnxruntime::"), "{said}");
        }
    }
}

#[test]
fn a_model_that_is_cut_short_is_said_to_be_one() {
    let whole = Toy::default().bytes();
    for cut in [3, 20, whole.len() / 2, whole.len() - 1] {
        let said = &refusals(&whole[..cut])[0];
        assert!(said.contains("cut short") && !said.contains("protobuf"), "{cut} of {}: {said}", whole.len());
    }
}

#[test]
fn versions_that_the_runtime_does_not_know_are_named_with_those_it_knows() {
    let whole = Toy::default().bytes();
    assert_eq!((whole[..2].to_vec(), whole[whole.len() - 2..].to_vec()), (vec![8, 8], vec![16, 17]));
    let (mut ir, mut opset) = (whole.clone(), whole);
    ir[1] = 60;
    *opset.last_mut().unwrap() = 99;
    let runtime = crate::runtime::for_tests();
    for (bytes, words) in [
        (ir, ["IR version 60", "versions up to", "model.ir_version"]),
        (opset, ["opset 99", "opsets up to", "opset_version="]),
    ] {
        let said = inspect(&runtime, &bytes, &InspectOptions::default()).unwrap_err().to_string();
        for word in words.iter().chain(&[runtime.version()]) {
            assert!(said.contains(word), "`{word}` is not in: {said}");
        }
        assert!(!said.contains("::") && !said.contains(".cc:") && !said.contains(".h:"), "{said}");
    }
}

#[test]
fn what_the_runtime_says_comes_without_its_source() {
    let model = Toy::default().bytes();
    let said = |message: &str| load_refusal(&model, message, "1.31.1");
    assert_eq!(
        said(
            "This is an invalid model. In Node, (\"\", Foo, \"\", -1) : , Error No Op registered for Foo with domain_version of 17"
        ),
        "the model uses the operator `Foo`, which opset 17 does not have"
    );
    let domain = said("In Node, (\"\", Foo, \"com.x\", -1) : Error No opset import for domain 'com.x'");
    assert!(domain.contains("operators of `com.x`"), "{domain}");
    assert!(said("Fatal error: com.x:Foo(-1) is not a registered function/op").contains("`com.x:Foo`"));
    assert_eq!(
        said(
            "/src/onnxruntime/core/graph.cc:25 void onnxruntime::Graph::F(const std::string&, int) a == b was false. It has a cycle."
        ),
        "It has a cycle."
    );
    assert_eq!(said(" plain "), "plain");
}
