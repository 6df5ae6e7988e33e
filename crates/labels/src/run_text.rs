//! One text of run lengths.

use crate::rules::RunStart;
use marquetry_geometry::Size;

/// Whether a text is a word for nothing.
pub(crate) fn is_empty(text: &str) -> bool {
    ["", "-", "-1", "nan", "null", "none", "1 0"].contains(&text.trim().to_lowercase().as_str())
}

/// Starts, from 0, and lengths.
pub(crate) fn runs(text: &str, size: Size, start: RunStart) -> Result<Vec<(u64, u64)>, String> {
    let number = |word: &str| word.parse::<u64>().map_err(|_| format!("`{word}` is no whole number"));
    let numbers = text.split_ascii_whitespace().map(number).collect::<Result<Vec<_>, _>>()?;
    let (pairs, []) = numbers.as_chunks::<2>() else {
        return Err(format!("{} numbers; starts and lengths come in pairs", numbers.len()));
    };
    let mut runs = Vec::with_capacity(pairs.len());
    let mut free = 0_u64;
    for &[from, length] in pairs {
        let first = match start {
            RunStart::One => from.checked_sub(1).ok_or("a start of 0, where starts count from 1")?,
            RunStart::Zero => from,
            RunStart::Relative => free.saturating_add(from),
        };
        if first < free || length == 0 {
            return Err(format!(
                "the run {from} {length} is empty, overlaps the one before or comes before it"
            ));
        }
        free = first.saturating_add(length);
        if free > size.area() {
            return Err(format!(
                "the run {from} {length} ends beyond the {} px of the image ({size} px)",
                size.area()
            ));
        }
        runs.push((first, length));
    }
    Ok(runs)
}
