//! What an image adds to the tables of the job: run lengths, class ids, COCO annotations.

use super::SinkContext;
use crate::legend;
use crate::output_file::UnfinishedFile;
use crate::row::Row;
use crate::sink::{FinishedImage, RowSink, SinkError};
use marquetry_geometry::Size;
use marquetry_raster::write::{
    ClassTextSink, CocoPolygonSink, CocoRleSink, LabelSink, Legend, RleOptions, RleSink, RleStyle,
    ScoredLabelSink,
};
use marquetry_spec::{ClassCsv, Coco, CocoForm, CocoShape, KaggleRle, RleRows};

/// The texts that an image adds to one of the job's tables, in a file of their own until it is finished.
struct RowTexts {
    /// The output's number among the job's outputs.
    output: usize,
    file: UnfinishedFile,
}

impl RowTexts {
    /// None yet, for output `output`; and where they are written.
    fn create(context: &SinkContext<'_>, output: usize) -> (Self, UnfinishedFile) {
        let file = UnfinishedFile::new(context.folder, &format!("rows-{output}"));
        (Self { output, file: file.clone() }, file)
    }

    fn finish(self, image: &mut FinishedImage) -> Result<(), SinkError> {
        let text = String::from_utf8(self.file.read()?).map_err(std::io::Error::other)?;
        image.result.table_rows.insert(self.output, text);
        Ok(())
    }
}

/// Feeds final labels to an encoder that writes texts for one of the job's tables.
struct TableRows {
    encoder: Box<dyn LabelSink>,
    texts: RowTexts,
}

impl TableRows {
    /// Starts the texts for output `number`; `encoder` is given where they are written.
    fn open<E: LabelSink + 'static>(
        context: &SinkContext<'_>,
        number: usize,
        encoder: impl FnOnce(UnfinishedFile) -> Result<E, SinkError>,
    ) -> Result<Box<dyn RowSink>, SinkError> {
        let (texts, out) = RowTexts::create(context, number);
        Ok(Box::new(Self { encoder: Box::new(encoder(out)?), texts }))
    }
}

impl RowSink for TableRows {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let Some(labels) = row.labels() else { return Ok(()) };
        Ok(self.encoder.row(labels)?)
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.encoder.finish()?;
        self.texts.finish(image)
    }
}

/// Rows of run lengths for output `number`.
pub(crate) fn run_lengths(
    context: &SinkContext<'_>,
    number: usize,
    rle: &KaggleRle,
) -> Result<Box<dyn RowSink>, SinkError> {
    let (id, size, legend) = (context.image.id.as_str(), context.image.size, &context.legend);
    let style = if rle.relative { RleStyle::Relative } else { RleStyle::Absolute };
    let options = RleOptions { style, empty: rle.empty.clone() };
    let classes: Vec<u16> = rle.classes.iter().map(|&c| c as u16).collect();
    match rle.rows {
        RleRows::ImageClass => TableRows::open(context, number, |out| {
            Ok(RleSink::new(out, id, size, legend, &classes, options)?)
        }),
        RleRows::Image => TableRows::open(context, number, |out| {
            let sink = RleSink::new(out, id, size, &Union::legend()?, &[legend::UNION], options)?;
            Ok(Union::new(Box::new(sink), size, classes, legend.planes()))
        }),
    }
}

/// Rows of class ids for output `number`.
pub(crate) fn class_ids(
    context: &SinkContext<'_>,
    number: usize,
    csv: &ClassCsv,
) -> Result<Box<dyn RowSink>, SinkError> {
    let image = context.image;
    TableRows::open(context, number, |out| {
        Ok(ClassTextSink::new(out, &image.id, image.size, &context.legend, csv.size)?)
    })
}

/// COCO annotations for output `number`.
pub(crate) fn annotations(
    context: &SinkContext<'_>,
    number: usize,
    coco: &Coco,
) -> Result<Box<dyn RowSink>, SinkError> {
    let (id, size, legend) = (context.image.id.as_str(), context.image.size, &context.legend);
    let classes = legend::objects(context.spec);
    let masks = |out| CocoRleSink::new(out, id, size, legend, &classes);
    let outlines = |out| CocoPolygonSink::new(out, id, size, legend, &classes);
    match (coco.form, coco.shape) {
        (CocoForm::Dataset, CocoShape::Rle) => TableRows::open(context, number, |out| Ok(masks(out)?)),
        (CocoForm::Dataset, CocoShape::Polygons) => {
            TableRows::open(context, number, |out| Ok(outlines(out)?))
        }
        (CocoForm::Results, CocoShape::Rle) => ScoredRows::open(context, number, |out| Ok(masks(out)?)),
        (CocoForm::Results, CocoShape::Polygons) => {
            ScoredRows::open(context, number, |out| Ok(outlines(out)?))
        }
    }
}

/// Feeds final labels and probabilities together to an encoder that writes texts for one of the job's tables.
struct ScoredRows {
    encoder: Box<dyn ScoredLabelSink>,
    texts: RowTexts,
}

impl ScoredRows {
    fn open<E: ScoredLabelSink + 'static>(
        context: &SinkContext<'_>,
        number: usize,
        encoder: impl FnOnce(UnfinishedFile) -> Result<E, SinkError>,
    ) -> Result<Box<dyn RowSink>, SinkError> {
        let (texts, out) = RowTexts::create(context, number);
        Ok(Box::new(Self { encoder: Box::new(encoder(out)?), texts }))
    }
}

impl RowSink for ScoredRows {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let (Some(labels), Some(scores)) = (row.labels(), row.scores()) else { return Ok(()) };
        Ok(self.encoder.scored_row(labels, scores.probabilities()?)?)
    }

    fn needs_whole_rows(&self) -> bool {
        true
    }

    fn finish(self: Box<Self>, image: &mut FinishedImage) -> Result<(), SinkError> {
        self.encoder.finish()?;
        self.texts.finish(image)
    }
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
    fn legend() -> Result<Legend, SinkError> {
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
