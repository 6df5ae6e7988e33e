//! What is known of one image: its header, the files beside it, and where it lies on a map.

use crate::planning::images::Found;
use crate::planning::memory::PlanMemory;
use marquetry_geometry::Reading;
use marquetry_imagery::{ImageError, ImageFiles, find_sidecars, fingerprint, georeference_told, probe};
use marquetry_job::{PlannedImage, hash};
use marquetry_raster::read::{ImageInfo, Limits};
use marquetry_raster::write::MapFrame;
use marquetry_spec::{JobSpec, Output, PolygonCrs};
use marquetry_transport::uri::is_uri;
use marquetry_transport::{FileError, FileStamp, FileStat, Files, StoreErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Counted up whenever other things would be seen of the same image.
const SEEN_FORMAT: u32 = 1;

/// Looks at images, one at a time and from any number of threads.
pub(crate) struct ImageLooker<'a> {
    files: &'a Files,
    limits: &'a Limits,
    reading: &'a Reading,
    /// For each way in which outlines are asked for, whether it is the image's own system.
    outlines: Vec<bool>,
    /// The files in the folders that were looked into, by name, with what a list of a bucket says of them.
    folders: Mutex<HashMap<String, Arc<Folder>>>,
    /// What was seen of images before. Without one it does not matter what their content is, and it is not read.
    memory: Option<&'a PlanMemory>,
    /// Names what an image was looked at for: with another job of it other things are seen.
    asked: String,
}

/// The files of a folder.
type Folder = BTreeMap<String, Option<FileStat>>;

/// What is seen of an image, whatever it is called and wherever it lies.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SeenImage {
    sidecars: Vec<String>,
    info: ImageInfo,
    version: String,
    /// Names the content of all of its files.
    content: String,
}

impl<'a> ImageLooker<'a> {
    pub(crate) fn new(
        files: &'a Files,
        limits: &'a Limits,
        reading: &'a Reading,
        spec: &JobSpec,
        memory: Option<&'a PlanMemory>,
    ) -> Self {
        let mut outlines: Vec<bool> = Vec::new();
        for output in &spec.outputs {
            if let Output::Polygons(form) = output {
                outlines.push(form.crs == PolygonCrs::Source);
            }
        }
        outlines.sort_unstable();
        outlines.dedup();
        let asked =
            format!("{:?}", (SEEN_FORMAT, reading, &outlines, limits.pixels_max, limits.memory_bytes));
        let asked = hash(&[asked.as_bytes()])[..16].to_owned();
        Self { files, limits, reading, outlines, folders: Mutex::default(), memory, asked }
    }

    /// Its header, and what names it. An image that was looked at before and has not changed since is not opened.
    ///
    /// # Errors
    /// When a file cannot be had, or the image cannot be used.
    pub(crate) fn look(&self, found: &Found) -> Result<(PlannedImage, ImageInfo), ImageError> {
        let (uri, stat) = (&found.uri, self.stat(found)?);
        let (beside, remarks) = self.beside(found)?;
        let name = format!("image {uri}");
        let stamp = self.memory.and_then(|_| self.stamp(uri, stat.as_ref(), &beside, &remarks));
        let known =
            self.memory.zip(stamp.as_ref()).and_then(|(memory, stamp)| memory.recall(&name, &stamp.text));
        let seen = if let Some(seen) = known {
            seen
        } else {
            let seen = self.look_into(uri, stat.as_ref(), &beside, remarks)?;
            if let (Some(memory), Some(stamp)) = (self.memory, stamp.filter(|stamp| stamp.is_settled)) {
                memory.remember(&name, &stamp.text, &seen);
            }
            seen
        };
        let SeenImage { sidecars, info, version, content } = seen;
        let image = PlannedImage {
            id: found.id.clone(),
            key: PlannedImage::key_of(&found.id, &content, None),
            content: None,
            version,
            uri: uri.clone(),
            sidecars,
            size: info.size,
            bands: info.bands,
            tags: found.tags.clone(),
            members: None,
            truth: None,
        };
        Ok((image, info))
    }

