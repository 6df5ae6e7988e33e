use super::*;
use marquetry_imagery::ImageFiles;
use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A picture of one value, 4 × 4 px, written long ago: whoever replaces it by another one leaves no trace but in its bytes and in when
/// its entry changed.
fn write(path: &Path, value: u8) {
    std::fs::write(path, [b"P5 4 4 255\n".as_slice(), &[value; 16]].concat()).unwrap();
    let long_ago = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(24));
    File::options().write(true).open(path).unwrap().set_times(long_ago).unwrap();
}

fn planned(path: &Path, files: &Files) -> PlannedImage {
    let uri = path.to_str().unwrap().to_owned();
    let version = marquetry_imagery::fingerprint(files, &ImageFiles { uri: &uri, stat: None, sidecars: &[] });
    PlannedImage {
        id: "a".into(),
        key: "0".repeat(16),
        content: None,
        version: PlannedImage::version_of(&version.unwrap()),
        sidecars: Vec::new(),
        size: Size::new(4, 4),
        bands: 1,
        tags: std::collections::BTreeMap::default(),
        members: None,
        truth: None,
        uri,
    }
}

#[test]
fn an_image_that_is_replaced_while_it_is_worked_on_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pgm");
    write(&path, 1);
    let files = Files::local_only();
    let wanted = planned(&path, &files);
    let images = Images::new(&ImageOptions {
        pixels_max: 1 << 20,
        memory_bytes: 1 << 20,
        scratch_dir: folder.path().to_path_buf(),
        files: files.clone(),
        planned_here: true,
    });
    for settled in [false, true] {
        write(&path, 1);
        while settled && !files.stamp(&wanted.uri, None).unwrap().is_settled {
            // What was written a moment ago may be written again in the same tick of the disk's clock.
            std::thread::sleep(Duration::from_millis(100));
        }
        let opened = images.open(&wanted, &Reading::default()).unwrap();
        assert_eq!(opened.stamps.is_some(), settled, "only then does its stamp say enough");
        images.check_opened(&wanted, &opened).unwrap();
        write(&path, 2);
        let error = images.check_opened(&wanted, &opened).unwrap_err().to_string();
        assert!(error.contains("it was replaced since the job was planned"), "{error}");
        // One that was touched, and is what it was, still is the planned one.
        write(&path, 1);
        images.check_opened(&wanted, &opened).unwrap();
        drop(opened);
    }
}
