//! Files beside images: what they say counts, is told, and is part of what outputs hang on.

use crate::decode::Mask;
use crate::fixture::Place;
use crate::pictures::png;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;

const SYSTEM: &str = r#"PROJCS["WGS_1984_UTM_Zone_33N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],UNIT["Meter",1.0]]"#;
const SIDES: (usize, usize) = (40, 50);

fn place() -> Place {
    let place = Place::new();
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    let outputs = "[{polygons: geojson}, {masks: png}]";
    let job = "version: 1\nimages: images\nclasses: [ground, a, b]\ndefaults: {window: {size: 32}}\nmembers: [{onnx: m.onnx}]\n";
    place.write("job.yaml", format!("{job}store: store\noutputs: {outputs}\n"));
    place.write("images/x.png", png(SIDES.0, SIDES.1, 3, 1));
    place
}

/// The corners of all outlines.
fn corners(place: &Place) -> Vec<[f64; 2]> {
    let list: Value = serde_json::from_slice(&place.outputs("store")["polygons/x.geojson"]).expect("JSON");
    let features = list["features"].as_array().expect("features").clone();
    let rings = features.iter().flat_map(|f| f["geometry"]["coordinates"].as_array().expect("rings").clone());
    rings.flat_map(|ring| serde_json::from_value::<Vec<[f64; 2]>>(ring).expect("points")).collect()
}

fn extent(points: &[[f64; 2]]) -> [f64; 4] {
    let of = |axis: usize| points.iter().map(move |point| point[axis]);
    [
        of(0).fold(f64::MAX, f64::min),
        of(0).fold(f64::MIN, f64::max),
        of(1).fold(f64::MAX, f64::min),
        of(1).fold(f64::MIN, f64::max),
    ]
}

/// Whoever adds a world file to a finished job, or mends one, gets outlines that lie there.
#[test]
fn a_world_file_that_comes_or_changes_is_taken_up() {
    let place = place();
    place.run("job.yaml").ends_with(0);
    let pixels = extent(&corners(&place));
    let at = |west: f64, north: f64, metres: f64| {
        let [left, right, top, bottom] = pixels;
        [west + metres * left, west + metres * right, north - metres * bottom, north - metres * top]
    };
    place.write("images/x.pgw", "10\n0\n0\n-10\n500005\n4649771\n");
    let no_system = "georeference without a named system (by its world file)";
    place.run("job.yaml").ends_with(0).says(&[no_system, "nothing names its reference system"]);
    assert_eq!(extent(&corners(&place)), at(500_000.0, 4_649_776.0, 10.0));
    place.write("images/x.pgw", "20\n0\n0\n-20\n500010\n4649766\n");
    place.run("job.yaml").ends_with(0);
    assert_eq!(extent(&corners(&place)), at(500_000.0, 4_649_776.0, 20.0));
    // With a system, in longitude and latitude: zone 33 has 15 degrees at 500 km.
    place.write("images/x.prj", SYSTEM);
    let ran = place.run("job.yaml").ends_with(0).says(&["EPSG:32633 (by its world file and .prj)"]);
    assert!(!ran.stderr.contains("names its reference system"), "{}", ran.stderr);
    let [west, east, south, north] = extent(&corners(&place));
    assert!((15.0..15.02).contains(&west) && (15.0..15.02).contains(&east) && west < east, "{west}, {east}");
    assert!((41.98..42.0).contains(&south) && (41.98..42.0).contains(&north) && south < north);
    // Without them all is as it was; the same files again cost no model run.
    for name in ["x.pgw", "x.prj"] {
        std::fs::remove_file(place.path(&format!("images/{name}"))).expect("a file");
    }
    place.run("job.yaml").ends_with(0);
    assert_eq!(extent(&corners(&place)), pixels);
    let again = place.run("job.yaml").ends_with(0).json();
    assert_eq!(again["tally"]["forwards"], 0, "{again}");
}

#[test]
fn masks_and_nodata_beside_an_image_make_pixels_missing() {
    let place = place();
    place.run("job.yaml").ends_with(0);
    let labels = |place: &Place| Mask::from_png(&place.outputs("store")["masks/x.png"]).labels;
    let plain = labels(&place);
    assert!(!plain.contains(&255));
    // The mask is any image whose name says what it is; 0 is missing.
    let mask: Vec<u8> = (0..SIDES.0 * SIDES.1).map(|at| u8::from(at % SIDES.1 >= 10) * 255).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDES.1 as u32, SIDES.0 as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&mask).expect("pixels");
    drop(writer);
    place.write("images/x.png.msk", &bytes);
    let beside = "the mask beside it (.msk) says which pixels are missing";
    let plan = place.marquetry(&["plan", "job.yaml"]).ends_with(0);
    assert!(plan.stdout.contains(beside), "{}", plan.stdout);
    place.run("job.yaml").ends_with(0).says(&[beside]);
    let masked = labels(&place);
    for (at, (&now, &mask)) in masked.iter().zip(&mask).enumerate() {
        assert_eq!(now == 255, mask == 0, "pixel {at}");
    }
    // One that does not fit says so, and the image is left out.
    place.write("images/x.png.msk", png(SIDES.0, SIDES.1 + 1, 1, 1));
    place.run("job.yaml").ends_with(65).says(&["the mask beside it has 40 × 51 px"]);
    std::fs::remove_file(place.path("images/x.png.msk")).expect("a file");

    let xml = |text: &str| format!("<PAMDataset>{text}</PAMDataset>");
    let place_text = format!("<SRS>{SYSTEM}</SRS><GeoTransform>500000,10,0,4649776,0,-10</GeoTransform>");
    place.write("images/x.png.aux.xml", xml(&place_text));
    place.run("job.yaml").ends_with(0).says(&["EPSG:32633 (by its .aux.xml)"]);
    assert_eq!(labels(&place), plain);
    assert!((15.0..15.02).contains(&extent(&corners(&place))[0]));
    // What programs that show images leave there makes nothing anew.
    let statistics =
        "<PAMRasterBand band=\"1\"><Metadata><MDI key=\"STATISTICS_MEAN\">5</MDI></Metadata></PAMRasterBand>";
    place.write("images/x.png.aux.xml", xml(&format!("{place_text}{statistics}")));
    assert_eq!(place.run("job.yaml").ends_with(0).json()["tally"]["images_found"], 1);
    place.write("images/x.png.aux.xml", "<PAMDataset>");
    place.run("job.yaml").ends_with(0).says(&["its .aux.xml is NOT READ ("]);
}
