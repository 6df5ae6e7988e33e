use super::*;

fn apply(transform: &ScoreTransform, planes: &[f32], pixels: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; transform.classes() * pixels];
    transform.apply(planes, pixels, 0, &mut out).unwrap();
    out
}

fn close(got: &[f32], want: &[f32]) {
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5), "{got:?} {want:?}");
}

#[test]
fn softmax_sums_to_one_and_comes_back_as_logits() {
    let logits: Vec<f32> = (0..3 * 100).map(|i| ((i * 37) % 23) as f32 - 11.0).collect();
    let to_probabilities =
        ScoreTransform::new(OutputActivation::None, Labelling::Multiclass, 3, 3, ScoreSpace::Probabilities)
            .unwrap();
    let p = apply(&to_probabilities, &logits, 100);
    for x in 0..100 {
        let sum: f64 = (0..3).map(|c| f64::from(logits[c * 100 + x]).exp()).sum();
        for c in 0..3 {
            let want = f64::from(logits[c * 100 + x]).exp() / sum;
            assert!((f64::from(p[c * 100 + x]) - want).abs() < 1e-6);
        }
    }
    let back = apply(
        &ScoreTransform::new(OutputActivation::Softmax, Labelling::Multiclass, 3, 3, ScoreSpace::Logits)
            .unwrap(),
        &p,
        100,
    );
    let again = apply(&to_probabilities, &back, 100);
    assert!(p.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn one_channel_speaks_of_the_second_class() {
    let binary = |applied, to| ScoreTransform::new(applied, Labelling::Multiclass, 1, 2, to).unwrap();
    let z = [0.0, 2.0, -3.0];
    let p = z.map(|z: f32| 1.0 / (1.0 + (-z).exp()));
    close(
        &apply(&binary(OutputActivation::None, ScoreSpace::Logits), &z, 3),
        &[0.0, 0.0, 0.0, z[0], z[1], z[2]],
    );
    let want = [1.0 - p[0], 1.0 - p[1], 1.0 - p[2], p[0], p[1], p[2]];
    close(&apply(&binary(OutputActivation::None, ScoreSpace::Probabilities), &z, 3), &want);
    close(&apply(&binary(OutputActivation::Sigmoid, ScoreSpace::Probabilities), &p, 3), &want);
    close(
        &apply(&binary(OutputActivation::Sigmoid, ScoreSpace::Logits), &p, 3),
        &[0.0, 0.0, 0.0, z[0], z[1], z[2]],
    );
}

#[test]
fn channels_must_be_the_classes() {
    let new = |applied, labelling, channels, classes| {
        ScoreTransform::new(applied, labelling, channels, classes, ScoreSpace::Probabilities)
    };
    assert_eq!(new(OutputActivation::None, Labelling::Multiclass, 3, 4), None);
    assert_eq!(new(OutputActivation::Softmax, Labelling::Multiclass, 1, 2), None);
    assert_eq!(new(OutputActivation::None, Labelling::Multilabel, 1, 2), None);
    assert!(new(OutputActivation::Sigmoid, Labelling::Multilabel, 2, 2).unwrap().is_identity());
}

#[test]
fn what_counts_as_probabilities_must_lie_in_0_to_1_but_for_rounding() {
    for applied in [OutputActivation::Softmax, OutputActivation::Sigmoid] {
        for to in [ScoreSpace::Probabilities, ScoreSpace::Logits] {
            let transform = ScoreTransform::new(applied, Labelling::Multilabel, 2, 2, to).unwrap();
            let of = |values: &[f32]| transform.apply(values, 2, 0, &mut [0.0; 4]);
            assert_eq!(of(&[0.5, -0.5, 1.0, 0.0]), Err(BadScore::NoProbability(-0.5)));
            assert_eq!(of(&[0.5, 0.5, 22.0, -21.0]), Err(BadScore::NoProbability(22.0)));
            assert_eq!(of(&[-1e-9, 1.000_98, 0.0, 0.25]), Ok(()));
        }
    }
    let logits =
        ScoreTransform::new(OutputActivation::None, Labelling::Multilabel, 2, 2, ScoreSpace::Logits).unwrap();
    assert_eq!(logits.apply(&[-21.0, 22.0, 0.0, 1.0], 2, 0, &mut [0.0; 4]), Ok(()));
}

#[test]
fn nan_and_infinity_are_found() {
    let keep = ScoreTransform::between(ScoreSpace::Logits, ScoreSpace::Logits, Labelling::Multiclass, 2);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut rows = vec![1.0; 14];
        rows[9] = bad;
        assert_eq!(keep.apply_in_place(&mut rows), Err(BadScore::NonFinite));
    }
    let softmax =
        ScoreTransform::new(OutputActivation::None, Labelling::Multiclass, 2, 2, ScoreSpace::Probabilities)
            .unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [3, 35, 40, 75] {
            let mut planes = vec![1.0; 80];
            planes[at] = bad;
            assert_eq!(softmax.apply(&planes, 40, 0, &mut [0.0; 80]), Err(BadScore::NonFinite));
            assert_eq!(softmax.apply_in_place(&mut planes), Err(BadScore::NonFinite));
        }
    }
}

/// A model that has learnt left and right sees them exchanged in a mirrored view.
#[test]
fn mirrored_views_exchange_their_classes() {
    let plain = ScoreTransform::new(
        OutputActivation::Softmax,
        Labelling::Multiclass,
        3,
        3,
        ScoreSpace::Probabilities,
    )
    .unwrap();
    let planes = [0.1, 0.2, 0.6, 0.5, 0.3, 0.3];
    assert_eq!(apply(&plain.mirrored(&[0, 2, 1]), &planes, 2), [0.1, 0.2, 0.3, 0.3, 0.6, 0.5]);
    let plain =
        ScoreTransform::new(OutputActivation::None, Labelling::Multiclass, 3, 3, ScoreSpace::Probabilities)
            .unwrap();
    let (p, mirrored) = (apply(&plain, &planes, 2), apply(&plain.mirrored(&[0, 2, 1]), &planes, 2));
    close(&mirrored, &[p[0], p[1], p[4], p[5], p[2], p[3]]);
}
