use super::*;
use crate::toy::{Toy, Weights};
use crate::{
    Activation, InspectOptions, IoRequest, Layout, ModelFiles, OrtNetwork, OutputForm, inspect, open_network,
    resolve,
};
use marquetry_geometry::Size;
use marquetry_job::{Backend, Provider};
use marquetry_onnx::toy::Net;

const SIZE: Size = Size::new(32, 48);

fn contract(onnx: &Vec<u8>, batch: u32) -> IoContract {
    let options = InspectOptions { size: Some(SIZE), ..Default::default() };
    let facts = inspect(&crate::runtime::for_tests(), onnx, &options).unwrap();
    let wanted =
        IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size: SIZE, batch };
    resolve(&facts, &wanted).unwrap().signature
}

fn in_precision(contract: &IoContract, precision: Precision) -> IoContract {
    IoContract { backend: Backend { provider: Provider::OpenVino, precision }, ..contract.clone() }
}

fn threads(intra_threads: usize) -> SessionOptions {
    SessionOptions { intra_threads, ..Default::default() }
}

fn open(onnx: &Vec<u8>, contract: &IoContract) -> Box<dyn Network> {
    let contract = in_precision(contract, Precision::F32);
    open_network(&crate::runtime::for_tests(), onnx, &contract, &threads(1)).unwrap()
}

fn pixels(contract: &IoContract) -> Vec<f32> {
    let mut noise = crate::probe::Noise::new(7);
    (0..contract.input_len()).map(|_| (noise.unit() * 255.0).round()).collect()
}

/// What ONNX Runtime says.
fn expected(onnx: &Vec<u8>, contract: &IoContract, input: &[f32]) -> Vec<f32> {
    let runtime = crate::runtime::for_tests();
    OrtNetwork::open(&runtime, onnx, contract, &threads(1)).unwrap().run(input).unwrap().to_vec()
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], what: &dyn std::fmt::Debug) {
    let largest = expected.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && worst < 1e-3 * largest, "{what:?}: {worst} of {largest}");
}

#[test]
fn every_layout_type_and_form_gives_the_planes_that_onnx_runtime_gives() {
    let plain = Toy {
        classes: 3,
        kernel: 3,
        weights: Weights::Seeded(2),
        activation: Activation::Softmax,
        ..Default::default()
    };
    for form in [OutputForm::Nchw, OutputForm::Nhwc, OutputForm::Chw, OutputForm::Hwc, OutputForm::Flat] {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            for (element_in, element_out) in [
                (Element::F32, Element::F32),
                (Element::F16, Element::F16),
                (Element::F64, Element::F64),
                (Element::U8, Element::F32),
            ] {
                let toy = Toy { layout, element_in, element_out, form, ..plain.clone() };
                let (onnx, batch) = (toy.bytes(), if form.has_batch() { 2 } else { 1 });
                let contract = contract(&onnx, batch);
                let input = pixels(&contract);
                let mut network = open(&onnx, &contract);
                let found = network.run(&input).unwrap().to_vec();
                assert_near(&found, &expected(&onnx, &contract, &input), &toy);
                assert_eq!(network.run(&input).unwrap(), found, "its memory is used anew");
            }
        }
    }
}

#[test]
fn bytes_do_not_hang_on_threads_or_on_what_else_is_in_a_batch() {
    let onnx = Net::seeded(3, 4).bytes();
    let (one, four) = (contract(&onnx, 1), contract(&onnx, 4));
    let input = pixels(&four);
    let mut single = open(&onnx, &one);
    let alone: Vec<f32> =
        input.chunks(one.input_len()).flat_map(|window| single.run(window).unwrap().to_vec()).collect();
    assert_near(&alone, &expected(&onnx, &four, &input), &"a network");
    for (threads_of, contract) in [(2, &one), (1, &four), (2, &four)] {
        let wanted = in_precision(contract, Precision::F32);
        let mut network =
            OpenVinoNetwork::open(&crate::runtime::for_tests(), &onnx, &wanted, &threads(threads_of))
                .unwrap();
        let together: Vec<f32> = input
            .chunks(contract.input_len())
            .flat_map(|shown| network.run(shown).unwrap().to_vec())
            .collect();
        assert!(together == alone, "{threads_of} threads, {} at once", contract.batch);
    }
}

#[test]
fn several_compute_side_by_side() {
    let onnx = Net::seeded(3, 4).bytes();
    let contract = contract(&onnx, 1);
    let input = pixels(&contract);
    let wanted = open(&onnx, &contract).run(&input).unwrap().to_vec();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut network = open(&onnx, &contract);
                for _ in 0..5 {
                    assert!(network.run(&input).unwrap() == wanted);
                }
            });
        }
    });
}

