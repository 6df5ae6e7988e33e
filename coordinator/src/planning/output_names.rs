//! What outputs will be called: looked at before anything is computed.

use marquetry_aggregator::{expected, image_outputs, renamed_classes, renamed_outputs};
use marquetry_spec::{JobSpec, NAME_LIST, Output};
use marquetry_transport::KEY_BYTES_MAX;
use marquetry_transport::uri::{is_uri, join};
use std::collections::{HashMap, HashSet};

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
    /// An output that would have to be a file and a folder.
    #[error(
        "images `{first}` and `{second}`: output {file} of the first would be a file where {below} of the second needs a \
         folder: rename one"
    )]
    FileAndFolder {
        /// The image whose output is a file.
        first: String,
        /// The image whose output lies below it.
        second: String,
        /// The file, or the array.
        file: String,
        /// What would lie below it.
        below: String,
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
    let ids_again = ids.clone();
    for id in ids {
        for file in expected(spec, id, spec.truth.is_some()) {
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
    files_are_no_folders(spec, ids_again)?;
    let mut notes = Vec::new();
    if let Some((id, file)) = shown.first() {
        let (noun, them) = if count == 1 { ("image has an id", "it") } else { ("images have ids", "them") };
        notes.push(format!(
            "{count} {noun} that no file can be called, so outputs have other names (`{id}`: {file}); {NAME_LIST} among the \
             outputs lists {them}"
        ));
    }
    let classes = renamed_classes(spec);
    if !classes.is_empty() {
        let pairs: Vec<_> = classes.iter().map(|(class, file)| format!("`{class}`: {file}")).collect();
        notes.push(format!(
            "masks of classes whose names no file can have are called otherwise ({})",
            pairs.join(", ")
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

/// Whether no output of an image has the name of a folder that holds outputs of another: `masks/a.png` and
/// `masks/a.png/b.png`, of images `a` and `a.png/b`. An array is one thing, though it is a folder.
fn files_are_no_folders<'a>(
    spec: &JobSpec,
    ids: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), OutputNameError> {
    let patterns: Vec<String> = spec.outputs.iter().map(Output::path_pattern).collect();
    let endings: HashSet<&str> =
        patterns.iter().filter_map(|pattern| pattern.split_once('*')).map(|(_, ending)| ending).collect();
    // Folders that are called as a file is are rare, so they are what is kept.
    let mut folders: HashMap<String, (&str, String)> = HashMap::new();
    for id in ids.clone().filter(|id| id.contains('/')) {
        for path in outputs_of(spec, id) {
            for (end, _) in path.match_indices('/') {
                let folder = &path[..end];
                if endings.iter().any(|ending| folder.ends_with(ending)) && !folders.contains_key(folder) {
                    folders.insert(folder.to_owned(), (id, path.clone()));
                }
            }
        }
    }
    if folders.is_empty() {
        return Ok(());
    }
    for id in ids {
        for file in outputs_of(spec, id) {
            if let Some((second, below)) = folders.remove(&file) {
                let (first, second) = (id.to_owned(), second.to_owned());
                return Err(OutputNameError::FileAndFolder { first, second, file, below });
            }
        }
    }
    Ok(())
}

/// The files and arrays that are made of an image.
fn outputs_of(spec: &JobSpec, id: &str) -> impl Iterator<Item = String> {
    expected(spec, id, spec.truth.is_some()).into_iter().map(|mut path| {
        path.truncate(path.strip_suffix("/.zarray").map_or(path.len(), str::len));
        path
    })
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
        let classes = |decide: &str| {
            let text = format!(
                "version: 1\nimages: x\nclasses: [a/b, a_b, c]\nmembers: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\n{decide}"
            );
            check(&JobSpec::parse(&text).unwrap(), "", &["x"]).unwrap()
        };
        let told =
            "masks of classes whose names no file can have are called otherwise (`a/b`: a_b, `a_b`: a_b~1)";
        assert_eq!(classes("defaults: {output: {multilabel: true}}"), [told]);
        assert_eq!(classes(""), none, "one mask for all");
        let table = spec("{submission: kaggle-rle}", "out");
        assert_eq!(
            check(&table, &deep, &["a", &"folder/".repeat(95), "A"]).unwrap(),
            none,
            "no file has their names"
        );
    }

    #[test]
    fn a_file_of_one_image_is_no_folder_of_another() {
        let check = |spec: &JobSpec, base: &str, ids: &[&str]| {
            super::check(spec, base, ids.iter().copied()).map_err(|error| error.to_string())
        };
        let none: [String; 0] = [];
        for (outputs, below, file) in [
            ("{masks: png}", "a.png/b", "masks/a.png "),
            ("{masks: tiff}", "a.tiff/deep/b", "masks/a.tiff "),
            ("{probabilities: zarr}", "a.zarr/0", "probabilities/a.zarr "),
            ("{masks: png}, {polygons: geojson}", "a.geojson/b", "polygons/a.geojson "),
        ] {
            let job = spec(outputs, "out");
            for ids in [["a", "x", below], [below, "x", "a"]] {
                for base in ["", "s3://bucket/"] {
                    let message = check(&job, base, &ids).unwrap_err();
                    let both = message.contains(&format!("images `a` and `{below}`"));
                    assert!(both && message.contains(file), "{message}");
                }
            }
            assert_eq!(check(&job, "", &["x", below]).unwrap(), none, "its folder is no one's file");
        }
        assert_eq!(
            check(&spec("{masks: png}", "out"), "", &["a", "a/b", "a.tiff/b", "b.png"]).unwrap(),
            none
        );
        assert_eq!(check(&spec("{submission: kaggle-rle}", "out"), "", &["a", "a.png/b"]).unwrap(), none);
        // Masks by class lie in the image's folder.
        let shared = JobSpec::parse(
            "version: 1\nimages: nowhere\nclasses: [p, q]\ndefaults: {output: {multilabel: true}}\nmembers: [{onnx: none.onnx}]\noutputs: \
             [{masks: png}]\n",
        );
        let shared = shared.unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(check(&shared, "", &["a", "a.png/b", "a/b", "a/p"]).unwrap(), none);
        let message = check(&shared, "", &["a", "a/p.png"]).unwrap_err();
        assert!(
            message.contains("masks/a/p.png of the first") && message.contains("masks/a/p.png/"),
            "{message}"
        );
    }
}
