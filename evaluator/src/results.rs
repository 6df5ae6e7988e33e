//! What is left of an evaluation.

use crate::document::Document;
use crate::error::EvaluateError;
use crate::evaluate::Evaluation;
use crate::image_table::image_table;
use crate::page::page;
use std::io;
use std::path::Path;

/// The files of an evaluation by their names: `evaluation.json`, `index.html` with `images.js`, and `images.csv`. Pictures
/// are elsewhere.
///
/// # Errors
/// When memory runs out.
pub fn results(document: &Document, evaluation: &Evaluation) -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let json = serde_json::to_string_pretty(document)? + "\n";
    let mut table = Vec::new();
    image_table(evaluation, &mut table).map_err(io::Error::other)?;
    let mut files = vec![("evaluation.json", json.into_bytes()), ("images.csv", table)];
    files.extend(
        page(&document.labels[0].source, document, evaluation).map(|(name, text)| (name, text.into_bytes())),
    );
    Ok(files)
}

/// Writes all [`results`] into `folder`, which is made where it is missing.
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
    for (name, bytes) in results(document, evaluation).map_err(|source| failed(folder, source))? {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|source| failed(&path, source))?;
    }
    Ok(())
}
