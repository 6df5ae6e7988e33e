use super::*;
use crate::probe::Noise;
use crate::runtime::for_tests;
use crate::toy::{Toy, Weights};
use crate::{Activation, Network as _, OrtNetwork, OutputForm};
use marquetry_geometry::{D4, Size};
use marquetry_job::{Backend, Precision};
use marquetry_onnx::toy::Net;
use marquetry_onnx::{Background, FusedScores, FusedStep, FusedView, KeptPart, ToyGraph};

const SIDE: u32 = 10;

fn contract(batch: u32, classes: u32) -> IoContract {
    IoContract {
        input: "image".into(),
        layout: Layout::Nchw,
        channels: 3,
        size: Size::square(SIDE),
        batch,
        element_in: Element::F32,
        dims: BTreeMap::new(),
        head: "scores".into(),
        form: OutputForm::Nchw,
        classes,
        output_size: Size::square(SIDE),
        element_out: Element::F32,
        backend: Backend::default(),
    }
}

fn view(d4: D4, classes: u32) -> FusedView {
    let (row, column) = d4.source(Size::square(2), 0, 0);
    let (vflip, hflip) = if d4.transposes() { (column == 1, row == 1) } else { (row == 1, column == 1) };
    FusedView { transpose: d4.transposes(), vflip, hflip, classes: (0..classes as u16).collect() }
}

fn spec(contract: &IoContract, windows: u64, views: &[D4], step: FusedStep) -> FusedSpec {
    let [height, width] = [contract.output_size.height, contract.output_size.width].map(u64::from);
    FusedSpec {
        windows,
        input: fused_input(contract).unwrap(),
        views: views.iter().map(|d4| view(*d4, contract.classes)).collect(),
        head: fused_head(contract).unwrap(),
        resized: None,
        kept: KeptPart { top: 0, left: 0, height, width },
        scores: FusedScores { allowed: None, step, background: None, finish: FusedStep::Keep, half: false },
    }
}

fn open(onnx: &[u8], spec: &FusedSpec) -> FusedNetwork {
    match FusedNetwork::open(&for_tests(), onnx, spec, &SessionOptions::default()).unwrap() {
        FusedOpening::Opened(network) => *network,
        FusedOpening::Refused(refusal) => panic!("{refusal}"),
    }
}

fn all(scores: &MergedScores) -> Vec<f32> {
    let [windows, _, height, _] = scores.dims();
    let mut out = Vec::new();
    for window in 0..windows {
        let mut rows = Vec::new();
        scores.rows(window, 0, height, &mut rows);
        out.extend(rows);
    }
    out
}

fn pixels(windows: u32, seed: u64) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    (0..windows * 3 * SIDE * SIDE).map(|_| noise.unit() * 4.0 - 2.0).collect()
}

/// What `planes` are where a symmetry shows them.
fn turned(d4: D4, planes: &[f32]) -> Vec<f32> {
    let size = Size::square(SIDE);
    let at = |plane: &[f32], y, x| {
        let (row, column) = d4.source(size, y, x);
        plane[(row * SIDE + column) as usize]
    };
    let plane = |plane: &[f32]| -> Vec<f32> {
        (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))).map(|(y, x)| at(plane, y, x)).collect()
    };
    planes.chunks_exact(size.area() as usize).flat_map(plane).collect()
}

/// One window after the other and view by view through the model alone, and the rest the long way.
fn expected(onnx: &[u8], contract: &IoContract, windows: &[f32], views: &[D4], step: FusedStep) -> Vec<f32> {
    let alone = IoContract { batch: 1, ..contract.clone() };
    let mut network = OrtNetwork::open(&for_tests(), onnx, &alone, &SessionOptions::default()).unwrap();
    let (area, classes) = ((SIDE * SIDE) as usize, contract.classes as usize);
    let mut out = Vec::new();
    for window in windows.chunks_exact(3 * area) {
        let mut sum = vec![0.0_f64; classes * area];
        for d4 in views {
            let mut said = network.run(&turned(*d4, window)).unwrap().to_vec();
            for x in 0..area {
                let total: f64 = (0..classes).map(|c| f64::from(said[c * area + x]).exp()).sum();
                for c in 0..classes {
                    let v = f64::from(said[c * area + x]);
                    said[c * area + x] = match step {
                        FusedStep::Keep => v,
                        FusedStep::Softmax => v.exp() / total,
                        FusedStep::Sigmoid => 1.0 / (1.0 + (-v).exp()),
                        FusedStep::Ln { least } => v.max(f64::from(least)).ln(),
                        FusedStep::Logit { least } => {
                            // In single precision as in code: near 1 that is all the difference.
                            let p = (v as f32).clamp(least, 1.0 - least);
                            f64::from(p / (1.0 - p)).ln()
                        }
                    } as f32;
                }
            }
            let back = turned(d4.inverse(), &said);
            sum.iter_mut().zip(back).for_each(|(sum, v)| *sum += f64::from(v));
        }
        out.extend(sum.into_iter().map(|v| (v / views.len() as f64) as f32));
    }
    out
}

