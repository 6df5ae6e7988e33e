use super::*;

fn apply(transform: &ScoreTransform, planes: &[f32], pixels: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; transform.classes() * pixels];
    transform.apply(planes, pixels, 0, &mut out).unwrap();
    out
}

fn by_channel(
    applied: OutputActivation,
    labelling: Labelling,
    channels: usize,
    classes: usize,
    to: ScoreSpace,
) -> Option<ScoreTransform> {
    ScoreTransform::new(applied, labelling, channels, classes, &ClassMap::default(), to)
}

fn close(got: &[f32], want: &[f32]) {
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5), "{got:?} {want:?}");
}

#[test]
fn softmax_sums_to_one_and_comes_back_as_logits() {
    let logits: Vec<f32> = (0..3 * 100).map(|i| ((i * 37) % 23) as f32 - 11.0).collect();
    let to_probabilities =
        by_channel(OutputActivation::None, Labelling::Multiclass, 3, 3, ScoreSpace::Probabilities).unwrap();
    let p = apply(&to_probabilities, &logits, 100);
    for x in 0..100 {
        let sum: f64 = (0..3).map(|c| f64::from(logits[c * 100 + x]).exp()).sum();
        for c in 0..3 {
            let want = f64::from(logits[c * 100 + x]).exp() / sum;
            assert!((f64::from(p[c * 100 + x]) - want).abs() < 1e-6);
        }
    }
    let back = apply(
        &by_channel(OutputActivation::Softmax, Labelling::Multiclass, 3, 3, ScoreSpace::Logits).unwrap(),
        &p,
        100,
    );
    let again = apply(&to_probabilities, &back, 100);
    assert!(p.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn one_channel_speaks_of_the_second_class() {
    let binary = |applied, to| by_channel(applied, Labelling::Multiclass, 1, 2, to).unwrap();
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
        by_channel(applied, labelling, channels, classes, ScoreSpace::Probabilities)
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
            let transform = by_channel(applied, Labelling::Multilabel, 2, 2, to).unwrap();
            let of = |values: &[f32]| transform.apply(values, 2, 0, &mut [0.0; 4]);
            assert_eq!(of(&[0.5, -0.5, 1.0, 0.0]), Err(BadScore::NoProbability(-0.5)));
            assert_eq!(of(&[0.5, 0.5, 22.0, -21.0]), Err(BadScore::NoProbability(22.0)));
            assert_eq!(of(&[-1e-9, 1.000_98, 0.0, 0.25]), Ok(()));
        }
    }
    let logits = by_channel(OutputActivation::None, Labelling::Multilabel, 2, 2, ScoreSpace::Logits).unwrap();
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
        by_channel(OutputActivation::None, Labelling::Multiclass, 2, 2, ScoreSpace::Probabilities).unwrap();
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
    let plain = by_channel(OutputActivation::Softmax, Labelling::Multiclass, 3, 3, ScoreSpace::Probabilities)
        .unwrap();
    let planes = [0.1, 0.2, 0.6, 0.5, 0.3, 0.3];
    assert_eq!(apply(&plain.mirrored(&[0, 2, 1]), &planes, 2), [0.1, 0.2, 0.3, 0.3, 0.6, 0.5]);
    let plain =
        by_channel(OutputActivation::None, Labelling::Multiclass, 3, 3, ScoreSpace::Probabilities).unwrap();
    let (p, mirrored) = (apply(&plain, &planes, 2), apply(&plain.mirrored(&[0, 2, 1]), &planes, 2));
    close(&mirrored, &[p[0], p[1], p[4], p[5], p[2], p[3]]);
}

fn map(channels: &[&[u16]], rest: Rest) -> ClassMap {
    ClassMap { channels: channels.iter().map(|own| own.to_vec()).collect(), rest }
}

/// Softmax over all channels comes first, in f64 here; the sums after it.
#[test]
fn channels_are_summed_after_the_softmax_over_all_of_them() {
    let logits: Vec<f32> = (0..5 * 40).map(|i| ((i * 29) % 17) as f32 / 4.0 - 2.0).collect();
    let softmax = |over: &[usize], x: usize| -> Vec<f64> {
        let exp = |c: usize| f64::from(logits[c * 40 + x]).exp();
        let sum: f64 = over.iter().map(|&c| exp(c)).sum();
        (0..5).map(|c| if over.contains(&c) { exp(c) / sum } else { 0.0 }).collect()
    };
    let all: Vec<f32> =
        (0..40).flat_map(|x| softmax(&[0, 1, 2, 3, 4], x)).map(|p| p as f32).collect::<Vec<_>>();
    let all: Vec<f32> =
        (0..5).flat_map(|c| (0..40).map(move |x| (c, x))).map(|(c, x)| all[x * 5 + c]).collect();
    // Three classes of which the second is not spoken for; channels 0 and 4 are not named.
    for (rest, applied) in [
        (Rest::Class(0), OutputActivation::None),
        (Rest::Class(0), OutputActivation::Softmax),
        (Rest::Dropped, OutputActivation::None),
        (Rest::Dropped, OutputActivation::Softmax),
    ] {
        let map = map(&[&[2], &[], &[1, 3]], rest);
        let planes = if applied == OutputActivation::None { &logits } else { &all };
        let of = |to| {
            let transform = ScoreTransform::new(applied, Labelling::Multiclass, 5, 3, &map, to).unwrap();
            apply(&transform, planes, 40)
        };
        let (p, z) = (of(ScoreSpace::Probabilities), of(ScoreSpace::Logits));
        for x in 0..40 {
            let q = softmax(if rest == Rest::Dropped { &[1, 2, 3] } else { &[0, 1, 2, 3, 4] }, x);
            let want = [q[2] + q[0] + q[4], 0.0, q[1] + q[3]];
            for class in 0..3 {
                let got = f64::from(p[class * 40 + x]);
                assert!((got - want[class]).abs() < 1e-6, "{rest:?} {applied:?} {x} {class}: {got}");
            }
            close(&[z[x], z[80 + x]], &[want[0].ln() as f32, want[2].ln() as f32]);
            assert_eq!(z[40 + x], SILENT);
        }
    }
}

