//! The files that are a job's images: found, and given ids.

use crate::planning::images::{Found, ImagesError};
use crate::planning::own_outputs::{is_of_store, without_outputs};
use crate::planning::paths::{Match, PathError, expand_saying};
use marquetry_transport::uri::{is_uri, join, parent};
use marquetry_transport::{FileError, Files};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Endings of the formats that can be read; what else lies in a folder is not an image.
pub(crate) const ENDINGS: [&str; 13] =
    ["png", "jpg", "jpeg", "jfif", "webp", "bmp", "pgm", "ppm", "pbm", "pnm", "tif", "tiff", "btf"];
/// Endings of what often lies beside images and is none: lists, metadata, world files, overviews.
const SIDECARS: [&str; 30] = [
    "txt", "csv", "json", "geojson", "xml", "yaml", "yml", "md", "html", "log", "prj", "ovr", "msk", "onnx",
    "py", "ini", "db", "pgw", "pngw", "jgw", "jpgw", "tfw", "tifw", "bpw", "wpw", "wld", "tab", "data", "sh",
    "seen",
];

/// The images that `from` names, relative to `base`, in the order of the list or by name; and what there is to say of
/// files that were not taken.
pub(crate) fn find(files: &Files, from: &str, base: &str) -> Result<(Vec<Found>, Vec<String>), ImagesError> {
    let uri = join(base, from);
    let mut notes = Vec::new();
    let is_list = Path::new(&uri).extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let found = if is_list && !Path::new(&uri).is_dir() {
        from_list(files, &uri)?
    } else {
        let matches = if is_folder(&uri) {
            in_folder(files, &uri, &mut notes)?
        } else {
            match expand_saying(files, from, base, &mut notes) {
                // Folders of a bucket need not end in a slash.
                Err(PathError::Nothing { .. }) if is_uri(&uri) && files.is_folder(&uri)? => {
                    in_folder(files, &uri, &mut notes)?
                }
                other => other?,
            }
        };
        without_outputs(matches, &mut notes).into_iter().map(found).collect()
    };
    if found.is_empty() {
        return Err(ImagesError::None { folder: uri, left_out: notes });
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for image in &found {
        if let Some(first) = seen.insert(&image.id, &image.uri) {
            let (first, second) = (first.to_owned(), image.uri.clone());
            return Err(ImagesError::Duplicate { id: image.id.clone(), first, second });
        }
    }
    Ok((found, notes))
}

/// Whether this can only be a folder.
fn is_folder(uri: &str) -> bool {
    match uri.split_once("://") {
        Some((_, rest)) => rest.ends_with('/') || !rest.contains('/'),
        None => Path::new(uri).is_dir(),
    }
}

fn in_folder(files: &Files, folder: &str, notes: &mut Vec<String>) -> Result<Vec<Match>, FileError> {
    let listed = files.list(folder)?;
    let (images, others): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|listed| ENDINGS.contains(&&*ending(&listed.relative)));
    let others = others.iter().map(|listed| listed.relative.as_str());
    notes.extend(unread(others.filter(|name| !is_of_store(name))));
    let matches = images.into_iter().map(|listed| {
        let uri = join(folder, &listed.relative);
        Match { uri, relative: listed.relative, stat: listed.stat }
    });
    Ok(matches.collect())
}

/// What stands behind the last dot of a file's name, in small letters.
fn ending(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or_else(String::new, |(_, ending)| ending.to_ascii_lowercase())
}

/// What there is to say of files in a folder that are no images by their names: some may be meant.
fn unread<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for name in names {
        let ending = ending(name);
        if !SIDECARS.contains(&&*ending) {
            *counts.entry(ending).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let kind = |(ending, count): &(String, u64)| match ending.as_str() {
        "" => format!("{count} without an ending"),
        ending => format!("{count} .{ending}"),
    };
    let mut kinds: Vec<String> = counts.iter().take(5).map(kind).collect();
    if counts.len() > kinds.len() {
        kinds.push("…".to_owned());
    }
    (all > 0).then(|| {
        let noun = if all == 1 { "file of the folder is" } else { "files of the folder are" };
        format!("{all} {noun} left out, whose endings are of no format that is read: {}", kinds.join(", "))
    })
}

/// An image's id is its path below the folder, without its ending.
fn found(found: Match) -> Found {
    let id = found.relative.rsplit_once('.').map_or(found.relative.as_str(), |(stem, _)| stem);
    Found { id: id.to_owned(), uri: found.uri, tags: BTreeMap::new(), stat: found.stat }
}

fn from_list(files: &Files, uri: &str) -> Result<Vec<Found>, ImagesError> {
    let wrong = |reason: String| ImagesError::Manifest { uri: uri.to_owned(), reason };
    let bytes = files.read(uri)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let rows = marquetry_spec::parse_manifest(text).map_err(|e| wrong(e.to_string()))?;
    let folder = parent(uri);
    let found = |row: marquetry_spec::ManifestRow| Found {
        id: row.image_id,
        uri: join(&folder, &row.path),
        tags: row.tags,
        stat: None,
    };
    Ok(rows.into_iter().map(found).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_paths_and_clashes_name_both() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["set/b/2.PNG", "set/a.jpg", "set/notes.txt"] {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let ids = |from: &str| {
            find(&files, from, &base).map(|(f, _)| f.into_iter().map(|f| f.id).collect::<Vec<_>>())
        };
        assert_eq!(ids("set").unwrap(), ["a", "b/2"]);
        assert_eq!(ids("set/**/*.PNG").unwrap(), ["b/2"]);
        std::fs::write(folder.path().join("set/a.png"), b"x").unwrap();
        let message = ids("set").unwrap_err().to_string();
        assert!(message.contains("a.jpg") && message.contains("a.png"), "{message}");
        std::fs::write(folder.path().join("list.csv"), "image_id,path\nx,set/a.jpg\ny,set/a.png\n").unwrap();
        assert_eq!(ids("list.csv").unwrap(), ["x", "y"]);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "slide.svs", "b.SVS", "c.dcm", "raw", "a.pgw", "notes.txt"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let (found, notes) = find(&files, "", &base).unwrap();
        assert_eq!((found.len(), notes.len()), (1, 1));
        assert!(
            notes[0].starts_with("4 files") && notes[0].ends_with("2 .svs, 1 without an ending, 1 .dcm"),
            "{notes:?}"
        );
        // What a store among them holds is no image that someone forgot.
        std::fs::create_dir_all(folder.path().join("jobs/t-7193b9eb/parts")).unwrap();
        std::fs::write(folder.path().join("jobs/t-7193b9eb/parts/x.part"), b"x").unwrap();
        assert_eq!(find(&files, "", &base).unwrap().1, notes);
        std::fs::remove_file(folder.path().join("a.png")).unwrap();
        let message = find(&files, "", &base).unwrap_err().to_string();
        assert!(message.contains("looked for png") && message.contains("2 .svs"), "{message}");
        std::fs::create_dir(folder.path().join("clean")).unwrap();
        std::fs::write(folder.path().join("clean/a.png"), b"x").unwrap();
        assert!(find(&files, "clean", &base).unwrap().1.is_empty());
    }
}
