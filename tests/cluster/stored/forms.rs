//! All forms.

use crate::{Form, messages, names, plans, tiles};
use marquetry_aggregator::{CascadeCounts, ImageResult, SureTruth};
use marquetry_coordinator::{MadeRounds, Status, TakenSeconds};
use marquetry_geometry::Size;
use marquetry_job::{
    BandStatistics, By, ImageRegion, ImageStatistics, Mask, Measured, MeasuredBands, Over, RegionForwards,
};
use marquetry_nights::{Came, LostImage, Night, NightClass, NightImage, NightMember};
use marquetry_region::{Finding, RegionBuilder};

/// A status, as it lies beside the jobs: written by hand, since only a coordinator at work makes one.
const STATUS: &str = r#"{
  "version": 1,
  "job": "nuclei-0123abcd",
  "store": "s3://bucket/prefix",
  "run": "6566f0c1-0badcafe",
  "name": "nuclei",
  "outputs": "0123456789ab",
  "state": "running",
  "started": 1700000000,
  "updated": 1700000060,
  "progress": {
    "tasks": 12,
    "tasks_done": 7,
    "images": 3,
    "images_done": 1,
    "images_failed": 1
  },
  "forwards_done": 280,
  "forwards": 480,
  "forwards_per_second": 4.5,
  "eta_seconds": 44.5,
  "workers": {
    "gpu-1": 5,
    "gpu-2": 2
  },
  "outstanding": 4,
  "retries": 2,
  "resent": 1,
  "losses": 1,
  "losses_shown": [
    {
      "image": "plate 1/ä",
      "what": "block 3 of group 0",
      "attempts": 3,
      "reason": "the image is cut off"
    }
  ],
  "sick_workers": [
    {
      "name": "gpu-2",
      "failures": 3,
      "reason": "cannot use cuda:0"
    }
  ],
  "reason": "everything fails alike"
}"#;

/// Every form that is stored.
pub(crate) fn all() -> Vec<Form> {
    let mut forms = vec![result(), statistics(), region(), status(), night(), rounds(), seconds()];
    forms.extend(tiles::all());
    forms.extend(plans::all());
    forms.extend(messages::all());
    forms.extend(names::all());
    forms
}

