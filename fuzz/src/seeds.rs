//! Whole files of each form, made by code.

use image::{DynamicImage, ImageFormat};
use marquetry_ensemble::ScoreSpace;
use marquetry_geometry::{Rect, Size};
use marquetry_job::message::{Event, ResultMessage, RunId, TaskMessage, encode};
use marquetry_job::tile::{TileDtype, TileHeader, encode as encode_tile};
use marquetry_job::{ImageStatistics, PlannedImage, TaskKind};
use marquetry_model::toy::Toy;
use marquetry_onnx::toy::{Net, Style};
use std::io::Cursor;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float, RGB8, RGBA8};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, TiffValue};

const WIDTH: u32 = 23;
const HEIGHT: u32 = 17;

fn samples<T>(count: usize, of: impl Fn(u8) -> T) -> Vec<T> {
    (0..count).map(|i| of((i * 37 % 251) as u8)).collect()
}

fn tiff_of<C: ColorType>(compression: Compression, data: &[C::Inner]) -> Vec<u8>
where
    [C::Inner]: TiffValue,
{
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut bytes).expect("memory").with_compression(compression);
    encoder.write_image::<C>(WIDTH, HEIGHT, data).expect("memory");
    bytes.into_inner()
}

pub(crate) fn tiff() -> Vec<Vec<u8>> {
    let pixels = (WIDTH * HEIGHT) as usize;
    let deflate = Compression::Deflate(DeflateLevel::Fast);
    vec![
        tiff_of::<Gray8>(Compression::Uncompressed, &samples(pixels, |v| v)),
        tiff_of::<RGB8>(Compression::Lzw, &samples(pixels * 3, |v| v)),
        tiff_of::<RGBA8>(deflate, &samples(pixels * 4, |v| v)),
        tiff_of::<Gray16>(Compression::Packbits, &samples(pixels, |v| u16::from(v) * 257)),
        tiff_of::<Gray32Float>(deflate, &samples(pixels, |v| f32::from(v) / 250.0)),
    ]
}

fn picture() -> DynamicImage {
    let data = samples((WIDTH * HEIGHT * 4) as usize, |v| v);
    DynamicImage::ImageRgba8(image::RgbaImage::from_raw(WIDTH, HEIGHT, data).expect("one sample for each"))
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("memory");
    bytes.into_inner()
}

pub(crate) fn png() -> Vec<Vec<u8>> {
    let kinds: [fn(&DynamicImage) -> DynamicImage; 4] = [
        |p| p.clone(),
        |p| DynamicImage::ImageRgb8(p.to_rgb8()),
        |p| DynamicImage::ImageLuma8(p.to_luma8()),
        |p| DynamicImage::ImageLuma16(p.to_luma16()),
    ];
    kinds.iter().map(|kind| encoded(&kind(&picture()), ImageFormat::Png)).collect()
}

pub(crate) fn jpeg() -> Vec<Vec<u8>> {
    let colour = DynamicImage::ImageRgb8(picture().to_rgb8());
    let grey = DynamicImage::ImageLuma8(picture().to_luma8());
    [colour, grey].iter().map(|picture| encoded(picture, ImageFormat::Jpeg)).collect()
}

pub(crate) fn other_images() -> Vec<Vec<u8>> {
    let grey = picture().to_luma8();
    let head =
        |kind: u8| format!("P{kind}\n# a comment\n{} {}\n255\n", grey.width(), grey.height()).into_bytes();
    let text: Vec<String> = grey.iter().map(ToString::to_string).collect();
    vec![
        encoded(&picture(), ImageFormat::WebP),
        encoded(&picture(), ImageFormat::Bmp),
        [head(5), grey.to_vec()].concat(),
        [head(2), text.join(" ").into_bytes()].concat(),
        b"P4 9 3\n\x80\x80\x41\x00\xff\x80".to_vec(),
        b"P6 2 2 4095 \x00\x01\x0f\xff\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00\x09\x00\x0a\x00\x0b".to_vec(),
    ]
}

