//! Files beside an image that speak of it: world files, and what GDAL and `ArcGIS` write.

use crate::{ImageError, bytes, own_header};
use marquetry_geometry::{Nodata, Reading};
use marquetry_raster::read::{AuxXml, Beside, EpsgSystem, Format, Image, Limits, ReadErrorKind};
use marquetry_raster::write::GeoTags;
use marquetry_transport::{FileStat, Files};
use std::path::Path;

/// An image's own file, and those beside it that speak of it.
#[derive(Debug, Clone, Copy)]
pub struct ImageFiles<'a> {
    /// Where it is.
    pub uri: &'a str,
    /// Its version; the one that is there now, if not given.
    pub stat: Option<&'a FileStat>,
    /// The names of the files in its folder that [`find_sidecars`] found.
    pub sidecars: &'a [String],
}

/// What a file beside an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sidecar {
    /// `x.tif.msk`: an image that is 0 where a pixel is missing.
    Mask,
    /// `x.tif.aux.xml`: nodata, map and reference system.
    AuxXml,
    /// `x.tfw`, `x.tifw` or `x.wld`, in the order in which they count: an affine map.
    World(u8),
    /// `x.prj`: the name of a reference system.
    Prj,
    /// What may speak of the image, and is not read.
    Unread(&'static str),
}

impl Sidecar {
    /// What the file `name` is to the image `image`, which lies beside it.
    fn of(image: &str, name: &str) -> Option<Self> {
        let stem = image.rsplit_once('.').map_or(image, |(stem, _)| stem);
        let behind = |start: &str| Some(name.strip_prefix(start)?.strip_prefix('.')?.to_ascii_lowercase());
        match behind(image).as_deref() {
            Some("msk") => return Some(Self::Mask),
            Some("aux.xml") => return Some(Self::AuxXml),
            _ => {}
        }
        let ending = image.strip_prefix(stem)?.trim_start_matches('.').to_ascii_lowercase();
        let found = behind(stem)?;
        let ends: Vec<char> = ending.chars().collect();
        if let [first, .., last] = ends.as_slice() {
            let short = format!("{first}{last}w");
            let world = [short, format!("{ending}w"), "wld".to_owned()];
            if let Some(place) = world.iter().position(|world| *world == found) {
                return Some(Self::World(place as u8));
            }
        }
        match found.as_str() {
            "prj" => Some(Self::Prj),
            "aux.xml" => Some(Self::Unread("aux.xml without the image's own ending")),
            "tab" => Some(Self::Unread("tab")),
            _ => None,
        }
    }
}

/// Those of the files `names` of its folder that speak of the image at `uri` and are read, and a remark for each other one
/// that may be meant for it. An `.aux.xml` of statistics alone, as whoever looks at an image leaves behind, is none of them.
///
/// # Errors
/// When an `.aux.xml` cannot be had.
pub fn find_sidecars<'n>(
    files: &Files,
    uri: &str,
    names: impl Iterator<Item = &'n str>,
) -> Result<(Vec<String>, Vec<String>), ImageError> {
    let image = name_of(uri);
    let stem = image.rsplit_once('.').map_or(image, |(stem, _)| stem);
    let (mut found, mut has_shapes) = (Vec::new(), false);
    for name in names.filter(|name| name.starts_with(stem)) {
        has_shapes |= name[stem.len()..].eq_ignore_ascii_case(".shp");
        found.extend(Sidecar::of(image, name).map(|kind| (kind, name)));
    }
    found.sort_unstable();
    let (mut sidecars, mut remarks, mut has_world) = (Vec::new(), Vec::new(), false);
    for (kind, name) in found {
        match kind {
            Sidecar::World(_) if std::mem::replace(&mut has_world, true) => {}
            Sidecar::Prj if has_shapes => {
                remarks.push("the .prj beside it is taken for that of the shapes beside it".to_owned());
            }
            Sidecar::Unread(what) => remarks.push(format!("a file .{what} beside it is NOT READ")),
            Sidecar::AuxXml => {
                let text = files.read(&format!("{}{name}", &uri[..uri.len() - image.len()]))?;
                if AuxXml::parse(&text) != Ok(AuxXml::default()) {
                    sidecars.push(name.to_owned());
                }
            }
            _ => sidecars.push(name.to_owned()),
        }
    }
    Ok((sidecars, remarks))
}

fn name_of(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}

