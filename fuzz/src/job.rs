//! What is text: messages, job files, lists of images, patterns.

use marquetry_geometry::Size;
use marquetry_job::message::{ResultMessage, TaskMessage, decode, encode};
use marquetry_job::{ImageRegion, ImageStatistics};
use marquetry_spec::{GlobPattern, JobSpec, expand_braces, parse_manifest};

pub(crate) fn message(bytes: &[u8]) {
    if let Ok(task) = decode::<TaskMessage>(bytes) {
        assert_eq!(decode::<TaskMessage>(&encode(&task)).expect("our own message"), task);
    }
    if let Ok(result) = decode::<ResultMessage>(bytes) {
        let _ = decode::<ResultMessage>(&encode(&result)).expect("our own message");
    }
    let _ = ImageStatistics::from_bytes(bytes, "fuzz");
    let _ = ImageRegion::from_bytes(bytes, "fuzz", Size::new(9, 30));
}

/// A job that is read prints as a job file of the same meaning.
pub(crate) fn job_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match JobSpec::parse(text) {
        Ok(job) => {
            let printed = job.to_yaml();
            let again = JobSpec::parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again.to_yaml(), printed);
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
    let _ = parse_manifest(text);
    for pattern in expand_braces(text).into_iter().flatten().take(8) {
        if let Ok(glob) = GlobPattern::new(&pattern) {
            let _ = glob.matches(glob.folder());
        }
    }
}
