//! The outputs of one image while they are being written.

use crate::AggregateError;
use crate::legend;
use crate::part::Part;
use marquetry_geometry::Size;
use marquetry_job::{PlannedImage, key};
use marquetry_raster::write::{
    ClassTextSink, CocoPolygonSink, CocoRleSink, GeoJsonSink, GeoTags, LabelSink, Legend, MaskPng, MaskTiff,
    RleOptions, RleSink, RleStyle, ScoreDepth, ScoreSink, ScoreTiff, ScoreZarr, Split, TiffOptions,
};
use marquetry_spec::{CocoShape, JobSpec, MaskFormat, Output, RleRows, ScoreDtype, ScoreFormat};
use marquetry_transport::Files;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Side of a chunk of a Zarr array, px.
const ZARR_CHUNK_PX: u32 = 512;

/// All outputs of one image, written into a temporary folder and stored when they are whole.
pub(crate) struct Outputs {
    folder: TempDir,
    labels: Vec<Box<dyn LabelSink>>,
    scores: Vec<Box<dyn ScoreSink>>,
    /// Finished files: where they go below the job's outputs, and where they are now.
    files: Vec<(String, PathBuf)>,
    /// Finished folders: likewise.
    folders: Vec<(String, PathBuf)>,
    /// Texts for the part: the output's number, and where they are now.
    pieces: Vec<(usize, PathBuf)>,
}

/// What every output of one image must know.
struct Context<'a> {
    image: &'a PlannedImage,
    legend: Legend,
    geo: Option<GeoTags>,
    safe: String,
    objects: Vec<u16>,
    exclusive: bool,
}

impl Outputs {
    /// Opens every output that `spec` asks for.
    pub(crate) fn open(
        spec: &JobSpec,
        image: &PlannedImage,
        files: &Files,
        temp: &Path,
    ) -> Result<Self, AggregateError> {
        let folder = TempDir::new_in(temp)?;
        let wants_geo =
            |o: &Output| matches!(o, Output::Masks(_) | Output::Probabilities(_) | Output::Polygons);
        let geo = if spec.outputs.iter().any(wants_geo) { geo_tags(files, &image.uri)? } else { None };
        let context = Context {
            image,
            legend: legend::legend(spec)?,
            geo,
            safe: key::safe_id(&image.id),
            objects: legend::objects(spec),
            exclusive: spec.decide.background.is_some(),
        };
        let mut outputs = Self {
            folder,
            labels: Vec::new(),
            scores: Vec::new(),
            files: Vec::new(),
            folders: Vec::new(),
            pieces: Vec::new(),
        };
        for (number, output) in spec.outputs.iter().enumerate() {
            outputs.add(number, output, &context)?;
        }
        Ok(outputs)
    }

    /// A new file for what will lie at `place`.
    fn file(&mut self, place: String) -> Result<BufWriter<File>, AggregateError> {
        let path = self.folder.path().join(format!("file-{}", self.files.len()));
        let file = BufWriter::new(File::create(&path)?);
        self.files.push((place, path));
        Ok(file)
    }

    /// A new file for what output `number` adds to the part.
    fn piece(&mut self, number: usize) -> Result<BufWriter<File>, AggregateError> {
        let path = self.folder.path().join(format!("piece-{number}"));
        let file = BufWriter::new(File::create(&path)?);
        self.pieces.push((number, path));
        Ok(file)
    }

