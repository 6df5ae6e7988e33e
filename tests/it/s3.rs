//! Jobs whose files lie in a bucket of a real S3 server: `MARQUETRY_TEST_S3` is its URL, `MARQUETRY_TEST_BUCKET` the
//! bucket. `cargo xtask test` starts one.

use crate::fixture::{Place, Ran, below, same_files};
use crate::pictures::{bmp, png, scene};
use bytes::Bytes;
use marquetry_geometry::{Reading, Rect, Size};
use marquetry_model::toy::{Toy, Weights};
use marquetry_raster::read::{Image, Limits, Pixels};
use marquetry_telemetry::Metrics;
use marquetry_transport::uri::Location;
use marquetry_transport::{CacheOptions, Files, ObjectStore, S3, S3Options, S3Store};
use std::collections::BTreeMap;
use std::time::Duration;

/// A part of the bucket for one test.
struct Bucket {
    endpoint: String,
    uri: String,
    s3: S3,
    store: S3Store,
    runtime: tokio::runtime::Runtime,
}

impl Bucket {
    /// Nothing, and a line that says so, where no server is named.
    #[expect(clippy::print_stdout, reason = "who reads the log shall see what was not tested")]
    fn new() -> Option<Self> {
        let variable = |name| std::env::var(name).ok();
        let Some((endpoint, bucket)) = variable("MARQUETRY_TEST_S3").zip(variable("MARQUETRY_TEST_BUCKET"))
        else {
            println!("skipped: MARQUETRY_TEST_S3 and MARQUETRY_TEST_BUCKET name no S3 server");
            return None;
        };
        let uri = format!("s3://{bucket}/it/{:016x}", fastrand::u64(..));
        let s3 = S3::new(S3Options { endpoint: Some(endpoint.clone()), ..S3Options::default() });
        let Ok(Location::S3(place)) = Location::parse(&uri) else { panic!("{uri}") };
        let store = S3Store::new(s3.clone(), &place);
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        Some(Self { endpoint, uri, s3, store, runtime })
    }

    fn put(&self, key: &str, bytes: Vec<u8>) {
        self.runtime.block_on(self.store.put(key, Bytes::from(bytes))).expect("put");
    }

    /// Puts everything of a user's folder into the bucket, under the same names.
    fn put_all(&self, place: &Place) {
        let root = place.path("");
        for path in below(&root) {
            let key = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
            self.put(&key, std::fs::read(&path).expect("a file"));
        }
    }

    /// What lies below `prefix`, but the reports.
    fn files(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let found = self.runtime.block_on(self.store.list(prefix)).expect("list");
        let found = found.into_iter().filter(|meta| !meta.key.ends_with("report.html"));
        let read = |key: String| {
            let bytes = self.runtime.block_on(self.store.get(&key)).expect("get");
            (key[prefix.len()..].to_owned(), bytes.to_vec())
        };
        found.map(|meta| read(meta.key)).collect()
    }

    /// The outputs of the one job in the store at `prefix`.
    fn outputs(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let all = self.files(&format!("{prefix}/jobs/"));
        let in_out = |(name, bytes): (String, Vec<u8>)| Some((name.split_once("/out/")?.1.to_owned(), bytes));
        all.into_iter().filter_map(in_out).collect()
    }

    fn marquetry(&self, place: &Place, args: &[&str]) -> Ran {
        let mut command = place.command(args);
        command.args(["--s3-endpoint", &self.endpoint]).env("MARQUETRY_CACHE", place.path("cache"));
        Ran::of(&command.output().expect("the binary runs"))
    }
}