/// Where an image lies on a map.
#[derive(Debug, Default)]
pub struct Georeference {
    /// The tags that say it, of the image as it is shown.
    pub tags: Option<GeoTags>,
    /// What there is to tell of files and tags that count, or that do not.
    pub remarks: Vec<String>,
    /// The files beside the image that say it.
    from: Vec<&'static str>,
}

impl Georeference {
    /// The reference system and where it stands, in a few words; `None` where nothing beside the image says anything.
    pub(crate) fn in_words(&self) -> Option<String> {
        let tags = self.tags.as_ref().filter(|_| !self.from.is_empty())?;
        let system = match tags.epsg() {
            Some(code) => format!("EPSG:{code}"),
            None if tags.names_system() => "georeference in a system of its own".to_owned(),
            None => "georeference without a named system".to_owned(),
        };
        Some(format!("{system} (by its {})", self.from.join(" and ")))
    }
}

impl<'a> ImageFiles<'a> {
    /// The URI of the file beside the image that is of a kind.
    fn beside(&self, is: impl Fn(Sidecar) -> bool) -> Option<String> {
        let image = name_of(self.uri);
        let folder = &self.uri[..self.uri.len() - image.len()];
        let found = self.sidecars.iter().find(|name| Sidecar::of(image, name).is_some_and(&is))?;
        Some(format!("{folder}{found}"))
    }

    /// The URIs of all files that are read: the image's own, and those beside it.
    pub(crate) fn uris(&self) -> impl Iterator<Item = String> + use<'a> {
        let folder = &self.uri[..self.uri.len() - name_of(self.uri).len()];
        let beside = self.sidecars.iter().map(move |name| format!("{folder}{name}"));
        std::iter::once(self.uri.to_owned()).chain(beside)
    }

    /// What its `x.tif.aux.xml` says; `None` where it has none, or one that makes no sense, which `remarks` then tells.
    fn aux_xml(&self, files: &Files, remarks: &mut Vec<String>) -> Result<Option<AuxXml>, ImageError> {
        let Some(uri) = self.beside(|kind| kind == Sidecar::AuxXml) else { return Ok(None) };
        match AuxXml::parse(&files.read(&uri)?) {
            Ok(found) => Ok(Some(found)),
            Err(reason) => {
                remarks.push(format!("its .aux.xml is NOT READ ({reason})"));
                Ok(None)
            }
        }
    }

    /// What files beside it say of its pixels, and what there is to tell of that.
    pub(crate) fn pixels_beside(
        &self,
        files: &Files,
        limits: &Limits,
        reading: &Reading,
    ) -> Result<(Beside, Vec<String>), ImageError> {
        let mut remarks = Vec::new();
        let nodata = self.aux_xml(files, &mut remarks)?.and_then(|aux| aux.nodata);
        if reading.nodata == Nodata::Auto && matches!(nodata, Some(Ok(_))) {
            remarks.push("nodata by its .aux.xml".to_owned());
        }
        let uri = self.beside(|kind| kind == Sidecar::Mask).filter(|_| reading.nodata == Nodata::Auto);
        let mask = match uri {
            Some(uri) => {
                remarks.push("the mask beside it (.msk) says which pixels are missing".to_owned());
                let mask = ImageFiles { uri: &uri, stat: None, sidecars: &[] };
                let name = Path::new(&uri);
                let bytes = bytes(files, &mask)?;
                Some(Image::open_from(bytes, name, limits, &Reading::default(), Beside::default())?)
            }
            None => None,
        };
        Ok((Beside { nodata, mask }, remarks))
    }

    /// Of an `.aux.xml` that makes sense what is read of it: programs that look at images keep statistics there, for which
    /// nothing is to be made anew. `None` of other files.
    pub(crate) fn said_by_aux_xml(&self, files: &Files, uri: &str) -> Result<Option<String>, ImageError> {
        if Sidecar::of(name_of(self.uri), name_of(uri)) != Some(Sidecar::AuxXml) {
            return Ok(None);
        }
        Ok(AuxXml::parse(&files.read(uri)?).ok().map(|aux| format!("{aux:?}")))
    }

    /// Whether files beside it may say where it lies.
    pub(crate) fn has_place_beside(&self) -> bool {
        self.beside(|kind| matches!(kind, Sidecar::AuxXml | Sidecar::World(_) | Sidecar::Prj)).is_some()
    }
}

