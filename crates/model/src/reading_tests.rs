use super::*;
use crate::Element;

fn input(dims: &[&str]) -> TensorFacts {
    let dims =
        dims.iter().map(|dim| dim.parse().map_or_else(|_| Dim::Symbol((*dim).into()), Dim::Fixed)).collect();
    TensorFacts { name: "x".into(), element: Element::F32, dims }
}

#[test]
fn the_channel_axis_is_the_small_one() {
    let cases: &[(&[&str], Layout)] = &[
        (&["1", "3", "512", "512"], Layout::Nchw),
        (&["1", "512", "512", "3"], Layout::Nhwc),
        (&["N", "3", "H", "W"], Layout::Nchw),
        (&["N", "H", "W", "3"], Layout::Nhwc),
        (&["N", "H", "W", "12"], Layout::Nhwc),
        (&["N", "", "512", "512"], Layout::Nchw),
        (&["N", "C", "H", "W"], Layout::Nchw),
        (&["n", "h", "w", "c"], Layout::Nhwc),
        (&["b", "height", "width", "num_channels"], Layout::Nhwc),
        (&["a", "b", "c", "d"], Layout::Nchw),
        (&["1", "200", "64", "512"], Layout::Nchw),
    ];
    for (dims, layout) in cases {
        assert_eq!(input_axes(&input(dims), None).unwrap().layout, *layout, "{dims:?}");
    }
    let axes = input_axes(&input(&["N", "C", "H", "W"]), Some(Layout::Nhwc)).unwrap();
    assert_eq!(axes.channels, Dim::Symbol("W".into()));
}

#[test]
fn inputs_that_are_no_image_are_refused() {
    let error = input_axes(&input(&["N", "16"]), None).unwrap_err();
    assert!(error.contains("2 axes, [N, 16]"), "{error}");
    assert!(input_axes(&input(&["1", "3", "0", "512"]), None).is_err());
    assert!(input_axes(&input(&["1", "3", "99999999999", "512"]), None).is_err());
}

#[test]
fn outputs_are_read_by_the_size_they_follow() {
    let (size, wide) = (Size::square(64), Size::new(64, 96));
    let read = |dims: &[u64], layout, batch, size| output_axes(dims, layout, batch, size).unwrap();
    let (nchw, nhwc) = (Layout::Nchw, Layout::Nhwc);
    assert_eq!(read(&[1, 5, 64, 64], nchw, 1, size), (OutputForm::Nchw, 5, size));
    assert_eq!(read(&[1, 64, 64, 5], nchw, 1, size), (OutputForm::Nhwc, 5, size));
    assert_eq!(read(&[1, 64, 64, 64], nhwc, 1, size), (OutputForm::Nhwc, 64, size));
    assert_eq!(read(&[2, 64, 96], nchw, 2, wide), (OutputForm::Nhw, 1, wide));
    assert_eq!(read(&[2, 64, 96], nchw, 1, wide), (OutputForm::Chw, 2, wide));
    assert_eq!(read(&[32, 48, 2], nhwc, 1, wide), (OutputForm::Hwc, 2, Size::new(32, 48)));
    assert_eq!(read(&[64, 96], nchw, 1, wide), (OutputForm::Hw, 1, wide));
    // Eighths, rounded up.
    assert_eq!(read(&[1, 3, 63, 47], nchw, 1, Size::new(500, 375)), (OutputForm::Nchw, 3, Size::new(63, 47)));
    assert_eq!(read(&[1, 3, 128, 192], nchw, 1, wide), (OutputForm::Nchw, 3, Size::new(128, 192)));
    // Sides rounded up to a multiple, which need not be alike in shape.
    let long = Size::new(100, 300);
    assert_eq!(read(&[1, 3, 128, 320], nchw, 1, long), (OutputForm::Nchw, 3, Size::new(128, 320)));
    assert_eq!(read(&[1, 128, 320, 3], nchw, 1, long), (OutputForm::Nhwc, 3, Size::new(128, 320)));
}

