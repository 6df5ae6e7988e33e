//! Asking a document for values: each answer is checked, each error is noted with its place.

use super::error::{SpecError, SpecErrorKind, nearest};
use super::node::{Entry, Node, Value, Word, word};
use super::pattern::PatternError;
use super::print::shown;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, hash_map};
use std::ops::RangeInclusive;

/// All errors found so far. Reading goes on after an error, so that one run names them all.
#[derive(Debug, Default)]
pub(super) struct FoundErrors(RefCell<Vec<SpecError>>);

impl FoundErrors {
    fn note(&self, path: String, line: usize, kind: SpecErrorKind) {
        self.0.borrow_mut().push(SpecError { path, line, kind });
    }

    pub(super) fn into_inner(self) -> Vec<SpecError> {
        self.0.into_inner()
    }
}

/// A value and how it was reached.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    node: &'a Node,
    path: String,
    /// The line of its key, or of the value itself where it has none.
    line: usize,
    errors: &'a FoundErrors,
}

impl<'a> At<'a> {
    pub(super) fn root(node: &'a Node, errors: &'a FoundErrors) -> Self {
        Self { node, path: String::new(), line: node.line, errors }
    }

    fn child(&self, key: &str) -> String {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        match (self.path.is_empty(), !key.is_empty() && key.chars().all(plain)) {
            (true, true) => key.to_owned(),
            (false, true) => format!("{}.{key}", self.path),
            (_, false) => format!("{}[{key:?}]", self.path),
        }
    }

    fn note(&self, kind: SpecErrorKind) {
        self.errors.note(self.path.clone(), self.line, kind);
    }

    /// Notes that the value is not what is `allowed` here.
    pub(super) fn refuse<T>(&self, allowed: impl Into<String>) -> Option<T> {
        self.note(SpecErrorKind::Value { given: shown(self.node), allowed: allowed.into(), nearest: None });
        None
    }

    /// Notes that the value is no pattern.
    pub(super) fn refuse_pattern<T>(&self, source: PatternError) -> Option<T> {
        self.note(SpecErrorKind::Pattern { given: shown(self.node), source });
        None
    }

    /// Notes that the value contradicts others.
    pub(super) fn conflict(&self, message: impl Into<String>) {
        self.note(SpecErrorKind::Conflict(message.into()));
    }

    pub(super) const fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    pub(super) const fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    fn word(&self) -> Option<Word<'a>> {
        match &self.node.value {
            Value::Plain(text) => Some(word(text)),
            _ => None,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.word(), Some(Word::Integer(_) | Word::Float(_)))
    }

    pub(super) fn is_flag(&self) -> bool {
        matches!(self.word(), Some(Word::Flag(_)))
    }

    /// The text, if it is any.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match (&self.node.value, self.word()) {
            (Value::Text(text), _) => Some(text),
            (_, Some(Word::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// A word or number as it was written, or the text in quotes.
    pub(super) fn as_written(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Plain(text) if word(text) != Word::Nothing => Some(text),
            _ => None,
        }
    }

    /// Text that `accept` takes.
    pub(super) fn text_where(&self, allowed: &str, accept: impl FnOnce(&str) -> bool) -> Option<String> {
        match self.as_text() {
            Some(text) if accept(text) => Some(text.to_owned()),
            None if self.is_number() || self.is_flag() => self.refuse(format!("{allowed} (in quotes)")),
            _ => self.refuse(allowed),
        }
    }

    /// Text that is not empty.
    pub(super) fn text(&self, allowed: &str) -> Option<String> {
        self.text_where(allowed, |text| !text.trim().is_empty())
    }

    /// A finite number that `accept` takes.
    pub(super) fn number(&self, allowed: &str, accept: impl FnOnce(f64) -> bool) -> Option<f64> {
        let number = match self.word() {
            Some(Word::Integer(n)) => n as f64,
            Some(Word::Float(x)) => x,
            _ => return self.refuse(allowed),
        };
        if number.is_finite() && accept(number) { Some(number) } else { self.refuse(allowed) }
    }

    /// As [`number`](Self::number), in single precision.
    pub(super) fn single(&self, allowed: &str, accept: impl FnOnce(f32) -> bool) -> Option<f32> {
        self.number(allowed, |x| (x as f32).is_finite() && accept(x as f32)).map(|x| x as f32)
    }

    /// A whole number in `range`; `2e10` is one too.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.word() {
            Some(Word::Integer(n)) => u64::try_from(n).ok(),
            Some(Word::Float(x)) if x >= 0.0 && x.fract() == 0.0 && x < 1e18 => Some(x as u64),
            _ => None,
        };
        match number {
            Some(n) if range.contains(&n) => Some(n),
            _ => self.refuse(whole_number(&range)),
        }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        match self.word() {
            Some(Word::Flag(flag)) => Some(flag),
            _ => self.refuse("true or false"),
        }
    }

    /// One of a few words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.as_text();
        let found = words.iter().find(|(word, _)| Some(*word) == text);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.misspelt(&one_of(&names), names);
        }
        found.map(|(_, value)| *value)
    }

    /// Notes that the value is not what is `allowed`, and which of `words` may have been meant.
    pub(super) fn misspelt<'w>(&self, allowed: &str, words: impl IntoIterator<Item = &'w str>) {
        let nearest = self.as_text().and_then(|text| nearest(text, words));
        self.note(SpecErrorKind::Value { given: shown(self.node), allowed: allowed.to_owned(), nearest });
    }

    /// Notes that the value's own key is not the name of a class.
    pub(super) fn unknown_class<'w>(&self, name: &str, classes: impl IntoIterator<Item = &'w str>) {
        let nearest = nearest(name, classes);
        self.note(SpecErrorKind::Value {
            given: format!("class `{name}`"),
            allowed: "the name of a class".to_owned(),
            nearest,
        });
    }

    /// The entries of a list.
    pub(super) fn items(&self, allowed: &str) -> Option<Vec<Self>> {
        let Value::List(items) = &self.node.value else { return self.refuse(allowed) };
        let at = |(n, node): (usize, &'a Node)| At {
            node,
            path: format!("{}[{n}]", self.path),
            line: node.line,
            errors: self.errors,
        };
        Some(items.iter().enumerate().map(at).collect())
    }

    /// The entries of a list, each read; `None` if one of them cannot be.
    pub(super) fn each<T>(&self, allowed: &str, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = self.items(allowed)?.iter().map(read).collect();
        read.into_iter().collect()
    }

    /// One value for both axes, or `[y, x]`.
    pub(super) fn both_axes<T: Copy>(
        &self,
        allowed: &str,
        read: impl Fn(&Self) -> Option<T>,
    ) -> Option<[T; 2]> {
        if !self.is_list() {
            return read(self).map(|both| [both, both]);
        }
        let items = self.items(allowed)?;
        let [y, x] = items.as_slice() else {
            return self.refuse(format!("{allowed}, or two of them: [y, x]"));
        };
        let (y, x) = (read(y), read(x));
        Some([y?, x?])
    }

    /// The entries of a map as they are written, nothing noted; none if it is no map.
    pub(super) fn peek(&self) -> Vec<(&'a str, Self)> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        let at = |entry: &'a Entry| {
            let path = self.child(&entry.key);
            (entry.key.as_str(), At { node: &entry.node, path, line: entry.line, errors: self.errors })
        };
        entries.iter().map(at).collect()
    }

    /// One entry of a map, nothing noted.
    pub(super) fn entry(&self, key: &str) -> Option<Self> {
        self.peek().into_iter().find(|(known, _)| *known == key).map(|(_, at)| at)
    }

    /// The entries of a map whose keys are not fixed, each key once.
    pub(super) fn entries(&self, allowed: &str) -> Option<Vec<(&'a str, Self)>> {
        if !self.is_map() {
            return self.refuse(allowed);
        }
        let mut lines = HashMap::new();
        let mut entries = self.peek();
        entries.retain(|(key, at)| match lines.entry(*key) {
            hash_map::Entry::Vacant(place) => {
                place.insert(at.line);
                true
            }
            hash_map::Entry::Occupied(first) => {
                at.note(SpecErrorKind::Duplicate { first: *first.get() });
                false
            }
        });
        Some(entries)
    }

    /// The entries of a map with fixed keys. What is no map has none, and is noted.
    pub(super) fn fields(&self, keys: &[&str]) -> Fields<'a> {
        let allowed = format!("a map of {}", keys.join(", "));
        let mut known = Vec::new();
        for (key, at) in self.entries(&allowed).unwrap_or_default() {
            if keys.contains(&key) {
                known.push((key, at));
                continue;
            }
            at.note(SpecErrorKind::UnknownKey {
                nearest: nearest(key, keys.iter().copied()),
                known: keys.iter().map(|&key| key.to_owned()).collect(),
            });
        }
        Fields { at: self.clone(), known, layer: false, complete: Cell::new(true) }
    }
}