fn worst(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    got.iter()
        .zip(want)
        .map(|(a, b)| if a.is_nan() { f32::NAN } else { (a - b).abs() })
        .fold(0.0, |m, d| if d.is_nan() || d > m { d } else { m })
}

/// A convolution that is no symmetry's friend, for any version of the operators.
fn convolution(classes: u32) -> ToyGraph {
    let mut noise = Noise::new(3);
    let weights: Vec<f32> = (0..classes * 27).map(|_| noise.unit() * 2.0 - 1.0).collect();
    let dims = [None, Some(3), Some(u64::from(SIDE)), Some(u64::from(SIDE))];
    ToyGraph::default()
        .takes("image", 1, &dims)
        .floats("weight", &[classes.into(), 3, 3, 3], &weights)
        .node("Conv", &["image", "weight"], &["scores"], &[marquetry_onnx::Setting::Ints("pads", &[1; 4])])
        .gives("scores", 1, &[])
}

#[test]
fn each_symmetry_and_all_of_them_come_back() {
    let contract = contract(8, 3);
    let onnx = convolution(3).bytes(17);
    let (windows, all_of_them) = (pixels(2, 5), D4::ALL.to_vec());
    for views in D4::ALL.iter().map(|d4| vec![*d4]).chain([all_of_them]) {
        let mut network = open(&onnx, &spec(&contract, 2, &views, FusedStep::Keep));
        let want = expected(&onnx, &contract, &windows, &views, FusedStep::Keep);
        let apart = worst(&all(&network.run(&windows).unwrap()), &want);
        assert!(apart < 1e-5, "{views:?}: {apart}");
    }
}

#[test]
fn every_version_of_the_operators_and_every_step_gives_the_same() {
    let views = [D4::IDENTITY, D4::ROT90, D4::HFLIP];
    for opset in [11, 12, 13, 14, 16, 17, 18, 19, 20, 21] {
        for (step, classes) in [
            (FusedStep::Keep, 2),
            (FusedStep::Softmax, 4),
            (FusedStep::Sigmoid, 1),
            (FusedStep::Ln { least: 1e-6 }, 2),
            (FusedStep::Logit { least: 1e-6 }, 2),
        ] {
            let contract = contract(3, classes);
            let onnx = convolution(classes).bytes(opset);
            let windows = pixels(1, opset);
            let mut network = open(&onnx, &spec(&contract, 1, &views, step));
            let want = expected(&onnx, &contract, &windows, &views, step);
            let apart = worst(&all(&network.run(&windows).unwrap()), &want);
            let scale = want.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
            assert!(apart < 1e-5 * scale, "opset {opset}, {step:?}: {apart}");
        }
    }
}

#[test]
fn every_layout_type_and_form_gives_the_same() {
    let views = [D4::IDENTITY, D4::ROT270, D4::VFLIP, D4::ANTITRANSPOSE];
    let windows = pixels(2, 11);
    for form in [OutputForm::Nchw, OutputForm::Nhwc, OutputForm::Flat, OutputForm::FlatInterleaved] {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            for element in [Element::F32, Element::F16, Element::F64] {
                for idle_axes in [false, true] {
                    let toy = Toy {
                        classes: 3,
                        kernel: 3,
                        weights: Weights::Seeded(2),
                        layout,
                        form,
                        idle_axes,
                        element_in: element.clone(),
                        element_out: element.clone(),
                        ..Toy::default()
                    };
                    let (element_in, element_out) = (element.clone(), element.clone());
                    let contract = IoContract { layout, form, element_in, element_out, ..contract(8, 3) };
                    let onnx = toy.bytes();
                    let mut network = open(&onnx, &spec(&contract, 2, &views, FusedStep::Softmax));
                    let want = expected(&onnx, &contract, &windows, &views, FusedStep::Softmax);
                    let apart = worst(&all(&network.run(&windows).unwrap()), &want);
                    assert!(apart < 1e-5, "{toy:?}: {apart}");
                }
            }
        }
    }
}

