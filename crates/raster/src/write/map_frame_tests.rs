use super::super::geo_tests::{Tagged, doubles, geo_source, shorts};
use super::*;

/// Tags of a north-up image whose pixels have `metres` and whose upper left corner is at `x`, `y`.
fn tags(code: u16, metres: f64, x: f64, y: f64) -> GeoTags {
    let (model, key) = if code == WGS84 || code == 4258 { (2, 2048) } else { (1, 3072) };
    let keys = [1, 1, 0, 2, 1024, 0, 1, model, key, 0, 1, code];
    let tags = [
        (33550, doubles(&[metres, metres, 0.0])),
        (33922, doubles(&[0.0, 0.0, 0.0, x, y, 0.0])),
        (34735, shorts(&keys)),
    ];
    geo_source(&tags).unwrap().unwrap()
}

fn frame(tags: &GeoTags, own: bool) -> (MapFrame, Option<String>) {
    let (frame, said) = MapFrame::new(tags, Size::new(20, 30), own);
    (frame.unwrap(), said)
}

/// Places by PROJ 9 (`cs2cs`), degrees.
#[test]
fn projected_places_become_longitude_and_latitude() {
    for (code, x, y, lon, lat, near) in [
        (32633, 500_000.0, 4_649_776.0, 15.0, 41.999_997_975, 2e-9),
        (32633, 300_000.0, 5_800_000.0, 12.065_810_113, 52.313_843_664, 2e-9),
        (32733, 300_000.0, 7_000_000.0, 12.982_494_345, -27.107_979_524, 2e-9),
        (3857, 1_000_000.0, 6_000_000.0, 8.983_152_841, 47.353_704_702, 2e-9),
        (2154, 652_000.0, 6_862_000.0, 2.345_811_959, 48.856_248_141, 2e-9),
        (4258, 10.0, 50.0, 10.0, 50.0, 2e-9),
        // Between datums PROJ has better ways than seven numbers; these come within a few metres.
        (31467, 3_500_000.0, 5_500_000.0, 8.998_963_564, 49.636_710_642, 3e-5),
        (28992, 155_000.0, 463_000.0, 5.387_203_508, 52.155_172_301, 3e-5),
    ] {
        let (frame, said) = frame(&tags(code, 1e-3, x, y), false);
        assert_eq!((said, frame.member()), (None, String::new()), "{code}");
        let at = frame.ring(&[(0, 0)]).unwrap()[0];
        assert!(
            (at[0] - lon).abs() <= near && (at[1] - lat).abs() <= near,
            "{code}: {at:?}, not {lon}, {lat}"
        );
    }
}

/// A place for each way of projecting, each datum and each shift, by PROJ: no further away than the 2 m that the list of systems
/// promises.
#[test]
fn every_way_of_converting_leads_where_proj_leads() {
    let (mut count, mut far) = (0, Vec::new());
    for line in include_str!("map_frame/places.tsv").lines() {
        let numbers: Vec<f64> = line.split('\t').map(|word| word.parse().unwrap()).collect();
        let [code, x, y, lon, lat] = numbers[..] else { panic!("{line}") };
        let (definition, _) = definition(code as u16).unwrap();
        let from = Proj::from_proj_string(&definition).unwrap();
        let to = Proj::from_proj_string("+proj=longlat +datum=WGS84 +no_defs").unwrap();
        let [x, y] = LonLat { from, to, middle: lon }.of([x, y]).unwrap();
        let metres = (((x - lon) * lat.to_radians().cos()).hypot(y - lat) * 111_320.0).abs();
        count += 1;
        if metres > 2.05 {
            far.push((code, metres));
        }
    }
    assert!(far.is_empty() && count > 400, "{count}: {far:?}");
}