pub(super) fn whole_number(range: &RangeInclusive<u64>) -> String {
    match (*range.start(), *range.end()) {
        (from, u64::MAX) => format!("a whole number from {from} up"),
        (from, to) => format!("a whole number from {from} to {to}"),
    }
}

/// `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

/// A map with fixed keys.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    at: At<'a>,
    known: Vec<(&'a str, At<'a>)>,
    /// Whether it is one of several layers, which need not say everything.
    layer: bool,
    /// Whether all that was needed so far was there and could be read.
    complete: Cell<bool>,
}

impl<'a> Fields<'a> {
    /// The map itself.
    pub(super) const fn at(&self) -> &At<'a> {
        &self.at
    }

    /// The same as one of several layers: nothing is needed in it.
    pub(super) fn into_layer(mut self) -> Self {
        self.layer = true;
        self
    }

    pub(super) fn get(&self, key: &str) -> Option<&At<'a>> {
        self.known.iter().find(|(known, _)| *known == key).map(|(_, at)| at)
    }

    /// What `read` makes of the value of `key`, if it is there and can be read. Where something is `needed` there, its
    /// absence is noted, and without a value the map is not complete.
    pub(super) fn take<T>(
        &self,
        key: &str,
        needed: Option<&str>,
        read: impl FnOnce(&At<'a>) -> Option<T>,
    ) -> Option<T> {
        let needed = needed.filter(|_| !self.layer);
        let at = needed.map_or_else(|| self.get(key), |allowed| self.need(key, allowed));
        let value = at.and_then(read);
        if needed.is_some() && value.is_none() {
            self.complete.set(false);
        }
        value
    }

    /// Whether all that was needed so far was there and could be read.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete.get()
    }

    /// The value of `key`; its absence is noted.
    pub(super) fn need(&self, key: &str, allowed: &str) -> Option<&At<'a>> {
        let found = self.get(key);
        if found.is_none() && self.at.is_map() {
            let missing = SpecErrorKind::Missing { allowed: allowed.to_owned() };
            self.at.errors.note(self.at.child(key), self.at.line, missing);
        }
        found
    }

    /// Notes that each of `keys` that is there contradicts something.
    pub(super) fn forbid(&self, keys: &[&str], because: &str) {
        for key in keys {
            if let Some(at) = self.get(key) {
                at.conflict(because);
            }
        }
    }
}
