//! `docs/job.md`, from the table of the job file in `crates/spec`.

const ABOUT: &str = "\
# The job file

A job file says what to run: images, models, windows, views, and what to hand back. It is YAML 1.2 (JSON is a part of it),
and read strictly: an unknown key, a value out of range or two keys that contradict each other are errors that name the
line, the keys that lead there and what is allowed. `marquetry plan` prints a job with every default filled in,
`marquetry schema` the JSON Schema for editors. Relative paths are relative to the file. This page is made by
`cargo xtask docs` from `crates/spec`; job files to start from are in `examples/`.

What follows explains every key, section by section. `[]` stands for each entry of a list, `<class>` for the name of a class.
Where a value may be a map, the link leads to its keys.
";

/// The whole page.
pub(super) fn page() -> String {
    format!("{ABOUT}\n{}", marquetry_spec::reference())
}
