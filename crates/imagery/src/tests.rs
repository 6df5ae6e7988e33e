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

/// An image beside which nothing lies.
fn at(uri: &str) -> ImageFiles<'_> {
    ImageFiles { uri, stat: None, sidecars: &[] }
}

#[test]
fn windows_are_read_by_uri() {
    let folder = tempfile::tempdir().unwrap();
    let (files, limits) = (Files::local_only(), limits(folder.path()));
    for path in &write_images(folder.path()) {
        let uri = path.to_str().unwrap();
        let stat = files.stat(uri).unwrap();
        let of = ImageFiles { uri, stat: Some(&stat), sidecars: &[] };
        let info = probe(&files, &of, &limits, &Reading::default()).unwrap();
        assert_eq!((info.size, info.bands), (Size::new(HEIGHT, WIDTH), 1), "{uri}");
        let image = open(&files, &of, &limits, &Reading::default()).unwrap();
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
    let source = bytes(&Files::local_only(), &at(tiff.to_str().unwrap())).unwrap();
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
        let error = open(&files, &at(&uri), &limits, &Reading::default()).expect_err("no image");
        assert_eq!(error.class(), FailureClass::Input, "{error}");
        assert!(error.to_string().contains(&uri), "{uri}: {error}");
    }
    let error = probe(&files, &at("s3://bucket/a.tif"), &limits, &Reading::default())
        .expect_err("no store is reached here");
    assert!(matches!(&error, ImageError::File(_)) && error.class() == FailureClass::Input, "{error}");
    let cut = open(&files, &at(&name("cut.tif")), &limits, &Reading::default());
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
    let planned = fingerprint(&files, &at(uri)).unwrap();
    let is_planned = |fingerprint: &str| fingerprint == planned;
    let reading = Reading::default();
    let version = |planned_here| PlannedVersion {
        uri,
        sidecars: &[],
        size: Size::new(HEIGHT, WIDTH),
        bands: 1,
        reading: &reading,
        is_planned: &is_planned,
        planned_here,
    };
    assert!(version(true).open(&files, &limits).is_ok());
    // Of the same length, written at the same time: other content all the same.
    let (bytes, when) = (std::fs::read(&png).unwrap(), std::fs::metadata(&png).unwrap().modified().unwrap());
    let put = |bytes: &[u8]| {
        std::fs::write(&png, bytes).unwrap();
        File::options().write(true).open(&png).unwrap().set_modified(when).unwrap();
    };
    put(&bytes.iter().rev().copied().collect::<Vec<u8>>());
    assert!(matches!(version(true).open(&files, &limits).unwrap_err(), ImageError::Replaced { .. }));
    put(&bytes);
    assert!(version(true).open(&files, &limits).is_ok());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    File::options().write(true).open(&png).unwrap().set_modified(later).unwrap();
    let replaced = version(true).open(&files, &limits).unwrap_err();
    assert!(matches!(&replaced, ImageError::Replaced { .. }) && replaced.class() == FailureClass::Input);
    // On another machine it may have been written at another time.
    assert!(version(false).open(&files, &limits).is_ok());
}

/// As GDAL 3.10 finds them; statistics alone say nothing of an image.
#[test]
fn files_beside_an_image_are_told_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    put("a.tif.aux.xml", "<PAMDataset><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform></PAMDataset>");
    put("b.tif.aux.xml", "<PAMDataset><PAMRasterBand><Histograms/></PAMRasterBand></PAMDataset>");
    put("a.b.tif.aux.xml", "no XML");
    let found = |image: &str, names: &[&str]| {
        let uri = format!("{}/{image}", folder.path().display());
        find_sidecars(&Files::local_only(), &uri, names.iter().copied()).unwrap()
    };
    let all = [
        "a.TFW",
        "a.b.tif",
        "a.b.tif.aux.xml",
        "a.csv",
        "a.prj",
        "a.tif",
        "a.tif.aux.xml",
        "a.tif.msk",
        "a.tifw",
        "a.wld",
        "ab.tfw",
    ];
    let (sidecars, remarks) = found("a.tif", &all);
    assert_eq!(sidecars, ["a.tif.msk", "a.tif.aux.xml", "a.TFW", "a.prj"]);
    assert!(remarks.is_empty(), "{remarks:?}");
    assert_eq!(found("a.b.tif", &all).0, ["a.b.tif.aux.xml"], "what is damaged is told when it is read");
    assert!(found("b.tif", &["b.tif.aux.xml"]).0.is_empty());
    let (sidecars, remarks) = found("a.tif", &["a.aux.xml", "a.prj", "a.shp", "a.tab"]);
    assert!(sidecars.is_empty() && remarks.len() == 3, "{sidecars:?}, {remarks:?}");
    assert!(remarks.iter().any(|remark| remark.contains("shapes")), "{remarks:?}");
    assert_eq!(found("a", &["a", "a.wld", "a.msk"]).0, ["a.msk"]);
}

/// What is not blank is found in strips as in one piece; of what is not RGB nothing is known.
#[test]
fn what_is_not_blank_is_found_strip_by_strip() {
    let folder = tempfile::tempdir().unwrap();
    let (files, limits) = (Files::local_only(), Limits { memory_bytes: 1 << 24, ..limits(folder.path()) });
    let (height, width) = (600_u32, 300_u32);
    let is_tissue = |row: u32, col: u32| (200..320).contains(&row) && (40..200).contains(&col);
    let pixel = |row, col| if is_tissue(row, col) { [200, 120, 180] } else { [243_u8; 3] };
    let pixels: Vec<u8> =
        (0..height).flat_map(|row| (0..width).flat_map(move |col| pixel(row, col))).collect();
    let path = folder.path().join("slide.png");
    let mut encoder = png::Encoder::new(File::create(&path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    let image = open(&files, &at(path.to_str().unwrap()), &limits, &Reading::default()).unwrap();
    let (region, finding) = nonblank(&image, 5).unwrap();
    assert_eq!(finding, marquetry_region::Finding::Bounded);
    assert_eq!(region.pixels(), (120 + 10) * (160 + 10));
    let [_, grey] = write_images(folder.path());
    let image = open(&files, &at(grey.to_str().unwrap()), &limits, &Reading::default()).unwrap();
    let (region, finding) = nonblank(&image, 5).unwrap();
    assert_eq!((finding, region.pixels()), (marquetry_region::Finding::NotRgb, u64::from(WIDTH * HEIGHT)));
}