#[test]
fn pixels_may_be_listed_and_axes_of_length_one_say_nothing() {
    let (size, wide) = (Size::square(64), Size::new(64, 96));
    let read = |dims: &[u64], batch, size| output_axes(dims, Layout::Nchw, batch, size).unwrap();
    assert_eq!(read(&[1, 6144, 5], 1, wide), (OutputForm::FlatInterleaved, 5, wide));
    assert_eq!(read(&[2, 5, 6144], 2, wide), (OutputForm::Flat, 5, wide));
    assert_eq!(read(&[2, 5, 1536], 2, wide), (OutputForm::Flat, 5, Size::new(32, 48)));
    assert_eq!(read(&[3, 4096], 3, size), (OutputForm::Flat, 1, size));
    assert_eq!(read(&[1, 1, 1, 64, 64], 1, size), (OutputForm::Nchw, 1, size));
    assert_eq!(read(&[2, 1, 5, 64, 96], 2, wide), (OutputForm::Nchw, 5, wide));
    assert_eq!(read(&[2, 5, 64, 96, 1], 2, wide), (OutputForm::Nchw, 5, wide));
    assert_eq!(read(&[2, 64, 96, 1, 5], 2, wide), (OutputForm::Nhwc, 5, wide));
    // The middle of the window, and the window rounded up.
    assert_eq!(read(&[1, 3_108, 5], 1, wide), (OutputForm::FlatInterleaved, 5, Size::new(42, 74)));
    let odd = Size::new(50, 90);
    assert_eq!(read(&[1, 5, 64 * 96], 1, odd), (OutputForm::Flat, 5, Size::new(64, 96)));
    // What a transformer hands on from patches of 16 px is no score.
    assert!(output_axes(&[1, 16, 768], Layout::Nchw, 1, size).is_err());
}

#[test]
fn outputs_without_pixels_say_what_they_are() {
    let size = Size::square(64);
    let refuse = |dims: &[u64], batch| output_axes(dims, Layout::Nchw, batch, size).unwrap_err();
    assert!(refuse(&[1, 64], 1).contains("classifier"));
    assert!(refuse(&[1, 1], 1).contains("classifier"));
    assert!(refuse(&[1, 1000, 1, 1], 1).contains("1000 numbers an image"));
    assert!(refuse(&[1, 1, 1], 1).contains("classifier"));
    assert!(refuse(&[1, 1, 2520, 85], 1).contains("do not follow"));
    assert!(refuse(&[1, 84, 8400], 1).contains("do not follow the 64 × 64 px"));
    assert!(refuse(&[1, 2, 3, 4, 5], 1).contains("do not follow"));
    assert!(refuse(&[1, 2, 64, 64], 2).contains("for a batch of 2"));
    assert!(refuse(&[1, 0, 64, 64], 1).contains("[1, 0, 64, 64]"));
    assert!(refuse(&[], 1).contains("[]"));
}

#[test]
fn a_relation_foretells_the_size_it_was_read_from() {
    let cases = [
        (Size::square(512), Size::square(512), Relation::Same),
        (Size::new(512, 256), Size::new(128, 64), Relation::Down(4)),
        (Size::square(64), Size::square(128), Relation::Up(2)),
        (Size::square(512), Size::square(484), Relation::Less(28)),
        (Size::new(572, 700), Size::new(388, 516), Relation::Less(184)),
        (Size::square(513), Size::square(65), Relation::Unclear),
        (Size::new(64, 64), Size::new(32, 16), Relation::Unclear),
    ];
    for (input, output, expected) in cases {
        let found = relation(input, output);
        assert_eq!(found, expected, "{input} to {output}");
        assert!(found == Relation::Unclear || found.output(input) == Some(output));
    }
    assert_eq!(Relation::Down(4).output(Size::square(510)), None);
    assert_eq!(Relation::Less(28).output(Size::square(28)), None);
}