/// Which jobs are rounds of another one.
fn rounds() -> Form {
    let rounds = MadeRounds { begun: vec!["n-0123abcd".into()], result: Some((7, "n-89abcdef".into())) };
    let written = rounds.to_bytes();
    let read = move |bytes: &[u8]| {
        let stored = MadeRounds::from_bytes(bytes);
        if stored == rounds { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "rounds.json".into(), written, read: Box::new(read) }
}

/// What running the members of a setting took.
fn seconds() -> Form {
    let taken = TakenSeconds { work: 1.5e12, seconds: 2.25, lanes: 8, threads: 2 };
    let written = taken.to_bytes();
    let read = move |bytes: &[u8]| {
        let stored = TakenSeconds::from_bytes(bytes);
        if stored == Some(taken) { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "seconds.json".into(), written, read: Box::new(read) }
}

/// What an image leaves behind for the tables and the report.
fn result() -> Form {
    let mut result = ImageResult::new("plate 1/ä");
    result.class_pixels = vec![1_000_000_007, 42];
    result.missing_pixels = 64;
    result.confidence = 0.875;
    result.cascade = Some(CascadeCounts {
        forwards: RegionForwards { inside: 12, all: 40 },
        unsure_pixels: 4096,
        first_alone: 7,
        left_out: false,
        truth: Some(SureTruth { sure: 60_000, wrong: 17 }),
    });
    result.table_rows.insert(0, r#"{"image_id":"plate 1/ä","texts":[]}"#.to_owned());
    result.table_rows.insert(3, String::new());
    result.set_pictures(&[b"png 1".to_vec(), b"png 2".to_vec(), b"png 3".to_vec()]);
    let written = result.to_bytes();
    let read = move |bytes: &[u8]| {
        let stored = ImageResult::from_bytes(bytes).map_err(|error| error.to_string())?;
        if stored == result { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "image.part".to_owned(), written, read: Box::new(read) }
}

/// Which part of an image is computed.
fn region() -> Form {
    let (image, size) = ("fedcba9876543210", Size::new(70, 90));
    let mut builder = RegionBuilder::new(size, 2000);
    for y in 20..41 {
        builder.row(y, (0..90).map(|x| (30..60).contains(&x)));
    }
    let region = ImageRegion { region: builder.finish(), finding: Finding::Bounded };
    let written = region.to_bytes(image).expect("a small region");
    let read = move |bytes: &[u8]| {
        let stored = ImageRegion::from_bytes(bytes, image, size).map_err(|error| error.to_string())?;
        if stored == region { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "image.region".to_owned(), written, read: Box::new(read) }
}

/// Mean and standard deviation of an image's bands, to the last bit.
fn statistics() -> Form {
    let image = "fedcba9876543210";
    let band = |offset: f64, spread: f64| BandStatistics { offset, spread };
    let percentiles = Measured {
        over: Over::All,
        mask: Mask::Nonzero,
        by: By::Percentiles { low: 1.0, high: 99.8 },
        ..Measured::STANDARD
    };
    let statistics = ImageStatistics::new(
        image,
        vec![
            MeasuredBands {
                measure: Measured::STANDARD.measure(None),
                bands: vec![band(127.5, 3.25), band(0.1, 1.0 / 3.0), band(65535.0, 0.0)],
            },
            MeasuredBands {
                measure: percentiles.measure(Some(&[0, 2])),
                bands: vec![band(0.1, 1.0 / 3.0); 3],
            },
        ],
    );
    let written = statistics.to_bytes();
    let read = move |bytes: &[u8]| {
        let stored = ImageStatistics::from_bytes(bytes, image).map_err(|error| error.to_string())?;
        if stored == statistics { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "image-statistics.json".to_owned(), written, read: Box::new(read) }
}

/// What a run had.
fn night() -> Form {
    let image = |id: &str, key: &str| NightImage {
        id: id.to_owned(),
        uri: format!("s3://bucket/{id}.tif"),
        key: key.to_owned(),
        truth: Some("00ff00ff00ff00ff".to_owned()),
        came: Came::New,
        since: String::new(),
        class_pixels: vec![1_000_000_007, 42],
        missing_pixels: 64,
        confidence: 0.875,
    };
    let mut before = Night::new("nuclei", "2026-11-26T02-00-05Z", "nuclei-0123abcd", "0123456789ab");
    before.images = vec![image("plate 1/ä", "0123456789abcdef"), image("gone", "fedcba9876543210")];
    before.follow(None);
    let mut night = Night::new("nuclei", "2026-11-27T02-00-05Z", "nuclei-0123abcd", "0123456789ab");
    night.classes = vec![NightClass { name: "nucleus".to_owned(), colour: [44, 160, 44] }];
    night.members = vec![NightMember { name: "fold0".to_owned(), sha256: "ab".repeat(32) }];
    night.mean_iou = Some(0.8406);
    night.lost = vec![LostImage { id: "cut".to_owned(), reason: "the image is cut off".to_owned() }];
    night.images = vec![image("plate 1/ä", "0123456789abcdef"), image("new", "0000000000000001")];
    night.follow(Some(&before));
    let written = night.to_bytes();
    let read = move |bytes: &[u8]| {
        let stored = Night::from_bytes(bytes).map_err(|error| error.to_string())?;
        if stored == night { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "night.json".to_owned(), written, read: Box::new(read) }
}

/// How far a job is.
fn status() -> Form {
    let status: Status = serde_json::from_str(STATUS).expect("a status");
    let written = serde_json::to_vec_pretty(&status).expect("a status becomes JSON");
    let read = move |bytes: &[u8]| {
        let stored: Status = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if stored == status { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "status.json".to_owned(), written, read: Box::new(read) }
}