    fn add(&mut self, number: usize, output: &Output, context: &Context<'_>) -> Result<(), AggregateError> {
        let Context { image, legend, geo, safe, .. } = context;
        let (id, size) = (image.id.as_str(), image.size);
        match output {
            Output::Masks(format) => self.add_masks(output, *format, context)?,
            Output::Probabilities(p) => {
                let depth = match p.dtype {
                    ScoreDtype::U8 => ScoreDepth::U8,
                    ScoreDtype::F16 => ScoreDepth::F16,
                };
                let names = legend.names().to_vec();
                let sink: Box<dyn ScoreSink> = match p.format {
                    ScoreFormat::Tiff => {
                        let file = self.file(place(output, safe, None))?;
                        Box::new(ScoreTiff::new(
                            file,
                            size,
                            names,
                            depth,
                            geo.clone(),
                            TiffOptions::default(),
                        )?)
                    }
                    ScoreFormat::Zarr => {
                        let path = self.folder.path().join(format!("folder-{number}"));
                        self.folders.push((place(output, safe, None), path.clone()));
                        Box::new(ScoreZarr::new(path, size, &names, depth, ZARR_CHUNK_PX)?)
                    }
                };
                self.scores.push(sink);
            }
            Output::KaggleRle(rle) => {
                let style = if rle.relative { RleStyle::Relative } else { RleStyle::Absolute };
                let options = RleOptions { style, empty: rle.empty.clone() };
                let classes: Vec<u16> = rle.classes.iter().map(|&c| c as u16).collect();
                let out = self.piece(number)?;
                self.labels.push(match rle.rows {
                    RleRows::ImageClass => Box::new(RleSink::new(out, id, size, legend, &classes, options)?),
                    RleRows::Image => {
                        let union = Union::legend()?;
                        let sink = RleSink::new(out, id, size, &union, &[legend::UNION], options)?;
                        Box::new(Union::new(Box::new(sink), size, classes, legend.planes()))
                    }
                });
            }
            Output::ClassCsv(csv) => {
                let sink = ClassTextSink::new(self.piece(number)?, id, size, legend, csv.size)?;
                self.labels.push(Box::new(sink));
            }
            Output::Coco(coco) => {
                let classes = &context.objects;
                let out = self.piece(number)?;
                self.labels.push(match coco.shape {
                    CocoShape::Rle => Box::new(CocoRleSink::new(out, id, size, legend, classes, None)?),
                    CocoShape::Polygons => {
                        Box::new(CocoPolygonSink::new(out, id, size, legend, classes, None)?)
                    }
                });
            }
            Output::Polygons => {
                let out = self.file(place(output, safe, None))?;
                let transform = geo.as_ref().and_then(GeoTags::transform);
                let classes = &context.objects;
                self.labels.push(Box::new(GeoJsonSink::new(out, id, size, legend, classes, transform)?));
            }
            Output::Report => {}
        }
        Ok(())
    }

    /// One mask, or one for each class where classes share pixels.
    fn add_masks(
        &mut self,
        output: &Output,
        format: MaskFormat,
        context: &Context<'_>,
    ) -> Result<(), AggregateError> {
        let Context { image, legend, geo, safe, .. } = context;
        let mut open = |to: String, legend: &Legend| -> Result<Box<dyn LabelSink>, AggregateError> {
            let file = self.file(to)?;
            Ok(match format {
                MaskFormat::Png => Box::new(MaskPng::new(file, image.size, legend)?),
                MaskFormat::Tiff => {
                    Box::new(MaskTiff::new(file, image.size, legend, geo.clone(), TiffOptions::default())?)
                }
            })
        };
        let sink = if context.exclusive {
            open(place(output, safe, None), legend)?
        } else {
            let mut planes = Vec::new();
            for (class, name) in legend.names().iter().enumerate() {
                planes.push(open(place(output, safe, Some(name)), &legend.plane(class))?);
            }
            Box::new(Split::new(image.size, legend, planes)?)
        };
        self.labels.push(sink);
        Ok(())
    }

    /// Whether anything wants probabilities.
    pub(crate) fn want_scores(&self) -> bool {
        !self.scores.is_empty()
    }

    /// Takes a band of probabilities, `[C, rows, W]`.
    pub(crate) fn band(&mut self, scores: &[f32], rows: u32) -> Result<(), AggregateError> {
        self.scores.iter_mut().try_for_each(|sink| sink.band(scores, rows)).map_err(Into::into)
    }

    /// Takes a row of labels, `[planes, W]`.
    pub(crate) fn row(&mut self, labels: &[u16]) -> Result<(), AggregateError> {
        self.labels.iter_mut().try_for_each(|sink| sink.row(labels)).map_err(Into::into)
    }