#[test]
fn any_order_is_as_good_as_that_of_the_classes() {
    let planes = [0.1, 0.2, 0.6, 0.5, 0.3, 0.3];
    let turned = map(&[&[2], &[0], &[1]], Rest::None);
    for (applied, to) in [
        (OutputActivation::None, ScoreSpace::Logits),
        (OutputActivation::None, ScoreSpace::Probabilities),
        (OutputActivation::Softmax, ScoreSpace::Logits),
        (OutputActivation::Softmax, ScoreSpace::Probabilities),
    ] {
        let plain = apply(&by_channel(applied, Labelling::Multiclass, 3, 3, to).unwrap(), &planes, 2);
        let transform = ScoreTransform::new(applied, Labelling::Multiclass, 3, 3, &turned, to).unwrap();
        let got = apply(&transform, &planes, 2);
        assert_eq!(got, [plain[4], plain[5], plain[0], plain[1], plain[2], plain[3]]);
        let mirrored = apply(&transform.mirrored(&[0, 2, 1]), &planes, 2);
        assert_eq!(mirrored, [got[0], got[1], got[4], got[5], got[2], got[3]]);
    }
}

#[test]
fn one_channel_may_speak_of_any_class_and_the_rest_is_the_background_s() {
    let p = [0.25, 0.75];
    let first = ClassMap::object(0);
    let of = |map: &ClassMap, classes| {
        let new = ScoreTransform::new(
            OutputActivation::Sigmoid,
            Labelling::Multiclass,
            1,
            classes,
            map,
            ScoreSpace::Probabilities,
        );
        apply(&new.unwrap(), &p, 2)
    };
    assert_eq!(of(&first, 2), [0.25, 0.75, 0.75, 0.25]);
    assert_eq!(of(&map(&[&[], &[0], &[]], Rest::Class(2)), 3), [0.0, 0.0, 0.25, 0.75, 0.75, 0.25]);
    assert_eq!(of(&map(&[&[], &[0], &[]], Rest::Dropped), 3), [0.0, 0.0, 0.25, 0.75, 0.0, 0.0]);
}

/// Twenty channels of 0.06 each are no background of 1.
#[test]
fn the_rest_of_independent_channels_is_not_summed_into_a_background_with_a_channel() {
    let mut p = vec![0.06; 21];
    p[15] = 0.95;
    let new = ScoreTransform::new(
        OutputActivation::Sigmoid,
        Labelling::Multiclass,
        21,
        2,
        &map(&[&[0], &[15]], Rest::Class(0)),
        ScoreSpace::Probabilities,
    );
    assert_eq!(apply(&new.unwrap(), &p, 1), [0.06, 0.95]);
}

#[test]
fn independent_probabilities_sum_to_1_at_most() {
    let union = map(&[&[0, 1], &[2]], Rest::Dropped);
    let new = |applied, to| ScoreTransform::new(applied, Labelling::Multilabel, 3, 2, &union, to).unwrap();
    let planes = [0.25, 0.75, 0.5, 0.75, 0.125, 0.5];
    let p = apply(&new(OutputActivation::Sigmoid, ScoreSpace::Probabilities), &planes, 2);
    assert_eq!(p, [0.75, 1.0, 0.125, 0.5]);
    let z = apply(&new(OutputActivation::Sigmoid, ScoreSpace::Logits), &planes, 2);
    close(&[z[0], z[2], z[3]], &[3.0_f32.ln(), -(7.0_f32.ln()), 0.0]);
}

