//! What is left in a folder.

use crate::document::Document;
use crate::error::EvaluateError;
use crate::evaluate::Evaluation;
use crate::image_table::image_table;
use crate::page::page;
use std::path::Path;

/// Writes `index.html` with `images.js`, `evaluation.json` and `images.csv` into `folder`, which is made where it is
/// missing. Pictures are there already.
///
/// # Errors
/// When one cannot be written.
pub fn write_results(
    folder: &Path,
    document: &Document,
    evaluation: &Evaluation,
) -> Result<(), EvaluateError> {
    let failed = |path: &Path, source| EvaluateError::Write { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let json = folder.join("evaluation.json");
    let text = serde_json::to_string_pretty(document).map_err(std::io::Error::from);
    text.and_then(|text| std::fs::write(&json, text + "\n")).map_err(|source| failed(&json, source))?;
    for (name, text) in page(&document.labels[0].source, document, evaluation) {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| failed(&path, source))?;
    }
    let csv = folder.join("images.csv");
    let table = std::fs::File::create(&csv).map_err(|source| failed(&csv, source))?;
    let written = image_table(evaluation, std::io::BufWriter::new(table));
    written.map_err(|error| failed(&csv, std::io::Error::other(error)))
}
