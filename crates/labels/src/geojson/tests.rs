use super::*;
use crate::raw::RawLabel;
use marquetry_raster::read::EpsgSystem;
use marquetry_raster::write::Reprojection;
use tempfile::TempDir;

const METRES: u16 = 32_633;
const NONE: Affixes = Affixes { prefix: String::new(), suffix: String::new() };

/// An image of 8 × 12 px of 2 m whose corner lies `right` m east of the first one's.
fn image(path: &str, right: f64) -> PlacedImage {
    let text = format!("2\n0\n0\n-2\n{}\n4100015\n", 500_001.0 + right);
    let tags = GeoTags::with_world_file(None, &text).unwrap();
    let tags = GeoTags::with_system(Some(tags), EpsgSystem { code: METRES, projected: true });
    PlacedImage { path: path.to_owned(), size: Size::new(8, 12), tags: Some(tags) }
}

/// A ring around a box, px of the first image, in its reference system.
fn ring([left, top, right, bottom]: [f64; 4]) -> Vec<[f64; 2]> {
    let place = |[x, y]: [f64; 2]| [2.0f64.mul_add(x, 500_000.0), (-2.0f64).mul_add(y, 4_100_016.0)];
    [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]].map(place).to_vec()
}

fn feature(class: &str, geometry: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({"type": "Feature", "properties": {"class": class, "kind": 7}, "geometry": geometry})
}

fn polygon(rings: &[[f64; 4]]) -> serde_json::Value {
    let rings: Vec<_> = rings.iter().map(|corners| ring(*corners)).collect();
    serde_json::json!({"type": "Polygon", "coordinates": rings})
}

fn collection(features: &[serde_json::Value]) -> String {
    let crs = serde_json::json!({"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}});
    serde_json::json!({"type": "FeatureCollection", "crs": crs, "features": features}).to_string()
}

struct Asked {
    folder: TempDir,
    rules: LabelRules,
    untouched_is_background: bool,
}

impl Asked {
    fn new(files: &[(&str, String)]) -> Self {
        let folder = TempDir::new().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(folder.path().join(name), text).unwrap());
        Self { folder, rules: LabelRules::default(), untouched_is_background: false }
    }

    fn open(&self, path: &str, images: &[PlacedImage]) -> Result<MapLabels, String> {
        let path = self.folder.path().join(path);
        assert!(is_geojson(&path).unwrap());
        let untouched_is_background = self.untouched_is_background;
        let of = PlacedImages { images, affixes: &NONE, image_affixes: &NONE, untouched_is_background };
        open_on_map(&path, &self.rules, of).map_err(|error| error.to_string())
    }
}

/// The numbers of a label, as digits, and how many pixels are contested.
fn drawn(labels: &MapLabels, entry: usize) -> (Vec<String>, u64) {
    let mut raw = RawLabel::default();
    labels.source.read(entry, None, &mut raw).unwrap();
    let rows = raw.values.chunks(raw.size.width as usize);
    (rows.map(|row| row.iter().map(u32::to_string).collect()).collect(), raw.facts.contested)
}

#[test]
fn features_lie_where_their_centres_say() {
    let multi = serde_json::json!({"type": "MultiPolygon", "coordinates": [
        [ring([7.1, 0.1, 8.9, 1.9])], [ring([9.6, 3.1, 11.9, 4.4])]
    ]});
    let text = collection(&[
        feature("roof", &polygon(&[[0.1, 0.1, 5.9, 4.9], [1.9, 1.1, 3.9, 2.9]])),
        feature("pond", &multi),
        feature("roof", &polygon(&[[-3.0, 6.1, 1.9, 9.0]])),
        feature("pond", &polygon(&[[1.0, 6.0, 3.0, 7.0]])),
        feature("pond", &polygon(&[[200.0, 200.0, 210.0, 210.0]])),
        feature("pond", &polygon(&[])),
        feature("roof", &serde_json::Value::Null),
        feature("roof", &serde_json::json!({"type": "Point", "coordinates": [0, 0]})),
    ]);
    let asked = Asked::new(&[("all.geojson", text)]);
    let labels = asked.open("all.geojson", &[image("a", 0.0), image("b", 900.0)]).unwrap();
    let wanted = [
        "111111022000",
        "110011022000",
        "110011000000",
        "111111000022",
        "111111000000",
        "000000000000",
        "122000000000",
        "110000000000",
    ];
    assert_eq!(drawn(&labels, 0), (wanted.map(str::to_owned).to_vec(), 1));
    assert_eq!(labels.image_of, [Some(0)], "nothing lies on the other: it has no label");
    assert_eq!(labels.source.value_names().unwrap()[2], (2, "pond".to_owned()));
    assert_eq!(
        labels.source.notes(),
        [
            "4 features on images",
            "1 feature on no image, left out",
            "features without an area, left out: 1 Point, 1 empty, 1 null"
        ]
    );
    let asked = Asked { untouched_is_background: true, ..asked };
    let labels = asked.open("all.geojson", &[image("a", 0.0), image("b", 900.0)]).unwrap();
    assert_eq!(labels.image_of, [Some(0), Some(1)]);
    assert!(drawn(&labels, 1).0.iter().all(|row| row == "000000000000"));
}

/// What is broken of a feature is left out and named; the rest of the file counts.
#[test]
fn a_broken_feature_empties_nothing() {
    let mut hole = polygon(&[[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 2.0, 2.0]]);
    hole["coordinates"][1] = serde_json::json!([[1.0, 2.0], [1.0]]);
    let short = serde_json::json!({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]});
    let text = collection(&[
        feature("a", &hole),
        feature("a", &short),
        feature("b", &serde_json::json!({"type": "Blob"})),
    ]);
    let asked = Asked::new(&[("x.json", text)]);
    let labels = asked.open("x.json", &[image("x", 0.0)]).unwrap();
    assert_eq!(drawn(&labels, 0).0[1], "111100000000");
    let warnings = labels.source.warnings().join("\n");
    for said in [
        "3 features with a broken geometry",
        "feature 0: a hole of it has a position",
        "feature 1: its outline has 2 places",
        "`Blob`",
    ] {
        assert!(warnings.contains(said), "{said} in {warnings}");
    }
}