#[test]
fn the_head_that_was_picked_is_the_one_that_runs() {
    let toy = Toy { heads: vec!["a".into(), "b".into()], weights: Weights::Seeded(9), ..Default::default() };
    let onnx = toy.bytes();
    let last = contract(&onnx, 1);
    let first = IoContract { head: "a".into(), ..last.clone() };
    let input = pixels(&last);
    for contract in [&first, &last] {
        assert_near(
            open(&onnx, contract).run(&input).unwrap(),
            &expected(&onnx, contract, &input),
            &contract.head,
        );
    }
    assert_ne!(expected(&onnx, &first, &input), expected(&onnx, &last, &input));
}

#[test]
fn rounded_factors_say_nearly_the_same_where_the_processor_has_them() {
    let openvino = crate::runtime::for_tests().openvino().unwrap().clone();
    let onnx = Net::seeded(3, 4).bytes();
    let contract = contract(&onnx, 1);
    let input: Vec<f32> = pixels(&contract).iter().map(|v| v / 128.0 - 1.0).collect();
    let single = open(&onnx, &contract).run(&input).unwrap().to_vec();
    for (precision, arithmetic) in [
        (Precision::Bf16, marquetry_openvino::Precision::Bf16),
        (Precision::F16, marquetry_openvino::Precision::F16),
    ] {
        if !openvino.computes(arithmetic).unwrap() {
            continue;
        }
        let wanted = in_precision(&contract, precision);
        let runtime = crate::runtime::for_tests();
        let mut network = OpenVinoNetwork::open(&runtime, &onnx, &wanted, &threads(1)).unwrap();
        let largest = single.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let said = network.run(&input).unwrap();
        let apart = said.iter().zip(&single).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart > 0.0 && apart < 0.05 * largest, "{precision}: {apart} of {largest}");
    }
    assert!(openvino.computes(marquetry_openvino::Precision::F32).unwrap());
}

#[test]
fn what_it_does_not_take_is_said() {
    let onnx = Toy::default().bytes();
    let (runtime, contract) = (crate::runtime::for_tests(), contract(&onnx, 1));
    let refused = |onnx: &[u8], contract: &IoContract| {
        let contract = in_precision(contract, contract.backend.precision);
        let error = OpenVinoNetwork::open(&runtime, onnx, &contract, &threads(1)).map(drop).unwrap_err();
        error.to_string()
    };
    let cut = refused(&onnx[..onnx.len() / 2], &contract);
    assert!(cut.starts_with("not a model"), "{cut}");
    let tf32 = refused(&onnx, &in_precision(&contract, Precision::Tf32));
    assert!(tf32.contains("openvino") && tf32.contains("tf32"), "{tf32}");
    let channels = refused(&onnx, &IoContract { channels: 5, ..contract.clone() });
    assert!(channels.starts_with("cannot use openvino: "), "{channels}");
    let head = refused(&onnx, &IoContract { head: "none".into(), ..contract.clone() });
    assert!(head.contains("none"), "{head}");
    let mut network = open(&onnx, &contract);
    let error = network.run(&[0.0; 5]).unwrap_err().to_string();
    assert!(error.starts_with("the input has 5 numbers"), "{error}");
    let lying = IoContract { output_size: Size::square(7), ..contract };
    let error = open(&onnx, &lying).run(&pixels(&lying)).unwrap_err().to_string();
    assert!(error.contains("has dimensions [1, 1, 32, 48]"), "{error}");
}

#[test]
fn weights_in_a_second_file_are_taken_along() {
    let toy = Toy { classes: 3, kernel: 3, weights: Weights::Seeded(2), ..Toy::default() };
    let (onnx, split) = (toy.bytes(), toy.with_external_data(&["weights.bin"]));
    let contract = contract(&onnx, 1);
    let input = pixels(&contract);
    let (runtime, wanted) = (crate::runtime::for_tests(), in_precision(&contract, Precision::F32));
    let mut network = OpenVinoNetwork::open(&runtime, &split, &wanted, &threads(1)).unwrap();
    assert_eq!(network.run(&input).unwrap(), open(&onnx, &contract).run(&input).unwrap());
    let alone = ModelFiles { external: Vec::new(), ..split };
    let error = OpenVinoNetwork::open(&runtime, &alone, &wanted, &threads(1)).map(drop).unwrap_err();
    assert!(error.to_string().contains("weights.bin"), "{error}");
}
