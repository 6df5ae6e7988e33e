//! Labels out of COCO files.

use super::coco_json::{Annotation, CocoForm, DataSet};
use super::reader::LabelReader;
use crate::read::error::{ReadError, ReadFault};
use crate::read::file::{ReadAt, Source};
use crate::read::header::Limits;
use crate::rle::Runs;
use crate::write::CocoId;
use marquetry_geometry::Size;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// An image that a COCO file names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoImage {
    /// Its id, by which annotations speak of it.
    pub id: CocoId,
    /// Its file, as it is written there, folders included.
    #[serde(default)]
    pub file_name: Option<String>,
    /// Rows, px.
    #[serde(default)]
    pub height: Option<u32>,
    /// Columns, px.
    #[serde(default)]
    pub width: Option<u32>,
}

/// A category that a COCO file names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CocoCategory {
    /// Its id, by which annotations speak of it.
    pub id: u64,
    /// Its name.
    pub name: String,
}

/// One annotation of an image, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoObject {
    /// Its own id, where it has one. Files have been seen in which two share one.
    pub id: Option<CocoId>,
    /// Its category's id.
    pub category_id: u64,
    /// Whether COCO's evaluation passes it over. For a semantic label its pixels are the category's all the same.
    pub crowd: bool,
    /// How the file said where it is.
    pub form: CocoForm,
    /// Its pixels, clipped to the image; none for boxes, points and lines.
    pub mask: Runs,
}

/// A COCO file: a whole data set, or a bare list of annotations.
///
/// Masks and outlines stay text until they are asked for. Memory: about twice the file while it is opened, then the file.
#[derive(Debug)]
pub struct CocoFile {
    name: PathBuf,
    limits: Limits,
    images: Vec<CocoImage>,
    categories: Vec<CocoCategory>,
    annotations: Vec<Annotation>,
    /// Where in `images` an image is, and which annotations speak of it, in their order.
    sizes: HashMap<CocoId, usize>,
    by_image: HashMap<CocoId, Vec<usize>>,
}

