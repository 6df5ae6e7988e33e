//! What outputs will be called: looked at before anything is computed.

use marquetry_aggregator::{expected, image_outputs, renamed_outputs};
use marquetry_spec::{JobSpec, NAME_LIST};
use marquetry_transport::KEY_BYTES_MAX;
use marquetry_transport::uri::{is_uri, join};
use std::collections::HashMap;

/// Most bytes of a whole path on most systems, and of a whole key in a bucket.
const FOLDER_PATH_MAX: usize = 4095;
const BUCKET_KEY_MAX: usize = 1024;
/// Bytes of a job's id beside its name: a dash and eight digits.
const HASH_BYTES: usize = 9;
/// Bytes of the path of a chunk in a Zarr array of the largest image.
const CHUNK_BYTES: usize = 32;

/// Why outputs cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum OutputNameError {
    /// Paths that no store can hold.
    #[error(
        "store: the path of output {file} of image `{image}` comes to {bytes} bytes and {most} are possible there: choose a \
         store with a shorter path, or shorter ids"
    )]
    TooLong {
        /// The output.
        file: String,
        /// The image's id.
        image: String,
        /// What it comes to.
        bytes: usize,
        /// What is possible.
        most: usize,
    },
    /// Two images whose outputs would be one file.
    #[error("images `{first}` and `{second}` would have one output {file}: rename one")]
    Same {
        /// One.
        first: String,
        /// The other.
        second: String,
        /// The output.
        file: String,
    },
}

/// Looks whether every output of images `ids` has a name that the job's store can hold; gives what there is to say of
/// names. `base` is the job file's folder.
pub(crate) fn check<'a>(
    spec: &JobSpec,
    base: &str,
    ids: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<String>, OutputNameError> {
    if !spec.outputs.iter().any(|output| output.path_pattern().contains('*')) {
        return Ok(Vec::new());
    }
    let store = join(base, &spec.store);
    let before = "jobs/".len() + spec.name.len() + HASH_BYTES + "/out/".len();
    let (prefix, most) = match store.split_once("://") {
        Some((_, rest)) => {
            (rest.split_once('/').map_or(0, |(_, key)| key.trim_matches('/').len() + 1), BUCKET_KEY_MAX)
        }
        None => (store.len() + 1, FOLDER_PATH_MAX),
    };
    let mut shown: Vec<(&str, String)> = Vec::new();
    let (mut count, mut letters, mut files) = (0_u64, HashMap::new(), HashMap::new());
    let mut alike = None;
    for id in ids {
        for file in expected(spec, id) {
            let array = if file.ends_with(".zarray") { CHUNK_BYTES } else { 0 };
            let bytes = before + file.len() + array;
            let (bytes, most) =
                if bytes > KEY_BYTES_MAX { (bytes, KEY_BYTES_MAX) } else { (prefix + bytes, most) };
            if bytes > most {
                return Err(OutputNameError::TooLong { file, image: id.to_owned(), bytes, most });
            }
        }
        let Some(file) = image_outputs(spec, id).into_iter().next() else { continue };
        if let Some(first) = letters.insert(file.to_lowercase(), id) {
            alike.get_or_insert((first, id));
        }
        if let Some(file) = renamed_outputs(spec, id).into_iter().next() {
            count += 1;
            if let Some(first) = files.insert(file.clone(), id) {
                let (first, second) = (first.to_owned(), id.to_owned());
                return Err(OutputNameError::Same { first, second, file });
            }
            if shown.is_empty() {
                shown.push((id, file));
            }
        }
    }
    let mut notes = Vec::new();
    if let Some((id, file)) = shown.first() {
        let (noun, them) = if count == 1 { ("image has an id", "it") } else { ("images have ids", "them") };
        notes.push(format!(
            "{count} {noun} that no file can be called, so outputs have other names (`{id}`: {file}); {NAME_LIST} among the \
             outputs lists {them}"
        ));
    }
    if let Some((first, second)) = alike.filter(|_| !is_uri(&store)) {
        notes.push(format!(
            "images `{first}` and `{second}` differ in capital and small letters alone: keep their outputs on a disk that tells \
             these apart (those of macOS and Windows do not)"
        ));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(outputs: &str, store: &str) -> JobSpec {
        let text = format!(
            "version: 1\nimages: nowhere\nclasses: [a, b]\nmembers: [{{onnx: none.onnx}}]\noutputs: [{outputs}]\n\
             store: {store}\n"
        );
        JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn names_are_said_and_refused_before_anything_is_computed() {
        let masks = spec("{masks: png}, {polygons: geojson}", "out");
        let check = |spec: &JobSpec, base: &str, ids: &[&str]| {
            super::check(spec, base, ids.iter().copied()).map_err(|error| error.to_string())
        };
        let none: [String; 0] = [];
        assert_eq!(check(&masks, "", &["plate 1 (left)", "größe", "sub/航空"]).unwrap(), none);
        let long = "x".repeat(300);
        let notes = check(&masks, "", &["a", &long, "b\n"]).unwrap();
        assert!(
            notes.len() == 1 && notes[0].starts_with("2 images") && notes[0].contains("masks/xxx"),
            "{notes:?}"
        );
        assert_eq!(renamed_outputs(&masks, &long).len(), 2);
        assert_eq!(renamed_outputs(&masks, &"x".repeat(251)).len(), 1, "`.geojson` is longer than `.png`");
        assert!(check(&masks, "", &["a", "B", "b"]).unwrap()[0].contains("`B` and `b`"));
        assert_eq!(check(&masks, "s3://bucket/", &["B", "b"]).unwrap(), none, "a bucket tells them apart");
        let deep = format!("s3://bucket/{}", "prefix/".repeat(60));
        assert_eq!(check(&masks, &deep, &["a"]).unwrap(), none);
        let message = check(&masks, &deep, &["a", &"folder/".repeat(95)]).unwrap_err();
        assert!(message.contains("1024 are possible") && message.contains("folder"), "{message}");
        let table = spec("{submission: kaggle-rle}", "out");
        assert_eq!(
            check(&table, &deep, &["a", &"folder/".repeat(95), "A"]).unwrap(),
            none,
            "no file has their names"
        );
    }
}
