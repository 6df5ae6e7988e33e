//! Where the images of a job are, and where it keeps what it makes.

use super::input::Bands;
use super::kind::{Double, Kind, LayerKind, Maybe, ReadKind, Text, Whole, Words};
use super::node::Node;
use super::pattern::{GlobPattern, expand_braces, is_glob};
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::{Bounds, Shape};
use marquetry_geometry::{Alpha, Nodata, Pages};

section! {
    /// The images of a job.
    pub struct Images: "images" (_) {
        /// Where they are: a glob, a folder, a CSV file (`image_id,path[,tags]`), or `s3://bucket/prefix`.
        pub from: String = String::new(), Paths(FROM), required = FROM.allowed;
        /// Which of their bands the job uses, counted from 0; all of them if not given.
        pub bands: Option<Vec<u16>> = None, Maybe(Bands { distinct: true });
        /// The page of each file that is the image, counted from 0: for stacks. The first is page 0, whatever the file calls
        /// it; behind it previews, overviews and masks are no pages.
        pub page: Option<u32> = None, Maybe(Whole::<u32>::new(0, 65_534));
        /// What the pages of a TIFF are. `auto`: bands, where its metadata (`ImageJ`, OME, tifffile) says that they are
        /// channels; else other images, of which the first is used, and the plan says which are left out. `bands`: bands; with
        /// `page`, that page and those that its metadata calls the other channels of the same place (a slice of z, a time).
        pub pages: Pages = Pages::Auto, Words(&PAGES);
        /// What an alpha band is. `auto`: a band where `bands` names it, else dropped. `band`: a band, `drop`: nothing,
        /// `nodata`: pixels where it is 0 are missing.
        pub alpha: Alpha = Alpha::Auto, Words(&ALPHA);
        /// The sample value that stands for no data: `auto` is what each file names, or a file `x.tif.aux.xml`
        /// beside it, and its mask, in it or beside it (`x.tif.msk`). Pixels that have it are missing, as
        /// those are that are NaN: a model sees its mean in their place (0 after normalisation), and they get the ignore
        /// label. A value that may also be measured (0, or any of unsigned samples) must stand in all bands that the job
        /// uses, others (-9999) in one of them.
        pub nodata: Nodata = Nodata::Auto, NodataKind;
    }
}

/// What `images.from` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSource {
    /// A table of ids, paths and tags: the text ends in `.csv`.
    Manifest,
    /// A glob, perhaps with braces.
    Pattern,
    /// One image, or a folder with all its images.
    Path,
}

impl Images {
    /// What `from` names.
    pub fn source(&self) -> ImageSource {
        let from = &self.from;
        if from.len() >= 4 && from.as_bytes()[from.len() - 4..].eq_ignore_ascii_case(b".csv") {
            ImageSource::Manifest
        } else if is_glob(from) || from.contains(['{', '}']) {
            ImageSource::Pattern
        } else {
            ImageSource::Path
        }
    }
}

const PAGES: [(&str, Pages); 2] = [("auto", Pages::Auto), ("bands", Pages::Bands)];
const ALPHA: [(&str, Alpha); 4] =
    [("auto", Alpha::Auto), ("band", Alpha::Band), ("drop", Alpha::Drop), ("nodata", Alpha::Nodata)];
const NODATA: Bounds = Bounds::any("`auto`, `none` or a number");

/// `auto`, `none`, or a number.
struct NodataKind;

impl Kind for NodataKind {
    type Value = Nodata;

    fn write(&self, nodata: &Nodata, scope: &Scope<'_>) -> Option<Node> {
        match nodata {
            Nodata::Auto => Some("auto".into()),
            Nodata::None => Some("none".into()),
            Nodata::Value(value) => Double(NODATA).write(value, scope),
        }
    }

    fn shape(&self) -> Shape {
        let either = Shape::AnyOf(vec![Shape::Words(vec!["auto", "none"]), Double(NODATA).shape()]);
        Shape::Described("`auto`, `none`, or a number", Box::new(either))
    }
}

impl ReadKind for NodataKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Nodata> {
        match at.as_text() {
            Some("auto") => Some(Nodata::Auto),
            Some("none") => Some(Nodata::None),
            _ => Double(NODATA).read(at, scope).map(Nodata::Value),
        }
    }
}

/// A place alone, or a map.
pub(super) struct ImagesKind;

impl Kind for ImagesKind {
    type Value = Images;

    fn write(&self, images: &Images, scope: &Scope<'_>) -> Option<Node> {
        Some(images.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![FROM.shape(), Shape::Section(Images::table())])
    }
}

impl LayerKind for ImagesKind {
    fn read_over(&self, at: &At<'_>, below: &Images, scope: &Scope<'_>) -> Option<Images> {
        if at.is_map() {
            return Some(below.over_at(at, scope));
        }
        let from = Paths(FROM).read(at, scope).unwrap_or_default();
        Some(Images { from, ..below.clone() })
    }
}

/// A path, or a place in S3.
const fn place(allowed: &'static str) -> Text {
    let pattern = "^(s3://[^/\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*|(?![^\\n]*://)[^\\x00-\\x1f\\x7f]*\\S[^\\x00-\\x1f\\x7f]*)$";
    Text {
        allowed,
        pattern: Some(pattern),
        accept: |text| {
            let bucket = text.strip_prefix("s3://").map(|rest| rest.split('/').next().unwrap_or_default());
            let sound = bucket.map_or(!text.contains("://"), |bucket| !bucket.is_empty());
            sound && !text.trim().is_empty() && !text.contains(char::is_control)
        },
    }
}

const FROM: Text = place("a glob, a folder, a CSV file, or s3://bucket/prefix");
/// Where labels are.
pub(super) const TRUTH: Text = place("a folder, a file, or s3://bucket/prefix");
/// Where the folds of images are.
pub(super) const FOLDS: Text = place("a JSON or CSV file, or s3://bucket/key");
/// Where tiles and outputs are kept.
pub(super) const STORE: Text = place("a folder, or s3://bucket/prefix");

/// Text in which braces and globs mean something.
pub(super) struct Paths(pub(super) Text);

impl Kind for Paths {
    type Value = String;

    fn write(&self, text: &String, scope: &Scope<'_>) -> Option<Node> {
        self.0.write(text, scope)
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

impl ReadKind for Paths {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<String> {
        let text = self.0.read(at, scope)?;
        let paths = expand_braces(&text);
        match paths.and_then(|paths| paths.iter().try_for_each(|path| GlobPattern::new(path).map(drop))) {
            Ok(()) => Some(text),
            Err(error) => at.refuse_pattern(error),
        }
    }
}
