//! Tables that a competition takes.

use super::classes::class_names;
use super::kind::{FLAG, Kind, Maybe, ReadKind, Sides, Text, Words};
use super::node::Node;
use super::output::FILE;
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;
use marquetry_ensemble::Labelling;
use marquetry_geometry::Size;

section! {
    /// A table of run lengths, counted down the columns from 1.
    pub struct KaggleRle: "kaggleRle" (scope) derive [Eq] {
        /// Says that it is this table.
        constant submission, Words(&[("kaggle-rle", ())]), required = "kaggle-rle";
        /// Its path below the job's outputs.
        pub file: String = "submission.csv".to_owned(), FILE;
        /// A table whose header and order of rows are kept.
        pub sample: Option<String> = None, Maybe(Text::not_blank("the path of a CSV file"));
        /// What stands for an empty mask.
        pub empty: String = String::new(), EMPTY;
        /// Whether a start is counted from the end of the run before (SIIM-ACR) rather than from the first pixel.
        pub relative: bool = false, FLAG;
        /// The classes that are written.
        apart pub classes: Vec<usize> = foreground(scope), SomeClasses, unset = "all but the background";
        /// What a row stands for: an image, with the union of the classes, or one class of an image.
        pub rows: RleRows = RleRows::Image, Words(&ROWS), unset = "`image` for one class, `image-class` for several";
        /// The header: `[id, runs]`, or `[image, class, runs]`.
        pub columns: Vec<String> = vec!["id".to_owned(), "rle".to_owned()], Columns;
        /// What stands in the first column: `{image}` is the image's id, `{class}` the class's name, `{index}` its
        /// place in the list of classes.
        apart pub id: String = ID_OF_IMAGE.to_owned(), Id,
            unset = "`{image}_{class}` for rows of a class in two columns, else `{image}`";
    }
}

/// What a row of run lengths stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RleRows {
    /// An image: the union of the classes.
    Image,
    /// One class of an image.
    ImageClass,
}

section! {
    /// A table with the class id (its place, or what `labels` says) of every pixel of each image, row by row, with columns `image_id,PredictionString`.
    pub struct ClassCsv: "classCsv" (_) derive [Eq] {
        /// Says that it is this table.
        constant submission, Words(&[("class-csv", ())]), required = "class-csv";
        /// Its path below the job's outputs.
        pub file: String = "submission.csv".to_owned(), FILE;
        /// The size to which each mask is resized (nearest neighbour), px.
        pub size: Size = Size::square(256), Sides::at_least(1).both();
    }
}

const ROWS: [(&str, RleRows); 2] = [("image", RleRows::Image), ("image-class", RleRows::ImageClass)];
const ID_OF_IMAGE: &str = "{image}";
const EMPTY: Text = Text { allowed: "text such as \"\" or \"-1\"", pattern: None, accept: |_| true };

/// All classes but the background.
fn foreground(scope: &Scope<'_>) -> Vec<usize> {
    (0..scope.classes.len()).filter(|&class| Some(class) != scope.background).collect()
}

impl ClassCsv {
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Self> {
        if let Some(table) = at.entry("submission").filter(|_| scope.labelling == Labelling::Multilabel) {
            table.conflict(
                "class-csv has one class per pixel, and these do not exclude each other (multilabel: true)",
            );
        }
        Self::read(at, scope)
    }
}

impl KaggleRle {
    /// The table at `at`, with what hangs on its classes filled in.
    pub(super) fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Self> {
        let fields = Self::fields(at);
        let standard = Self::standard(scope);
        let classes = match fields.get("classes") {
            Some(at) => SomeClasses.read(at, scope)?,
            None => standard.classes.clone(),
        };
        let rows = if classes.len() == 1 { RleRows::Image } else { RleRows::ImageClass };
        let mut rle = Self { classes, rows, ..standard }.over_fields(&fields, scope);
        if rle.rows == RleRows::ImageClass && rle.columns.len() == 2 {
            "{image}_{class}".clone_into(&mut rle.id);
        }
        if let Some(id) = fields.get("id").and_then(|at| Id.read(at, scope)) {
            rle.id = id;
        }
        rle.check(&fields);
        Some(rle)
    }

    fn check(&self, fields: &Fields<'_>) {
        let at = |key| fields.get(key).unwrap_or(fields.at());
        let names_class = self.id.contains("{class}") || self.id.contains("{index}");
        if !self.id.contains(ID_OF_IMAGE) {
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
}

/// Some of the classes, by label, ascending.
struct SomeClasses;

impl Kind for SomeClasses {
    type Value = Vec<usize>;

    fn write(&self, classes: &Vec<usize>, scope: &Scope<'_>) -> Option<Node> {
        Some(scope.classes.names(classes))
    }

    fn shape(&self) -> Shape {
        class_names(1)
    }
}

impl ReadKind for SomeClasses {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<usize>> {
        let classes = scope.classes.some(at)?;
        if classes.is_empty() {
            at.conflict("no class; needed is at least one");
        }
        Some(classes)
    }
}

/// The names of two or three columns.
struct Columns;

const COLUMN: Text = Text::not_blank("the name of a column");

impl Kind for Columns {
    type Value = Vec<String>;

    fn write(&self, columns: &Vec<String>, _: &Scope<'_>) -> Option<Node> {
        Some(Node::list(columns.iter().map(String::as_str)))
    }

    fn shape(&self) -> Shape {
        Shape::list_of(COLUMN.shape(), 2, Some(3))
    }
}

impl ReadKind for Columns {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<String>> {
        let allowed = "two or three names of columns: [id, runs] or [image, class, runs]";
        let names = at.each(allowed, |at| COLUMN.read(at, scope))?;
        if matches!(names.len(), 2 | 3) { Some(names) } else { at.refuse(allowed) }
    }
}

/// Text with `{image}` in it, which is checked with the rest of the table.
struct Id;

impl Kind for Id {
    type Value = String;

    fn write(&self, id: &String, _: &Scope<'_>) -> Option<Node> {
        Some(id.as_str().into())
    }

    fn shape(&self) -> Shape {
        Shape::Text { allowed: "text with {image} in it", pattern: Some("\\{image\\}") }
    }
}

impl ReadKind for Id {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<String> {
        at.text("text with {image} in it")
    }
}
