use super::*;

const EIGHT: &[Depth] = &[Depth::U8];

fn input(scale: Option<f64>, mean: &[f32], std: &[f32]) -> InputSpec {
    InputSpec {
        layout: marquetry_spec::InputLayout::Auto,
        reversed: false,
        scale,
        normalise: Normalise::Fixed { mean: mean.to_vec(), std: std.to_vec() },
        bands: None,
    }
}

fn settled(
    input: &InputSpec,
    element: &Element,
    inside: Option<&InsideScaling>,
    depths: &[Depth],
) -> (Scale, String) {
    let settled = settle_scale(input, element, inside, depths);
    (settled.scale, settled.warning.unwrap_or_default())
}

#[test]
fn auto_follows_mean_and_deviation() {
    let scale = |mean: &[f32], std: &[f32]| settled(&input(None, mean, std), &Element::F32, None, EIGHT);
    for (mean, std) in [(0.0, 1.0), (0.485, 0.229), (0.5, 0.5), (0.0, 0.25), (1.0, 1.0)] {
        assert_eq!(scale(&[mean], &[std]), (Scale::Unit, String::new()), "{mean} {std}");
    }
    let means: [(&[f32], &[f32]); 6] = [
        (&[123.675, 116.28, 103.53], &[58.395, 57.12, 57.375]),
        (&[103.939, 116.779, 123.68], &[1.0]),
        (&[127.5], &[127.5]),
        (&[0.0], &[255.0]),
        (&[128.0], &[128.0]),
        (&[0.5, 0.5, 30.0], &[1.0, 1.0, 12.0]),
    ];
    for (mean, std) in means {
        assert_eq!(scale(mean, std), (Scale::Bytes, String::new()), "{mean:?} {std:?}");
    }
    for (mean, std) in [(123.7, 0.229), (0.485, 58.0)] {
        let (_, warning) = scale(&[mean], &[std]);
        assert!(warning.contains("not of one range"), "{mean} {std}: {warning}");
    }
    let (unsure, warning) = scale(&[1.5], &[2.0]);
    assert!(unsure == Scale::Bytes && warning.contains("scale: 1"), "{warning}");
    let (stored, warning) = scale(&[1200.0], &[400.0]);
    assert!(stored == Scale::Factor(1.0) && warning.contains("cannot be of 8-bit"), "{warning}");
    let stored = settled(&input(None, &[1200.0], &[400.0]), &Element::F32, None, &[Depth::U16]);
    assert_eq!(stored, (Scale::Factor(1.0), String::new()));
}

/// Of a graph that divides by more than 255 samples go in as they are stored; what the job does twice is told.
#[test]
fn graphs_that_scale_say_which_samples_they_are_for() {
    let inside =
        |what: fn(String) -> InsideScaling| what("the graph itself divides samples by it".to_owned());
    let (stored, bytes) = (inside(InsideScaling::Stored), inside(InsideScaling::Bytes));
    let of = |input: &InputSpec, inside: &InsideScaling, depth| {
        settled(input, &Element::F32, Some(inside), &[depth])
    };
    let plain = input(None, &[0.0], &[1.0]);
    assert_eq!(of(&plain, &stored, Depth::U16), (Scale::Factor(1.0), String::new()));
    assert_eq!(of(&plain, &stored, Depth::F32), (Scale::Factor(1.0), String::new()));
    assert!(of(&plain, &stored, Depth::U8).1.contains("not for 8-bit samples"));
    assert_eq!(of(&plain, &bytes, Depth::U16), (Scale::Bytes, String::new()));
    for (mean, graph) in [(123.675, &bytes), (1200.0, &stored), (123.675, &stored)] {
        let (_, warning) = of(&input(None, &[mean], &[58.0]), graph, Depth::U16);
        assert!(warning.contains("already: leave them out"), "{mean}: {warning}");
    }
    let measured = InputSpec {
        normalise: Normalise::Measured(marquetry_job::Measured::STANDARD),
        ..input(None, &[0.0], &[1.0])
    };
    assert!(of(&measured, &bytes, Depth::U8).1.contains("input.normalize"));
    let (_, warning) = of(&input(Some(1.0 / 257.0), &[0.0], &[1.0]), &stored, Depth::U16);
    assert!(warning.contains("0 to 255 of 16-bit samples, but the graph itself divides"), "{warning}");
    let unit = inside(InsideScaling::Unit);
    let (_, warning) = of(&input(Some(1.0), &[0.0], &[1.0]), &unit, Depth::U8);
    assert!(warning.contains("as of samples of 0 to 1"), "{warning}");
    assert_eq!(of(&input(Some(1.0 / 255.0), &[0.0], &[1.0]), &unit, Depth::U8).1, "");
    let (_, warning) = settled(&input(Some(0.000_244), &[0.0], &[1.0]), &Element::F32, None, EIGHT);
    assert!(warning.contains("next to nothing"), "{warning}");
}

