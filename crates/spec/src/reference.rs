//! The page that explains every key of a job file, from their table.

use super::job::JobSpec;
use super::node::Node;
use super::preset::{Defaults, PRESETS};
use super::print::on_one_line;
use super::read::{one_of, whole_number};
use super::scope::Scope;
use super::section::Section;
use super::settings::Merge;
use super::table::{Case, CrossCheck, Key, Shape, Table, Unset};
use super::tta::Tta;
use super::window::{Window, WindowMode};

/// Every key of a job file in Markdown: for each section a table with the type, default and meaning of its keys, and
/// what these can only get wrong together; then what presets change. Headings are of the second level.
pub fn reference() -> String {
    format!("{}\n{}", of(&JobSpec::table()), presets())
}

/// The pages of a section and of all sections below it.
pub(super) fn of(table: &Table) -> String {
    places(table).iter().map(Place::page).collect::<Vec<_>>().join("\n")
}

/// A section and all sections below it, each once.
pub(super) fn places(table: &Table) -> Vec<Place<'_>> {
    let mut places = vec![Place { table, paths: vec![String::new()] }];
    below(table, "", &mut places);
    places
}

/// A section and the paths of keys that lead to it.
pub(super) struct Place<'a> {
    pub(super) table: &'a Table,
    pub(super) paths: Vec<String>,
}

/// Adds the sections below one, each once with all its paths.
fn below<'a>(table: &'a Table, path: &str, places: &mut Vec<Place<'a>>) {
    for key in &table.keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let mut found = Vec::new();
        inside(&key.shape, path, &mut found);
        for (table, path) in found {
            match places.iter_mut().find(|place| place.table.name == table.name) {
                Some(place) => place.paths.push(path.clone()),
                None => places.push(Place { table, paths: vec![path.clone()] }),
            }
            below(table, &path, places);
        }
    }
}

/// The sections in a shape, with the paths that lead to them.
fn inside<'a>(shape: &'a Shape, path: String, found: &mut Vec<(&'a Table, String)>) {
    match shape {
        Shape::Section(table) => found.push((table, path)),
        Shape::OneOf(tables) => found.extend(tables.iter().map(|table| (table, path.clone()))),
        Shape::List { item, .. } => inside(item, format!("{path}[]"), found),
        Shape::MapOf(what, value) => inside(value, format!("{path}.<{what}>"), found),
        Shape::AnyOf(shapes) => shapes.iter().for_each(|shape| inside(shape, path.clone(), found)),
        Shape::Described(_, shape) => inside(shape, path, found),
        _ => {}
    }
}

impl Place<'_> {
    fn page(&self) -> String {
        let Table { name, about, keys, checks } = self.table;
        let rows: String = keys.iter().map(row).collect();
        let rules: String = checks.iter().map(|check| format!("- {}\n", rule(check))).collect();
        let rules = if rules.is_empty() { rules } else { format!("\n{rules}") };
        format!(
            "<a id=\"{name}\"></a>\n\n## {}\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n{rows}{rules}",
            self.heading(),
            plain(about)
        )
    }

    /// The paths; of outputs, which share one, the first key too.
    fn heading(&self) -> String {
        let paths: Vec<String> =
            self.paths.iter().filter(|path| !path.is_empty()).map(|path| format!("`{path}`")).collect();
        let outputs = self.paths.iter().any(|path| path == "outputs[]");
        match self.table.keys.first() {
            Some(key) if outputs => match &key.shape {
                Shape::Words(words) if words.len() == 1 => {
                    format!("{}: `{}: {}`", paths.join(", "), key.name, words[0])
                }
                _ => format!("{}: `{}`", paths.join(", "), key.name),
            },
            _ if paths.is_empty() => "The whole file".to_owned(),
            _ => paths.join(", "),
        }
    }
}

