//! A line for each image.

use crate::evaluate::Evaluation;
use marquetry_evaluation::{ClassCounts, ErrorKind};
use std::collections::BTreeMap;

/// CSV: the image, its size, pixels, means, and each class's IoU and normalised surface distance (empty where neither side
/// has it), in the order of predictions. Lines end with a line feed.
///
/// # Errors
/// When it cannot be written.
pub fn image_table(evaluation: &Evaluation, out: impl std::io::Write) -> Result<(), csv::Error> {
    let mut table = csv::Writer::from_writer(out);
    let mut header: Vec<String> =
        ["image", "truth", "height", "width", "pixels", "left_out", "pixel_accuracy", "mean_iou"]
            .map(str::to_owned)
            .to_vec();
    header.extend(ErrorKind::ALL.map(|kind| format!("{}_px", kind.name().replace(' ', "_"))));
    header.extend(evaluation.classes.names().iter().map(|name| format!("iou_{name}")));
    header.push("mean_nsd".to_owned());
    header.extend(evaluation.classes.names().iter().map(|name| format!("nsd_{name}")));
    table.write_record(&header)?;
    for row in &evaluation.rows {
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.6}"));
        let mut cells = vec![
            row.name.clone(),
            row.truth.clone(),
            row.size.height.to_string(),
            row.size.width.to_string(),
            row.pixels.to_string(),
            row.left_out.to_string(),
            number(row.pixel_accuracy()),
            number(row.mean_iou()),
        ];
        cells.extend(row.kinds.map(|pixels| pixels.to_string()));
        let own: BTreeMap<u16, &ClassCounts> = row.classes.iter().map(|(class, c)| (*class, c)).collect();
        let classes = 0..evaluation.classes.len() as u16;
        cells.extend(classes.clone().map(|class| number(own.get(&class).and_then(|counts| counts.iou()))));
        let nsd: BTreeMap<u16, f64> = row.nsd.iter().copied().collect();
        cells.push(number(row.mean_nsd()));
        cells.extend(classes.map(|class| number(nsd.get(&class).copied())));
        table.write_record(&cells)?;
    }
    table.flush()?;
    Ok(())
}