impl CocoFile {
    /// Opens a file of at most `limits.memory_bytes` bytes.
    ///
    /// # Errors
    /// If it cannot be read, is too large, is no JSON of this form, or has two images or categories of one id.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ReadError> {
        Self::load(Source::open(path), path, limits)
    }

    /// [`open`](Self::open) of what is no file. `name` is what messages call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_from(bytes: Box<dyn ReadAt>, name: &Path, limits: &Limits) -> Result<Self, ReadError> {
        Self::load(Source::of(bytes), name, limits)
    }

    fn load(source: Result<Source, ReadFault>, name: &Path, limits: &Limits) -> Result<Self, ReadError> {
        let open = || {
            let source = source?;
            if source.length() > limits.memory_bytes {
                let found = format!("it has {} bytes, {} are allowed", source.length(), limits.memory_bytes);
                return Err(ReadFault::too_large(found, "raise the memory limit or split the file"));
            }
            parse(&source.bytes(0, source.length())?)
        };
        let DataSet { images, categories, annotations } =
            open().map_err(|fault| ReadError::new(name, "opening the COCO file", fault))?;
        let sizes = images.iter().enumerate().map(|(index, image)| (image.id.clone(), index)).collect();
        let mut by_image: HashMap<CocoId, Vec<usize>> = HashMap::new();
        for (index, annotation) in annotations.iter().enumerate() {
            by_image.entry(annotation.image_id.clone()).or_default().push(index);
        }
        let (name, limits) = (name.to_owned(), limits.clone());
        Ok(Self { name, limits, images, categories, annotations, sizes, by_image })
    }

    /// The images it names, in its order; none in a bare list of annotations.
    pub fn images(&self) -> &[CocoImage] {
        &self.images
    }

    /// The categories it names, in its order; none in a bare list of annotations.
    pub fn categories(&self) -> &[CocoCategory] {
        &self.categories
    }

    /// The images that annotations speak of, whether it names them or not, in the order of their first annotation.
    pub fn annotated_images(&self) -> impl Iterator<Item = &CocoId> {
        let first =
            |(index, annotation): (usize, &Annotation)| self.by_image[&annotation.image_id][0] == index;
        let firsts = self.annotations.iter().enumerate().filter(move |&pair| first(pair));
        firsts.map(|(_, annotation)| &annotation.image_id)
    }

    /// How many annotations each category has, whether the file names it or not.
    pub fn category_counts(&self) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for annotation in &self.annotations {
            *counts.entry(annotation.category_id).or_default() += 1;
        }
        counts
    }

    /// How many annotations there are.
    pub const fn annotations(&self) -> usize {
        self.annotations.len()
    }

    /// The annotations without outlines or run lengths, in their order: their own id, where they have one, and their image's.
    pub fn without_segmentation(&self) -> impl Iterator<Item = (Option<&CocoId>, &CocoId)> {
        let bare = self.annotations.iter().filter(|annotation| !annotation.has_segmentation());
        bare.map(|annotation| (annotation.id.as_ref(), &annotation.image_id))
    }

    /// The annotations of `image`, which has `size` px as the file means it, in their order.
    ///
    /// # Errors
    /// If the file gives the image, or one of its masks, another size, or one of its masks is damaged, or all of them take
    /// more than `limits.memory_bytes`: the message names the annotation.
    pub fn objects(&self, image: &CocoId, size: Size) -> Result<Vec<CocoObject>, ReadError> {
        let failed = |fault| ReadError::new(&self.name, "reading the annotations of an image", fault);
        self.check_size(image, size).map_err(failed)?;
        // A crossing takes 8 bytes, and a run of two crossings 16 more.
        let mut crossings_left = (self.limits.memory_bytes / 16) as usize;
        let object = |&index: &usize| {
            let annotation = &self.annotations[index];
            let (form, mask) = annotation.mask(size, crossings_left).map_err(|fault| {
                let id = annotation.id.as_ref().map_or("without an id".to_owned(), CocoId::to_string);
                failed(fault.at(&format!("annotation {id} of image {image}")))
            })?;
            crossings_left = crossings_left.saturating_sub(2 * mask.runs().len());
            let (id, category_id, crowd) =
                (annotation.id.clone(), annotation.category_id, annotation.is_crowd());
            Ok(CocoObject { id, category_id, crowd, form, mask })
        };
        self.by_image.get(image).map_or(Ok(Vec::new()), |all| all.iter().map(object).collect())
    }

    /// The label of `image`: `background` but for the annotations to which `value_of` gives a value. Where they overlap,
    /// the one of fewer pixels is on top, and of two that have equally many the later one.
    ///
    /// # Errors
    /// As [`objects`](Self::objects).
    pub fn label(
        &self,
        image: &CocoId,
        size: Size,
        background: u16,
        value_of: impl Fn(&CocoObject) -> Option<u16>,
    ) -> Result<LabelReader, ReadError> {
        self.paint(size, background, self.objects(image, size)?, value_of)
    }

    /// [`label`](Self::label) of objects that are read already.
    ///
    /// # Errors
    /// When one is of another size.
    pub fn paint(
        &self,
        size: Size,
        background: u16,
        objects: Vec<CocoObject>,
        value_of: impl Fn(&CocoObject) -> Option<u16>,
    ) -> Result<LabelReader, ReadError> {
        let mut masks: Vec<(u16, Runs)> =
            objects.into_iter().filter_map(|object| Some((value_of(&object)?, object.mask))).collect();
        masks.sort_by_key(|(_, mask)| Reverse(mask.area()));
        LabelReader::painted(&self.name, size, background, masks)
    }

    fn check_size(&self, image: &CocoId, size: Size) -> Result<(), ReadFault> {
        if size.area() > self.limits.pixels_max {
            return Err(ReadFault::too_large(
                format!("image {image} has {size} pixels, {} are allowed", self.limits.pixels_max),
                "raise the limit on pixels if the image is to be trusted",
            ));
        }
        let named = self.sizes.get(image).map(|&index| &self.images[index]);
        match named.and_then(|named| Some(Size::new(named.height?, named.width?))) {
            Some(named) if named != size => Err(ReadFault::unreadable(format!(
                "image {image} is {named} px there, and {size} px in fact"
            ))
            .advise("take the file that was made for these images; height comes before width")),
            _ => Ok(()),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<DataSet, ReadFault> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let data_set: DataSet = if first == Some(&b'[') {
        let annotations = serde_json::from_slice(bytes).map_err(ReadFault::damaged)?;
        DataSet { annotations, ..DataSet::default() }
    } else {
        serde_json::from_slice(bytes).map_err(ReadFault::damaged)?
    };
    let mut seen = HashSet::new();
    if let Some(image) = data_set.images.iter().find(|image| !seen.insert(&image.id)) {
        return Err(ReadFault::unreadable(format!("two of its images have the id {}", image.id)));
    }
    let mut seen = HashSet::new();
    if let Some(category) = data_set.categories.iter().find(|category| !seen.insert(category.id)) {
        return Err(ReadFault::unreadable(format!("two of its categories have the id {}", category.id)));
    }
    Ok(data_set)
}
