//! What the table of the job file says of its sections, keys and values, as data: what the JSON Schema, the reference
//! page and the tests are made from.

use super::node::Node;
use super::read::Fields;

/// A map with fixed keys.
pub(super) struct Table {
    /// What the schema calls it; unique.
    pub(super) name: &'static str,
    /// What it is for.
    pub(super) about: String,
    pub(super) keys: Vec<Key>,
    pub(super) checks: &'static [CrossCheck],
}

/// One key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it does.
    pub(super) about: String,
    pub(super) shape: Shape,
    pub(super) unset: Unset,
}

/// What holds where a key is not given.
pub(super) enum Unset {
    /// It must be given.
    Required,
    /// This value.
    Value(Node),
    /// What hangs on other keys, in words.
    Described(&'static str),
    /// Nothing.
    Nothing,
}

impl Unset {
    /// A default as it is printed.
    pub(super) fn from_default(node: Option<Node>) -> Self {
        node.map_or(Self::Nothing, Self::Value)
    }
}

/// What a value may be.
pub(super) enum Shape {
    Words(Vec<&'static str>),
    Numbers(Vec<u64>),
    Whole {
        min: u64,
        /// `u64::MAX` is no bound.
        max: u64,
    },
    Real(Bounds),
    Text {
        /// In words.
        allowed: &'static str,
        /// A regular expression of the same meaning, where one can say it.
        pattern: Option<&'static str>,
    },
    Flag,
    /// Text, a number or a truth value, taken as it is written.
    Scalar(&'static str),
    List {
        item: Box<Shape>,
        min: usize,
        max: Option<usize>,
        unique: bool,
    },
    /// A map whose keys are names of this (`class`, `tag`).
    MapOf(&'static str, Box<Shape>),
    AnyOf(Vec<Shape>),
    /// Just one of these sections.
    OneOf(Vec<Table>),
    Section(Table),
    /// A shape whose own words would be clumsy.
    Described(&'static str, Box<Shape>),
}

impl Shape {
    /// A list of any length.
    pub(super) fn list(item: Self) -> Self {
        Self::List { item: Box::new(item), min: 0, max: None, unique: false }
    }

    /// A list of at least `min` and at most `max`.
    pub(super) fn list_of(item: Self, min: usize, max: Option<usize>) -> Self {
        Self::List { item: Box::new(item), min, max, unique: false }
    }

    /// One value for both axes, or `[y, x]`.
    pub(super) fn axes(each: impl Fn() -> Self) -> Self {
        Self::AnyOf(vec![each(), Self::list_of(each(), 2, Some(2))])
    }
}

/// The bounds of a number, in words and as numbers.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) allowed: &'static str,
    /// At least this.
    pub(super) min: Option<f64>,
    /// More than this.
    pub(super) above: Option<f64>,
    /// At most this.
    pub(super) max: Option<f64>,
    /// Less than this.
    pub(super) below: Option<f64>,
}

impl Bounds {
    /// Any finite number.
    pub(super) const fn any(allowed: &'static str) -> Self {
        Self { allowed, min: None, above: None, max: None, below: None }
    }

    pub(super) fn hold(&self, x: f64) -> bool {
        self.min.is_none_or(|min| x >= min)
            && self.above.is_none_or(|above| x > above)
            && self.max.is_none_or(|max| x <= max)
            && self.below.is_none_or(|below| x < below)
    }
}

/// A key and the word or truth value that it has.
pub(super) type Case = (&'static str, Word);

/// A value that a cross-check asks for.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Text(&'static str),
    Flag(bool),
}

impl Word {
    fn is(self, node: &Node) -> bool {
        *node == Node::from(self)
    }
}

impl From<Word> for Node {
    fn from(word: Word) -> Self {
        match word {
            Word::Text(text) => text.into(),
            Word::Flag(flag) => flag.into(),
        }
    }
}

/// What keys of one section can only get wrong together. Checks that need more than words are code.
pub(super) enum CrossCheck {
    /// `keys` mean nothing in this case.
    UnusedIf { keys: fn() -> Vec<&'static str>, case: Case, because: &'static str },
    /// `key` means something in this case alone, which it never is beside the key `rival`.
    UsedIf { key: &'static str, case: Case, rival: &'static str, because: &'static str },
    /// In this case `key` must be there.
    NeededIf { key: &'static str, case: Case, allowed: &'static str },
    /// Either may be given, not both.
    Either { key: &'static str, or: &'static str, because: &'static str },
    /// The two exclude each other, wherever each of them was given.
    Never { cases: [Case; 2], because: &'static str },
}

impl CrossCheck {
    /// Notes what is wrong in what was written; `entries` is what came of it, defaults and all.
    pub(super) fn check(&self, fields: &Fields<'_>, entries: &[(&'static str, Node)]) {
        let holds = |&(key, word): &Case| holds((key, word), entries);
        match self {
            Self::UnusedIf { keys, case, because } if holds(case) => fields.forbid(&keys(), because),
            Self::UsedIf { key, case, because, .. } if !holds(case) => fields.forbid(&[key], because),
            Self::NeededIf { key, case, allowed } if holds(case) => {
                fields.need(key, allowed);
            }
            Self::Either { key, or, because } if fields.get(or).is_some() => fields.forbid(&[key], because),
            _ => {}
        }
    }

    /// Why the section contradicts itself, if it does.
    pub(super) fn contradiction(&self, entries: &[(&'static str, Node)]) -> Option<&'static str> {
        match self {
            Self::Never { cases, because } => {
                cases.iter().all(|&case| holds(case, entries)).then_some(*because)
            }
            _ => None,
        }
    }
}

fn holds((key, word): Case, entries: &[(&'static str, Node)]) -> bool {
    entries.iter().any(|(name, node)| *name == key && word.is(node))
}

/// The text of a document comment: the lines of its first paragraph as one.
pub(super) fn about(lines: &[&str]) -> String {
    let lines = lines.iter().map(|line| line.trim());
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
