//! Where the images of a job are, and where it keeps what it makes.

use super::input::Bands;
use super::kind::{Kind, LayerKind, Maybe, ReadKind, Text};
use super::node::Node;
use super::pattern::{GlobPattern, expand_braces, is_glob};
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;

section! {
    /// The images of a job.
    pub struct Images: "images" (_) derive [Eq] {
        /// Where they are: a glob, a folder, a CSV file (`image_id,path[,tags]`), or `s3://bucket/prefix`.
        pub from: String = String::new(), Paths(FROM), required = FROM.allowed;
        /// Which of their bands the job uses, counted from 0; all of them if not given.
        pub bands: Option<Vec<u16>> = None, Maybe(Bands { distinct: true });
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
        Some(Images { from, bands: None })
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
