//! Tables of colours: which name each colour stands for.

use crate::error::LabelError;
use std::collections::BTreeMap;
use std::path::Path;

/// Names and their colours, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColourTable {
    entries: Vec<(String, u32)>,
}

impl ColourTable {
    /// Reads a table: a JSON object of `"name": [r, g, b]`, or lines `name:r,g,b`, of which more columns (as in CVAT's
    /// `labelmap.txt`) and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// When the file cannot be read or is no such table, with the line.
    pub fn open(path: &Path) -> Result<Self, LabelError> {
        let text = std::fs::read_to_string(path).map_err(|source| LabelError::Io {
            path: path.to_owned(),
            doing: "reading the table of colours",
            source,
        })?;
        Self::parse(&text).map_err(|found| LabelError::meaning(&path.display(), found))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let entries = if text.trim_start().starts_with('{') {
            let table: BTreeMap<String, [u8; 3]> =
                serde_json::from_str(text).map_err(|error| format!("no table of colours: {error}"))?;
            table.into_iter().map(|(name, rgb)| (name, number(rgb))).collect()
        } else {
            let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
            let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
            lines.map(|(at, line)| entry(line).ok_or_else(|| bad_line(at, line))).collect::<Result<_, _>>()?
        };
        if Vec::is_empty(&entries) { Err("a table without a colour".into()) } else { Ok(Self { entries }) }
    }

    /// Names and colours as `0xRRGGBB`.
    pub fn entries(&self) -> &[(String, u32)] {
        &self.entries
    }
}

fn bad_line(at: usize, line: &str) -> String {
    format!("line {at} is `{line}`; a line is name:red,green,blue, each 0 to 255")
}

fn entry(line: &str) -> Option<(String, u32)> {
    let (name, rest) = line.split_once(':')?;
    let colour = rest.split(':').next()?;
    let parts: Vec<u8> = colour.split(',').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
    Some((name.trim().to_owned(), number(parts.try_into().ok()?)))
}

pub(crate) const fn number([red, green, blue]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, red, green, blue])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_three_programs() {
        let json = ColourTable::parse(r#"{"road": [128, 64, 1]}"#).unwrap();
        let lines = ColourTable::parse("road: 128, 64, 1\n").unwrap();
        let cvat = ColourTable::parse("# label:color_rgb:parts:actions\nroad:128,64,1::\n").unwrap();
        assert_eq!(json.entries(), [("road".to_owned(), 0x80_40_01)]);
        assert_eq!((&lines, &cvat), (&json, &json));
        for (text, found) in [
            ("", "without a colour"),
            ("{}", "without a colour"),
            ("road", "line 1 is `road`"),
            ("a:1,2,3\nb:1,2", "line 2"),
            ("a:1,2,300", "line 1"),
            (r#"{"a": [1, 2]}"#, "no table of colours"),
        ] {
            let error = ColourTable::parse(text).unwrap_err();
            assert!(error.contains(found), "{error}");
        }
    }
}
