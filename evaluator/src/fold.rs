//! What is kept of all images.

use marquetry_evaluation::{ClassCounts, ErrorKind, ImageCounts};
use marquetry_geometry::Size;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// So many images are kept of a cell of the confusion.
const CELL_IMAGES: usize = 24;

/// What is kept of one image: some 150 bytes, and 48 for each class in it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRow {
    /// The prediction's path.
    pub name: String,
    /// The truth's path.
    pub truth: String,
    /// Where its picture lies, from the page; empty where there is none.
    pub picture: String,
    /// Its size, px.
    pub size: Size,
    /// The classes that truth or prediction have.
    pub classes: Vec<(u16, ClassCounts)>,
    /// Normalised surface distance of the same classes.
    pub nsd: Vec<(u16, f64)>,
    /// Pixels that count.
    pub pixels: u64,
    /// Those that are right.
    pub right: u64,
    /// Pixels that the truth leaves out.
    pub left_out: u64,
    /// Wrong pixels by kind, in the order of [`ErrorKind::ALL`].
    pub kinds: [u64; 8],
}

impl ImageRow {
    /// What is kept of an image of which this was counted.
    pub fn new(name: String, truth: String, picture: String, size: Size, counts: &ImageCounts) -> Self {
        let classes = counts.confusion.class_counts().into_iter().enumerate();
        let classes = classes.filter(|(_, counts)| counts.union() > 0);
        let nsd = counts.surface.iter().enumerate();
        Self {
            name,
            truth,
            picture,
            size,
            nsd: nsd.filter_map(|(class, counts)| Some((class as u16, counts.nsd()?))).collect(),
            classes: classes.map(|(class, counts)| (class as u16, counts)).collect(),
            pixels: counts.confusion.pixels(),
            right: counts.confusion.right(),
            left_out: counts.left_out,
            kinds: ErrorKind::ALL.map(|kind| counts.kinds.pixels(kind)),
        }
    }

    /// The mean IoU over the classes in it; none where nothing counts.
    pub fn mean_iou(&self) -> Option<f64> {
        let known: Vec<f64> = self.classes.iter().filter_map(|(_, counts)| counts.iou()).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// The mean normalised surface distance over the classes in it; none where nothing counts.
    pub fn mean_nsd(&self) -> Option<f64> {
        let known = self.nsd.iter().map(|(_, nsd)| nsd);
        (!self.nsd.is_empty()).then(|| known.sum::<f64>() / self.nsd.len() as f64)
    }

    /// Share of the pixels that count which are right.
    pub fn pixel_accuracy(&self) -> Option<f64> {
        (self.pixels > 0).then(|| self.right as f64 / self.pixels as f64)
    }
}

/// A cell of the confusion, and where most of it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    /// Pixels and image (by its place among the rows), most pixels first.
    pub images: Vec<(u64, usize)>,
}

/// The sums of all images so far.
#[derive(Debug)]
pub struct Fold {
    pub(crate) counts: ImageCounts,
    pub(crate) rows: Vec<ImageRow>,
    /// By true and predicted class; what is no class is the number of classes.
    pub(crate) cells: BTreeMap<(u16, u16), Cell>,
}

impl Fold {
    /// No image yet.
    pub fn new(classes: usize) -> Self {
        Self { counts: ImageCounts::new(classes), rows: Vec::new(), cells: BTreeMap::new() }
    }

    /// The counts of all of them.
    pub const fn counts(&self) -> &ImageCounts {
        &self.counts
    }

    /// Takes the next image.
    pub fn add(&mut self, row: ImageRow, counts: &ImageCounts) {
        let classes = counts.confusion.classes();
        for (truth, predicted, pixels) in counts.confusion.cells() {
            if predicted == Some(truth) {
                continue;
            }
            let key = (truth as u16, predicted.unwrap_or(classes) as u16);
            let images = &mut self.cells.entry(key).or_default().images;
            images.push((pixels, self.rows.len()));
            images.sort_by_key(|&(pixels, row)| (Reverse(pixels), row));
            images.truncate(CELL_IMAGES);
        }
        self.counts.merge(counts);
        self.rows.push(row);
    }
}
