//! The table of corrected labels.

use crate::TableError;
use crate::tables::up_to_outputs;
use marquetry_aggregator::CorrectedLabelRow;
use std::io::{Error, Result, Write};

const COLUMNS: [&str; 6] = ["image_id", "label", "changed_px", "missing", "extra", "swapped"];

/// Writes the table to `file`, a path below the job's outputs; `rows` has what an image adds to it.
pub(crate) fn write_corrected_labels(
    out: impl Write,
    file: &str,
    ids: &[String],
    mut rows: impl FnMut(&str) -> Result<Option<String>>,
) -> std::result::Result<(), TableError> {
    let up = up_to_outputs(file);
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS).map_err(Error::other)?;
    for id in ids {
        let Some(text) = rows(id)? else { continue };
        let row: CorrectedLabelRow = serde_json::from_str(&text).map_err(Error::other)?;
        let [missing, extra, swapped] = row.areas.map(|count| count.to_string());
        let label = format!("{up}{}", row.label);
        table
            .write_record([id.as_str(), &label, &row.changed_px.to_string(), &missing, &extra, &swapped])
            .map_err(Error::other)?;
    }
    Ok(table.flush()?)
}
