//! Suspicious labels as tables.

use super::{Judged, action_name, reason_words};
use crate::tables::number;
use std::io::{Error, Result};

const LABELS: [&str; 15] = [
    "rank",
    "image_id",
    "label",
    "quality",
    "action",
    "reason",
    "doubts",
    "boundary_probability",
    "mean_iou",
    "softmin",
    "window_softmin",
    "kappa",
    "labelled_px",
    "differing_px",
    "confident_px",
];
const DOUBTS: [&str; 11] = [
    "image_id",
    "kind",
    "given",
    "suggested",
    "probability",
    "strength",
    "area_px",
    "top",
    "left",
    "height",
    "width",
];

fn known(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

/// All labels, the most suspicious first.
pub(super) fn labels(judged: &[Judged<'_>]) -> Result<Vec<u8>> {
    let rows = judged.iter().enumerate().map(|(at, Judged { id, label, quality, .. })| {
        vec![
            (at + 1).to_string(),
            (*id).to_owned(),
            (*label).to_owned(),
            known(quality.quality),
            action_name(quality.suggestion.action).to_owned(),
            reason_words(&quality.suggestion.reason),
            quality.doubts.len().to_string(),
            known(quality.boundaries.map(|boundaries| boundaries.probability)),
            known(quality.mean_iou),
            known(quality.softmin),
            known(quality.window_softmin),
            known(quality.kappa),
            quality.labelled_px.to_string(),
            quality.differing_px.to_string(),
            quality.confident_px.to_string(),
        ]
    });
    table(&LABELS, rows)
}

/// The areas in doubt of all labels, the most probably wrong first.
pub(super) fn doubts(judged: &[Judged<'_>], classes: &[String]) -> Result<Vec<u8>> {
    let mut all: Vec<_> = judged
        .iter()
        .flat_map(|image| image.quality.doubts.iter().map(move |doubt| (image.id, doubt)))
        .collect();
    // Stable: of equal ones those of the more suspicious image come first.
    all.sort_by(|(_, a), (_, b)| b.strength.total_cmp(&a.strength));
    let name = |class: u16| classes.get(usize::from(class)).cloned().unwrap_or_default();
    let rows = all.into_iter().map(|(id, doubt)| {
        let area = &doubt.component;
        vec![
            id.to_owned(),
            area.kind.name().to_owned(),
            name(area.given),
            name(area.suggested),
            number(doubt.probability),
            number(doubt.strength),
            area.area_px.to_string(),
            area.bounds.top.to_string(),
            area.bounds.left.to_string(),
            area.bounds.size.height.to_string(),
            area.bounds.size.width.to_string(),
        ]
    });
    table(&DOUBTS, rows)
}

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(columns).map_err(Error::other)?;
    for row in rows {
        table.write_record(row).map_err(Error::other)?;
    }
    table.into_inner().map_err(|error| Error::other(error.to_string()))
}