/// A line of a table.
fn row(key: &Key) -> String {
    let default = match &key.unset {
        Unset::Required => "required".to_owned(),
        Unset::Described(words) => (*words).to_owned(),
        Unset::Value(_) | Unset::Nothing if matches!(key.shape, Shape::Section(_)) => "see there".to_owned(),
        Unset::Value(node) => format!("`{}`", on_one_line(node)),
        Unset::Nothing => "none".to_owned(),
    };
    let cells = [format!("`{}`", key.name), described(&key.shape), default, plain(&key.about)];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// What may be written, in words.
fn described(shape: &Shape) -> String {
    match shape {
        Shape::Words(words) => one_of_code(words.iter()),
        Shape::Numbers(numbers) => one_of_code(numbers.iter()),
        Shape::Whole { min, max } if min == max => format!("`{min}`"),
        Shape::Whole { min, max } => whole_number(&(*min..=*max)),
        Shape::Real(bounds) => bounds.allowed.to_owned(),
        Shape::Text { allowed, .. } | Shape::Scalar(allowed) => (*allowed).to_owned(),
        Shape::Flag => "`true` or `false`".to_owned(),
        Shape::List { item, min: 2, max: Some(2), .. } => format!("[{0}, {0}]", described(item)),
        Shape::List { item, .. } => format!("a list, each {}", described(item)),
        Shape::MapOf(what, value) => match &**value {
            // What may stand for one entry, not for the map.
            Shape::AnyOf(shapes) if !is_both_axes(shapes) => {
                let each: Vec<String> = shapes.iter().map(described).collect();
                format!("a map from {what} to {}", each.join(", or to "))
            }
            value => format!("a map from {what} to {}", described(value)),
        },
        Shape::AnyOf(shapes) if is_both_axes(shapes) => {
            format!("{}, or `[y, x]`", described(&shapes[0]))
        }
        Shape::AnyOf(shapes) => shapes.iter().map(described).collect::<Vec<_>>().join("; or "),
        Shape::OneOf(_) => "a map, one of those below".to_owned(),
        Shape::Section(table) => format!("a [map](#{})", table.name),
        Shape::Described(words, _) => (*words).to_owned(),
    }
}

/// Whether it is one value for both axes, or two.
fn is_both_axes(shapes: &[Shape]) -> bool {
    matches!(shapes, [_, Shape::List { min: 2, max: Some(2), .. }])
}

fn one_of_code(words: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    one_of(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A cross-check as a sentence.
fn rule(check: &CrossCheck) -> String {
    match check {
        CrossCheck::UnusedIf { keys, case, .. } => {
            format!("With {}, {} may not be given.", case_code(*case), all_of(&keys()))
        }
        CrossCheck::UsedIf { key, case, .. } => format!("`{key}` is for {} alone.", case_code(*case)),
        CrossCheck::NeededIf { key, case, .. } => format!("With {}, `{key}` is required.", case_code(*case)),
        CrossCheck::Either { key, or, .. } => format!("Either `{key}` or `{or}` may be given, not both."),
        CrossCheck::Never { cases: [a, b], .. } => {
            format!("{} and {} exclude each other.", case_code(*a), case_code(*b))
        }
    }
}

fn case_code((key, word): Case) -> String {
    format!("`{key}: {}`", on_one_line(&Node::from(word)))
}

fn all_of(keys: &[&str]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    match keys.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => keys.concat(),
    }
}

/// Documentation without links into the code.
fn plain(about: &str) -> String {
    about.replace("[`", "`").replace("`]", "`")
}

/// What each preset changes of the defaults above.
fn presets() -> String {
    let changes = |preset| {
        Scope::documented(|scope| {
            let (standard, changed) = (Defaults::of(None), Defaults::of(preset));
            let window =
                |slide| Window { mode: WindowMode::Slide(slide), ..Window::standard(scope) }.entries(scope);
            let tta = |of: &Defaults| {
                let space = of.view_space.unwrap_or(of.merge);
                Tta { views: of.views.clone(), space, ..Tta::standard(scope) }.entries(scope)
            };
            let merge = |space| Merge { space }.entries(scope);
            [
                differences("window", &window(standard.slide), &window(changed.slide)),
                differences("tta", &tta(&standard), &tta(&changed)),
                differences("merge", &merge(standard.merge), &merge(changed.merge)),
            ]
            .concat()
        })
    };
    let row = |&(name, preset): &(&str, _)| format!("| `{name}` | {} |\n", changes(Some(preset)).join(", "));
    let rows: String = PRESETS.iter().map(row).collect();
    format!(
        "## Presets\n\nWhat `preset` changes of the defaults above.\n\n| preset | defaults |\n| --- | --- |\n{rows}"
    )
}

/// The entries of `changed` that are not those of `standard`, as they would be written in a section.
fn differences(section: &str, standard: &[(&str, Node)], changed: &[(&str, Node)]) -> Vec<String> {
    let differ = changed.iter().filter(|entry| !standard.contains(entry));
    differ.map(|(key, node)| format!("`{section}.{key}: {}`", on_one_line(node))).collect()
}