    /// Ends every output, and puts what tables need into `part`. What is left are files to store, each with its place
    /// below the job's outputs; they vanish with the second value.
    pub(crate) fn finish(self, part: &mut Part) -> Result<(Vec<(String, PathBuf)>, TempDir), AggregateError> {
        self.scores.into_iter().try_for_each(ScoreSink::finish)?;
        self.labels.into_iter().try_for_each(LabelSink::finish)?;
        for (number, path) in self.pieces {
            part.pieces.insert(number, std::fs::read_to_string(path)?);
        }
        let mut files = self.files;
        for (place, folder) in self.folders {
            for name in files_below(&folder)? {
                files.push((format!("{place}/{name}"), folder.join(&name)));
            }
        }
        Ok((files, self.folder))
    }
}

/// Where an output of the image with the safe id `safe` lies below the job's outputs: a file, or a Zarr array's folder.
/// `class` is given for masks of classes that share pixels.
fn place(output: &Output, safe: &str, class: Option<&str>) -> String {
    let name =
        class.map_or_else(|| safe.to_owned(), |c| format!("{safe}/{}", key::safe_id(&c.replace('/', "_"))));
    output.place().replacen('*', &name, 1)
}

/// The files, below the job's outputs, without which a finished image is not finished any more: someone may have
/// cleared away what an earlier run wrote.
pub fn expected(spec: &JobSpec, image_id: &str) -> Vec<String> {
    let safe = key::safe_id(image_id);
    let mut files = Vec::new();
    for output in spec.outputs.iter().filter(|o| o.place().contains('*')) {
        match output {
            Output::Masks(_) if spec.decide.background.is_none() => {
                files.extend(spec.classes.iter().map(|c| place(output, &safe, Some(&c.name))));
            }
            Output::Probabilities(p) if p.format == ScoreFormat::Zarr => {
                files.push(place(output, &safe, None) + "/.zarray");
            }
            _ => files.push(place(output, &safe, None)),
        }
    }
    files
}

/// The georeference of an image, if it is a TIFF by its first bytes, whatever its name, and has one.
fn geo_tags(files: &Files, uri: &str) -> Result<Option<GeoTags>, AggregateError> {
    let mut source = marquetry_imagery::bytes(files, uri, None)?;
    let mut first = Vec::new();
    source.by_ref().take(4).read_to_end(&mut first)?;
    if !matches!(first.as_slice(), b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+") {
        return Ok(None);
    }
    source.seek(SeekFrom::Start(0))?;
    Ok(GeoTags::read(BufReader::new(source))?)
}

/// All files below a folder, hidden ones too: a Zarr array keeps its description in them.
fn files_below(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            found.extend(files_below(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// One mask out of several classes: object where any of them is.
struct Union {
    inner: Box<dyn LabelSink>,
    width: usize,
    classes: Vec<u16>,
    planes: usize,
    row: Vec<u16>,
}

impl Union {
    fn legend() -> Result<Legend, AggregateError> {
        Ok(Legend::labels(vec!["background".into(), "object".into()], None)?)
    }

    fn new(inner: Box<dyn LabelSink>, size: Size, classes: Vec<u16>, planes: usize) -> Self {
        Self { inner, width: size.width as usize, classes, planes, row: Vec::new() }
    }
}

impl LabelSink for Union {
    fn row(&mut self, values: &[u16]) -> marquetry_raster::write::Result<()> {
        self.row.clear();
        if self.planes == 1 {
            self.row.extend(values.iter().map(|v| u16::from(self.classes.contains(v))));
        } else {
            let of = |x: usize| self.classes.iter().any(|&c| values[c as usize * self.width + x] == 1);
            self.row.extend((0..self.width).map(|x| u16::from(of(x))));
        }
        self.inner.row(&self.row)
    }

    fn finish(self: Box<Self>) -> marquetry_raster::write::Result<()> {
        self.inner.finish()
    }
}
