use super::*;
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::{Reading, Rect, Size};
use marquetry_raster::read::Pixels;
use std::path::PathBuf;
use tiff::encoder::{TiffEncoder, colortype::Gray8};

const WIDTH: u32 = 48;
const HEIGHT: u32 = 64;
const ROWS_PER_STRIP: u32 = 8;

fn limits(folder: &Path) -> Limits {
    Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: folder.to_path_buf() }
}

fn value(row: u32, col: u32) -> u8 {
    (row * 3 + col * 5) as u8
}

/// A TIFF of strips and a PNG of the same pixels.
fn write_images(folder: &Path) -> [PathBuf; 2] {
    let pixels: Vec<u8> = (0..HEIGHT).flat_map(|row| (0..WIDTH).map(move |col| value(row, col))).collect();
    let (tiff, png) = (folder.join("a.tif"), folder.join("a.png"));
    let mut encoder = TiffEncoder::new(File::create(&tiff).unwrap()).unwrap();
    let mut image = encoder.new_image::<Gray8>(WIDTH, HEIGHT).unwrap();
    image.rows_per_strip(ROWS_PER_STRIP).unwrap();
    image.write_data(&pixels).unwrap();
    let mut encoder = png::Encoder::new(File::create(&png).unwrap(), WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    [tiff, png]
}

#[test]
fn windows_are_read_by_uri() {
    let folder = tempfile::tempdir().unwrap();
    let (files, limits) = (Files::local_only(), limits(folder.path()));
    for path in &write_images(folder.path()) {
        let uri = path.to_str().unwrap();
        let stat = files.stat(uri).unwrap();
        let info = probe(&files, uri, Some(&stat), &limits, &Reading::default()).unwrap();
        assert_eq!((info.size, info.bands), (Size::new(HEIGHT, WIDTH), 1), "{uri}");
        let image = open(&files, uri, Some(&stat), &limits, &Reading::default()).unwrap();
        let mut pixels = Pixels::default();
        image.read(Rect::new(14, 7, Size::new(4, 9)), &mut pixels).unwrap();
        let wanted: Vec<f32> =
            (14..18).flat_map(|row| (7..16).map(move |col| f32::from(value(row, col)))).collect();
        assert_eq!(pixels.data, wanted, "{uri}");
    }
}

#[test]
fn the_bytes_of_an_image_can_be_read_from_any_place() {
    let folder = tempfile::tempdir().unwrap();
    let [tiff, _] = write_images(folder.path());
    let all = std::fs::read(&tiff).unwrap();
    let source = bytes(&Files::local_only(), tiff.to_str().unwrap(), None).unwrap();
    let mut end = [0; 10];
    assert_eq!(source.read_at(source.length().unwrap() - 10, &mut end).unwrap(), 10);
    assert_eq!(end, all[all.len() - 10..]);
}

#[test]
fn errors_say_whom_they_blame_and_which_image_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (files, limits) = (Files::local_only(), limits(folder.path()));
    let [tiff, _] = write_images(folder.path());
    let whole = std::fs::read(&tiff).unwrap();
    std::fs::write(folder.path().join("cut.tif"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(folder.path().join("text.png"), "no image").unwrap();
    let name = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for uri in [name("none.tif"), name("text.png"), name(""), "gs://bucket/a.tif".to_owned()] {
        let error = open(&files, &uri, None, &limits, &Reading::default()).expect_err("no image");
        assert_eq!(error.class(), FailureClass::Input, "{error}");
        assert!(error.to_string().contains(&uri), "{uri}: {error}");
    }
    let error = probe(&files, "s3://bucket/a.tif", None, &limits, &Reading::default())
        .expect_err("no store is reached here");
    assert!(matches!(&error, ImageError::File(_)) && error.class() == FailureClass::Input, "{error}");
    let cut = open(&files, &name("cut.tif"), None, &limits, &Reading::default());
    let read = cut.and_then(|image| Ok(image.read(Rect::whole(image.info().size), &mut Pixels::default())?));
    assert_eq!(read.expect_err("half of it is missing").class(), FailureClass::Input);
}

/// Other pixels of the same size pass for the planned ones unless someone looks when the file was written.
#[test]
fn a_file_that_was_replaced_where_it_was_planned_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (files, limits) = (Files::local_only(), limits(folder.path()));
    let [_, png] = write_images(folder.path());
    let uri = png.to_str().unwrap();
    let planned = files.stat(uri).unwrap().fingerprint();
    let is_planned = |fingerprint: &str| fingerprint == planned;
    let reading = Reading::default();
    let version = |planned_here| PlannedVersion {
        uri,
        size: Size::new(HEIGHT, WIDTH),
        bands: 1,
        reading: &reading,
        is_planned: &is_planned,
        planned_here,
    };
    assert!(version(true).open(&files, &limits).is_ok());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    File::options().write(true).open(&png).unwrap().set_modified(later).unwrap();
    let replaced = version(true).open(&files, &limits).unwrap_err();
    assert!(matches!(&replaced, ImageError::Replaced { .. }) && replaced.class() == FailureClass::Input);
    // On another machine it may have been written at another time.
    assert!(version(false).open(&files, &limits).is_ok());
}
