//! Where images lie on earth, read from the files of other writers and from files made by hand.

use super::geo::GeoTags;
use super::raster_tests::tiff_of;
use super::rle_tests::names;
use super::{Legend, TiffOptions};
use crate::read::{EpsgSystem, ReadError, ReadErrorKind};
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::{D4, Size};
use std::error::Error;
use std::io::Cursor;
use std::path::Path;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

fn read(bytes: &[u8]) -> Result<Option<GeoTags>, ReadError> {
    GeoTags::read(Box::new(bytes.to_vec()), Path::new("a.tif"))
}

/// The type of a tag's values, and the values in little-endian order.
pub(super) type Tagged = (u16, Vec<u8>);

pub(super) fn doubles(values: &[f64]) -> Tagged {
    (12, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

pub(super) fn shorts(values: &[u16]) -> Tagged {
    (3, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// What is read from a classic little-endian TIFF that is nothing but a directory of these tags.
pub(super) fn geo_source(tags: &[(u16, Tagged)]) -> Result<Option<GeoTags>, ReadError> {
    read(&directory_of(tags, false))
}

/// A little-endian TIFF, or BigTIFF, that is nothing but a directory. Every value is written outside of its entry,
/// unless it fits.
fn directory_of(tags: &[(u16, Tagged)], big: bool) -> Vec<u8> {
    let (word, head) = if big { (8, 16) } else { (4, 8) };
    let put = |out: &mut Vec<u8>, value: u64, bytes: usize| {
        out.extend_from_slice(&value.to_le_bytes()[..bytes]);
    };
    let mut out = b"II".to_vec();
    if big {
        [(43, 2), (8, 2), (0, 2), (16, 8)].into_iter().for_each(|(value, bytes)| put(&mut out, value, bytes));
    } else {
        [(42, 2), (8, 4)].into_iter().for_each(|(value, bytes)| put(&mut out, value, bytes));
    }
    put(&mut out, tags.len() as u64, if big { 8 } else { 2 });
    let mut at = head + if big { 8 } else { 2 } + tags.len() * (4 + 2 * word) + word;
    let mut values = Vec::new();
    for (tag, (kind, bytes)) in tags {
        let each = [1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 1, 1, 8, 8, 8][usize::from(*kind)];
        [(u64::from(*tag), 2), (u64::from(*kind), 2), ((bytes.len() / each) as u64, word)]
            .into_iter()
            .for_each(|(value, bytes)| put(&mut out, value, bytes));
        if bytes.len() <= word {
            out.extend(bytes);
            out.resize(out.len() + word - bytes.len(), 0);
        } else {
            put(&mut out, at as u64, word);
            values.extend(bytes);
            at += bytes.len();
        }
    }
    put(&mut out, 0, word);
    [out, values].concat()
}

/// A TIFF of one pixel with geo tags, by the writer of another crate: classic, in the machine's byte order.
fn foreign_source(orientation: u16, point: u16) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
    let mut image = encoder.new_image::<tiff::encoder::colortype::Gray8>(1, 1).unwrap();
    let directory = image.encoder();
    directory.write_tag(Tag::Orientation, orientation).unwrap();
    directory.write_tag(Tag::ModelPixelScaleTag, &[2.0, 4.0, 0.0][..]).unwrap();
    directory.write_tag(Tag::ModelTiepointTag, &[1.0, 1.0, 0.0, 500.0, 900.0, 0.0][..]).unwrap();
    let keys = [1_u16, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, point];
    directory.write_tag(Tag::GeoKeyDirectoryTag, &keys[..]).unwrap();
    directory.write_tag(Tag::GeoAsciiParamsTag, "WGS 84|").unwrap();
    directory.write_tag(Tag::GdalNodata, "0").unwrap();
    image.write_data(&[7]).unwrap();
    bytes.into_inner()
}

#[test]
fn geo_tags_are_carried_over() {
    let geo = read(&foreign_source(1, 1)).unwrap().unwrap();
    let transform = geo.transform().unwrap();
    assert_eq!(transform.to_map(1.0, 1.0), [500.0, 900.0]);
    assert_eq!(transform.to_map(3.0, 2.0), [504.0, 896.0]);
    assert!(transform.mirrors());
    let point = read(&foreign_source(1, 2)).unwrap().unwrap().transform().unwrap();
    assert_eq!(point.to_map(1.5, 1.5), [500.0, 900.0]);
    assert_eq!(read(&foreign_source(6, 1)).unwrap(), Some(geo.clone()), "as it is stored");

    let legend = Legend::labels(names(2), None).unwrap();
    let bytes = tiff_of(&legend, Size::new(2, 2), &[0, 1, 1, 0], Some(geo.clone()), TiffOptions::default());
    assert_eq!(read(&bytes).unwrap(), Some(geo));
    let mut decoder = Decoder::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(decoder.get_tag_f64_vec(Tag::ModelPixelScaleTag).unwrap(), [2.0, 4.0, 0.0]);
    assert_eq!(decoder.get_tag_ascii_string(Tag::GeoAsciiParamsTag).unwrap(), "WGS 84|");
    // The source's nodata value is the mask's background.
    assert!(decoder.find_tag(Tag::GdalNodata).unwrap().is_none());
}

/// Types that other programs write in place of doubles, in both kinds of TIFF; tags of unknown types beside them.
#[test]
fn odd_types_of_numbers_have_a_meaning() {
    let floats = |values: &[f32]| (11, values.iter().flat_map(|value| value.to_le_bytes()).collect());
    let fractions =
        |values: &[[u32; 2]]| (5, values.iter().flatten().flat_map(|value| value.to_le_bytes()).collect());
    let longs = |values: &[i32]| (9, values.iter().flat_map(|value| value.to_le_bytes()).collect());
    let scales: [Tagged; 4] = [
        doubles(&[0.5, 0.25, 0.0]),
        floats(&[0.5, 0.25, 0.0]),
        fractions(&[[1, 2], [1, 4], [0, 1]]),
        (10, fractions(&[[1, 2], [1, 4], [0, 1]]).1),
    ];
    let ties: [Tagged; 3] = [
        doubles(&[0.0, 0.0, 0.0, -7.0, 20.0, 0.0]),
        longs(&[0, 0, 0, -7, 20, 0]),
        (17, [0_i64, 0, 0, -7, 20, 0].iter().flat_map(|value| value.to_le_bytes()).collect()),
    ];
    let keys = shorts(&[1, 1, 0, 1, 1024, 0, 1, 1]);
    for big in [false, true] {
        for (scale, tie) in scales.iter().flat_map(|scale| ties.iter().map(move |tie| (scale, tie))) {
            let tags = [
                (33550, scale.clone()),
                (33922, tie.clone()),
                (34735, keys.clone()),
                (34736, doubles(&[6_378_137.0])),
                (34737, (2, b"WGS 84|\0".to_vec())),
                (60000, (14, vec![1])),
            ];
            let geo = read(&directory_of(&tags, big)).unwrap().unwrap();
            assert_eq!(geo.transform().unwrap().to_map(2.0, 4.0), [-6.0, 19.0]);
            assert_eq!(geo, geo_source(&tags[..5]).unwrap().unwrap());
        }
    }
}

#[test]
fn what_has_no_place_on_earth_is_none() {
    assert_eq!(geo_source(&[(256, shorts(&[1]))]).unwrap(), None);
    let png = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', 0];
    assert_eq!(read(&png).unwrap(), None);
    // Keys without a tie are kept, but tie nothing.
    let keys = geo_source(&[(34735, shorts(&[1, 1, 0, 0]))]).unwrap().unwrap();
    assert_eq!(keys.transform(), None);
}

#[test]
fn damage_is_an_error_with_a_reason() {
    let cut = &foreign_source(1, 1)[..40];
    let text = (33550, (2, b"0.5 0.5 0\0".to_vec()));
    let wide = (34735, (4, 70_000_u32.to_le_bytes().repeat(4)));
    for (found, want) in
        [(read(cut), "too early"), (geo_source(&[text]), "no numbers"), (geo_source(&[wide]), "16 bits")]
    {
        let error = found.unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(error.to_string().starts_with("a.tif: reading the GeoTIFF tags failed"), "{error}");
        assert_eq!((error.kind(), error.class()), (ReadErrorKind::Unreadable, FailureClass::Input));
    }
    assert!(geo_source(&[(34735, (4, 70_000_u32.to_le_bytes().repeat(4)))]).unwrap_err().source().is_some());
}

/// As GDAL reads them: the first tie point counts where there is a scale, and a citation keeps its bytes, whose places
/// the keys name.
#[test]
fn two_tie_points_and_letters_beyond_ascii() {
    let ties = doubles(&[0.0, 0.0, 0.0, 100.0, 900.0, 0.0, 10.0, 10.0, 0.0, 120.0, 880.0, 0.0]);
    let latin = b"Stra\xdfe / M\xfcnchen|WGS 84|\0".to_vec();
    let tags = [(33550, doubles(&[2.0, 2.0, 0.0])), (33922, ties), (34737, (2, latin.clone()))];
    let geo = geo_source(&tags).unwrap().unwrap();
    assert_eq!(geo.transform().unwrap().to_map(3.0, 4.0), [106.0, 892.0]);
    let legend = Legend::labels(names(2), None).unwrap();
    let bytes = tiff_of(&legend, Size::new(2, 2), &[0, 1, 1, 0], Some(geo.clone()), TiffOptions::default());
    assert_eq!(read(&bytes).unwrap(), Some(geo));
    assert!(bytes.windows(latin.len()).any(|found| found == latin));
}

/// A pixel that is shown elsewhere than it is stored lies where it lay.
#[test]
fn the_map_turns_with_the_image() {
    let stored = Size::new(3, 5);
    let scale = (33550, doubles(&[2.0, 4.0, 0.0]));
    let tie = (33922, doubles(&[1.0, 1.0, 0.0, 500.0, 900.0, 0.0]));
    let ties: Vec<f64> = [[0.0, 0.0], [5.0, 0.0], [5.0, 3.0]]
        .iter()
        .flat_map(|p| [p[0], p[1], 0.0, p[0], p[1], 0.0])
        .collect();
    for point in [1, 2] {
        let keys = (34735, shorts(&[1, 1, 0, 1, 1025, 0, 1, point]));
        let tags = geo_source(&[scale.clone(), tie.clone(), keys.clone()]).unwrap().unwrap();
        let points = geo_source(&[(33922, doubles(&ties)), keys]).unwrap().unwrap();
        let before = tags.transform().unwrap();
        for turn in D4::ALL {
            let shown = turn.apply_to_size(stored);
            let turned = tags.clone().turned(turn, stored);
            let after = turned.transform().unwrap();
            for (row, col) in (0..shown.height).flat_map(|row| (0..shown.width).map(move |col| (row, col))) {
                let (from_row, from_col) = turn.source(stored, row, col);
                let middle = |row: u32, col: u32| (f64::from(col) + 0.5, f64::from(row) + 0.5);
                let ((x, y), (from_x, from_y)) = (middle(row, col), middle(from_row, from_col));
                assert_eq!(
                    after.to_map(x, y),
                    before.to_map(from_x, from_y),
                    "{turn}, {point}: {row}, {col}"
                );
            }
            assert_eq!(turned.turned(turn.inverse(), shown).transform(), Some(before), "{turn}");
            // A point of the outer corner stays one: of the whole image, or of its outermost pixel's centre.
            let back = points.clone().turned(turn, stored).turned(turn.inverse(), shown);
            assert_eq!(back, points, "{turn}");
        }
        let quarter = points.turned(D4::ROT270, stored);
        let legend = Legend::labels(names(2), None).unwrap();
        let bytes = tiff_of(&legend, Size::new(2, 2), &[0; 4], Some(quarter), TiffOptions::default());
        let mut decoder = Decoder::new(Cursor::new(&bytes)).unwrap();
        let found = decoder.get_tag_f64_vec(Tag::ModelTiepointTag).unwrap();
        // Turned clockwise the first column is the last.
        let last = if point == 2 { 2.0 } else { 3.0 };
        assert_eq!(found[..6], [last, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}

/// What files beside an image say comes out as GeoTIFF has it.
#[test]
fn a_system_and_a_map_from_elsewhere() {
    let system = EpsgSystem { code: 32633, projected: true };
    let tags = GeoTags::with_system(None, system);
    let tags = GeoTags::with_affine(Some(tags), [2.0, 0.0, 100.0, 0.0, -4.0, 900.0]);
    assert_eq!((tags.epsg(), tags.transform().unwrap().to_map(1.0, 1.0)), (Some(32633), [102.0, 896.0]));
    let degrees = GeoTags::with_system(Some(tags), EpsgSystem { code: 4326, projected: false });
    assert_eq!((degrees.epsg(), degrees.transform().unwrap().to_map(1.0, 1.0)), (Some(4326), [102.0, 896.0]));
    // Pixels whose centres are tied stay where they are.
    let point = read(&foreign_source(1, 2)).unwrap().unwrap();
    let place = point.transform();
    assert_eq!(GeoTags::with_system(Some(point), system).transform(), place);
}
