//! Labels read, and kept as classes: those that have not changed since they were read are remembered.

use crate::planning::memory::PlanMemory;
use crate::planning::parallel_map::parallel_map;
use crate::planning::truth_files::Fetched;
use marquetry_failure::chain;
use marquetry_geometry::Size;
use marquetry_job::{PlannedImage, TruthLabels, hash};
use marquetry_labels::{
    Census, ClassList, LabelRules, LabelSource, Mapping, RawLabel, Settlement, Side, settle,
};
use marquetry_transport::{FileStamp, Files};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// So many labels settle what values mean before all are read.
const FIRST: usize = 8;
/// Counted up whenever anything else would be read of the same label.
const READ_FORMAT: u32 = 1;

/// Settled labels, each in a file that its name names once somebody wants it.
pub(crate) struct SettledLabels {
    pub(crate) folder: TempDir,
    pub(crate) source: Box<dyn LabelSource>,
    /// By name, the label of that name and its size.
    pub(crate) of: BTreeMap<String, (usize, Size)>,
    pub(crate) mapping: Mapping,
    /// Copies of what lies in S3.
    pub(crate) _held: Option<TempDir>,
}

impl std::fmt::Debug for SettledLabels {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("SettledLabels").field("of", &self.of).finish_non_exhaustive()
    }
}

impl SettledLabels {
    /// The file of the labels that are named `name`.
    pub(crate) fn file(&self, name: &str) -> Result<PathBuf, String> {
        let place = self.folder.path().join(name);
        let Some(&(entry, size)) = self.of.get(name).filter(|_| !place.exists()) else { return Ok(place) };
        let path = &self.source.entries()[entry].path;
        let mut raw = RawLabel::default();
        self.source.read(entry, Some(size), &mut raw).map_err(|error| chain(&error))?;
        let is_it = raw.size == size && store(self.folder.path(), path, size, &raw, &self.mapping)? == name;
        if is_it {
            Ok(place)
        } else {
            Err(format!("{path} was changed while the job was planned: run the same command again"))
        }
    }
}

/// Keeps a label as classes; its name.
fn store(folder: &Path, path: &str, size: Size, raw: &RawLabel, mapping: &Mapping) -> Result<String, String> {
    let mut labels = Vec::new();
    mapping.apply(raw, &mut labels);
    let name = TruthLabels::name(size, &labels);
    let write = || {
        let place = folder.join(&name);
        if place.exists() {
            return Ok(());
        }
        // Two images may have one truth, and be read side by side.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, &TruthLabels::encode(size, &labels)?)?;
        file.persist(place).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| format!("{path}: its labels cannot be kept in the temporary folder: {error}"))?;
    Ok(name)
}

/// What was read of labels before.
pub(crate) struct Remembered<'a> {
    memory: &'a PlanMemory,
    files: &'a Files,
    /// The versions of what was copied from a bucket, by the copies' paths.
    copies: HashMap<PathBuf, String>,
    /// Names what is said of the labels.
    said: String,
}

impl<'a> Remembered<'a> {
    pub(crate) fn new(
        memory: &'a PlanMemory,
        files: &'a Files,
        fetched: &Fetched,
        said: (&LabelRules, &ClassList),
    ) -> Self {
        let names = fetched.source.value_names();
        let said = hash(&[format!("{:?}", (READ_FORMAT, said, names)).as_bytes()])[..16].to_owned();
        Self { memory, files, copies: fetched.copies.clone(), said }
    }

    /// What changes as soon as the label does; nothing where that cannot be told.
    fn stamp(&self, source: &dyn LabelSource, entry: usize, size: Size) -> Option<FileStamp> {
        let text = format!("{} {} {}", self.said, size.height, size.width);
        let mut stamp = FileStamp { text, is_settled: true };
        for path in source.files(entry)? {
            let own = match self.copies.get(&path) {
                Some(version) => FileStamp { text: version.clone(), is_settled: true },
                None => self.files.stamp(path.to_str()?, None).ok()?,
            };
            stamp.text += &format!(" {}", own.text);
            stamp.is_settled &= own.is_settled;
        }
        Some(stamp)
    }
}

/// Reading labels once.
pub(crate) struct Pass<'a> {
    pub(crate) source: &'a dyn LabelSource,
    pub(crate) images: &'a [PlannedImage],
    pub(crate) memory_bytes: u64,
    pub(crate) bytes_per_pixel: u64,
    pub(crate) folder: &'a Path,
    pub(crate) remembered: Option<Remembered<'a>>,
}

/// What labels mean in a pass that keeps them.
struct Meaning<'a> {
    mapping: &'a Mapping,
    /// Names the mapping, which may be long.
    named: String,
}

/// What a pass came to.
pub(crate) struct Passed {
    pub(crate) census: Census,
    /// Of each pair the name of its settled labels, where they were kept.
    pub(crate) names: Vec<Option<String>>,
    pub(crate) faults: Vec<String>,
}

