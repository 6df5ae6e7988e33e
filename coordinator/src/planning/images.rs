//! The images of a job: found, given ids, and looked at.

use crate::planning::paths::{Match, PathError, expand, list};
use marquetry_job::PlannedImage;
use marquetry_raster::read::{Limits, ReadError, probe};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Endings of the formats that can be read; what else lies in a folder is not an image.
const ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "btf"];

/// Why the list of images cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The files cannot be found.
    #[error("images.from: {0}")]
    Path(#[from] PathError),
    /// The list of images cannot be read.
    #[error("images.from: {}: {reason}", path.display())]
    Manifest {
        /// The CSV file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder or list without images.
    #[error("images.from: no image in {} (looked for {})", folder.display(), ENDINGS.join(", "))]
    None {
        /// Where.
        folder: PathBuf,
    },
    /// Two images of one id.
    #[error(
        "images.from: {} and {} would both be image `{id}`: rename one, or give ids in a CSV with the columns image_id,path",
        first.display(), second.display()
    )]
    Duplicate {
        /// The id.
        id: String,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

/// An image before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
}

/// An image that cannot be used, and why.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The images that `from` names, relative to `base`, in the order of the list or by name.
pub(crate) fn find(from: &str, base: &Path) -> Result<Vec<Found>, ImagesError> {
    let path = base.join(from);
    let found: Vec<Found> = if path.is_dir() {
        let named = list(&path)?.into_iter().filter(|name| has_image_ending(name));
        named.map(|relative| found(Match { path: path.join(&relative), relative })).collect()
    } else if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        from_list(&path)?
    } else {
        expand(from, base)?.into_iter().filter(|m| !m.path.is_dir()).map(found).collect()
    };
    if found.is_empty() {
        return Err(ImagesError::None { folder: path });
    }
    let mut seen: HashMap<&str, &Path> = HashMap::new();
    for image in &found {
        if let Some(first) = seen.insert(&image.id, &image.path) {
            let (first, second) = (first.to_path_buf(), image.path.clone());
            return Err(ImagesError::Duplicate { id: image.id.clone(), first, second });
        }
    }
    Ok(found)
}

fn has_image_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
    ENDINGS.iter().any(|e| ending.eq_ignore_ascii_case(e))
}

/// An image's id is its path below the folder, without its ending.
fn found(found: Match) -> Found {
    let id = found.relative.rsplit_once('.').map_or(found.relative.as_str(), |(stem, _)| stem);
    Found { id: id.to_owned(), path: found.path }
}

fn from_list(path: &Path) -> Result<Vec<Found>, ImagesError> {
    let wrong = |reason: String| ImagesError::Manifest { path: path.to_path_buf(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let rows = marquetry_job::spec::parse_manifest(&text).map_err(|e| wrong(e.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(rows.into_iter().map(|row| Found { id: row.image_id, path: folder.join(row.path) }).collect())
}

/// Looks at every image's header. Those that cannot be used are set aside; the others go on.
pub(crate) fn look_at(found: Vec<Found>, limits: &Limits) -> (Vec<PlannedImage>, Vec<Rejected>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = found.len().div_ceil(threads).max(1);
    let looked: Vec<_> = std::thread::scope(|scope| {
        let parts: Vec<_> = found
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(|f| plan(f, limits)).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|p| p.join().unwrap_or_default()).collect()
    });
    let (mut images, mut rejected) = (Vec::new(), Vec::new());
    for (found, result) in found.into_iter().zip(looked) {
        match result {
            Ok(image) => images.push(image),
            Err(error) => {
                rejected.push(Rejected { id: found.id, path: found.path, reason: error.to_string() });
            }
        }
    }
    (images, rejected)
}

fn plan(found: &Found, limits: &Limits) -> Result<PlannedImage, ReadError> {
    let info = probe(&found.path, limits)?;
    let uri = found.path.to_string_lossy().into_owned();
    Ok(PlannedImage {
        id: found.id.clone(),
        key: PlannedImage::key_of(&uri, &fingerprint(&found.path)),
        uri,
        size: info.size,
        bands: info.bands,
    })
}

/// Names a file's content well enough to notice that it was replaced: its length and when it was last written.
fn fingerprint(path: &Path) -> String {
    let Ok(meta) = std::fs::metadata(path) else { return String::new() };
    let written = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{}-{}", meta.len(), written.map_or(0, |t| t.as_nanos()))
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
        let ids =
            |from: &str| find(from, folder.path()).map(|f| f.into_iter().map(|f| f.id).collect::<Vec<_>>());
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
        let limits =
            Limits { pixels_max: 1 << 30, memory_bytes: 1 << 20, spool_dir: folder.path().to_path_buf() };
        let (images, rejected) = look_at(find("", folder.path()).unwrap(), &limits);
        assert!(images.is_empty());
        assert!(rejected[0].id == "a" && rejected[0].reason.contains("a.png"), "{rejected:?}");
    }
}