#[test]
fn a_network_looks_at_what_it_is_given_now() {
    let contract = contract(4, 3);
    let onnx = convolution(3).bytes(17);
    let views = [D4::IDENTITY, D4::ROT180];
    let mut network = open(&onnx, &spec(&contract, 2, &views, FusedStep::Sigmoid));
    let (first, second) = (pixels(2, 1), pixels(2, 2));
    let once = network.run(&first).unwrap();
    let other = network.run(&second).unwrap();
    assert_eq!(all(&network.run(&first).unwrap()), all(&once), "the same comes back");
    assert!(worst(&all(&once), &all(&other)) > 0.1);
    let want = expected(&onnx, &contract, &second, &views, FusedStep::Sigmoid);
    assert!(worst(&all(&other), &want) < 1e-5, "what was said before stays as it was");
    let error = network.run(&first[1..]).unwrap_err();
    assert!(error.to_string().contains("599 numbers"), "{error}");
}

/// On another device with `MARQUETRY_TEST_DEVICE=cuda:0`, whose memory is pinned.
#[test]
fn the_device_that_is_asked_for_says_what_the_processor_does() {
    let device: Device = std::env::var("MARQUETRY_TEST_DEVICE").map_or(Device::Cpu, |d| d.parse().unwrap());
    // Cards sum in another order, and half precision ends at 5e-4.
    let tolerance = if device == Device::Cpu { 1e-5 } else { 2e-3 };
    let options = SessionOptions { device, ..SessionOptions::default() };
    for (layout, form) in [(Layout::Nchw, OutputForm::Nchw), (Layout::Nhwc, OutputForm::Nhwc)] {
        for (step, half) in
            [(FusedStep::Softmax, true), (FusedStep::Sigmoid, false), (FusedStep::Keep, false)]
        {
            let weights = Weights::Seeded(6);
            let toy = Toy { classes: 4, kernel: 3, stride: 2, weights, layout, form, ..Toy::default() };
            let size = Size::square(SIDE / 2);
            let contract = IoContract { layout, form, output_size: size, ..contract(16, 4) };
            let mut spec = spec(&contract, 2, &D4::ALL, step);
            spec.resized = Some([SIDE.into(); 2]);
            spec.kept = KeptPart { top: 1, left: 1, height: 8, width: 8 };
            spec.scores.half = half;
            let on = |options: &SessionOptions| match FusedNetwork::open(
                &for_tests(),
                &toy.bytes(),
                &spec,
                options,
            )
            .unwrap()
            {
                FusedOpening::Opened(network) => network,
                FusedOpening::Refused(refusal) => panic!("{refusal}"),
            };
            let (mut there, mut here) = (on(&options), on(&SessionOptions::default()));
            for seed in 0..4 {
                let mut windows = pixels(2, seed);
                let [got, want] = [&mut there, &mut here].map(|n| all(&n.run(&windows).unwrap()));
                let apart = worst(&got, &want);
                assert!(apart < tolerance, "{device}, {layout}, {step:?}, run {seed}: {apart}");
                windows[400] = f32::NAN;
                assert!(!there.run(&windows).unwrap().is_finite(2), "{device}, {step:?}");
            }
        }
    }
}

#[test]
fn half_precision_is_half_a_step_away() {
    let contract = contract(4, 3);
    let onnx = convolution(3).bytes(17);
    let single = spec(&contract, 2, &[D4::IDENTITY, D4::ROT90], FusedStep::Softmax);
    let half = FusedSpec { scores: FusedScores { half: true, ..single.scores.clone() }, ..single.clone() };
    let windows = pixels(2, 9);
    let [single, half] = [single, half].map(|spec| all(&open(&onnx, &spec).run(&windows).unwrap()));
    let apart = worst(&half, &single);
    assert!(apart > 0.0 && apart <= 2.5e-4, "{apart}");
}