#[test]
fn integers_are_shown_0_to_255() {
    let u8 = |scale, mean: &[f32], depths| settled(&input(scale, mean, &[1.0]), &Element::U8, None, depths);
    assert_eq!(u8(None, &[0.0], EIGHT), (Scale::Bytes, String::new()));
    assert_eq!(u8(Some(1.0), &[0.0], EIGHT), (Scale::Factor(1.0), String::new()));
    for (scale, mean, depths) in [
        (None, 0.485, EIGHT),
        (None, 123.675, EIGHT),
        (Some(1.0 / 255.0), 0.0, EIGHT),
        (Some(1.0), 0.0, &[Depth::U16]),
    ] {
        let (_, warning) = u8(scale, &[mean], depths);
        assert!(warning.contains("integers of 0 to 255"), "{scale:?} {mean}: {warning}");
    }
}

#[test]
fn what_contradicts_a_scale_that_is_said_is_told_with_both_ranges() {
    let (unit, bytes) = (([0.485], [0.229]), ([123.675], [58.395]));
    let said = |scale: f64, (mean, std): ([f32; 1], [f32; 1]), depth| {
        settled(&input(Some(scale), &mean, &std), &Element::F32, None, &[depth]).1
    };
    let warning = said(1.0 / 255.0, bytes, Depth::U8);
    assert!(warning.contains("0 to 1, and mean and std -2.118 to -2.101"), "{warning}");
    assert!(warning.contains("a mean of 123.7 and a std of 58.4 is of samples of 0 to 255"), "{warning}");
    let warning = said(1.0, unit, Depth::U8);
    assert!(warning.contains("-2.118 to 1111") && warning.contains("samples of 0 to 1"), "{warning}");
    for (scale, numbers, depth) in [
        (1.0, bytes, Depth::U8),
        (1.0 / 255.0, unit, Depth::U8),
        (1.0 / 257.0, bytes, Depth::U16),
        (1.0, bytes, Depth::U16),
        (1.0 / 4095.0, unit, Depth::U16),
        (1.0 / 255.0, unit, Depth::U16),
        (1.0 / 10_000.0, unit, Depth::U16),
        (1.0, bytes, Depth::F32),
        (1.0, unit, Depth::F32),
    ] {
        assert_eq!(said(scale, numbers, depth), "", "{scale} {numbers:?} {depth:?}");
    }
    assert!(said(1.0, unit, Depth::U16).contains("65535"));
    assert!(said(1.0 / 65_535.0, bytes, Depth::U16).contains("0 to 255"));
}

#[test]
fn scaling_inside_the_graph_is_not_done_twice() {
    let inside = InsideScaling::Bytes("the graph itself divides by 255".into());
    let inside = Some(&inside);
    let with = |scale, mean| settled(&input(scale, &[mean], &[1.0]), &Element::F32, inside, EIGHT);
    assert_eq!(with(None, 0.0), (Scale::Bytes, String::new()));
    assert_eq!(with(Some(1.0), 0.0), (Scale::Factor(1.0), String::new()));
    assert!(with(Some(1.0 / 255.0), 0.0).1.contains("divides by 255"));
    assert!(with(None, 0.485).1.contains("one of the two is too much"));
}

#[test]
fn a_mean_that_the_graph_takes_off_too_and_an_output_that_stands_still_are_told() {
    let unit = InsideScaling::Unit("the graph itself takes 0.485 off samples".into());
    let told = |inside: &InsideScaling, scale, mean: f32| {
        settled(&input(scale, &[mean], &[1.0]), &Element::F32, Some(inside), EIGHT).1
    };
    assert_eq!(told(&unit, None, 0.0), "");
    assert!(told(&unit, None, 0.485).contains("already"));
    let still = InsideScaling::Unmoved("its output moves by 0.01".into());
    assert!(told(&still, None, 0.0).contains("say scale: 1"));
    assert_eq!(told(&still, Some(1.0), 0.0), "");
}
