use super::*;
use crate::toy::{Sklearn, Toy, Weights};
use crate::{Activation, Fit, OutputForm, Relation, Response, ScoreFacts};

fn facts(toy: &Toy, size: u32) -> ModelFacts {
    let options = InspectOptions { size: Some(Size::square(size)), ..Default::default() };
    inspect(&crate::runtime::for_tests(), &toy.bytes(), &options).unwrap()
}

fn only_head(facts: &ModelFacts) -> ScoreFacts {
    assert_eq!(facts.refusal, None);
    facts.heads[0].scores.clone().unwrap()
}

#[test]
fn a_plain_model_is_read_whole() {
    let toy = Toy {
        classes: 2,
        metadata: vec![("class_names".into(), r#"{"1": "b", "0": "a"}"#.into())],
        ..Default::default()
    };
    let facts = facts(&toy, 48);
    assert_eq!(
        (facts.producer.as_str(), facts.opset, facts.bytes),
        ("marquetry-toy", Some(17), toy.bytes().len() as u64)
    );
    assert_eq!(facts.inputs[0].dims_text(), "[N, 3, H, W]");
    assert_eq!(facts.class_names, [["a", "b"]]);
    let image = facts.image.clone().unwrap();
    assert_eq!((image.layout, image.channels, image.tried), (Layout::Nchw, 3, Size::square(48)));
    assert_eq!((image.multiple, image.batch), (Some(1), Batch::Any));
    let scores = only_head(&facts);
    assert_eq!((scores.form, scores.classes, scores.size), (OutputForm::Nchw, 2, Size::square(48)));
    assert_eq!((scores.relation, scores.activation), (Relation::Same, Activation::None));
    assert!(scores.range.1 > 200.0, "{:?}", scores.range);
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<ModelFacts>(&json).unwrap(), facts);
}

#[test]
fn activations_are_seen_in_the_values() {
    for (activation, classes, element) in [
        (Activation::Softmax, 3, Element::F32),
        (Activation::Softmax, 3, Element::F16),
        (Activation::Sigmoid, 3, Element::F32),
        (Activation::Sigmoid, 1, Element::F16),
        (Activation::None, 1, Element::F32),
    ] {
        let toy = Toy {
            activation,
            classes,
            element_out: element,
            weights: Weights::Seeded(5),
            ..Default::default()
        };
        assert_eq!(only_head(&facts(&toy, 32)).activation, activation, "{toy:?}");
    }
    let constant = Toy { weights: Weights::Constant(vec![0.5]), ..Default::default() };
    let scores = only_head(&facts(&constant, 32));
    assert_eq!(scores.activation, Activation::None);
    assert_eq!(scores.notes, ["it does not depend on the image"]);
}

#[test]
fn layouts_types_and_forms_are_told_apart() {
    for form in [
        OutputForm::Nchw,
        OutputForm::Nhwc,
        OutputForm::Nhw,
        OutputForm::Chw,
        OutputForm::Hwc,
        OutputForm::Hw,
    ] {
        for (layout, element) in [(Layout::Nchw, Element::F16), (Layout::Nhwc, Element::U8)] {
            let classes = if matches!(form, OutputForm::Nhw | OutputForm::Hw) { 1 } else { 5 };
            let toy = Toy { form, layout, classes, element_in: element.clone(), ..Default::default() };
            let facts = facts(&toy, 40);
            let scores = only_head(&facts);
            assert_eq!(
                (scores.form, scores.classes, facts.inputs[0].element.clone()),
                (form, classes, element)
            );
            assert_eq!(facts.image.unwrap().layout, layout);
        }
    }
}

#[test]
fn a_batch_that_is_only_claimed_is_found_out() {
    let claimed = facts(&Toy { single: true, ..Default::default() }, 32);
    assert!(matches!(claimed.image.unwrap().batch, Batch::Broken(reason) if reason.contains("Reshape")));
    let fixed = facts(&Toy { batch: Some(4), ..Default::default() }, 32);
    assert_eq!(fixed.image.unwrap().batch, Batch::Fixed(4));
    assert_eq!(fixed.heads[0].seen, [4, 1, 32, 32]);
}

#[test]
fn the_multiple_of_a_coarse_path_is_found() {
    for coarse in [2, 14, 32] {
        let image = facts(&Toy { coarse, ..Default::default() }, 2 * coarse).image.unwrap();
        assert_eq!(image.multiple, Some(coarse));
    }
    // A window that does not suit is rounded up to one that does.
    let image = facts(&Toy { coarse: 16, ..Default::default() }, 40).image.unwrap();
    assert_eq!((image.tried, image.multiple), (Size::square(64), Some(16)));
}

#[test]
fn a_size_that_works_is_looked_for() {
    for (coarse, asked, tried) in
        [(14, 512, 518), (14, 128, 140), (56, 512, 560), (112, 500, 560), (64, 100, 128)]
    {
        let image = facts(&Toy { coarse, ..Default::default() }, asked).image.unwrap();
        assert_eq!((image.tried, image.multiple), (Size::square(tried), Some(coarse)), "{coarse} at {asked}");
    }
    // One open side: the other stays what it is.
    let toy = Toy { coarse: 32, width: Some(128), ..Default::default() };
    let options = InspectOptions { size: Some(Size::new(70, 128)), ..Default::default() };
    let found = inspect(&crate::runtime::for_tests(), &toy.bytes(), &options).unwrap();
    let image = found.image.clone().unwrap();
    assert_eq!((image.tried, image.multiple), (Size::new(96, 128), Some(32)));
    let wanted = |size| crate::IoRequest {
        head: None,
        channels_out: Vec::new(),
        layout: None,
        channels: None,
        size,
        batch: 1,
    };
    let error = crate::resolve(&found, &wanted(Size::new(70, 128))).unwrap_err().to_string();
    assert!(error.contains("multiples of 32 px") && error.contains("window: {size: [96, 128]}"), "{error}");
    assert!(crate::resolve(&found, &wanted(Size::new(160, 128))).is_ok());
}

#[test]
fn an_input_with_all_axes_open_is_tried_in_both_orders() {
    for layout in [Layout::Nchw, Layout::Nhwc] {
        let found = facts(&Toy { layout, is_open: true, classes: 2, ..Default::default() }, 48);
        assert_eq!(found.refusal, None);
        let image = found.image.unwrap();
        assert_eq!((image.layout, image.channels), (layout, 3));
    }
    let neither = facts(&Toy { is_open: true, channels: 7, ..Default::default() }, 48).refusal.unwrap();
    assert!(neither.contains("input.layout: nchw and nhwc were both tried"), "{neither}");
    let integers = Toy { element_in: Element::Other("int64".into()), ..Default::default() };
    let refusal = facts(&integers, 32).refusal.unwrap();
    assert!(refusal.contains("`image` takes i64") || refusal.contains("f32, f16, f64 or u8"), "{refusal}");
}

#[test]
fn outputs_of_another_size_are_laid_over_the_input_rightly() {
    let strided = only_head(&facts(&Toy { stride: 2, kernel: 3, ..Default::default() }, 64));
    assert_eq!(
        (strided.size, strided.relation, strided.fit),
        (Size::square(32), Relation::Down(2), Fit::Resize)
    );
    let valid = only_head(&facts(&Toy { valid: true, kernel: 9, ..Default::default() }, 64));
    assert_eq!((valid.size, valid.relation, valid.fit), (Size::square(56), Relation::Less(8), Fit::Centre));
    assert!(strided.fit_is_sure && valid.fit_is_sure);
    // What a network pads inside and does not cut off again.
    for (around, fit) in [([0, 6], Fit::Crop), ([3, 3], Fit::Centre)] {
        let padded = only_head(&facts(&Toy { around, kernel: 5, ..Default::default() }, 122));
        assert_eq!(
            (padded.size, padded.fit, padded.fit_is_sure),
            (Size::square(128), fit, true),
            "{around:?}"
        );
    }
    // Half the size may also be the middle of the window: the trial tells, not the arithmetic.
    let middle = only_head(&facts(&Toy { valid: true, kernel: 33, ..Default::default() }, 64));
    assert_eq!(
        (middle.size, middle.relation, middle.fit),
        (Size::square(32), Relation::Less(32), Fit::Centre)
    );
    // A quarter of it too.
    let quarter = only_head(&facts(&Toy { valid: true, kernel: 49, ..Default::default() }, 64));
    assert_eq!(
        (quarter.size, quarter.relation, quarter.fit, quarter.fit_is_sure),
        (Size::square(16), Relation::Less(48), Fit::Centre, true)
    );
    let coarse = only_head(&facts(&Toy { stride: 4, kernel: 5, ..Default::default() }, 64));
    assert_eq!(
        (coarse.size, coarse.relation, coarse.fit, coarse.fit_is_sure),
        (Size::square(16), Relation::Down(4), Fit::Resize, true)
    );
}

#[test]
fn models_without_scores_say_what_they_are() {
    let classifier = facts(&Toy { pooled: true, classes: 10, ..Default::default() }, 32);
    assert!(classifier.refusal.unwrap().contains("10 numbers an image"));
    for size in [Size::square(1 << 20), Size::new(0, 4)] {
        let refusal = facts(&Toy { size: Some(size), ..Default::default() }, 32).refusal.unwrap();
        assert!(
            refusal.contains("at most 268435456") || refusal.contains("impossible dimensions"),
            "{refusal}"
        );
    }
    let fixed = facts(&Toy { size: Some(Size::new(24, 40)), ..Default::default() }, 512);
    assert_eq!(fixed.image.unwrap().tried, Size::new(24, 40));
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let runtime = crate::runtime::for_tests();
    let whole = Toy { weights: Weights::Seeded(1), kernel: 3, ..Default::default() }.bytes();
    for bytes in [&[][..], b"not a model at all", &whole[..whole.len() / 2], &[0xFF; 64]] {
        let error = inspect(&runtime, bytes, &InspectOptions::default()).unwrap_err();
        assert!(matches!(error, ModelError::NotAModel { .. }), "{error:?}");
    }
    let error = read_model(Path::new("/nowhere/model.onnx")).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the model /nowhere/model.onnx"), "{error}");
}

#[test]
fn labels_are_told_from_scores() {
    for (element, form) in [
        (Element::I64, OutputForm::Nhw),
        (Element::I32, OutputForm::Nchw),
        (Element::U8, OutputForm::Nhwc),
        (Element::F32, OutputForm::Nchw),
    ] {
        let weights = Weights::Seeded(3);
        let toy = Toy {
            classes: 5,
            kernel: 3,
            weights,
            activation: Activation::Labels,
            element_out: element.clone(),
            form,
            ..Default::default()
        };
        let scores = only_head(&facts(&toy, 64));
        assert_eq!((scores.activation, scores.classes), (Activation::Labels, 1), "{element} {form}");
        assert!(
            scores.range.0 >= 0.0 && scores.range.1 <= 4.0 && scores.response != Response::Constant,
            "{:?}",
            scores.range
        );
    }
}

#[test]
fn one_channel_of_truth_values_is_of_an_object_and_no_label() {
    let toy = Toy {
        classes: 2,
        weights: Weights::Seeded(3),
        activation: Activation::Labels,
        element_out: Element::Bool,
        ..Default::default()
    };
    let scores = only_head(&facts(&toy, 64));
    assert_eq!((scores.activation, scores.classes, scores.range), (Activation::Sigmoid, 1, (0.0, 1.0)));
    assert!(scores.notes[0].contains("only 0 and 1"), "{:?}", scores.notes);
}

#[test]
fn windows_of_images_are_tried_beside_noise() {
    let windows = |channels: u32, size: Size| vec![vec![7.0; channels as usize * size.area() as usize]];
    let options = InspectOptions { size: Some(Size::square(32)), ..Default::default() };
    let copy = Toy { classes: 3, ..Default::default() }.bytes();
    let seen = inspect_with(&crate::runtime::for_tests(), &copy, &options, &windows).unwrap();
    let scores = only_head(&seen);
    assert_eq!(scores.images.unwrap().range, (7.0, 7.0));
    assert!(scores.noise.range.0 < -1.9 && scores.range.1 > 250.0);
}

#[test]
fn dropout_that_is_left_on_is_seen() {
    let scores = only_head(&facts(&Toy { dropout: true, ..Default::default() }, 64));
    assert!(scores.response == Response::Random, "{scores:?}");
    assert!(scores.notes.iter().any(|note| note.contains("training mode")));
    assert_eq!(only_head(&facts(&Toy::default(), 64)).response, Response::Image);
}

/// A classifier, and a model with a head of pixels and one of the image: what each is depends on what is asked for.
#[test]
fn scores_of_the_image_are_read_where_they_are_asked_for() {
    let of_image = |bytes: &[u8], size: u32| {
        let options =
            InspectOptions { size: Some(Size::square(size)), of: ScoresOf::Image, ..Default::default() };
        inspect(&crate::runtime::for_tests(), &bytes.to_vec(), &options).unwrap()
    };
    let heads = vec!["seg".to_owned(), "presence".to_owned()];
    let two = Toy {
        heads,
        head_classes: vec![3, 4],
        image_heads: 1,
        activation: Activation::Softmax,
        ..Toy::default()
    };
    let asked = of_image(&two.bytes(), 40);
    assert!(asked.heads[0].reason.clone().unwrap().contains("no scores of the image"));
    let scores = asked.heads[1].scores.clone().unwrap();
    assert_eq!((scores.classes, scores.size, scores.relation), (4, Size::square(1), Relation::Image));
    assert_eq!((scores.activation, asked.refusal, asked.doubt), (Activation::Softmax, None, None));
    assert_eq!(asked.image.unwrap().multiple, Some(1), "it gives as many numbers at every size");
    let pixels = facts(&two, 40);
    assert!(
        pixels.heads[0].scores.is_some() && pixels.heads[1].reason.clone().unwrap().contains("a classifier")
    );

    let of = Toy { classes: 3, size: Some(Size::square(24)), ..Toy::default() };
    let skl = of_image(&Sklearn { of: of.clone(), zipmap: false }.bytes(), 512);
    let reasons: Vec<_> = skl.heads.iter().map(|head| (head.name.as_str(), head.reason.clone())).collect();
    assert!(
        reasons[0].1.clone().unwrap().contains("a decision") && reasons[1] == ("probabilities", None),
        "{reasons:?}"
    );
    let maps = of_image(&Sklearn { of, zipmap: true }.bytes(), 512);
    assert!(maps.refusal.unwrap().contains("options={'zipmap': False}"));
}
