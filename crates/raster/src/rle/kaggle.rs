//! The run-length texts of Kaggle competitions.

use super::{Run, Runs, RunsError};
use marquetry_geometry::Size;

/// How the start of a run is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RleStyle {
    /// From the first pixel, which is number 1: most competitions.
    #[default]
    Absolute,
    /// From the first pixel, which is number 0.
    FromZero,
    /// From the end of the run before, the first one from 0: SIIM-ACR Pneumothorax.
    Relative,
}

/// The mask as `start length start length …`, counted down the columns; empty for an empty mask.
pub fn encode_rle(mask: &Runs, style: RleStyle) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut free = 0;
    for run in mask.runs() {
        let start = match style {
            RleStyle::Absolute => run.start + 1,
            RleStyle::FromZero => run.start,
            RleStyle::Relative => run.start - free,
        };
        let gap = if text.is_empty() { "" } else { " " };
        write!(text, "{gap}{start} {}", run.length).expect("a string takes any text");
        free = run.end();
    }
    text
}

/// Reads a text of [`encode_rle`] back. An empty text, `-` and `-1` are the empty mask.
///
/// # Errors
/// When the text is no list of pairs of numbers, or its runs overlap, are out of order or leave the image.
pub fn decode_rle(text: &str, size: Size, style: RleStyle) -> Result<Runs, RunsError> {
    let fault = |found: String| RunsError::new("a run-length encoded mask", found);
    let text = text.trim();
    if matches!(text, "-" | "-1") {
        return Runs::new(size, []);
    }
    let number = |word: &str| word.parse::<u64>().map_err(|_| fault(format!("{word:?} is no whole number")));
    let numbers = text.split_ascii_whitespace().map(number).collect::<Result<Vec<_>, _>>()?;
    let (pairs, []) = numbers.as_chunks::<2>() else {
        return Err(fault(format!("{} numbers; starts and lengths must come in pairs", numbers.len())));
    };
    let mut free = 0_u64;
    let run = |&[start, length]: &[u64; 2]| {
        let start = match style {
            RleStyle::Absolute => start.checked_sub(1),
            RleStyle::FromZero => Some(start),
            RleStyle::Relative => free.checked_add(start),
        };
        let start = start.ok_or_else(|| fault("a start that is before pixel 1 or too great".to_owned()))?;
        free = start.saturating_add(length);
        Ok(Run { start, length })
    };
    Runs::new(size, pairs.iter().map(run).collect::<Result<Vec<_>, _>>()?)
}
