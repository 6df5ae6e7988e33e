//! The images of a job, looked at.

use crate::planning::image_facts::ImageLooker;
use crate::planning::image_files::ENDINGS;
use crate::planning::parallel_map::parallel_map;
use crate::planning::paths::PathError;
use marquetry_failure::{Classify, FailureClass};
use marquetry_imagery::ImageError;
use marquetry_job::PlannedImage;
use marquetry_raster::read::{Depth, ImageInfo, ImageTraits};
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FileError, FileStat};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Images of a bucket that are looked at at once: each mostly waits.
const REMOTE_THREADS: usize = 32;

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
    #[error("images.from: no image in {folder} (looked for {}){}", ENDINGS.join(", "), left_out.iter().map(|words| format!("; {words}")).collect::<String>())]
    None {
        /// The folder or list.
        folder: String,
        /// What is there that was not taken, as sentences.
        left_out: Vec<String>,
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

/// Images that are alike in what their files say of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageKind {
    /// The id of the first of them.
    pub first: String,
    /// How many they are.
    pub count: u64,
    /// What their files say, and what is done about it.
    pub traits: ImageTraits,
}

impl ImageKind {
    /// Which images, as the user knows them.
    pub fn who(&self) -> String {
        match self.count {
            1 => self.first.clone(),
            count => format!("{} and {} more", self.first, count - 1),
        }
    }

    /// What they are, and what is done about it.
    pub fn what(&self) -> String {
        self.traits.to_string()
    }
}

/// What outlines of images lose, and of which images: each sentence once.
pub(crate) fn outlines_told(kinds: &[ImageKind]) -> Vec<(String, String)> {
    let mut told: Vec<(&str, ImageKind)> = Vec::new();
    for kind in kinds {
        for text in &kind.traits.outlines {
            match told.iter_mut().find(|(known, _)| known == text) {
                Some((_, all)) => all.count += kind.count,
                None => told.push((text, kind.clone())),
            }
        }
    }
    told.into_iter().map(|(text, kind)| (kind.who(), text.to_owned())).collect()
}

/// What looking at images came to.
#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) images: Vec<PlannedImage>,
    pub(crate) rejected: Vec<Rejected>,
    /// In the order in which the first of each was met.
    pub(crate) kinds: Vec<ImageKind>,
    /// Those that were met, each once.
    pub(crate) depths: Vec<Depth>,
    /// The ids of those whose three bands are not red, green and blue.
    pub(crate) other_colours: HashSet<String>,
}

/// So many images at `uris` are looked at side by side, where there are so many `cores`.
pub(crate) fn threads<'a>(mut uris: impl Iterator<Item = &'a str>, cores: usize) -> usize {
    if uris.any(is_uri) { REMOTE_THREADS } else { cores }
}

/// Looks at every image's header, several at a time. Those that cannot be used are set aside; the others go on.
///
/// # Errors
/// When their store is away or refuses.
pub(crate) fn probe_images(looker: &ImageLooker<'_>, found: Vec<Found>) -> Result<Probed, ImagesError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads(found.iter().map(|found| found.uri.as_str()), cores);
    let probed = |found: &Found| looker.look(found).map_err(|error| (is_the_stores(found, &error), error));
    let probed = parallel_map(&found, threads, probed, |result| matches!(result, Err((true, _))));
    let (mut images, mut depths, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    let mut other_colours = HashSet::new();
    let (mut kinds, mut places) = (Vec::<ImageKind>::new(), HashMap::new());
    for (found, probed) in found.into_iter().zip(probed) {
        match probed {
            Some(Ok((image, info))) => {
                let ImageInfo { depth, rgb, traits, .. } = info;
                if !depths.contains(&depth) {
                    depths.push(depth);
                }
                if image.bands == 3 && !rgb {
                    other_colours.insert(image.id.clone());
                }
                let place = places.entry(traits).or_insert_with_key(|traits| {
                    kinds.push(ImageKind { first: image.id.clone(), count: 0, traits: traits.clone() });
                    kinds.len() - 1
                });
                kinds[*place].count += 1;
                images.push(image);
            }
            Some(Err((true, error))) => return Err(ImagesError::Store(error)),
            Some(Err((false, error))) => {
                let mut reason = error.to_string();
                if found.uri.contains(char::REPLACEMENT_CHARACTER) {
                    reason += "; the name of the file is no UTF-8: rename it";
                }
                rejected.push(Rejected { id: found.id, uri: found.uri, reason });
            }
            // Not looked at any more; the reason comes further down.
            None => {}
        }
    }
    Ok(Probed { images, rejected, kinds, depths, other_colours })
}

/// Whether an error is that of the store rather than of one image in it.
fn is_the_stores(found: &Found, error: &ImageError) -> bool {
    is_uri(&found.uri) && error.class() != FailureClass::Input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::image_files::find;
    use marquetry_geometry::Reading;
    use marquetry_raster::read::Limits;
    use marquetry_spec::JobSpec;
    use marquetry_transport::Files;

    #[test]
    fn what_is_no_image_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), b"not a picture").unwrap();
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let limits =
            Limits { pixels_max: 1 << 30, memory_bytes: 1 << 20, scratch_dir: folder.path().to_path_buf() };
        let job =
            "version: 1\nimages: x\nclasses: [a, b]\nmembers: [{onnx: m.onnx}]\noutputs: [{masks: png}]\n";
        let (spec, reading) = (JobSpec::parse(job).unwrap(), Reading::default());
        let looker = ImageLooker::new(&files, &limits, &reading, &spec, None);
        let Probed { images, rejected, .. } =
            probe_images(&looker, find(&files, "", &base).unwrap().0).unwrap();
        assert!(images.is_empty());
        assert!(rejected[0].id == "a" && rejected[0].reason.contains("a.png"), "{rejected:?}");
    }
}