/// A position that is a whole ring, as where a level of brackets is too many, is not printed to its end.
#[test]
fn a_warning_is_of_one_line() {
    let ring: Vec<[f64; 2]> = ring([0.0, 0.0, 4.0, 4.0]).repeat(1000);
    let nested = serde_json::json!({"type": "Polygon", "coordinates": [[ring]]});
    let text = collection(&[feature("a", &nested), feature("a", &polygon(&[[0.0, 0.0, 2.0, 1.0]]))]);
    let asked = Asked::new(&[("x.json", text)]);
    let labels = asked.open("x.json", &[image("x", 0.0)]).unwrap();
    let warning = labels.source.warnings().concat();
    assert!(warning.contains("no two numbers ([[500000.0,4100016.0],[500"), "{warning}");
    assert!(warning.len() < 400, "{} bytes", warning.len());
}

#[test]
fn longitude_and_latitude_unless_it_says_otherwise() {
    let way = Reprojection::new(METRES, 4326).unwrap();
    let degrees: Vec<_> =
        ring([2.1, 1.1, 8.9, 5.9]).into_iter().map(|place| way.of(place).unwrap()).collect();
    let swapped: Vec<_> = degrees.iter().map(|[x, y]| [*y, *x]).collect();
    let file = |ring: &[[f64; 2]]| {
        let polygon = serde_json::json!({"type": "Polygon", "coordinates": [ring]});
        serde_json::json!({"type": "FeatureCollection", "features": [feature("a", &polygon)]}).to_string()
    };
    let asked = Asked::new(&[("right.geojson", file(&degrees)), ("swapped.geojson", file(&swapped))]);
    let labels = asked.open("right.geojson", &[image("a", 0.0)]).unwrap();
    assert_eq!(drawn(&labels, 0).0[1..3], ["001111111000", "001111111000"]);
    let refused = asked.open("swapped.geojson", &[image("a", 0.0)]).map(drop).unwrap_err();
    assert!(
        refused.contains("none of its 1 feature lies on its image a; with the axes swapped they would"),
        "{refused}"
    );
    let refused = asked.open("right.geojson", &[image("a", 5e5)]).map(drop).unwrap_err();
    assert!(refused.contains("taken for EPSG:4326"), "{refused}");
    // Nothing says where the image lies.
    let unplaced = PlacedImage { tags: None, ..image("b", 0.0) };
    let refused = asked.open("right.geojson", std::slice::from_ref(&unplaced)).map(drop).unwrap_err();
    assert!(refused.contains("such as b: nothing says where it lies"), "{refused}");
    let labels = asked.open("right.geojson", &[unplaced, image("a", 0.0)]).unwrap();
    assert!(labels.source.warnings()[0].contains("1 image without a label, such as b"));
}

#[test]
fn a_folder_has_a_file_for_each_image() {
    let of = |corners| collection(&[feature("a", &polygon(&[corners]))]);
    let asked = Asked::new(&[
        ("a.geojson", of([0.0, 0.0, 2.0, 1.0])),
        ("b.geojson", collection(&[])),
        ("c.geojson", of([0.0, 0.0, 1.0, 1.0])),
    ]);
    let images = [image("b.tif", 0.0), image("a.tif", 0.0)];
    let labels = asked.open("", &images).unwrap();
    assert_eq!(labels.image_of, [Some(1), Some(0), None]);
    assert_eq!(drawn(&labels, 0).0[0], "110000000000");
    assert_eq!(drawn(&labels, 1).0[0], "000000000000");
    assert!(labels.source.notes().contains(&"1 file without features: all background".to_owned()));
    std::fs::write(asked.folder.path().join("b.geojson"), of([90.0, 0.0, 91.0, 1.0])).unwrap();
    let refused = asked.open("", &images).map(drop).unwrap_err();
    assert!(refused.contains("b.geojson: none of its 1 feature lies on its image b.tif"), "{refused}");
}

#[test]
fn a_property_names_the_class() {
    let text = collection(&[feature("a", &polygon(&[[0.0, 0.0, 2.0, 1.0]]))]);
    let unnamed = text.replace("\"class\"", "\"type_of\"");
    let asked = Asked::new(&[("a.geojson", text), ("b.geojson", unnamed)]);
    let refused = asked.open("b.geojson", &[image("a", 0.0)]).map(drop).unwrap_err();
    assert!(
        refused.contains("no feature has a property `class`") && refused.contains("kind, type_of"),
        "{refused}"
    );
    let named =
        Asked { rules: LabelRules { property: Some("kind".to_owned()), ..LabelRules::default() }, ..asked };
    let labels = named.open("a.geojson", &[image("a", 0.0)]).unwrap();
    assert_eq!(labels.source.value_names().unwrap()[1], (1, "7".to_owned()));
}
