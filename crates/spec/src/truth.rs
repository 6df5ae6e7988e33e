//! The labels that are right, as a job names them.

use super::images::TRUTH;
use super::kind::{Double, Kind, Maybe, ReadKind, Text, Words};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::{Bounds, Shape};

section! {
    /// The labels that are right, for as many of the images as have any. They are all read, and what they hold is printed,
    /// before any model runs. A label belongs to the image whose path is equal but for suffix and extension, or whose path
    /// ends alike and no other does; never by its place in a list.
    pub struct Truth: "truth" (_) derive [Eq] {
        /// Where they are: a folder of label images (PNG, TIFF, BMP, NumPy) or of labelme's files, a COCO or panoptic
        /// file or an export of Label Studio (.json), an export of CVAT for images (.xml), a table of run lengths (.csv),
        /// outlines on a map (GeoJSON: one file for all images, or a folder with one for each); or a folder or file in S3.
        pub from: Option<String> = None, Maybe(TRUTH);
        /// In place of `from`: the column of the list of images (`images.from`, a CSV file) that names each image's label
        /// file, relative to the list. An empty cell is an image without a label.
        pub column: Option<String> = None, Maybe(Text::not_blank("the name of a column of the list of images"));
        /// What file names of labels begin with, such as `mask_`; others are passed over.
        pub prefix: String = String::new(), AFFIX;
        /// What they have before their extension, such as `_mask`; others are passed over.
        pub suffix: String = String::new(), AFFIX;
        /// What file names of images have before their extension that those of labels have not, such as `_leftImg8bit`.
        pub image_suffix: String = String::new(), AFFIX;
        /// The value that is left out. `auto`: 255, where it is no class and does not stand beside 0 alone for the
        /// second of two classes.
        pub ignore: Ignore = Ignore::Auto, IgnoreKind;
        /// What values mean: a number, or the name of a category or colour, and a class or `ignore`. Where numbers are
        /// mapped, no other number is a class. Without it numbers mean what `labels` says.
        pub map: Vec<(String, String)> = Vec::new(), ValueMap, unset = "each number the class that it has in masks";
        /// What becomes of values that mean nothing: they are an error, left out, or background.
        pub others: Others = Others::Refuse, Words(&OTHERS);
        /// A table of colours: a JSON object of `"name": [r, g, b]`, or lines `name:r,g,b` (CVAT's `labelmap.txt`). Labels
        /// are then read for their colours.
        pub colours: Option<String> = None, Maybe(TRUTH);
        /// What an alpha channel means that is not opaque: an error, nothing, that there is no label where it is 0, or the
        /// label itself.
        pub alpha: LabelAlpha = LabelAlpha::Refuse, Words(&ALPHA);
        /// What the number means that a TIFF gives for no data. `missing`: that there is no label, `refuse`: the same, and an
        /// error where it is also the number of a class, `value`: what it means in any other file.
        pub nodata: LabelNodata = LabelNodata::Refuse, Words(&NODATA);
        /// Which array of a NumPy archive (`.npz`) is the label, where it has several.
        pub array: Option<String> = None, Maybe(Text::not_blank("the name of an array"));
        /// Which property of a feature on a map (GeoJSON) names its class.
        pub property: Option<String> = None, Maybe(Text::not_blank("the name of a property")), unset = "`class`";
        /// What an image is that a table of run lengths has no row of, or that no feature of a GeoJSON file for all images lies
        /// on: without a label, or background.
        pub no_row: NoRow = NoRow::NoLabel, Words(&NO_ROW);
        /// How pixels are numbered in a table of run lengths: down the columns, or along the rows.
        pub run_order: RunOrder = RunOrder::Columns, Words(&ORDERS);
        /// From where a run's start is counted there: the first pixel is 1, or 0, or the end of the run before.
        pub run_start: RunStart = RunStart::One, Words(&STARTS);
    }
}

/// Which value is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignore {
    /// 255, where it is no class and does not stand for the second of two.
    Auto,
    /// None.
    Nothing,
    /// This one.
    Value(i32),
}

/// What becomes of values that mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They are an error.
    Refuse,
    /// Their pixels are left out.
    Ignore,
    /// They are background.
    Background,
}

/// What an alpha channel of a label means that is not opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelAlpha {
    /// It must be said.
    Refuse,
    /// Nothing.
    Drop,
    /// Where it is 0 there is no label.
    Missing,
    /// It is the label.
    Label,
}

/// What the number means that a TIFF gives for no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelNodata {
    /// That there is no label; where it is also that of a class, it must be said.
    Refuse,
    /// That there is no label.
    Missing,
    /// What it means in any other file.
    Value,
}

/// What an image is that a table of run lengths has no row of, or no feature on a map lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRow {
    /// One without a label.
    NoLabel,
    /// Background.
    Background,
}