pub(crate) fn labels() -> Vec<Vec<u8>> {
    [tiff(), png(), other_images()].concat()
}

pub(crate) fn coco() -> Vec<Vec<u8>> {
    let segmentations = [
        "[[1.5, 2, 20, 3, 11, 30.25]]",
        r#"{"size": [37, 23], "counts": [5, 10, 836]}"#,
        r#"{"size": [37, 23], "counts": "55jZ1"}"#,
        "[]",
    ];
    let annotations: Vec<String> = segmentations
        .iter()
        .zip(1..)
        .map(|(segmentation, id)| {
            format!(
                r#"{{"id": {id}, "image_id": {}, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 3, 4], "area": 12, "segmentation": {segmentation}}}"#,
                id % 2
            )
        })
        .collect();
    let annotations = annotations.join(", ");
    let data_set = format!(
        r#"{{"images": [{{"id": 1, "width": 23, "height": 37, "file_name": "a.png"}}, {{"id": 0, "width": 23, "height": 37}}], "categories": [{{"id": 1, "name": "x"}}], "annotations": [{annotations}]}}"#
    );
    vec![data_set.into_bytes(), format!("[{annotations}]").into_bytes(), b"1 3 10 5 37 2".to_vec()]
}

/// Features of every kind in metres, in degrees beyond both ends of longitude, and with a byte order mark.
pub(crate) fn geojson() -> Vec<Vec<u8>> {
    let feature = |class: &str, geometry: &str| {
        format!(r#"{{"type": "Feature", "properties": {{"class": {class}}}, "geometry": {geometry}}}"#)
    };
    let polygon = |coordinates: &str| format!(r#"{{"type": "Polygon", "coordinates": {coordinates}}}"#);
    let collection = |crs: &str, features: &[String]| {
        format!(r#"{{"type": "FeatureCollection", {crs}"features": [{}]}}"#, features.join(", "))
    };
    let field = polygon(
        "[[[500002, 4100014], [500030, 4100012.5], [500021, 4099990], [500002, 4100014]], \
          [[500010, 4100010], [500014, 4100010], [500012, 4100004]]]",
    );
    let many = r#"{"type": "MultiPolygon", "coordinates": [[[[500000, 4100000], [500009, 4100000], [500009, 4099991]]], []]}"#;
    let all = r#"{"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [1, 2]}, {"type": "Polygon", "coordinates": [[[500020, 4100016], [500046, 4100016], [500046, 4099982]]]}]}"#;
    let metres = collection(
        r#""crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}, "#,
        &[
            feature("\"field\"", &field),
            feature("7", many),
            feature("\"field\"", all),
            feature("null", "null"),
        ],
    );
    let degrees = collection(
        "",
        &[
            feature("\"ice\"", &polygon("[[[-180.05, 9.99], [-179.95, 9.95], [-180.02, 9.9]]]")),
            feature("\"sea\"", &polygon("[[[179.95, 10, 3], [180.1, 9.9, 3], [179.9, 9.85, 3]]]")),
        ],
    );
    let marked = [b"\xef\xbb\xbf".as_slice(), degrees.as_bytes()].concat();
    vec![metres.into_bytes(), degrees.into_bytes(), marked]
}

pub(crate) fn tiles() -> Vec<Vec<u8>> {
    let tile = |dtype, height: u32| {
        let header = TileHeader {
            scores: "0123456789abcdef".into(),
            image: "fedcba9876543210".into(),
            block: 9,
            extent: Rect::new(256, 512, Size::new(height, 5)),
            classes: 3,
            space: ScoreSpace::Probabilities,
            dtype,
            models: vec!["aa".into()],
            missing: None,
            unread: Vec::new(),
            skipped: false,
        };
        let scores = samples((height * 15) as usize, |v| f32::from(v) / 255.0);
        let mut bytes = vec![height.div_ceil(64) as u8];
        bytes.extend(encode_tile(&header, &scores).expect("scores that fit"));
        bytes
    };
    vec![tile(TileDtype::F16, 70), tile(TileDtype::F32, 3), tile(TileDtype::U8, 64)]
}

/// A model that is whole, and two that keep their weights in one file or in two.
pub(crate) fn models() -> Vec<Vec<u8>> {
    let toy = Toy::default();
    let beside =
        [["a.data"].as_slice(), &["weights/a.bin", "b.bin"]].map(|files| toy.with_external_data(files).onnx);
    let styles = [
        Style::default(),
        Style { deduplicated: true, declared: true, ..Style::default() },
        Style { constants: true, typed: true, unknown: true, ..Style::default() },
        Style { identities: true, ..Style::default() },
    ];
    let nets = styles.map(|style| Net::seeded(2, 2).written(style).bytes());
    [vec![toy.bytes()], beside.into(), nets.into()].concat()
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    let run = RunId { job: "nuclei-01234567".into(), store: "s3://b/p".into(), run: "r1".into() };
    let image = PlannedImage {
        id: "a".into(),
        uri: "s3://b/a.png".into(),
        sidecars: Vec::new(),
        version: String::new(),
        key: "0123456789abcdef".into(),
        content: None,
        size: Size::new(20, 30),
        bands: 3,
        tags: std::collections::BTreeMap::new(),
        members: Some(vec![0, 2]),
        truth: None,
    };
    let block = TaskKind::Block { group: 1, block: 4_000_000_000 };
    let task = TaskMessage {
        run: run.clone(),
        plan: "p".into(),
        image,
        task: block,
        attempt: 2,
        replace: false,
        alone: true,
    };
    let result = ResultMessage { run, from: "w".into(), event: Event::Retry };
    vec![encode(&task), encode(&result), ImageStatistics::new("fuzz", Vec::new()).to_bytes()]
}

/// What GDAL and Esri write beside images.
pub(crate) fn sidecars() -> Vec<Vec<u8>> {
    let system = r#"PROJCS["UTM 33N",GEOGCS["WGS 84",DATUM["WGS_1984"],AUTHORITY["EPSG","4326"]],UNIT["metre",1],AUTHORITY["EPSG","32633"]]"#;
    let aux = format!(
        "<PAMDataset><SRS>{system}</SRS><GeoTransform> 500000, 2, 0, 4600000, 0, -4</GeoTransform><PAMRasterBand \
         band=\"1\"><NoDataValue>-9999</NoDataValue></PAMRasterBand></PAMDataset>"
    );
    [
        aux.as_str(),
        system,
        r#"PROJCS["WGS_1984_UTM_Zone_7S",GEOGCS["GCS_WGS_1984"]]"#,
        "0.5\n0\n0\n-0.25\n100.25\n49.875\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

pub(crate) fn job_files() -> Vec<Vec<u8>> {
    let small =
        "version: 1\nimages: a\nclasses: [a, b]\nmembers: [{onnx: m.onnx}]\noutputs: [{masks: png}]\n";
    let mut files: Vec<Vec<u8>> = EXAMPLES.iter().map(|text| text.as_bytes().to_vec()).collect();
    files.extend([
        small.as_bytes().to_vec(),
        b"image_id,path,fold,label\na,\"x y.png\",0,l.png\n".to_vec(),
        b"models/fold{0..4}_seed{a,b}_[!x]*.onnx".to_vec(),
    ]);
    files
}

/// The job files that users begin with.
const EXAMPLES: [&str; 6] = [
    include_str!("../../examples/kaggle.yaml"),
    include_str!("../../examples/landcover.yaml"),
    include_str!("../../examples/multilabel.yaml"),
    include_str!("../../examples/nnunet.yaml"),
    include_str!("../../examples/nuclei.yaml"),
    include_str!("../../examples/out_of_fold.yaml"),
];
