//! The classes of a job, and values given per class.

use super::kind::{Kind, Maybe, ReadKind, Text};
use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::section::{Section, section};
use super::table::Shape;
use std::collections::HashMap;

/// Most classes: labels are 16 bits, and one value is kept for pixels without a label.
const CLASSES_MAX: usize = 65_535;

section! {
    /// One class: its place in the list is its label, if `labels` says no other, and the model's channel.
    pub struct Class: "class" (_) derive [Eq] {
        /// Unique in the job.
        pub name: String = String::new(), NAME, required = "the name of the class";
        /// Red, green and blue in masks, polygons and the report; a colour of its own if not given.
        pub color as colour: Option<[u8; 3]> = None, Maybe(Colour);
    }
}

const NAME: Text = Text {
    allowed: "a name without line breaks and without spaces around it",
    pattern: Some("^[^\\s\\x00-\\x1f\\x7f]([^\\x00-\\x1f\\x7f]*[^\\s\\x00-\\x1f\\x7f])?$"),
    accept: |text| !text.is_empty() && text.trim() == text && !text.contains(char::is_control),
};

/// `#rrggbb`.
struct Colour;

const RGB: Text = Text {
    allowed: "\"#rrggbb\", in quotes",
    pattern: Some("^#[0-9a-fA-F]{6}$"),
    accept: |text| colour(text).is_some(),
};

impl Kind for Colour {
    type Value = [u8; 3];

    fn write(&self, [r, g, b]: &[u8; 3], _: &Scope<'_>) -> Option<Node> {
        Some(format!("#{r:02x}{g:02x}{b:02x}").as_str().into())
    }

    fn shape(&self) -> Shape {
        RGB.shape()
    }
}

impl ReadKind for Colour {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<[u8; 3]> {
        RGB.read(at, scope).as_deref().and_then(colour)
    }
}

fn colour(text: &str) -> Option<[u8; 3]> {
    let digits =
        text.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let [_, r, g, b] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([r, g, b])
}

/// All classes of a job: names, or maps where there is more to say.
pub(super) struct ClassList;

impl Kind for ClassList {
    type Value = Vec<Class>;

    fn write(&self, classes: &Vec<Class>, scope: &Scope<'_>) -> Option<Node> {
        let write = |class: &Class| match class.colour {
            None => Node::from(class.name.as_str()),
            Some(_) => class.node(scope),
        };
        Some(Node::list(classes.iter().map(write)))
    }

    fn shape(&self) -> Shape {
        let class = Shape::AnyOf(vec![NAME.shape(), Shape::Section(Class::table())]);
        Shape::list_of(class, 1, Some(CLASSES_MAX))
    }
}

/// What a class is called where one is expected: it may be called `1`.
pub(super) const CLASS: Shape = Shape::Scalar("the name of a class");

/// A list of classes, each once.
pub(super) fn class_names(min: usize) -> Shape {
    Shape::List { item: Box::new(CLASS), min, max: None, unique: true }
}

/// The classes of a job by name.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub(super) list: Vec<Class>,
    index: HashMap<String, usize>,
}

impl Classes {
    pub(super) fn read(at: &At<'_>) -> Self {
        let allowed = "a list of names, or of {name, color: \"#rrggbb\"}";
        let mut classes = Self::default();
        let items = at.items(allowed).unwrap_or_default();
        if items.len() > CLASSES_MAX || (items.is_empty() && at.is_list()) {
            at.conflict(format!("{} classes; allowed are 1 to {CLASSES_MAX}", items.len()));
            return classes;
        }
        for item in &items {
            let Some(class) = class(item) else { continue };
            if let Some(first) = classes.index.insert(class.name.clone(), classes.list.len()) {
                item.conflict(format!("class `{}` is already class {first}; names are unique", class.name));
            }
            classes.list.push(class);
        }
        // With a class missing, all that names classes would be reported as well.
        if classes.list.len() == items.len() { classes } else { Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The class of pixels that are nothing else, where the job does not say it: what is called so is it, wherever it
    /// stands in the list; else the first.
    pub(super) fn background(&self) -> usize {
        const WORDS: [&str; 4] = ["background", "bg", "_background_", "__background__"];
        let is_called_so =
            |class: &Class| WORDS.iter().any(|word| class.name.trim().eq_ignore_ascii_case(word));
        self.list.iter().position(is_called_so).unwrap_or(0)
    }

    pub(super) fn name(&self, class: usize) -> &str {
        &self.list[class].name
    }

    /// The class that is named. Without classes (their list is broken) nothing is noted.
    pub(super) fn find(&self, at: &At<'_>) -> Option<usize> {
        if self.list.is_empty() {
            return None;
        }
        // A class may be called `1`: that is a name too where a class is expected.
        let found = at.as_written().and_then(|name| self.index.get(name).copied());
        if found.is_none() {
            at.misspelt("the name of a class", self.list.iter().map(|c| c.name.as_str()));
        }
        found
    }

    /// A list of classes, each once, in the order of their labels.
    pub(super) fn some(&self, at: &At<'_>) -> Option<Vec<usize>> {
        let mut classes = Vec::new();
        for item in at.items("a list of class names")? {
            let class = self.find(&item)?;
            if classes.contains(&class) {
                item.conflict(format!("class `{}` is named twice", self.name(class)));
            }
            classes.push(class);
        }
        classes.sort_unstable();
        Some(classes)
    }

    /// The values of a map from class to value, by label; classes that it does not name have none.
    pub(super) fn values<T: Clone>(
        &self,
        at: &At<'_>,
        allowed: &str,
        read: impl Fn(&At<'_>) -> Option<T>,
    ) -> Option<Vec<Option<T>>> {
        let mut values = vec![None; self.len()];
        for (name, value) in at.entries(allowed)? {
            match self.index.get(name) {
                Some(&class) if class < values.len() => values[class] = read(&value),
                _ if self.list.is_empty() => {}
                _ => value.unknown_class(name, self.list.iter().map(|c| c.name.as_str())),
            }
        }
        Some(values)
    }

    /// A map from class to what `write` makes of the classes that have something.
    pub(super) fn map<T>(&self, values: &[T], write: impl Fn(usize, &T) -> Option<Node>) -> Node {
        let entry = |(class, value)| (self.name(class), write(class, value));
        Node::map(values.iter().enumerate().map(entry))
    }

    pub(super) fn names(&self, classes: &[usize]) -> Node {
        Node::list(classes.iter().map(|&class| self.name(class)))
    }
}

impl From<&[Class]> for Classes {
    fn from(list: &[Class]) -> Self {
        let index = list.iter().enumerate().map(|(n, class)| (class.name.clone(), n)).collect();
        Self { list: list.to_vec(), index }
    }
}

fn class(at: &At<'_>) -> Option<Class> {
    let none = Classes::default();
    let scope = Scope::of(&none);
    if at.is_map() {
        Class::read(at, &scope)
    } else {
        NAME.read(at, &scope).map(|name| Class { name, colour: None })
    }
}
