//! Tables that a competition takes.

use super::classes::Classes;
use super::node::Node;
use super::output::{Context, Output, file};
use super::read::{At, Fields, one_of};
use super::window::{name_of, size};
use marquetry_ensemble::Labelling;
use marquetry_geometry::Size;

pub(super) const RLE_KEYS: [&str; 9] =
    ["submission", "file", "sample", "empty", "relative", "classes", "rows", "columns", "id"];
pub(super) const CSV_KEYS: [&str; 3] = ["submission", "file", "size"];

/// A table of run lengths, counted down the columns from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KaggleRle {
    /// Its path below the job's outputs.
    pub file: String,
    /// A table whose header and order of rows are kept.
    pub sample: Option<String>,
    /// What stands for an empty mask.
    pub empty: String,
    /// Whether a start is counted from the end of the run before (SIIM-ACR) rather than from the first pixel.
    pub relative: bool,
    /// The classes that are written, by label, ascending.
    pub classes: Vec<usize>,
    /// What a row stands for.
    pub rows: RleRows,
    /// The header: `[id, runs]`, or `[image, class, runs]`.
    pub columns: Vec<String>,
    /// What stands in the first column: `{image}` is the image's id, `{class}` the class's name, `{index}` its label.
    pub id: String,
}

/// What a row of run lengths stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RleRows {
    /// An image: the union of the classes.
    Image,
    /// One class of an image.
    ImageClass,
}

/// A table with the class id of every pixel of each image, row by row, with columns `image_id,PredictionString`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCsv {
    /// Its path below the job's outputs.
    pub file: String,
    /// The size to which each mask is resized (nearest neighbour), px.
    pub size: Size,
}

const ROWS: [(&str, RleRows); 2] = [("image", RleRows::Image), ("image-class", RleRows::ImageClass)];
const TABLES: [&str; 2] = ["kaggle-rle", "class-csv"];

/// Reads an output that has a `submission`.
pub(super) fn read(at: &At<'_>, job: &Context<'_>) -> Option<Output> {
    let entries = at.peek();
    let (_, table) = entries.iter().find(|(key, _)| *key == "submission")?;
    match table.as_text() {
        Some("kaggle-rle") => rle(&at.fields(&RLE_KEYS), job).map(Output::KaggleRle),
        Some("class-csv") => {
            if job.labelling == Labelling::Multilabel {
                table.conflict("class-csv has one class per pixel, and these do not exclude each other (multilabel: true)");
            }
            let fields = at.fields(&CSV_KEYS);
            let size = fields.read("size", |at| size(at, 1)).unwrap_or(Size::square(256));
            Some(Output::ClassCsv(ClassCsv { file: file(&fields, "submission.csv"), size }))
        }
        _ => {
            table.misspelt(&one_of(&TABLES), TABLES);
            None
        }
    }
}

fn rle(fields: &Fields<'_>, job: &Context<'_>) -> Option<KaggleRle> {
    let all = || (0..job.classes.len()).filter(|&class| Some(class) != job.background).collect();
    let classes: Vec<usize> = match fields.get("classes") {
        Some(at) => job.classes.some(at)?,
        None => all(),
    };
    if classes.is_empty() {
        fields.forbid(&["classes"], "no class; needed is at least one");
    }
    let standard = if classes.len() == 1 { RleRows::Image } else { RleRows::ImageClass };
    let rows = fields.read("rows", |at| at.one_of(&ROWS)).unwrap_or(standard);
    let columns = fields.read("columns", columns).unwrap_or_else(|| vec!["id".to_owned(), "rle".to_owned()]);
    let id = match (rows, columns.len()) {
        (RleRows::ImageClass, 2) => "{image}_{class}",
        _ => "{image}",
    };
    let rle = KaggleRle {
        file: file(fields, "submission.csv"),
        sample: fields.read("sample", |at| at.text("the path of a CSV file")),
        empty: fields
            .read("empty", |at| at.text_where("text such as \"\" or \"-1\"", |_| true))
            .unwrap_or_default(),
        relative: fields.read("relative", At::flag).unwrap_or(false),
        classes,
        rows,
        columns,
        id: fields.read("id", |at| at.text("text with {image} in it")).unwrap_or_else(|| id.to_owned()),
    };
    rle.check(fields);
    Some(rle)
}

fn columns(at: &At<'_>) -> Option<Vec<String>> {
    let allowed = "two or three names of columns: [id, runs] or [image, class, runs]";
    let names = at.each(allowed, |at| at.text("the name of a column"))?;
    if matches!(names.len(), 2 | 3) { Some(names) } else { at.refuse(allowed) }
}

impl KaggleRle {
    fn check(&self, fields: &Fields<'_>) {
        let at = |key| fields.get(key).unwrap_or(fields.at());
        let names_class = self.id.contains("{class}") || self.id.contains("{index}");
        if !self.id.contains("{image}") {
            at("id").conflict("rows of different images would have the same id; needed is {image} in it");
        }
        let rest =
            ["{image}", "{class}", "{index}"].iter().fold(self.id.clone(), |id, name| id.replace(name, ""));
        if rest.contains(['{', '}']) {
            at("id").conflict("braces hold something unknown; allowed are {image}, {class} and {index}");
        }
        match (self.rows, self.columns.len()) {
            (RleRows::Image, 3) => {
                at("columns").conflict("three columns have a class in each row; use rows: image-class");
            }
            (RleRows::Image, _) if names_class => {
                at("id").conflict("a row stands for all classes; use rows: image-class");
            }
            (RleRows::ImageClass, 2) if !names_class => {
                at("id").conflict(
                    "rows of different classes would have the same id; needed is {class} or {index} in it",
                );
            }
            _ => {}
        }
    }

    pub(super) fn write(&self, classes: &Classes) -> Node {
        Node::map([
            ("submission", Some("kaggle-rle".into())),
            ("file", Some(self.file.as_str().into())),
            ("sample", self.sample.as_deref().map(Node::from)),
            ("empty", Some(self.empty.as_str().into())),
            ("relative", Some(self.relative.into())),
            ("classes", Some(classes.names(&self.classes))),
            ("rows", Some(name_of(&ROWS, self.rows))),
            ("columns", Some(Node::list(self.columns.iter().map(String::as_str)))),
            ("id", Some(self.id.as_str().into())),
        ])
    }
}

impl ClassCsv {
    pub(super) fn write(&self) -> Node {
        Node::map([
            ("submission", Some("class-csv".into())),
            ("file", Some(self.file.as_str().into())),
            ("size", Some(Node::list([self.size.height, self.size.width]))),
        ])
    }
}
