//! The images of a job: found, given ids, and looked at.

use crate::planning::parallel_map::parallel_map;
use crate::planning::paths::{Match, PathError, expand};
use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::{ImageError, probe};
use marquetry_job::PlannedImage;
use marquetry_raster::read::Limits;
use marquetry_transport::uri::{is_uri, join, parent};
use marquetry_transport::{FileError, FileStat, Files};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Images of a bucket that are looked at at once: each mostly waits.
const REMOTE_THREADS: usize = 32;
/// Endings of the formats that can be read; what else lies in a folder is not an image.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "btf"];

/// Why the list of images cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The files cannot be found.
    #[error("images.from: {0}")]
    Path(#[from] PathError),
    /// The list, or a folder, cannot be read.
    #[error("images.from: {0}")]
    File(#[from] FileError),
    /// The list of images cannot be read.
    #[error("images.from: {uri}: {reason}")]
    Manifest {
        /// The CSV file.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder or list without images.
    #[error("images.from: no image in {folder} (looked for {})", ENDINGS.join(", "))]
    None {
        /// The folder or list.
        folder: String,
    },
    /// The images' store is away or refuses. No image is at fault.
    #[error("images.from: {0}")]
    Store(ImageError),
    /// Two images of one id.
    #[error(
        "images.from: {first} and {second} would both be image `{id}`: rename one, or give ids in a CSV with the columns \
         image_id,path"
    )]
    Duplicate {
        /// The id.
        id: String,
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

/// An image before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) uri: String,
    /// The other columns of the list it stands in.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its version, where finding it told that too.
    pub(crate) stat: Option<FileStat>,
}

/// An image that cannot be used, and why.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// The images that `from` names, relative to `base`, in the order of the list or by name.
pub(crate) fn find(files: &Files, from: &str, base: &str) -> Result<Vec<Found>, ImagesError> {
    let uri = join(base, from);
    let is_list = Path::new(&uri).extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let found = if is_list && !Path::new(&uri).is_dir() {
        from_list(files, &uri)?
    } else if is_folder(&uri) {
        in_folder(files, &uri)?
    } else {
        match expand(files, from, base) {
            // Folders of a bucket need not end in a slash.
            Err(PathError::Nothing { glob: false, .. }) if is_uri(&uri) && files.is_folder(&uri)? => {
                in_folder(files, &uri)?
            }
            other => other?.into_iter().map(found).collect(),
        }
    };
    if found.is_empty() {
        return Err(ImagesError::None { folder: uri });
    }
    let mut seen: HashMap<&str, &str> = HashMap::new();
    for image in &found {
        if let Some(first) = seen.insert(&image.id, &image.uri) {
            let (first, second) = (first.to_owned(), image.uri.clone());
            return Err(ImagesError::Duplicate { id: image.id.clone(), first, second });
        }
    }
    Ok(found)
}

/// Whether this can only be a folder.
fn is_folder(uri: &str) -> bool {
    match uri.split_once("://") {
        Some((_, rest)) => rest.ends_with('/') || !rest.contains('/'),
        None => Path::new(uri).is_dir(),
    }
}

fn in_folder(files: &Files, folder: &str) -> Result<Vec<Found>, FileError> {
    let listed = files.list(folder)?.into_iter().filter(|listed| has_image_ending(&listed.relative));
    let matches = listed.map(|listed| {
        let uri = join(folder, &listed.relative);
        found(Match { uri, relative: listed.relative, stat: listed.stat })
    });
    Ok(matches.collect())
}

fn has_image_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
    ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e))
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

/// Looks at every image's header, several at a time. Those that cannot be used are set aside; the others go on.
///
/// # Errors
/// When their store is away or refuses.
pub(crate) fn probe_images(
    files: &Files,
    found: Vec<Found>,
    limits: &Limits,
) -> Result<(Vec<PlannedImage>, Vec<Rejected>), ImagesError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if found.iter().any(|f| is_uri(&f.uri)) { REMOTE_THREADS } else { cores };
    let probed =
        |found: &Found| plan(files, found, limits).map_err(|error| (is_the_stores(found, &error), error));
    let probed = parallel_map(&found, threads, probed, |result| matches!(result, Err((true, _))));
    let (mut images, mut rejected) = (Vec::new(), Vec::new());
    for (found, probed) in found.into_iter().zip(probed) {
        match probed {
            Some(Ok(image)) => images.push(image),
            Some(Err((true, error))) => return Err(ImagesError::Store(error)),
            Some(Err((false, error))) => {
                rejected.push(Rejected { id: found.id, uri: found.uri, reason: error.to_string() });
            }
            // Not looked at any more; the reason comes further down.
            None => {}
        }
    }
    Ok((images, rejected))
}

/// Whether an error is that of the store rather than of one image in it.
fn is_the_stores(found: &Found, error: &ImageError) -> bool {
    is_uri(&found.uri) && error.class() != FailureClass::Input
}

fn plan(files: &Files, found: &Found, limits: &Limits) -> Result<PlannedImage, ImageError> {
    let stat = match &found.stat {
        Some(stat) => Some(stat.clone()),
        None if is_uri(&found.uri) => Some(files.stat(&found.uri)?),
        // What is wrong with it the reader says better.
        None => files.stat(&found.uri).ok(),
    };
    let info = probe(files, &found.uri, stat.as_ref(), limits)?;
    let fingerprint = stat.map_or_else(String::new, |stat| stat.fingerprint());
    Ok(PlannedImage {
        id: found.id.clone(),
        key: PlannedImage::key_of(&found.id, &found.uri, &fingerprint, None),
        uri: found.uri.clone(),
        size: info.size,
        bands: info.bands,
        tags: found.tags.clone(),
        members: None,
    })
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
        let ids =
            |from: &str| find(&files, from, &base).map(|f| f.into_iter().map(|f| f.id).collect::<Vec<_>>());
        assert_eq!(ids("set").unwrap(), ["a", "b/2"]);
        assert_eq!(ids("set/**/*.PNG").unwrap(), ["b/2"]);
        std::fs::write(folder.path().join("set/a.png"), b"x").unwrap();
        let message = ids("set").unwrap_err().to_string();
        assert!(message.contains("a.jpg") && message.contains("a.png"), "{message}");
        std::fs::write(folder.path().join("list.csv"), "image_id,path\nx,set/a.jpg\ny,set/a.png\n").unwrap();
        assert_eq!(ids("list.csv").unwrap(), ["x", "y"]);
    }

    #[test]
    fn what_is_no_image_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), b"not a picture").unwrap();
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let limits =
            Limits { pixels_max: 1 << 30, memory_bytes: 1 << 20, scratch_dir: folder.path().to_path_buf() };
        let (images, rejected) = probe_images(&files, find(&files, "", &base).unwrap(), &limits).unwrap();
        assert!(images.is_empty());
        assert!(rejected[0].id == "a" && rejected[0].reason.contains("a.png"), "{rejected:?}");
    }
}
