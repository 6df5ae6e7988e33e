//! What is known of one image: its header, the files beside it, and where it lies on a map.

use crate::planning::images::Found;
use marquetry_geometry::Reading;
use marquetry_imagery::{ImageError, ImageFiles, find_sidecars, fingerprint, georeference_told, probe};
use marquetry_job::PlannedImage;
use marquetry_raster::read::{ImageInfo, Limits};
use marquetry_raster::write::MapFrame;
use marquetry_spec::{JobSpec, Output, PolygonCrs};
use marquetry_transport::uri::is_uri;
use marquetry_transport::{Files, StoreErrorKind};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Looks at images, one at a time and from any number of threads.
pub(crate) struct ImageLooker<'a> {
    files: &'a Files,
    limits: &'a Limits,
    reading: &'a Reading,
    /// For each way in which outlines are asked for, whether it is the image's own system.
    outlines: Vec<bool>,
    /// The names of the files in the folders of this machine that were looked into.
    folders: Mutex<HashMap<String, Arc<Vec<String>>>>,
}

impl<'a> ImageLooker<'a> {
    pub(crate) fn new(files: &'a Files, limits: &'a Limits, reading: &'a Reading, spec: &JobSpec) -> Self {
        let mut outlines: Vec<bool> = Vec::new();
        for output in &spec.outputs {
            if let Output::Polygons(form) = output {
                outlines.push(form.crs == PolygonCrs::Source);
            }
        }
        outlines.sort_unstable();
        outlines.dedup();
        Self { files, limits, reading, outlines, folders: Mutex::default() }
    }

    /// Its header, and what names it.
    ///
    /// # Errors
    /// When a file cannot be had, or the image cannot be used.
    pub(crate) fn look(&self, found: &Found) -> Result<(PlannedImage, ImageInfo), ImageError> {
        let files = self.files;
        let stat = match &found.stat {
            Some(stat) => Some(stat.clone()),
            None if is_uri(&found.uri) => Some(files.stat(&found.uri)?),
            // What is wrong with it the reader says better.
            None => files.stat(&found.uri).ok(),
        };
        let (sidecars, remarks) = self.sidecars(&found.uri)?;
        let image = ImageFiles { uri: &found.uri, stat: stat.as_ref(), sidecars: &sidecars };
        let mut info = probe(files, &image, self.limits, self.reading)?;
        info.traits.remarks.extend(remarks);
        self.say_of_outlines(&image, &mut info)?;
        let fingerprint = fingerprint(files, &image)?;
        let image = PlannedImage {
            id: found.id.clone(),
            key: PlannedImage::key_of(&found.id, &found.uri, &fingerprint, None),
            uri: found.uri.clone(),
            sidecars,
            size: info.size,
            bands: info.bands,
            tags: found.tags.clone(),
            members: None,
            truth: None,
        };
        Ok((image, info))
    }

    /// The names of the files beside an image that speak of it, and what there is to say of others.
    fn sidecars(&self, uri: &str) -> Result<(Vec<String>, Vec<String>), ImageError> {
        if is_uri(uri) {
            // All of them begin as the image does; a bucket's folder may hold millions of others.
            let (folder, name) = uri.rsplit_once('/').unwrap_or(("", uri));
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            let names = match self.files.names(&format!("{folder}/{stem}.")) {
                // Who may read an image that is named need not be allowed to list its bucket.
                Err(error) if error.kind == StoreErrorKind::Denied => {
                    let said = "what lies beside it may not be listed here, and is NOT READ";
                    return Ok((Vec::new(), vec![said.to_owned()]));
                }
                names => names?,
            };
            return find_sidecars(self.files, uri, names.iter().map(String::as_str));
        }
        let folder = uri.rfind('/').map_or("", |slash| &uri[..=slash]);
        let names = self.names(folder);
        // Of names in order, those that begin as the image does stand together.
        let name = &uri[folder.len()..];
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let from = names.partition_point(|other| other.as_str() < stem);
        let beside = names[from..].iter().take_while(|other| other.starts_with(stem));
        find_sidecars(self.files, uri, beside.map(String::as_str))
    }

    /// The names in a folder of this machine. One that cannot be listed has none: what is wrong with it, images say better.
    fn names(&self, folder: &str) -> Arc<Vec<String>> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let names = folders
            .entry(folder.to_owned())
            .or_insert_with(|| Arc::new(self.files.names(folder).unwrap_or_default()));
        Arc::clone(names)
    }

    /// Says of an image what its outlines will lose, where they are asked for.
    fn say_of_outlines(&self, image: &ImageFiles<'_>, info: &mut ImageInfo) -> Result<(), ImageError> {
        if self.outlines.is_empty() {
            return Ok(());
        }
        let place = georeference_told(self.files, image, self.limits, self.reading)?;
        for &own in &self.outlines {
            let said = place.tags.as_ref().and_then(|tags| MapFrame::new(tags, info.size, own).1);
            info.traits.outlines.extend(said);
        }
        for remark in place.remarks {
            if !info.traits.remarks.contains(&remark) {
                info.traits.remarks.push(remark);
            }
        }
        Ok(())
    }
}
