//! Files beside images: GDAL's metadata, names of reference systems, world files.

use marquetry_geometry::{D4, Size};
use marquetry_raster::read::{AuxXml, EpsgSystem};
use marquetry_raster::write::GeoTags;

/// A map that is read is finite, and stays one when it is turned.
pub(crate) fn sidecar(bytes: &[u8]) {
    if let Ok(AuxXml { affine: Some(affine), system, .. }) = AuxXml::parse(bytes) {
        assert!(affine.iter().all(|number| number.is_finite()));
        let mut tags = GeoTags::with_affine(None, affine);
        if let Some(Ok(system)) = system {
            tags = GeoTags::with_system(Some(tags), system);
            assert_eq!(tags.epsg(), Some(system.code).filter(|code| (1024..32767).contains(code)));
        }
        turns(&tags);
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = EpsgSystem::of_wkt(&text);
    if let Ok(tags) = GeoTags::with_world_file(None, &text) {
        turns(&tags);
    }
}

fn turns(tags: &GeoTags) {
    let stored = Size::new(3, 7);
    for turn in D4::ALL {
        let turned = tags.clone().turned(turn, stored);
        assert!(turned.is_tied());
    }
}