/// Places by PROJ 9.5: x and y are those of a longitude and latitude. The shift of Stereo 70 stands in `crs-definitions` with the
/// rotations of the other convention, 39 m away; Israel's are an older survey's.
#[test]
fn shifts_of_datums_are_those_of_proj_or_nothing_is_converted() {
    for (code, x, y, lon, lat) in
        [(3844, 500_120.367, 500_031.315, 25.0, 46.0), (2039, 200_033.74, 600_894.611, 35.0, 31.5)]
    {
        let (found, said) = frame(&tags(code, 1e-3, x, y), false);
        let at = found.ring(&[(0, 0)]).unwrap()[0];
        assert!((at[0] - lon).hypot(at[1] - lat) < 2e-5 && said.is_none(), "{code}: {at:?} {said:?}");
    }
    for (code, x, y) in [
        (5514, -700_000.0, -1_050_000.0),
        (26_710, 500_000.0, 4_000_000.0),
        (31_700, 500_000.0, 500_000.0),
        (2097, 200_000.0, 500_000.0),
    ] {
        let (own, said) = frame(&tags(code, 1.0, x, y), false);
        let said = said.unwrap();
        assert!(said.contains(&format!("how EPSG:{code} lies to WGS 84 is not known well enough")), "{said}");
        assert!(said.contains("ogr2ogr") && own.member().contains(&format!("EPSG::{code}")), "{said}");
        assert_eq!(own.ring(&[(0, 0)]).unwrap()[0], [x, y]);
    }
    let (_, said) = frame(&tags(24_378, 1.0, 2_743_196.0, 914_399.0), false);
    assert!(said.unwrap().contains("to about 22 m"));
}

#[test]
fn systems_that_are_not_known_are_named_or_said() {
    let utm = tags(32633, 10.0, 500_000.0, 4_649_776.0);
    let (own, said) = frame(&utm, true);
    assert!(said.is_none() && own.member().contains("urn:ogc:def:crs:EPSG::32633"), "{}", own.member());
    assert_eq!(own.ring(&[(0, 0)]).unwrap()[0], [500_000.0, 4_649_776.0]);
    let (unknown, said) = frame(&tags(30_001, 10.0, 0.0, 0.0), false);
    assert!(said.unwrap().contains("EPSG:30001 is not known") && unknown.member().contains("30001"));
    let (degrees, said) = frame(&tags(WGS84, 0.5, 10.0, 20.0), false);
    assert_eq!((degrees.member(), said), (String::new(), None));
    assert_eq!(degrees.ring(&[(1, 1)]).unwrap()[0], [10.5, 19.5], "no rounding");
    let bare = GeoTags::with_world_file(None, "10\n0\n0\n-10\n500005\n4649771\n").unwrap();
    let (bare, said) = frame(&bare, false);
    assert!(said.unwrap().contains("nothing names its reference system"));
    assert_eq!(
        bare.ring(&[(0, 0), (0, 1)]).unwrap()[..2],
        [[500_000.0, 4_649_776.0], [500_000.0, 4_649_766.0]]
    );
    let far = frame(&tags(32633, 10.0, 1e12, 1e12), false).1.unwrap();
    assert!(far.contains("no longitude and latitude"), "{far}");
}

#[test]
fn points_without_an_affine_map_are_told() {
    let points: Vec<f64> = [[0.0, 0.0], [30.0, 0.0], [0.0, 20.0]]
        .iter()
        .flat_map(|p| [p[0], p[1], 0.0, p[0], p[1], 0.0])
        .collect();
    let keys = (34735, shorts(&[1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32633]));
    let said = |tags: &[(u16, Tagged)], own: bool| {
        let tags = geo_source(tags).unwrap().unwrap();
        let (frame, said) = MapFrame::new(&tags, Size::new(20, 30), own);
        assert!(frame.is_none());
        said.unwrap()
    };
    for own in [false, true] {
        let several = said(&[(33922, doubles(&points)), keys.clone()], own);
        assert!(
            several.contains("in pixels") && several.contains("3 ground control points in EPSG:32633"),
            "{several}"
        );
    }
    let unnamed = said(&[(33922, doubles(&points))], false);
    assert!(unnamed.contains("3 ground control points are"), "{unnamed}");
    let one = said(&[(33922, doubles(&points[..6])), keys.clone()], false);
    assert!(one.contains("one tie point in EPSG:32633"), "{one}");
    let system = said(&[keys], false);
    assert!(system.contains("where it lies in EPSG:32633"), "{system}");
    // What has no place on a map loses none.
    let nowhere = geo_source(&[(34737, (2, b"a note|\0".to_vec()))]).unwrap().unwrap();
    assert_eq!(MapFrame::new(&nowhere, Size::new(20, 30), false).1, None);
}

