//! All forms.

use crate::{Form, messages, names, plans, tiles};
use marquetry_aggregator::Part;
use marquetry_coordinator::Status;

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
    let mut forms = vec![part(), status()];
    forms.extend(tiles::all());
    forms.extend(plans::all());
    forms.extend(messages::all());
    forms.extend(names::all());
    forms
}

/// What an image leaves behind for the tables and the report.
fn part() -> Form {
    let mut part = Part::new("plate 1/ä");
    part.class_pixels = vec![1_000_000_007, 42];
    part.missing_pixels = 64;
    part.confidence = 0.875;
    part.pieces.insert(0, r#"{"image_id":"plate 1/ä","texts":[]}"#.to_owned());
    part.pieces.insert(3, String::new());
    part.set_pictures(&[b"png 1".to_vec(), b"png 2".to_vec(), b"png 3".to_vec()]);
    let written = part.to_bytes();
    let read = move |bytes: &[u8]| {
        let stored = Part::from_bytes(bytes).map_err(|error| error.to_string())?;
        if stored == part { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "image.part".to_owned(), written, read: Box::new(read) }
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