#[test]
fn one_channel_becomes_two_classes_and_classes_change_places_in_a_view() {
    let onnx = convolution(1).bytes(17);
    let contract = contract(2, 1);
    let windows = pixels(1, 4);
    let probabilities = expected(&onnx, &contract, &windows, &[D4::IDENTITY], FusedStep::Sigmoid);
    let mut spec = spec(&contract, 1, &[D4::IDENTITY], FusedStep::Sigmoid);
    let others: Vec<f32> = probabilities.iter().map(|p| 1.0 - p).collect();
    for (order, want) in [
        (vec![0, 1], [others.clone(), probabilities.clone()].concat()),
        (vec![1, 0], [probabilities.clone(), others.clone()].concat()),
    ] {
        spec.views[0].classes = order;
        spec.scores.background = Some(Background::Complement);
        assert!(worst(&all(&open(&onnx, &spec).run(&windows).unwrap()), &want) < 1e-6);
    }
    spec.scores = FusedScores { background: Some(Background::Zero), step: FusedStep::Keep, ..spec.scores };
    let said = all(&open(&onnx, &spec).run(&windows).unwrap());
    assert!(said[(SIDE * SIDE) as usize..].iter().all(|v| *v == 0.0));
}

#[test]
fn planes_are_resized_and_cut_as_code_does_it() {
    // Every second pixel of what goes in, and what lies beyond is cut.
    let toy = Toy { classes: 3, kernel: 3, stride: 2, weights: Weights::Seeded(8), ..Toy::default() };
    let coarse = IoContract { output_size: Size::square(SIDE / 2), ..contract(2, 3) };
    let windows = pixels(1, 6);
    let views = [D4::IDENTITY, D4::HFLIP];
    let mut spec = spec(&coarse, 1, &views, FusedStep::Keep);
    spec.resized = Some([SIDE.into(); 2]);
    spec.kept = KeptPart { top: 1, left: 2, height: 7, width: 6 };
    let got = all(&open(&toy.bytes(), &spec).run(&windows).unwrap());
    let mut network = OrtNetwork::open(
        &for_tests(),
        &toy.bytes(),
        &IoContract { batch: 1, ..coarse },
        &SessionOptions::default(),
    )
    .unwrap();
    let mut want = vec![0.0; 3 * 7 * 6];
    for d4 in views {
        let said = network.run(&turned(d4, &windows)).unwrap();
        for (at, want) in want.iter_mut().enumerate() {
            let (class, y, x) = (at / 42, at / 6 % 7, at % 6);
            // The part is kept in the view, and comes back then.
            let x = if d4 == D4::HFLIP { 5 - x } else { x };
            *want += bilinear(&said[class * 25..][..25], y + 1, x + 2) / 2.0;
        }
    }
    assert!(worst(&got, &want) < 1e-5);
}

/// Pixel (`y`, `x`) of a plane of 5 px, twice as large.
fn bilinear(plane: &[f32], y: usize, x: usize) -> f32 {
    let at = |i: usize| {
        let place = (i as f32 / 2.0 - 0.25).clamp(0.0, 4.0);
        (place as usize, (place as usize + 1).min(4), place.fract())
    };
    let ((top, bottom, down), (left, right, across)) = (at(y), at(x));
    let row = |r: usize| plane[r * 5 + left] * (1.0 - across) + plane[r * 5 + right] * across;
    row(top) * (1.0 - down) + row(bottom) * down
}

#[test]
fn what_is_no_number_stays_none_through_every_step() {
    let views = [D4::IDENTITY, D4::ROT90];
    let copy = Toy { classes: 3, ..Toy::default() };
    for step in [
        FusedStep::Keep,
        FusedStep::Softmax,
        FusedStep::Sigmoid,
        FusedStep::Ln { least: 1e-6 },
        FusedStep::Logit { least: 1e-6 },
    ] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for half in [false, true] {
                let mut spec = spec(&contract(4, 3), 2, &views, step);
                spec.scores.half = half;
                let mut network = open(&copy.bytes(), &spec);
                let mut windows: Vec<f32> = pixels(2, 3).iter().map(|v| v.abs() / 2.0).collect();
                assert!(network.run(&windows).unwrap().is_finite(2), "{step:?}");
                let second = windows.len() - 7;
                windows[second] = bad;
                let scores = network.run(&windows).unwrap();
                assert!(!scores.is_finite(2) && scores.is_finite(1), "{step:?} of {bad} (half: {half})");
            }
        }
    }
}