#[test]
fn long_edges_get_points_of_their_own() {
    let ring = [(0, 0), (600, 0), (600, 10), (0, 10), (0, 0)];
    let found = pieces(ring.into_iter());
    assert_eq!(found[..4], [(0, 0), (256, 0), (512, 0), (600, 0)]);
    assert_eq!(found[4..], [(600, 10), (344, 10), (88, 10), (0, 10), (0, 0)]);
}

#[test]
fn world_files_speak_of_pixel_centres() {
    let map = |text: &str| GeoTags::with_world_file(None, text).unwrap().transform().unwrap();
    let plain = map("0.5\r\n0\r\n0\r\n-0.25\r\n100.25\r\n49.875\r\n");
    assert_eq!((plain.to_map(0.0, 0.0), plain.to_map(2.0, 4.0)), ([100.0, 50.0], [101.0, 49.0]));
    let turned = map("0 2 3 0 10 20");
    // The centre of the first pixel is at (10, 20); x runs up the map, y to the right.
    assert_eq!((turned.to_map(0.5, 0.5), turned.to_map(1.5, 0.5)), ([10.0, 20.0], [10.0, 22.0]));
    assert_eq!(turned.to_map(0.5, 1.5), [13.0, 20.0]);
    for (text, word) in [("1 0 0 -1 5", "5 numbers"), ("0 0 0 0 1 1", "area")] {
        let error = GeoTags::with_world_file(None, text).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    // Keys of the file stay; where they tie centres, so does the map.
    let keys = geo_source(&[(34735, shorts(&[1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 2]))]).unwrap();
    let point = GeoTags::with_world_file(keys, "2 0 0 -2 11 19").unwrap();
    assert_eq!(point.transform().unwrap().to_map(0.0, 0.0), [10.0, 20.0]);
}

/// Longitudes by PROJ 9 (`cs2cs`): easting 700,000 of zone 60 lies at 180.1475…, which it calls -179.85.
#[test]
fn outlines_do_not_jump_round_the_earth() {
    let size = Size::new(20, 30);
    let east = tags(32660, 2000.0, 640_000.0, 6_000_000.0);
    let (found, said) = frame(&east, false);
    assert!(said.unwrap().contains("across the antimeridian"));
    let ring = found.ring(&[(0, 0), (30, 0), (30, 20), (0, 20)]).unwrap();
    let longitudes: Vec<f64> = ring.iter().map(|at| at[0]).collect();
    assert!(longitudes.iter().all(|lon| (178.9..180.5).contains(lon)), "{longitudes:?}");
    assert!(longitudes.iter().any(|lon| *lon > 180.0) && longitudes.iter().any(|lon| *lon < 180.0));
    // What lies on one side of it stays between -180 and 180, also where it was counted from 0 to 360.
    let degrees = |west: f64| {
        let (found, said) = MapFrame::new(&tags(WGS84, 0.5, west, 20.0), size, false);
        (found.unwrap().ring(&[(1, 1)]).unwrap()[0], said.is_some())
    };
    assert_eq!(degrees(190.0), ([-169.5, 19.5], false));
    assert_eq!(degrees(-180.0), ([-179.5, 19.5], false));
    assert_eq!(degrees(165.0), ([165.5, 19.5], false));
    let grid = MapFrame::new(&tags(WGS84, 12.0, 0.0, 90.0), size, false);
    assert_eq!((grid.0.unwrap().ring(&[(0, 0)]).unwrap()[0][0], grid.1.is_some()), (0.0, true));
    assert_eq!(degrees(170.0), ([170.5, 19.5], true));
    assert_eq!(degrees(-185.0), ([-184.5, 19.5], true));
    let west = frame(&tags(32601, 10.0, 500_000.0, 6_000_000.0), false);
    assert_eq!((west.1, west.0.ring(&[(0, 0)]).unwrap()[0][0]), (None, -177.0));
}
