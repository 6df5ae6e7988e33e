//! A small picture of each pair: the image, the truth, the prediction, and where they differ, side by side.

use crate::error::EvaluateError;
use crate::request::Request;
use crate::sources::Sources;
use marquetry_evaluation::{ErrorMap, LabelPair, Wrong};
use marquetry_failure::counted;
use marquetry_geometry::{Reading, Size};
use marquetry_labels::{Affixes, LabelSource, pair};
use marquetry_raster::read::{Image, Limits};
use marquetry_raster::thumbnail::Thumbnail;
use marquetry_raster::write::palette;
use std::path::{Path, PathBuf};

/// The folder of pictures, beside the page.
pub const PICTURES: &str = "pictures";
/// What stands side by side in a picture, left to right; without an image all but the first.
pub const PANELS: [&str; 4] = ["image", "truth", "prediction", "errors"];

/// Writes pictures.
#[derive(Debug)]
pub(crate) struct Pictures {
    folder: PathBuf,
    colours: Vec<[u8; 3]>,
    background: Option<u16>,
    /// For each pair its image, where the images lie somewhere.
    images: Option<Vec<Option<PathBuf>>>,
    limits: Limits,
}

impl Pictures {
    /// Makes the folder, and finds the image of each pair.
    pub(crate) fn open(folder: &Path, request: &Request, sources: &Sources) -> Result<Self, EvaluateError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| EvaluateError::Write { path: folder.to_owned(), source })?;
        let images = sources.images.as_ref().zip(request.images.as_ref()).map(|(images, root)| {
            let name = |&(p, _): &(usize, usize)| sources.predicted.entries()[p].path.as_str();
            let names: Vec<&str> = sources.pairing.pairs.iter().map(name).collect();
            let paths: Vec<&str> = images.entries().iter().map(|entry| entry.path.as_str()).collect();
            let mut found = vec![None; names.len()];
            for (at, image) in pair(&names, &request.predicted.affixes, &paths, &Affixes::default()).pairs {
                found[at] = Some(root.join(paths[image]));
            }
            found
        });
        Ok(Self {
            folder: folder.to_owned(),
            colours: palette(request.classes.names()),
            background: request.classes.background(),
            images,
            limits: request.limits.clone(),
        })
    }

    /// What stands in a picture, left to right.
    pub(crate) fn panels(&self) -> &'static [&'static str] {
        if self.images.is_some() { &PANELS } else { &PANELS[1..] }
    }

    /// What there is to tell of the images.
    pub(crate) fn warning(&self) -> Option<String> {
        let absent = self.images.as_ref()?.iter().filter(|image| image.is_none()).count();
        (absent > 0)
            .then(|| format!("{} without an image of that name to show", counted(absent, "prediction")))
    }

    /// Takes back the pictures of the first `number` pairs: there is nothing to show.
    pub(crate) fn remove(&self, number: usize) {
        // What is not there need not be taken back, and a folder with other files in it stays.
        (0..number).for_each(|at| drop(std::fs::remove_file(self.folder.join(name(at)))));
        let _ = std::fs::remove_dir(&self.folder);
    }

    /// Writes the picture of pair `at`.
    pub(crate) fn write(
        &self,
        at: usize,
        size: Size,
        truth: &[u16],
        predicted: &[u16],
    ) -> Result<(), String> {
        let thumbnail = Thumbnail::new(size);
        let mut panels = Vec::new();
        if let Some(images) = &self.images {
            panels.push(self.image(images[at].as_ref(), size, thumbnail));
        }
        for labels in [truth, predicted] {
            panels.push(thumbnail.mask(&thumbnail.of_image(labels, size.width), &self.colours));
        }
        let map =
            ErrorMap { step: thumbnail.step(), classes: self.colours.len(), background: self.background };
        let wrong = map.of(&LabelPair { width: size.width, truth, predicted });
        panels.push(wrong.into_iter().flat_map(Wrong::colour).collect());
        let path = self.folder.join(name(at));
        let bytes =
            thumbnail.strip(&panels).map_err(|error| format!("its picture cannot be made: {error}"))?;
        std::fs::write(&path, bytes).map_err(|error| format!("{}: writing failed: {error}", path.display()))
    }

    /// The image, or grey where there is none of that size.
    fn image(&self, path: Option<&PathBuf>, size: Size, thumbnail: Thumbnail) -> Vec<u8> {
        let read = || {
            let image = Image::open(path?, &self.limits, &Reading::default()).ok()?;
            if image.info().size == size { thumbnail.image(&image).ok() } else { None }
        };
        read().unwrap_or_else(|| vec![200; thumbnail.size().area() as usize * 3])
    }
}

/// What the picture of pair `at` is called.
pub(crate) fn name(at: usize) -> String {
    format!("{at:06}.png")
}
