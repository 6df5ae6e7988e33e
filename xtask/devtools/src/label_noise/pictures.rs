//! The pictures whose labels are spoiled.

use super::object::Mask;
use crate::scene::{class_names, paint, write_mask, write_scene};
use anyhow::{Context, Result};
use marquetry_geometry::{Rect, Size};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What the demo's models were trained with: 60 pictures of seed 1, dealt to 3 folds in turn.
const TRAINED: u32 = 60;
const TRAINED_SEED: u32 = 1;
const FOLDS: u32 = 3;
/// A seed that no picture of a model was painted with.
const NEW_SEED: u32 = 8;
/// Height and width, px.
pub(super) const SIDE: u32 = 256;

/// Pictures in a folder, and their true labels.
pub(super) struct Pictures {
    folder: PathBuf,
    names: Vec<String>,
    folds: Vec<u32>,
    pub(super) masks: Vec<Mask>,
}

impl Pictures {
    /// Paints `count` of them below a folder: those of the models' training first, each in the fold in which it was held
    /// out, then pictures that no model has seen, dealt to the folds in turn.
    pub(super) fn painted(folder: &Path, count: u32) -> Result<Self> {
        let mut pictures =
            Self { folder: folder.to_owned(), names: Vec::new(), folds: Vec::new(), masks: Vec::new() };
        for part in ["images", "masks"].map(|name| folder.join(name)) {
            fs::create_dir_all(&part).with_context(|| format!("creating {}", part.display()))?;
        }
        for at in 0..count {
            let (seed, index) = if at < TRAINED { (TRAINED_SEED, at) } else { (NEW_SEED, at - TRAINED) };
            let scene = paint(u64::from(seed) << 32 | u64::from(index), Rect::whole(Size::square(SIDE)));
            let name = format!("scene_{seed}_{index:03}");
            let file = |part: &str| folder.join(part).join(format!("{name}.png"));
            write_scene(&scene, &file("images"), &file("masks"))?;
            pictures.folds.push(index % FOLDS);
            pictures.masks.push(Mask { size: scene.size, pixels: scene.mask });
            pictures.names.push(name);
        }
        Ok(pictures)
    }

    /// How many there are, and how many of them some of the models were trained on.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.names.len(), self.names.len().min(TRAINED as usize))
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Writes labels of which some are wrong: these to files in a folder, and to `images.csv` which label each image has.
    pub(super) fn write_labels(&self, folder: &Path, wrong: &BTreeMap<usize, Mask>) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let mut csv = "image_id,path,fold,label\n".to_owned();
        for (at, (name, fold)) in self.names.iter().zip(&self.folds).enumerate() {
            let file = |folder: &Path| folder.join(format!("{name}.png")).to_string_lossy().into_owned();
            let label = wrong.get(&at).map_or_else(|| file(&self.folder.join("masks")), |_| file(folder));
            if let Some(mask) = wrong.get(&at) {
                write_mask(Path::new(&label), mask.size, &mask.pixels)?;
            }
            csv += &format!("{name},{},{fold},{label}\n", file(&self.folder.join("images")));
        }
        let list = folder.join("images.csv");
        fs::write(&list, csv).with_context(|| format!("writing {}", list.display()))?;
        Ok(list)
    }
}

/// How many classes labels have.
pub(super) fn classes() -> u8 {
    class_names().len() as u8
}