#[test]
fn a_probability_that_is_none_is_found() {
    let copy = Toy { classes: 3, ..Toy::default() };
    let mut spec = spec(&contract(2, 3), 1, &[D4::IDENTITY, D4::HFLIP], FusedStep::Keep);
    spec.scores.allowed = Some((-0.01, 1.01));
    let mut network = open(&copy.bytes(), &spec);
    let mut windows = vec![0.5; 300];
    (windows[0], windows[1]) = (-0.0099, 1.0099);
    assert!(network.run(&windows).unwrap().is_finite(1));
    for bad in [-0.0101, 1.0101, 7.0, f32::NAN] {
        windows[123] = bad;
        assert!(!network.run(&windows).unwrap().is_finite(1), "{bad}");
    }
}

#[test]
fn graphs_inside_of_nodes_and_weights_beside_the_model_come_along() {
    let views = [D4::IDENTITY, D4::TRANSPOSE];
    let toy = Toy { classes: 3, kernel: 3, weights: Weights::Seeded(4), ..Toy::default() };
    let (contract, windows) = (contract(4, 3), pixels(2, 8));
    let spec = spec(&contract, 2, &views, FusedStep::Softmax);
    let want = expected(&toy.bytes(), &contract, &windows, &views, FusedStep::Softmax);
    // A loop that ends at once, since no image is nothing but 1.
    let looping = Toy { hangs: true, ..toy.clone() }.bytes();
    assert!(worst(&all(&open(&looping, &spec).run(&windows).unwrap()), &want) < 1e-5);
    let beside = toy.with_external_data(&["weights.bin"]);
    let opening = FusedNetwork::open(&for_tests(), &beside, &spec, &SessionOptions::default()).unwrap();
    let FusedOpening::Opened(mut network) = opening else { panic!("refused") };
    assert!(worst(&all(&network.run(&windows).unwrap()), &want) < 1e-5);
    let alone = FusedNetwork::open(&for_tests(), &beside.onnx, &spec, &SessionOptions::default());
    assert!(matches!(alone, Err(ModelError::ExternalData { .. })));
}

#[test]
fn what_the_runtime_does_not_take_is_refused() {
    let contract = contract(1, 3);
    let spec = spec(&contract, 1, &[D4::IDENTITY], FusedStep::Keep);
    let open = |onnx: &[u8]| FusedNetwork::open(&for_tests(), onnx, &spec, &SessionOptions::default());
    let unknown = convolution(3).node("Nonsense", &["scores"], &["more"], &[]).node(
        "Add",
        &["scores", "more"],
        &["both"],
        &[],
    );
    let named = unknown.gives("both", 1, &[]).bytes(17);
    let mut of_both = spec.clone();
    of_both.head.name = "both".into();
    let opening = FusedNetwork::open(&for_tests(), &named, &of_both, &SessionOptions::default()).unwrap();
    assert!(matches!(opening, FusedOpening::Refused(reason) if reason.to_string().contains("Nonsense")));
    assert!(matches!(open(&convolution(3).bytes(10)).unwrap(), FusedOpening::Refused(_)));
    assert!(open(b"no model").is_err());
    let sigmoid = Toy { classes: 3, activation: Activation::Sigmoid, ..Toy::default() };
    assert!(matches!(open(&sigmoid.bytes()).unwrap(), FusedOpening::Opened(_)));
}

/// Of a model in half precision only the model is: what is done around it is what is done around the same model by itself.
#[test]
fn what_is_around_a_model_in_half_precision_stays_in_single() {
    let onnx = Net::seeded(3, 4).bytes();
    let contract = contract(4, 4);
    let views = [D4::IDENTITY, D4::ROT180];
    let backend = Backend { precision: Precision::F16, ..Backend::default() };
    let options = SessionOptions::default().for_backend(backend).unwrap();
    let spec = spec(&contract, 2, &views, FusedStep::Sigmoid);
    let windows = pixels(2, 3);
    let opened =
        |options: &SessionOptions| match FusedNetwork::open(&for_tests(), onnx.as_slice(), &spec, options)
            .unwrap()
        {
            FusedOpening::Opened(mut network) => all(&network.run(&windows).unwrap()),
            FusedOpening::Refused(refusal) => panic!("{refusal}"),
        };
    let want = expected(
        &crate::half_precision::halved(&onnx).unwrap(),
        &contract,
        &windows,
        &views,
        FusedStep::Sigmoid,
    );
    let (half, single) = (opened(&options), opened(&SessionOptions::default()));
    assert!(worst(&half, &want) < 1e-6, "{}", worst(&half, &want));
    assert!(worst(&half, &single) > 1e-5, "the model itself is in half precision");
}