const JOB: &str = "
version: 1
name: everywhere
images: list.csv
classes: [ground, a, b]
members:
  - {onnx: \"models/fold{0..1}.onnx\", window: {size: 48, overlap: 0.5}}
  - {onnx: models/h*.onnx, scale: 0.5, window: {size: 32}}
outputs:
  - {masks: png}
  - {masks: tiff}
  - {submission: kaggle-rle, sample: sample.csv}
  - {coco: rle}
  - {report: html}
store: store
";

fn toy(seed: u64) -> Toy {
    Toy { classes: 3, kernel: 3, weights: Weights::Seeded(seed), ..Toy::default() }
}

fn user() -> Place {
    let place = Place::new();
    place
        .write("images/one.png", png(90, 120, 3, 1))
        .write("images/sub/two.bmp", bmp(70, 64, 2))
        .write("images/three.tif", tiled_tiff(150, 130, 64, &scene(150, 130, 7)))
        .model("models/fold0.onnx", &toy(1))
        .model("models/fold1.onnx", &toy(2))
        .model("models/half.onnx", &toy(3))
        .write("list.csv", "image_id,path\n1,images/one.png\n2,images/sub/two.bmp\n3,images/three.tif\n")
        .write("sample.csv", "id,rle\n3_b,\n3_a,\n1_b,\n1_a,\n2_a,\n2_b,\n")
        .write("job.yaml", JOB);
    place
}

/// An uncompressed tiled TIFF of RGB `pixels`.
fn tiled_tiff(height: usize, width: usize, side: usize, pixels: &[u8]) -> Vec<u8> {
    let (down, across) = (height.div_ceil(side), width.div_ceil(side));
    let (tiles, tile_bytes) = (down * across, side * side * 3);
    let ifd_end = 8 + 2 + 10 * 12 + 4;
    let (offsets, counts) = (ifd_end + 6, ifd_end + 6 + 4 * tiles);
    let data = counts + 4 * tiles;
    let entries = [
        [256, 4, 1, width],
        [257, 4, 1, height],
        [258, 3, 3, ifd_end],
        [259, 3, 1, 1],
        [262, 3, 1, 2],
        [277, 3, 1, 3],
        [322, 4, 1, side],
        [323, 4, 1, side],
        [324, 4, tiles, offsets],
        [325, 4, tiles, counts],
    ];
    let mut file = b"II*\0\x08\0\0\0\x0a\0".to_vec();
    for [tag, kind, count, value] in entries {
        file.extend([(tag as u16).to_le_bytes(), (kind as u16).to_le_bytes()].concat());
        file.extend([(count as u32).to_le_bytes(), (value as u32).to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file.extend([8, 0].repeat(3));
    file.extend((0..tiles).flat_map(|t| ((data + t * tile_bytes) as u32).to_le_bytes()));
    file.extend((0..tiles).flat_map(|_| (tile_bytes as u32).to_le_bytes()));
    for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y * side, x * side))) {
        for row in y..y + side {
            for col in x..x + side {
                let at = (row * width + col) * 3;
                let inside = row < height && col < width;
                file.extend(if inside { &pixels[at..at + 3] } else { &[0; 3] });
            }
        }
    }
    file
}

/// Job file, images, list, models, sample submission and store: all in a bucket, some, or none.
#[test]
fn a_job_gives_the_same_bytes_wherever_its_files_are() {
    let Some(bucket) = Bucket::new() else { return };
    let place = user();
    bucket.put_all(&place);
    place.run("job.yaml").ends_with(0);
    let want = place.outputs("store");
    assert!(want.len() >= 3 + 3 + 2, "{:?}", want.keys());

    let job = format!("{}/job.yaml", bucket.uri);
    let ran = bucket.marquetry(&place, &["run", &job, "--format", "json"]).ends_with(0);
    same_files(&bucket.outputs("store"), &want);
    let files = ran.json()["files"].as_array().expect("files").clone();
    for file in files {
        let shown = file[1].as_str().expect("a place").to_owned();
        let start = format!("{}/store/jobs/everywhere-", bucket.uri);
        assert!(shown.starts_with(&start) && shown.contains("/out/"), "{shown}");
    }
    let left = below(&place.path("cache/scratch"));
    assert!(left.iter().all(|path| path.ends_with("scratch/lock")), "unfinished work stays behind: {left:?}");

    // Again: everything is found.
    let again = bucket.marquetry(&place, &["run", &job, "--format", "json"]).ends_with(0).json();
    assert_eq!(again["tally"]["forwards"], 0, "{again}");
    same_files(&bucket.outputs("store"), &want);

    // A job file here that takes some from there: a folder, braces and a sample in the bucket, a model and the store here.
    let list = "image_id,path\n1,s3://B/images/one.png\n2,images/sub/two.bmp\n3,s3://B/images/three.tif\n";
    place.write("mixed.csv", list.replace("s3://B", &bucket.uri));
    let mixed = JOB
        .replace("list.csv", "mixed.csv")
        .replace("models/fold", &format!("{}/models/fold", bucket.uri))
        .replace("sample.csv", &format!("{}/sample.csv", bucket.uri))
        .replace("store: store", "store: mixed");
    place.write("mixed.yaml", mixed);
    bucket.marquetry(&place, &["run", "mixed.yaml"]).ends_with(0);
    same_files(&place.outputs("mixed"), &want);
}

#[test]
fn folders_and_globs_of_a_bucket_name_images() {
    let Some(bucket) = Bucket::new() else { return };
    let place = user();
    bucket.put_all(&place);
    for (from, images) in [("images/", 3), ("images", 3), ("images/**/*.bmp", 1), ("images/*.{png,tif}", 2)] {
        let job = JOB
            .replace("images: list.csv", &format!("images: \"{}/{from}\"", bucket.uri))
            .replace(", sample: sample.csv", "");
        place.write("job.yaml", job);
        let plan = bucket.marquetry(&place, &["plan", "job.yaml", "--format", "json"]).ends_with(0).json();
        assert_eq!(plan["images"], images, "{from}");
    }
    let inspected = bucket.marquetry(&place, &["inspect", &format!("{}/models/half.onnx", bucket.uri)]);
    assert!(inspected.ends_with(0).stdout.contains("half.onnx"));
}

/// Models of one file name in two folders of a bucket, each with its weights in a second file of one name too.
#[test]
fn weights_beside_a_model_are_read_from_its_folder_of_the_bucket() {
    let Some(bucket) = Bucket::new() else { return };
    let place = user();
    let job = |models: &str| {
        format!(
            "version: 1\nimages: images\nclasses: [ground, a, b]\nmembers: [{{onnx: \"{models}\", window: {{size: 48}}}}]\n\
             outputs: [{{masks: png}}]\nstore: store\n"
        )
    };
    place.write("whole.yaml", job("models/fold{0..1}.onnx"));
    place.run("whole.yaml").ends_with(0);
    let want = place.outputs("store");

    let name = "model.onnx.data";
    for fold in 0..3 {
        let split = toy(fold + 1).with_external_data(&[name]);
        bucket.put(&format!("split/fold_{fold}/model.onnx"), split.onnx);
        // The last one's weights lie where the program is run, and not beside it.
        if fold < 2 {
            bucket.put(&format!("split/fold_{fold}/{name}"), split.external[0].bytes.to_vec());
        } else {
            place.write(name, &split.external[0].bytes);
        }
    }
    place.write(
        "split.yaml",
        job(&format!("{}/split/fold_{{0..1}}/model.onnx", bucket.uri))
            .replace("store: store", "store: split"),
    );
    bucket.marquetry(&place, &["run", "split.yaml"]).ends_with(0);
    same_files(&place.outputs("split"), &want);
    let one = format!("{}/split/fold_1/model.onnx", bucket.uri);
    let inspected = bucket.marquetry(&place, &["inspect", &one, "--window", "48"]).ends_with(0).stdout;
    assert!(inspected.contains("with the weights in model.onnx.data"), "{inspected}");

    place.write("lone.yaml", job(&format!("{}/split/fold_2/model.onnx", bucket.uri)));
    let said = bucket.marquetry(&place, &["run", "lone.yaml"]).ends_with(65);
    said.says(&[&format!("{}/split/fold_2/{name} is not there", bucket.uri)]);
}

/// Of a large tiled TIFF only the chunks that a window touches are fetched.
#[test]
fn a_tiff_is_read_by_ranges() {
    let Some(bucket) = Bucket::new() else { return };
    let place = Place::new();
    let pixels: Vec<u8> =
        (0..2048 * 2048 * 3_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let file = tiled_tiff(2048, 2048, 256, &pixels);
    let length = file.len() as u64;
    place.write("large.tif", &file);
    bucket.put("large.tif", file);
    let cache = CacheOptions { folder: place.path("cache"), bytes_max: 1 << 30 };
    let runtime = bucket.runtime.handle().clone();
    let files = Files::new(bucket.s3.clone(), cache, runtime, Duration::ZERO, Metrics::new());
    let limits = Limits { pixels_max: 1 << 30, memory_bytes: 1 << 24, scratch_dir: place.path("") };
    let uri = format!("{}/large.tif", bucket.uri);
    let image = marquetry_imagery::ImageFiles { uri: &uri, stat: None, sidecars: &[] };
    let info = marquetry_imagery::probe(&files, &image, &limits, &Reading::default()).expect("a header");
    assert_eq!(info.size, Size::new(2048, 2048));
    assert!(files.fetched_bytes() <= 64 << 10, "{} bytes for a header", files.fetched_bytes());

    let there = marquetry_imagery::open(&files, &image, &limits, &Reading::default()).expect("a TIFF");
    let here = Image::open(&place.path("large.tif"), &limits, &Reading::default()).expect("a TIFF");
    let (mut a, mut b) = (Pixels::default(), Pixels::default());
    for (top, left) in [(900, 1500), (1020, 1400), (2000, 2000)] {
        let rect = Rect::new(top, left, Size::new(48, 48));
        there.read(rect, &mut a).expect("a window");
        here.read(rect, &mut b).expect("a window");
        assert_eq!(a.data, b.data);
    }
    let fetched = files.fetched_bytes();
    assert!(fetched < length / 2, "{fetched} of {length} bytes were fetched");
    assert!(!place.path("cache/content").exists(), "no copy is made");
}

#[test]
fn troubles_have_their_exit_codes() {
    let Some(bucket) = Bucket::new() else { return };
    let place = user();
    bucket.put_all(&place);
    let job = format!("{}/job.yaml", bucket.uri);
    let changed = |from: &str, to: &str| {
        assert!(JOB.contains(from));
        place.write("job.yaml", JOB.replace(from, to));
        bucket.marquetry(&place, &["run", "job.yaml"])
    };
    let absent = "s3://no-such-bucket-here/x";
    bucket
        .marquetry(&place, &["run", &format!("{}/gone.yaml", bucket.uri)])
        .ends_with(65)
        .says(&["gone.yaml"]);
    bucket.marquetry(&place, &["run", &format!("{absent}/job.yaml")]).ends_with(65).says(&["no bucket"]);
    changed("store: store", &format!("store: {absent}"))
        .ends_with(65)
        .says(&["no bucket `no-such-bucket-here`"]);
    changed("images: list.csv", &format!("images: {absent}/"))
        .ends_with(65)
        .says(&["images.from", "no bucket"]);
    changed("models/h*", &format!("{absent}/h*")).ends_with(65).says(&["members[1].onnx", "no bucket"]);
    let none = format!("images: {}/none/", bucket.uri);
    changed("images: list.csv", &none).ends_with(65).says(&["images.from", "no image in"]);

    let mut command = place.command(&["run", &job, "--s3-endpoint", &bucket.endpoint]);
    command.env("AWS_ACCESS_KEY_ID", "stranger").env("AWS_SECRET_ACCESS_KEY", "wrong");
    let ran = Ran::of(&command.output().expect("the binary runs"));
    ran.ends_with(78).says(&["job.yaml", &bucket.endpoint, "credentials"]);

    let away = place.marquetry(&["run", &job, "--s3-endpoint", "http://127.0.0.1:9"]);
    away.ends_with(69).says(&["http://127.0.0.1:9 cannot be reached"]);
    place.marquetry(&["run", &job, "--s3-endpoint", "127.0.0.1:9"]).ends_with(64).says(&["--s3-endpoint"]);
}
