//! The reference system that a GeoTIFF names, for people.

use super::directory::{Directory, tag};
use crate::read::file::Source;

/// Keys, and what their value 32767 says: a system of the user's own.
const PROJECTED: u64 = 3072;
const GEOGRAPHIC: u64 = 2048;
const OWN: u64 = 32767;

/// `EPSG:32633`, or what else the file says of where it is; `None` where it has no georeference. What cannot be read is
/// no reason to refuse the image.
pub(super) fn of(directory: &Directory, source: &Source) -> Option<String> {
    let is_tied =
        [tag::PIXEL_SCALE, tag::TIE_POINTS, tag::TRANSFORMATION].iter().any(|&tag| directory.has(tag));
    let keys = directory.integers(source, tag::GEO_KEYS, 1 << 16).ok().flatten();
    let Some(keys) = keys else {
        return is_tied.then(|| "georeference without a named system".to_owned());
    };
    let key = |wanted: u64| {
        let found = keys.chunks_exact(4).skip(1).find(|entry| entry[0] == wanted && entry[1] == 0)?;
        Some(found[3]).filter(|&code| code != 0)
    };
    Some(match key(PROJECTED).or_else(|| key(GEOGRAPHIC)) {
        Some(OWN) => "georeference in a system of its own".to_owned(),
        Some(code) => format!("EPSG:{code}"),
        None => "georeference without a named system".to_owned(),
    })
}
