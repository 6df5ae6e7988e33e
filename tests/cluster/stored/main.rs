//! Golden files: every form that outlives a process, as it was stored and as it is stored now.
//!
//! A form that changes by mistake would make tiles of a running job unreadable, or name its tiles and tables anew. One that
//! is changed on purpose gets another version, and its files are written anew:
//!
//! ```text
//! MARQUETRY_GOLDEN=write cargo test -p marquetry-cluster-tests --test stored_forms
//! ```
//! What git shows then is what has changed for those who have jobs stored.

mod forms;
mod messages;
mod names;
mod plans;
mod tiles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Reads stored bytes, and says what is wrong with what was read.
type Read = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// A form, and what to make of its bytes.
struct Form {
    /// Its golden file.
    file: String,
    /// What is stored now.
    written: Vec<u8>,
    read: Read,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stored/golden")
}

/// Whether files are to be written anew.
fn rewrites() -> bool {
    std::env::var_os("MARQUETRY_GOLDEN").is_some_and(|what| what == "write")
}

/// The names of all golden files.
fn files() -> BTreeSet<String> {
    let entries = std::fs::read_dir(golden()).expect("a folder of golden files");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn every_form_is_written_as_it_was() {
    let forms = forms::all();
    if rewrites() {
        std::fs::create_dir_all(golden()).expect("a folder for golden files");
        files().iter().for_each(|file| std::fs::remove_file(golden().join(file)).expect("a file of ours"));
        for form in &forms {
            std::fs::write(golden().join(&form.file), &form.written).expect("the folder can be written to");
        }
    }
    for Form { file, written, .. } in &forms {
        let stored = std::fs::read(golden().join(file)).unwrap_or_default();
        let (was, is) = (String::from_utf8_lossy(&stored), String::from_utf8_lossy(written));
        assert!(
            stored == *written,
            "{file} was\n{was}\nand is\n{is}\nIf that is meant, give the form another version, and write the \
             golden files anew (see stored/main.rs)"
        );
    }
    let known: BTreeSet<String> = forms.into_iter().map(|form| form.file).collect();
    assert_eq!(files(), known, "golden files that are nobody's, or none for a form");
}

#[test]
fn what_was_stored_is_read_back() {
    for Form { file, written, read } in forms::all() {
        // While files are written anew by the other test, what is read is what they will hold.
        let stored =
            if rewrites() { written } else { std::fs::read(golden().join(&file)).unwrap_or_default() };
        if let Err(reason) = read(&stored) {
            panic!("{file}: {reason}");
        }
    }
}