/// How the pixels of an image are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOrder {
    /// Down the columns.
    Columns,
    /// Along the rows.
    Rows,
}

/// From where starts of runs are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStart {
    /// The first pixel is number 1.
    One,
    /// The first pixel is number 0.
    Zero,
    /// The end of the run before.
    Relative,
}

const OTHERS: [(&str, Others); 3] =
    [("refuse", Others::Refuse), ("ignore", Others::Ignore), ("background", Others::Background)];
const ALPHA: [(&str, LabelAlpha); 4] = [
    ("refuse", LabelAlpha::Refuse),
    ("drop", LabelAlpha::Drop),
    ("missing", LabelAlpha::Missing),
    ("label", LabelAlpha::Label),
];
const NODATA: [(&str, LabelNodata); 3] =
    [("refuse", LabelNodata::Refuse), ("missing", LabelNodata::Missing), ("value", LabelNodata::Value)];
const NO_ROW: [(&str, NoRow); 2] = [("no-label", NoRow::NoLabel), ("background", NoRow::Background)];
const ORDERS: [(&str, RunOrder); 2] = [("columns", RunOrder::Columns), ("rows", RunOrder::Rows)];
const STARTS: [(&str, RunStart); 3] =
    [("one", RunStart::One), ("zero", RunStart::Zero), ("relative", RunStart::Relative)];
pub(super) const AFFIX: Text = Text {
    allowed: "a part of file names, without `/`",
    pattern: Some("^[^/]*$"),
    accept: |text| !text.contains('/'),
};

const NUMBER: Double = Double(Bounds::any("a whole number"));

/// `auto`, `none`, or a number.
struct IgnoreKind;

impl Kind for IgnoreKind {
    type Value = Ignore;

    fn write(&self, ignore: &Ignore, scope: &Scope<'_>) -> Option<Node> {
        match ignore {
            Ignore::Auto => Some("auto".into()),
            Ignore::Nothing => Some("none".into()),
            Ignore::Value(value) => NUMBER.write(&f64::from(*value), scope),
        }
    }

    fn shape(&self) -> Shape {
        let either = Shape::AnyOf(vec![Shape::Words(vec!["auto", "none"]), NUMBER.shape()]);
        Shape::Described("`auto`, `none`, or a number", Box::new(either))
    }
}

impl ReadKind for IgnoreKind {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<Ignore> {
        match at.as_text() {
            Some("auto") => Some(Ignore::Auto),
            Some("none") => Some(Ignore::Nothing),
            _ => {
                let whole = |x: f64| x.fract() == 0.0 && x.abs() <= f64::from(i32::MAX);
                at.number("`auto`, `none`, or a whole number", whole).map(|x| Ignore::Value(x as i32))
            }
        }
    }
}

/// From a value, as it is written, to the name of a class, or `ignore`.
struct ValueMap;

const CLASS: Text = Text::not_blank("the name of a class, or `ignore`");

impl Kind for ValueMap {
    type Value = Vec<(String, String)>;

    fn write(&self, map: &Vec<(String, String)>, _: &Scope<'_>) -> Option<Node> {
        let entries = map.iter().map(|(from, to)| (from.as_str(), Some(Node::from(to.as_str()))));
        (!map.is_empty()).then(|| Node::map(entries))
    }

    fn shape(&self) -> Shape {
        Shape::MapOf("value", Box::new(CLASS.shape()))
    }
}

impl ReadKind for ValueMap {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<(String, String)>> {
        let entries = at.entries("a map from a value of the labels to a class, or to `ignore`")?;
        let entry = |(from, at): &(&str, At<'_>)| {
            let to = CLASS.read(at, scope)?;
            if to != "ignore" && !scope.classes.list.iter().any(|class| class.name == to) {
                at.unknown_class(&to, scope.classes.list.iter().map(|class| class.name.as_str()));
                return None;
            }
            Some(((*from).to_owned(), to))
        };
        entries.iter().map(entry).collect()
    }
}

/// A place alone, or a map.
pub(super) struct TruthKind;

impl Kind for TruthKind {
    type Value = Truth;

    fn write(&self, truth: &Truth, scope: &Scope<'_>) -> Option<Node> {
        Some(truth.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![TRUTH.shape(), Shape::Section(Truth::table())])
    }
}

impl ReadKind for TruthKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Truth> {
        if !at.is_map() {
            let from = TRUTH.read(at, scope)?;
            return Some(Truth { from: Some(from), ..Truth::standard(scope) });
        }
        let truth = Truth::read(at, scope)?;
        if truth.from.is_some() == truth.column.is_some() {
            at.conflict(
                "one of `from` and `column` is needed: where labels are, or the column that names them",
            );
        }
        Some(truth)
    }
}