    fn stat(&self, found: &Found) -> Result<Option<FileStat>, FileError> {
        Ok(match &found.stat {
            Some(stat) => Some(stat.clone()),
            None if is_uri(&found.uri) => Some(self.files.stat(&found.uri)?),
            // What is wrong with it the reader says better.
            None => self.files.stat(&found.uri).ok(),
        })
    }

    /// What changes as soon as the image or a file beside it does; nothing where it cannot be had.
    fn stamp(
        &self,
        uri: &str,
        stat: Option<&FileStat>,
        beside: &Folder,
        remarks: &[String],
    ) -> Option<FileStamp> {
        let own = self.files.stamp(uri, stat).ok()?;
        let mut all = FileStamp { text: format!("{} {remarks:?} {}", self.asked, own.text), ..own };
        let folder = folder_of(uri);
        for (name, stat) in beside {
            let more = self.files.stamp(&format!("{folder}{name}"), stat.as_ref()).ok()?;
            all.text += &format!("\n{name} {}", more.text);
            all.is_settled &= more.is_settled;
        }
        Some(all)
    }

    fn look_into(
        &self,
        uri: &str,
        stat: Option<&FileStat>,
        beside: &Folder,
        mut remarks: Vec<String>,
    ) -> Result<SeenImage, ImageError> {
        let files = self.files;
        let (sidecars, more) = find_sidecars(files, uri, beside.keys().map(String::as_str))?;
        remarks.extend(more);
        let image = ImageFiles { uri, stat, sidecars: &sidecars };
        let mut info = probe(files, &image, self.limits, self.reading)?;
        info.traits.remarks.extend(remarks);
        self.say_of_outlines(&image, &mut info)?;
        // The version first: what is written to meanwhile is another one when it is read in earnest.
        let version = PlannedImage::version_of(&fingerprint(files, &image)?);
        let content = match self.memory {
            Some(_) => marquetry_imagery::content(files, &image)?,
            None => version.clone(),
        };
        Ok(SeenImage { sidecars, info, version, content })
    }

    /// The files beside an image that may speak of it, and what there is to say where they may not be looked for.
    fn beside(&self, found: &Found) -> Result<(Folder, Vec<String>), ImageError> {
        let uri = &found.uri;
        let (folder, name) = (folder_of(uri), name_of(uri));
        let stem = format!("{}.", name.rsplit_once('.').map_or(name, |(stem, _)| stem));
        let listed = if found.stat.is_some() || !is_uri(uri) {
            self.folder(folder)
        } else {
            // One of a list, and a bucket's folder may hold millions of others.
            let names = self.files.names(&format!("{folder}{stem}"));
            names.map(|names| Arc::new(names.into_iter().map(|name| (name, None)).collect()))
        };
        let listed: Arc<Folder> = match listed {
            // Who may read an image that is named need not be allowed to list its bucket.
            Err(error) if error.kind == StoreErrorKind::Denied => {
                let said = "what lies beside it may not be listed here, and is NOT READ";
                return Ok((Folder::new(), vec![said.to_owned()]));
            }
            listed => listed?,
        };
        // Of names in order, those that begin as the image does stand together.
        let all = listed.range(stem.clone()..).take_while(|(other, _)| other.starts_with(&stem));
        let others = all.filter(|(other, _)| *other != name);
        Ok((others.map(|(name, stat)| (name.clone(), stat.clone())).collect(), Vec::new()))
    }

    /// The files of a folder. One of this machine that cannot be listed has none: what is wrong with it, images say better.
    fn folder(&self, folder: &str) -> Result<Arc<Folder>, FileError> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = folders.get(folder) {
            return Ok(Arc::clone(known));
        }
        let listed: Folder = if is_uri(folder) {
            let all = self.files.list(folder)?.into_iter();
            all.filter(|file| !file.relative.contains('/')).map(|file| (file.relative, file.stat)).collect()
        } else {
            self.files.names(folder).unwrap_or_default().into_iter().map(|name| (name, None)).collect()
        };
        let listed = Arc::new(listed);
        folders.insert(folder.to_owned(), Arc::clone(&listed));
        Ok(listed)
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

/// The folder of a file, with its last `/`; empty where it has none.
fn folder_of(uri: &str) -> &str {
    &uri[..uri.len() - name_of(uri).len()]
}

fn name_of(uri: &str) -> &str {
    uri.rsplit('/').next().unwrap_or(uri)
}
