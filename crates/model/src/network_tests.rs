use super::*;
use crate::toy::{Toy, Weights};
use crate::{Activation, InspectOptions, IoRequest, Layout, OutputForm, inspect, resolve};
use marquetry_geometry::Size;

const SIZE: Size = Size::new(20, 28);

fn open(toy: &Toy, batch: u32) -> OrtNetwork {
    let (runtime, bytes) = (crate::runtime::for_tests(), toy.bytes());
    let facts =
        inspect(&runtime, &bytes, &InspectOptions { size: Some(SIZE), ..Default::default() }).unwrap();
    let wanted =
        IoRequest { head: None, channels_out: Vec::new(), layout: None, channels: None, size: SIZE, batch };
    let signature = resolve(&facts, &wanted).unwrap().signature;
    OrtNetwork::open(&runtime, &bytes, &signature, &SessionOptions::default()).unwrap()
}

fn pixels(network: &OrtNetwork) -> Vec<f32> {
    let mut noise = crate::probe::Noise::new(7);
    (0..network.signature().input_len()).map(|_| (noise.unit() * 255.0).round()).collect()
}

#[test]
fn every_layout_type_and_form_gives_the_same_planes() {
    let plain = Toy {
        classes: 3,
        kernel: 3,
        weights: Weights::Seeded(2),
        activation: Activation::Softmax,
        ..Default::default()
    };
    let mut network = open(&plain, 1);
    let input = pixels(&network);
    let expected = network.run(&input).unwrap().to_vec();
    assert_eq!(expected.len(), 3 * 20 * 28);
    for form in [OutputForm::Nchw, OutputForm::Nhwc, OutputForm::Chw, OutputForm::Hwc] {
        for layout in [Layout::Nchw, Layout::Nhwc] {
            for (element_in, element_out) in
                [(Element::F32, Element::F32), (Element::F16, Element::F16), (Element::U8, Element::F32)]
            {
                let toy = Toy { layout, element_in, element_out, form, ..plain.clone() };
                let mut network = open(&toy, 1);
                let scores = network.run(&input).unwrap();
                let worst = scores.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(scores.len() == expected.len() && worst < 1e-3, "{toy:?}: {worst}");
            }
        }
    }
}

#[test]
fn images_of_a_batch_stay_apart_and_in_order() {
    for (form, layout) in
        [(OutputForm::Nchw, Layout::Nchw), (OutputForm::Nhwc, Layout::Nhwc), (OutputForm::Nhw, Layout::Nchw)]
    {
        let classes = if form == OutputForm::Nhw { 1 } else { 2 };
        let mut network = open(&Toy { classes, layout, form, ..Default::default() }, 3);
        let input = pixels(&network);
        let plane = SIZE.area() as usize;
        let expected: Vec<f32> = input
            .chunks_exact(3 * plane)
            .flat_map(|image| &image[..classes as usize * plane])
            .copied()
            .collect();
        assert_eq!(network.run(&input).unwrap(), expected);
        // The same again: the buffers of the first run are used anew.
        assert_eq!(network.run(&input).unwrap(), expected);
    }
}

#[test]
fn a_run_of_planar_f32_copies_no_output() {
    let mut network = open(&Toy::default(), 1);
    let input = pixels(&network);
    network.run(&input).unwrap();
    assert!(network.planes.is_empty() && matches!(&network.packed, Packed::F32(packed) if packed.is_empty()));
}

#[test]
fn the_head_that_was_picked_is_the_one_that_runs() {
    let toy = Toy { heads: vec!["a".into(), "b".into()], weights: Weights::Seeded(9), ..Default::default() };
    let mut last = open(&toy, 1);
    let input = pixels(&last);
    let mut signature = last.signature().clone();
    signature.head = "a".into();
    let mut first =
        OrtNetwork::open(&crate::runtime::for_tests(), &toy.bytes(), &signature, &SessionOptions::default())
            .unwrap();
    assert_ne!(first.run(&input).unwrap(), last.run(&input).unwrap());
    signature.head = "c".into();
    let error =
        OrtNetwork::open(&crate::runtime::for_tests(), &toy.bytes(), &signature, &SessionOptions::default());
    assert!(matches!(error, Err(ModelError::UnknownHead { heads, .. }) if heads == ["a", "b"]));
}

#[test]
fn a_wrong_length_or_size_is_an_error() {
    let mut network = open(&Toy::default(), 1);
    let error = network.run(&[0.0; 5]).unwrap_err();
    assert_eq!(error.to_string(), "the input has 5 numbers, its signature says 1680");
    network.signature.output_size = Size::square(7);
    let error = network.run(&vec![0.0; 1680]).unwrap_err().to_string();
    assert_eq!(error, "the output `scores` has dimensions [1, 1, 20, 28], its signature says [1, 1, 7, 7]");
    network.signature.channels = 4;
    let error = network.run(&vec![0.0; 4 * 560]).unwrap_err();
    assert!(matches!(error, ModelError::Run { .. }), "{error:?}");
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_and_not_a_silent_run_on_the_processor() {
    let (runtime, toy) = (crate::runtime::for_tests(), Toy::default());
    let signature = open(&toy, 1).signature;
    let options = SessionOptions { device: crate::Device::Cuda(200), ..Default::default() };
    let Err(error) = OrtNetwork::open(&runtime, &toy.bytes(), &signature, &options) else {
        panic!("it opened")
    };
    assert!(matches!(&error, ModelError::Device { device, .. } if device == "cuda:200"), "{error:?}");
}

#[test]
fn doubles_listed_pixels_and_idle_axes_give_the_same_planes() {
    let plain = Toy { classes: 3, kernel: 3, weights: Weights::Seeded(2), ..Default::default() };
    let mut network = open(&plain, 2);
    let input = pixels(&network);
    let expected = network.run(&input).unwrap().to_vec();
    let same = |toy: Toy, form: OutputForm| {
        let mut network = open(&toy, 2);
        assert_eq!((network.signature().form, network.signature().batch), (form, 2), "{toy:?}");
        let scores = network.run(&input).unwrap();
        let worst = scores.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(scores.len() == expected.len() && worst < 1e-4, "{toy:?}: {worst}");
    };
    let doubles = Toy { element_in: Element::F64, element_out: Element::F64, ..plain.clone() };
    same(doubles.clone(), OutputForm::Nchw);
    same(Toy { layout: Layout::Nhwc, form: OutputForm::Nhwc, ..doubles }, OutputForm::Nhwc);
    for form in [OutputForm::Flat, OutputForm::FlatInterleaved, OutputForm::Nchw] {
        same(Toy { form, ..plain.clone() }, form);
    }
    same(Toy { idle_axes: true, ..plain.clone() }, OutputForm::Nchw);
}