/// Where the image lies on a map: by its own tags, and by the files beside it.
///
/// As in GDAL, for a TIFF its `.aux.xml` counts first, then its own tags, then a world file; for other formats a world file
/// counts before the `.aux.xml`. A `.prj` counts where nothing else names a reference system. All of them speak of the image
/// as it is stored; what comes of them is turned with it.
///
/// # Errors
/// When a file cannot be had, or the image's header or tags cannot be read. What makes no sense beside it is a remark.
pub fn georeference(
    files: &Files,
    image: &ImageFiles<'_>,
    limits: &Limits,
    reading: &Reading,
) -> Result<Georeference, ImageError> {
    let mut found = Georeference::default();
    let mut tags = GeoTags::read(bytes(files, image)?, Path::new(image.uri))?;
    if tags.is_none() && !image.has_place_beside() {
        return Ok(found);
    }
    let info = own_header(files, image, limits, reading, &Beside::default())?;
    // Why it is not read was told when its pixels were looked at.
    let aux = image.aux_xml(files, &mut Vec::new())?.unwrap_or_default();
    if aux.has_points {
        found.remarks.push("the ground control points of its .aux.xml are NOT READ".to_owned());
    }
    let aux_first = info.format == Format::Tiff;
    let is_tied = tags.as_ref().is_some_and(GeoTags::is_tied);
    let from_world = !(aux_first && (aux.affine.is_some() || is_tied));
    let world = if from_world { image.world_file(files, &mut found.remarks)? } else { None };
    match (world, aux.affine) {
        (Some(text), _) => {
            tags = GeoTags::with_world_file(tags, &text).map(Some).map_err(drop).unwrap_or_default();
            found.from.push("world file");
        }
        (None, Some(affine)) => {
            tags = Some(GeoTags::with_affine(tags, affine));
            found.from.push(".aux.xml");
        }
        (None, None) => {}
    }
    let names_system = tags.as_ref().is_some_and(GeoTags::names_system);
    match aux.system {
        Some(Ok(system)) => {
            tags = Some(GeoTags::with_system(tags, system));
            found.from.push(".aux.xml");
        }
        Some(Err(())) => {
            tags = tags.map(GeoTags::without_system);
            found
                .remarks
                .push("the reference system of its .aux.xml is NOT READ: it has no EPSG code".to_owned());
        }
        None if !names_system => {
            if let Some(system) = image.prj(files, &mut found.remarks)? {
                tags = Some(GeoTags::with_system(tags, system));
                found.from.push(".prj");
            }
        }
        None => {}
    }
    found.from.dedup();
    let stored = info.turn.inverse().apply_to_size(info.size);
    found.tags = tags.map(|tags| tags.turned(info.turn, stored));
    Ok(found)
}

/// [`georeference`] of an image whose pixels can be read: that its tags are damaged is a remark.
///
/// # Errors
/// When a file cannot be had.
pub fn georeference_told(
    files: &Files,
    image: &ImageFiles<'_>,
    limits: &Limits,
    reading: &Reading,
) -> Result<Georeference, ImageError> {
    match georeference(files, image, limits, reading) {
        Err(ImageError::Read(error)) if error.kind() != ReadErrorKind::Io => {
            let remarks = vec![format!("its georeference is NOT READ ({})", error.found())];
            Ok(Georeference { remarks, ..Georeference::default() })
        }
        found => found,
    }
}

impl ImageFiles<'_> {
    /// The text of its world file, where that makes sense.
    fn world_file(&self, files: &Files, remarks: &mut Vec<String>) -> Result<Option<String>, ImageError> {
        let Some(uri) = self.beside(|kind| matches!(kind, Sidecar::World(_))) else { return Ok(None) };
        let text = String::from_utf8_lossy(&files.read(&uri)?).into_owned();
        match GeoTags::with_world_file(None, &text) {
            Ok(_) => Ok(Some(text)),
            Err(reason) => {
                remarks.push(format!("its world file is NOT READ ({reason})"));
                Ok(None)
            }
        }
    }

    /// The system that its `.prj` names.
    fn prj(&self, files: &Files, remarks: &mut Vec<String>) -> Result<Option<EpsgSystem>, ImageError> {
        let Some(uri) = self.beside(|kind| kind == Sidecar::Prj) else { return Ok(None) };
        let system = EpsgSystem::of_wkt(&String::from_utf8_lossy(&files.read(&uri)?));
        if system.is_none() {
            remarks.push("its .prj is NOT READ: it names no system that has an EPSG code here".to_owned());
        }
        Ok(system)
    }
}
