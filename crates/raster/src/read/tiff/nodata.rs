//! The value for no data in GDAL's tag 42113, which is text.

use super::directory::{Directory, tag};
use crate::read::file::Source;

/// Longest text that is looked at, bytes.
const TEXT_MAX: u64 = 1 << 16;
/// Letters of a text that is no number which are told.
const TOLD: usize = 40;

/// The number, or the text where it is none; `None` without the tag.
pub(super) fn of(directory: &Directory, source: &Source, is_float: bool) -> Option<Result<f64, String>> {
    let bytes = directory.bytes(source, tag::GDAL_NODATA, TEXT_MAX).ok().flatten()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|letter: char| letter == '\0' || letter.is_whitespace());
    let told = || text.chars().take(TOLD).collect();
    (!text.is_empty()).then(|| leading_number(text, is_float).ok_or_else(told))
}

/// The first number, as GDAL has it: some programs write one for each band, some with their country's decimal comma,
/// which only floats can have.
fn leading_number(text: &str, is_float: bool) -> Option<f64> {
    let is_decimal = is_float && text.matches(',').count() == 1;
    let is_end = |letter: char| letter.is_whitespace() || letter == ';' || (letter == ',' && !is_decimal);
    let first = text.split(is_end).next()?.trim_end_matches(',').replace(',', ".");
    // As old Windows programs write NaN.
    if matches!(first.as_str(), "1.#QNAN" | "-1.#QNAN" | "-1.#IND" | "1.#IND") {
        Some(f64::NAN)
    } else {
        first.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leading_number_counts() {
        for (text, float, whole) in [
            ("-9999", Some(-9999.0), Some(-9999.0)),
            ("-9999 -9999 -9999", Some(-9999.0), Some(-9999.0)),
            ("-9999,0", Some(-9999.0), Some(-9999.0)),
            ("-9999, 7", Some(-9999.0), Some(-9999.0)),
            ("255,255,255", Some(255.0), Some(255.0)),
            ("0;255", Some(0.0), Some(0.0)),
            ("0,25", Some(0.25), Some(0.0)),
            ("-3,4e+38", Some(-3.4e38), Some(-3.0)),
            ("none", None, None),
            ("n/a", None, None),
            ("0x10", None, None),
        ] {
            assert_eq!((leading_number(text, true), leading_number(text, false)), (float, whole), "{text}");
        }
        for text in ["nan", "-nan", "NaN nan", "-1.#QNAN"] {
            assert!(leading_number(text, true).is_some_and(f64::is_nan), "{text}");
        }
    }
}