#[test]
fn labels_are_votes() {
    let new = |map: &ClassMap, to| {
        ScoreTransform::new(OutputActivation::Labels, Labelling::Multiclass, 1, 3, map, to)
    };
    let by_number = new(&ClassMap::default(), ScoreSpace::Probabilities).unwrap();
    assert_eq!(apply(&by_number, &[2.0, 0.0], 2), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    let said = |label| by_number.apply(&[0.0, label], 2, 0, &mut [0.0; 6]);
    assert_eq!(said(3.0), Err(BadScore::NoLabel(3.0)));
    for wrong in [-1.0, 0.5, f32::NAN] {
        assert!(matches!(said(wrong), Err(BadScore::NotALabel(_))), "{wrong}: {:?}", said(wrong));
    }
    let merged = map(&[&[], &[7, 1], &[3]], Rest::Class(0));
    let voted = apply(&new(&merged, ScoreSpace::Probabilities).unwrap(), &[7.0, 3.0, 1.0, 99.0], 4);
    assert_eq!(voted, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let logits = apply(&new(&merged, ScoreSpace::Logits).unwrap(), &[7.0], 1);
    close(&logits, &[CLAMP.ln(), 0.0, CLAMP.ln()]);
    assert_eq!(new(&map(&[&[0]], Rest::None), ScoreSpace::Logits), None);
}

#[test]
fn a_map_names_channels_that_are_there() {
    let new = |map: &ClassMap, labelling| {
        ScoreTransform::new(OutputActivation::None, labelling, 4, 2, map, ScoreSpace::Probabilities)
    };
    assert_eq!(new(&map(&[&[0], &[4]], Rest::None), Labelling::Multiclass), None);
    assert_eq!(new(&map(&[&[], &[]], Rest::Dropped), Labelling::Multiclass), None);
    assert_eq!(new(&map(&[&[0], &[1]], Rest::Class(0)), Labelling::Multilabel), None);
    assert!(new(&map(&[&[0], &[1]], Rest::Class(0)), Labelling::Multiclass).is_some());
}

/// What a description comes to, worked out the long way.
fn described(plain: &PlainTransform, planes: &[f32], pixels: usize) -> Vec<f32> {
    let channels = planes.len() / pixels;
    let mut said = planes.to_vec();
    for x in 0..pixels {
        let sum: f64 = (0..channels).map(|k| f64::from(planes[k * pixels + x]).exp()).sum();
        for k in 0..channels {
            let value = &mut said[k * pixels + x];
            let v = f64::from(*value);
            *value = match plain.step {
                PlainStep::Keep => v,
                PlainStep::Softmax => v.exp() / sum,
                PlainStep::Sigmoid => 1.0 / (1.0 + (-v).exp()),
                PlainStep::Ln { least } => v.max(f64::from(least)).ln(),
                PlainStep::Logit { least } => {
                    let p = v.clamp(f64::from(least), 1.0 - f64::from(least));
                    (p / (1.0 - p)).ln()
                }
            } as f32;
        }
    }
    match &plain.route {
        PlainRoute::Channels(order) => {
            order.iter().flat_map(|&k| said[usize::from(k) * pixels..][..pixels].to_vec()).collect()
        }
        PlainRoute::Binary { object, is_logit } => {
            let other = said.iter().map(|p| if *is_logit { 0.0 } else { 1.0 - p }).collect();
            let [first, second] = if *object == 1 { [other, said] } else { [said, other] };
            [first, second].concat()
        }
    }
}

#[test]
fn a_description_comes_to_the_same() {
    use Labelling::{Multiclass, Multilabel};
    use OutputActivation::{None, Sigmoid, Softmax};
    use ScoreSpace::{Logits, Probabilities};
    let shares = [0.2, 0.7, 0.001, 0.3, 0.2, 0.9, 0.5, 0.1, 0.099];
    let map = ClassMap { channels: vec![vec![2], vec![0], vec![1]], rest: Rest::None };
    for (labelling, applied) in [
        (Multiclass, None),
        (Multiclass, Softmax),
        (Multiclass, Sigmoid),
        (Multilabel, None),
        (Multilabel, Sigmoid),
    ] {
        for to in [Logits, Probabilities] {
            for map in [&ClassMap::default(), &map] {
                let transform = ScoreTransform::new(applied, labelling, 3, 3, map, to).unwrap();
                for transform in [transform.clone(), transform.mirrored(&[1, 2, 0])] {
                    let plain = transform.plain().unwrap();
                    close(&described(&plain, &shares, 3), &apply(&transform, &shares, 3));
                    assert_eq!(plain.allowed.is_some(), applied != None);
                }
            }
            if applied != Softmax && labelling == Multiclass {
                for map in [ClassMap::object(0), ClassMap::object(1)] {
                    let transform = ScoreTransform::new(applied, labelling, 1, 2, &map, to).unwrap();
                    for transform in [transform.clone(), transform.mirrored(&[1, 0])] {
                        let plain = transform.plain().unwrap();
                        close(&described(&plain, &shares, 9), &apply(&transform, &shares, 9));
                    }
                }
            }
        }
    }
}

#[test]
fn sums_and_votes_have_no_description() {
    let map = ClassMap { channels: vec![vec![0, 2], vec![1]], rest: Rest::None };
    let new = |applied, channels, map: &ClassMap| {
        ScoreTransform::new(applied, Labelling::Multiclass, channels, 2, map, ScoreSpace::Probabilities)
            .unwrap()
    };
    assert_eq!(new(OutputActivation::None, 3, &map).plain(), None);
    assert_eq!(new(OutputActivation::Labels, 1, &ClassMap::default()).plain(), None);
}