impl Pass<'_> {
    /// Reads all labels; what their values mean is settled by the first few, and once more when all are read: only where that
    /// makes a difference are all read again.
    pub(crate) fn settled(
        &self,
        pairs: &[(usize, usize)],
        rules: &LabelRules,
        classes: &ClassList,
    ) -> (Passed, Settlement) {
        let settled = |census: &Census| settle(Side::Truth, self.source, census, rules, classes);
        let open = settled(&Census::default());
        let first = self.run(&pairs[..pairs.len().min(FIRST)], &open.mapping, false);
        let meant = settled(&first.census);
        // What cannot be used is read to its end all the same: every reason is told at once.
        let keeps = meant.problems.is_empty();
        let passed = self.run(pairs, &meant.mapping, keeps);
        let settlement = settled(&passed.census);
        let is_sound = settlement.problems.is_empty() && passed.faults.is_empty();
        if is_sound && (!keeps || settlement.mapping != meant.mapping) {
            return (self.run(pairs, &settlement.mapping, true), settlement);
        }
        (passed, settlement)
    }

    /// Reads the labels of `pairs` (image, entry) side by side; with `keeps`, what they mean is stored.
    fn run(&self, pairs: &[(usize, usize)], mapping: &Mapping, keeps: bool) -> Passed {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let named = hash(&[format!("{mapping:?}").as_bytes()])[..16].to_owned();
        let meaning = keeps.then_some(Meaning { mapping, named });
        let read = parallel_map(
            pairs,
            threads,
            |pair| {
                let mut census = Census::default();
                let name = self.label(*pair, meaning.as_ref(), &mut census);
                (census, name)
            },
            |_| false,
        );
        let mut passed = Passed { census: Census::default(), names: Vec::new(), faults: Vec::new() };
        for (census, name) in read.into_iter().flatten() {
            passed.census.merge(census);
            passed.names.push(name.unwrap_or_else(|fault| {
                passed.faults.push(fault);
                None
            }));
        }
        passed
    }

    /// The census of a label, and with a meaning the name of what it means: as it was seen before, if it has not changed since.
    fn label(
        &self,
        (image, entry): (usize, usize),
        meaning: Option<&Meaning<'_>>,
        census: &mut Census,
    ) -> Result<Option<String>, String> {
        let (image, path) = (&self.images[image], &self.source.entries()[entry].path);
        let bytes = image.size.area().saturating_mul(self.bytes_per_pixel);
        if bytes > self.memory_bytes {
            return Err(format!(
                "{path}: image {} has {} px, and reading its label and counting takes {} MB; limits.image_mb allows {}: \
                 raise it, or leave the label out",
                image.id,
                image.size.area(),
                bytes.div_ceil(1 << 20),
                self.memory_bytes >> 20
            ));
        }
        let mapping = meaning.map(|meaning| meaning.mapping);
        let known = self.remembered.as_ref();
        let known =
            known.and_then(|known| Some((known.memory, known.stamp(self.source, entry, image.size)?)));
        let Some((memory, stamp)) = known else { return self.read(image, entry, mapping, census) };
        let name = format!("label {path} of {}", image.id);
        let meant =
            meaning.map(|meaning| (format!("truth of {name}"), format!("{} {}", stamp.text, meaning.named)));
        let labels = meant.as_ref().and_then(|(name, stamp)| memory.recall::<String>(name, stamp));
        if let Some(seen) = memory.recall::<Census>(&name, &stamp.text)
            && labels.is_some() == meant.is_some()
        {
            *census = seen.as_of(entry);
            return Ok(labels);
        }
        let labels = self.read(image, entry, mapping, census)?;
        if stamp.is_settled {
            memory.remember(&name, &stamp.text, census);
            if let Some(((name, stamp), labels)) = meant.as_ref().zip(labels.as_ref()) {
                memory.remember(name, stamp, labels);
            }
        }
        Ok(labels)
    }

    /// Reads a label; with a mapping, what it means is stored, and its name returned.
    fn read(
        &self,
        image: &PlannedImage,
        entry: usize,
        mapping: Option<&Mapping>,
        census: &mut Census,
    ) -> Result<Option<String>, String> {
        let path = &self.source.entries()[entry].path;
        let mut raw = RawLabel::default();
        self.source.read(entry, Some(image.size), &mut raw).map_err(|error| chain(&error))?;
        *census = Census::of(entry, &raw);
        if raw.size != image.size {
            return Err(other_size(path, raw.size, image));
        }
        mapping.map(|mapping| store(self.folder, path, image.size, &raw, mapping)).transpose()
    }
}

fn other_size(path: &str, size: Size, image: &PlannedImage) -> String {
    let what = if size == image.size.transposed() {
        ": it would fit if it were turned. An image is taken as its file asks to show it (EXIF); turn the label too, or save \
         both without that"
    } else {
        ": a label must have its image's size; resize it by the nearest pixel"
    };
    format!("{path} is {size} px, and its image {} {} px{what}", image.id, image.size)
}
