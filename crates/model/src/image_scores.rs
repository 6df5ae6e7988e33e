//! Outputs that hold a score for each class of the whole image, as classifiers give them.

use crate::facts::{Element, OutputForm};
use marquetry_geometry::Size;

/// What an output of `dims` is when the input was `batch` images: one number for each class, whatever the order of its axes.
///
/// `[n, K]`, `[n, K, 1, 1]`, `[n, 1, 1, K]` and `[n]` are such outputs, and of one image also `[K]` and a single number: axes of
/// length 1 move no number.
pub(crate) fn image_axes(
    dims: &[u64],
    element: &Element,
    batch: u32,
) -> Result<(OutputForm, u32, Size), String> {
    if !element.is_float() {
        return Err(no_scores(element));
    }
    let long: Vec<u64> = dims.iter().copied().filter(|dim| *dim != 1).collect();
    let of_each = match (batch, long.as_slice()) {
        (1, numbers) => numbers,
        (_, [first, numbers @ ..]) if *first == u64::from(batch) => numbers,
        _ => return Err(format!("it came with dimensions {dims:?} for a batch of {batch}")),
    };
    let classes = match *of_each {
        [] => 1,
        [classes] if (1..=u64::from(u16::MAX)).contains(&classes) => classes as u32,
        _ => return Err(format!("its dimensions {dims:?} are no scores of the image, one for each class")),
    };
    Ok((OutputForm::Nchw, classes, Size::square(1)))
}

/// Why an output of this type holds no scores.
fn no_scores(element: &Element) -> String {
    match element {
        // What comes as no tensor has no type of its own.
        Element::Other(name) if name == "no tensor" => {
            "it is no tensor but a list of maps, as classifiers of scikit-learn get from skl2onnx: convert them with \
             options={'zipmap': False}, and the probabilities are a tensor"
                .to_owned()
        }
        other => format!("its numbers are {other}: a decision, and no scores, which are f32, f16 or f64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_length_one_move_no_number() {
        let classes =
            |dims: &[u64], batch| image_axes(dims, &Element::F32, batch).map(|(_, classes, _)| classes);
        for dims in [&[1, 4][..], &[1, 4, 1, 1], &[1, 1, 1, 4], &[4]] {
            assert_eq!(classes(dims, 1), Ok(4), "{dims:?}");
        }
        for dims in [&[][..], &[1], &[1, 1], &[1, 1, 1, 1]] {
            assert_eq!(classes(dims, 1), Ok(1), "{dims:?}");
        }
        assert_eq!((classes(&[2, 4], 2), classes(&[2], 2)), (Ok(4), Ok(1)));
        assert!(classes(&[4, 2], 2).unwrap_err().contains("for a batch of 2"));
        assert!(classes(&[1, 4, 16, 16], 1).unwrap_err().contains("no scores of the image"));
    }

    #[test]
    fn decisions_and_lists_of_maps_are_no_scores() {
        let refused = |element| image_axes(&[1], &element, 1).unwrap_err();
        assert!(refused(Element::I64).contains("a decision"));
        assert!(refused(Element::Other("no tensor".into())).contains("options={'zipmap': False}"));
    }
}
