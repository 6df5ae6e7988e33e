use super::*;

const SIDE: usize = 24;

fn painted(areas: &[(std::ops::Range<usize>, std::ops::Range<usize>, u16)]) -> Vec<u16> {
    let mut labels = vec![0; SIDE * SIDE];
    for (rows, columns, label) in areas {
        for y in rows.clone() {
            labels[y * SIDE + columns.start..y * SIDE + columns.end].fill(*label);
        }
    }
    labels
}

fn found(given: &[u16], predicted: &[u16], background: Option<u16>) -> Vec<Component> {
    let pair = LabelPair { width: SIDE as u32, truth: given, predicted };
    let components = ErrorComponents::new(&pair, &vec![50; given.len()], background).components;
    components.into_iter().flatten().collect()
}

#[test]
fn kinds_by_what_the_component_is_of() {
    let nothing = painted(&[]);
    let object = painted(&[(4..12, 4..12, 1)]);
    let other = painted(&[(4..12, 4..12, 2)]);
    let wider = painted(&[(4..12, 4..15, 1)]);
    for (given, predicted, kind) in [
        (&nothing, &object, Kind::Missing),
        (&object, &nothing, Kind::Extra),
        (&object, &other, Kind::Swapped),
        (&object, &wider, Kind::Boundary),
        (&wider, &object, Kind::Boundary),
    ] {
        let components = found(given, predicted, Some(0));
        assert_eq!(components.iter().map(|c| c.kind).collect::<Vec<_>>(), [kind]);
    }
    // Without a background the smaller of two regions is the object.
    assert_eq!(found(&nothing, &object, None)[0].kind, Kind::Missing);
    assert_eq!(found(&object, &nothing, None)[0].kind, Kind::Extra);
    assert_eq!(found(&object, &other, None)[0].kind, Kind::Swapped);
}

/// A square of 8 px has 28 pixels of depth 1, 20 of 2, 12 of 3 and 4 of 4.
#[test]
fn a_component_by_hand() {
    let components = found(&painted(&[]), &painted(&[(4..12, 5..13, 1)]), Some(0));
    let [component] = components[..] else { panic!("{components:?}") };
    assert_eq!((component.area_px, component.depth_px), (64, 4));
    assert_eq!(component.bounds, Rect::new(4, 5, Size::square(8)));
    assert_eq!((component.depths, component.evidence), (28 + 40 + 36 + 16, 50 * 120));
    assert_eq!(component.evidence(), 2.0 * 4.0, "2 nats, 4 px");
}

#[test]
fn rims_and_specks_are_none() {
    let rim = painted(&[(4..12, 4..14, 1)]);
    assert!(found(&painted(&[(4..12, 4..12, 1)]), &rim, Some(0)).is_empty());
    assert!(found(&painted(&[]), &painted(&[(4..5, 4..7, 1)]), Some(0)).is_empty());
    assert!(found(&rim, &rim, Some(0)).is_empty());
    let left_out = vec![LEFT_OUT; SIDE * SIDE];
    assert!(found(&left_out, &rim, Some(0)).is_empty());
}
