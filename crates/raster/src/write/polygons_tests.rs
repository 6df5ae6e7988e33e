use super::*;
use crate::rle::{CocoMask, decode_coco};
use crate::write::geo_tests::{doubles, geo_source};
use crate::write::rle_tests::{labels, names, pixels, push};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::HashSet;

fn geojson(values: &[u16], height: usize, legend: &Legend, classes: &[u16]) -> Value {
    let size = Size::new(height as u32, (values.len() / height / legend.planes()) as u32);
    let mut bytes = Vec::new();
    push(
        Box::new(GeoJsonSink::new(&mut bytes, "a \"b\"", size, legend, classes, None).unwrap()),
        values,
        height,
    )
    .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Class and rings of every feature.
fn features(collection: &Value) -> Vec<(u16, Vec<Vec<[f64; 2]>>)> {
    let read = |feature: &Value| {
        let rings = serde_json::from_value(feature["geometry"]["coordinates"].clone()).unwrap();
        (feature["properties"]["label"].as_u64().unwrap() as u16, rings)
    };
    collection["features"].as_array().unwrap().iter().map(read).collect()
}

/// Twice the area by the shoelace formula.
fn doubled_area(ring: &[[f64; 2]]) -> f64 {
    ring.windows(2).map(|pair| pair[0][0] * pair[1][1] - pair[1][0] * pair[0][1]).sum()
}

/// Whether a pixel's centre is inside by the even-odd rule: a ray to the right crosses upright edges.
fn inside(rings: &[Vec<[f64; 2]>], x: usize, y: usize) -> bool {
    let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
    let crosses = |pair: &&[[f64; 2]]| {
        let [[x0, y0], [_, y1]] = pair else { return false };
        *x0 > x && (y0.min(*y1)..y0.max(*y1)).contains(&y)
    };
    rings.iter().flat_map(|ring| ring.windows(2)).filter(crosses).count() % 2 == 1
}

#[test]
fn a_ring_with_an_island_of_another_class() {
    let map = [1, 1, 1, /* */ 1, 2, 1, /* */ 1, 1, 1];
    let collection = geojson(&map, 3, &labels(3), &[1, 2]);
    assert_eq!(collection["name"], "a \"b\"");
    let (island, ring) = (&collection["features"][0], &collection["features"][1]);
    assert_eq!(island["properties"], serde_json::json!({"class": "c2", "label": 2, "area_px": 1}));
    assert_eq!(
        island["geometry"]["coordinates"],
        serde_json::json!([[[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]])
    );
    assert_eq!(
        ring["geometry"]["coordinates"],
        serde_json::json!([
            [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]],
            [[1, 1], [1, 2], [2, 2], [2, 1], [1, 1]],
        ])
    );
    assert_eq!(features(&geojson(&map, 3, &labels(3), &[2])).len(), 1);
    assert_eq!(features(&geojson(&[0; 9], 3, &labels(3), &[1, 2])).len(), 0);
}

#[test]
fn pixels_that_touch_at_corners_are_apart_and_shells_never_touch_themselves() {
    let apart = features(&geojson(&[1, 0, 0, 1], 2, &labels(2), &[1]));
    assert_eq!(apart.len(), 2);
    // A bay that is closed by a corner is a hole that touches the shell.
    let bay = features(&geojson(&[1, 1, 1, /* */ 1, 0, 1, /* */ 1, 1, 0], 3, &labels(2), &[1]));
    assert_eq!(bay.len(), 1);
    assert_eq!(bay[0].1[1], [[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 1.0], [1.0, 1.0]]);
    assert_eq!(bay[0].1[0].len(), 7);
}

#[test]
fn planes_may_overlap() {
    let legend = Legend::multilabel(names(2), None).unwrap();
    let found = features(&geojson(&[1, 1, /* */ 0, 1, /* */ 1, 1, /* */ 0, 1], 2, &legend, &[0, 1]));
    assert_eq!(
        found.iter().map(|(class, rings)| (*class, doubled_area(&rings[0]))).collect::<Vec<_>>(),
        [(0, 8.0), (1, 4.0),]
    );
}

#[test]
fn places_run_counter_clockwise_too() {
    // One tie point at the corner of the first pixel, north up.
    let transform = geo_source(&[
        (33550, doubles(&[0.5, 0.5, 0.0])),
        (33922, doubles(&[0.0, 0.0, 0.0, 10.0, 20.0, 0.0])),
    ]);
    let frame = MapFrame::new(&transform.unwrap().unwrap(), Size::new(1, 2), false).0;
    let mut out = Vec::new();
    let sink = GeoJsonSink::new(&mut out, "a", Size::new(1, 2), &labels(2), &[1], frame).unwrap();
    push(Box::new(sink), &[0, 1], 1).unwrap();
    let ring = &features(&serde_json::from_slice(&out).unwrap())[0].1[0];
    assert_eq!(ring[..], [[10.5, 20.0], [10.5, 19.5], [11.0, 19.5], [11.0, 20.0], [10.5, 20.0]]);
    assert!(doubled_area(ring) > 0.0);
}

fn annotations(values: &[u16], height: usize, legend: &Legend, classes: &[u16]) -> Vec<CocoAnnotation> {
    let size = Size::new(height as u32, (values.len() / height) as u32);
    let mut bytes = Vec::new();
    push(Box::new(CocoPolygonSink::new(&mut bytes, "7", size, legend, classes).unwrap()), values, height)
        .unwrap();
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// Two components that are one further down, and one beside them.
#[test]
fn outlines_have_the_mean_probability_of_their_pixels() {
    let rows: [([u16; 4], [f32; 8]); 2] = [
        ([1, 0, 1, 0], [0.5, 1.0, 0.0, 0.75, 0.5, 0.0, 1.0, 0.25]),
        ([1, 1, 1, 0], [0.75, 0.25, 0.0, 1.0, 0.25, 0.75, 1.0, 0.0]),
    ];
    let mut bytes = Vec::new();
    let mut sink = CocoPolygonSink::new(&mut bytes, "7", Size::new(2, 4), &labels(2), &[0, 1]).unwrap();
    for (values, probabilities) in &rows {
        sink.scored_row(values, probabilities).unwrap();
    }
    Box::new(sink).finish().unwrap();
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let found: Vec<CocoAnnotation> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert!(found.iter().all(|a| (a.area, a.bbox) == (None, None)), "{found:?}");
    let area = |a: &CocoAnnotation| match &a.segmentation {
        CocoSegmentation::Mask(mask) => decode_coco(mask).unwrap().area(),
        CocoSegmentation::Polygons(rings) => panic!("outlines, of which `loadRes` has no area: {rings:?}"),
    };
    let mut facts: Vec<_> = found.iter().map(|a| (a.category_id, area(a), a.score)).collect();
    facts.sort_by_key(|fact| (fact.0, fact.1));
    // (0.5 + 1 + 0.25 + 0.75 + 1) / 5, 1 / 1 and (0.75 + 1) / 2.
    assert_eq!(facts, [(0, 1, Some(1.0)), (0, 2, Some(0.875)), (1, 5, Some(0.7))]);
}

#[test]
fn coco_polygons_and_masks_of_what_has_holes() {
    let map = [0, 1, 1, 1, /* */ 2, 1, 0, 1, /* */ 2, 1, 1, 1];
    let found = annotations(&map, 3, &labels(3), &[1, 2]);
    let facts = |a: &CocoAnnotation| (a.category_id, a.area, a.bbox, a.image_id == CocoId::Number(7));
    assert_eq!(
        found.iter().map(facts).collect::<Vec<_>>(),
        [(2, Some(2), Some([0, 1, 1, 2]), true), (1, Some(8), Some([1, 0, 3, 3]), true)]
    );
    assert_eq!(found[0].segmentation, CocoSegmentation::Polygons(vec![vec![0, 1, 1, 1, 1, 3, 0, 3]]));
    let CocoSegmentation::Mask(mask) = &found[1].segmentation else { panic!("{:?}", found[1]) };
    assert_eq!(pixels(&decode_coco(mask).unwrap()), [0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]);
}

#[test]
fn polygons_outside_are_refused() {
    let shell = vec![(0, 0), (3, 0), (3, 1), (0, 1)];
    let polygon = Polygon { class: 1, area_px: 3, probability: 0.0, shell, holes: vec![] };
    assert_eq!(polygon.to_runs(Size::new(1, 3)).unwrap().area(), 3);
    assert!(polygon.to_runs(Size::new(1, 2)).is_err());
    let open = Polygon { shell: vec![(0, 0), (3, 0), (3, 1), (1, 1)], ..polygon };
    assert!(open.to_runs(Size::new(1, 3)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn polygons_give_the_mask_back(
        width in 1_usize..14,
        height in 1_usize..14,
        kinds in 2_u16..5,
        seed in prop::collection::vec(0_u16..60, 196),
    ) {
        let values: Vec<u16> = seed[..width * height].iter().map(|&s| s % kinds).collect();
        let legend = labels(kinds as usize);
        let classes: Vec<u16> = (1..kinds).collect();
        let found = features(&geojson(&values, height, &legend, &classes));
        let mut drawn = vec![0; values.len()];
        for (class, rings) in &found {
            prop_assert!(doubled_area(&rings[0]) > 0.0);
            prop_assert!(rings[1..].iter().all(|ring| doubled_area(ring) < 0.0));
            for ring in rings {
                // Simple: no vertex twice, and every vertex a turn.
                let vertices: HashSet<_> = ring[1..].iter().map(|v| (v[0] as u32, v[1] as u32)).collect();
                prop_assert_eq!(vertices.len(), ring.len() - 1);
                let around = ring.iter().chain(&ring[1..2]).collect::<Vec<_>>();
                prop_assert!(around.windows(3).all(|t| (t[0][0] == t[1][0]) != (t[1][0] == t[2][0])));
            }
            for pixel in (0..values.len()).filter(|pixel| inside(rings, pixel % width, pixel / width)) {
                prop_assert_eq!(drawn[pixel], 0);
                drawn[pixel] = *class;
            }
        }
        prop_assert_eq!(&drawn, &values);

        // Each polygon is one component: as many as a flood fill of the sides finds.
        let mut components = 0;
        let mut seen = vec![false; values.len()];
        for start in 0..values.len() {
            if values[start] == 0 || seen[start] {
                continue;
            }
            components += 1;
            let mut stack = vec![start];
            while let Some(pixel) = stack.pop() {
                if std::mem::replace(&mut seen[pixel], true) {
                    continue;
                }
                let (x, y) = (pixel % width, pixel / width);
                let sides = [
                    (x > 0).then(|| pixel - 1),
                    (x + 1 < width).then_some(pixel + 1),
                    (y > 0).then(|| pixel - width),
                    (y + 1 < height).then_some(pixel + width),
                ];
                stack.extend(sides.into_iter().flatten().filter(|&side| values[side] == values[start]));
            }
        }
        prop_assert_eq!(found.len(), components);

        let mut drawn = vec![0; values.len()];
        for annotation in annotations(&values, height, &legend, &classes) {
            let size = Size::new(height as u32, width as u32);
            let runs = match annotation.segmentation {
                CocoSegmentation::Mask(mask) => decode_coco(&CocoMask { ..mask }).unwrap(),
                CocoSegmentation::Polygons(rings) => {
                    let shell = rings[0].as_chunks::<2>().0.iter().map(|&[x, y]| (x, y)).collect();
                    Polygon { class: 0, area_px: 0, probability: 0.0, shell, holes: vec![] }.to_runs(size).unwrap()
                }
            };
            prop_assert_eq!(Some(runs.area()), annotation.area);
            for (pixel, bit) in pixels(&runs).into_iter().enumerate() {
                drawn[pixel] += u16::from(bit) * annotation.category_id as u16;
            }
        }
        prop_assert_eq!(&drawn, &values);
    }
}
