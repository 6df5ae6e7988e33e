//! `marquetry evaluate`: how well labels agree with the truth.

use crate::args::Format;
use crate::exit::{Exit, Fatal};
use crate::say;
use clap::{Args, ValueEnum};
use marquetry_evaluator::{
    EvaluateError, Evaluation, Found, Request, SideRequest, census_lines, compare, comparison_text, evaluate,
    evaluation_text, write_results,
};
use marquetry_failure::Classify;
use marquetry_labels::{
    Affixes, AlphaRule, ClassList, ColourTable, IgnoreRule, LabelError, LabelRules, MapEntry, NodataRule,
    Others, RunOrder, is_geojson,
};
use marquetry_raster::read::Limits;
use marquetry_raster::rle::RleStyle;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// The labels to judge: a folder of label images (PNG, TIFF, BMP, PGM, NumPy) or of labelme's files, a COCO file or an export of
    /// Label Studio (.json), an export of CVAT for images (.xml), a table of run lengths (.csv), or outlines on a map (GeoJSON, one
    /// file for all images or a folder with one for each).
    #[arg(long, value_name = "DIR|FILE")]
    pred: PathBuf,
    /// The labels that are right: the same.
    #[arg(long, value_name = "DIR|FILE")]
    truth: PathBuf,
    /// The classes' names, in the order of their values.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    classes: Vec<String>,
    /// The value that is left out, or none [default: 255, where it is no class and does not stand beside 0 alone for
    /// the second of two classes].
    #[arg(long, value_name = "VALUE", value_parser = parse_ignore, allow_hyphen_values = true)]
    ignore: Option<IgnoreRule>,
    /// What values mean on both sides, as in 7=road,8=1,water=ignore: a number or the name of a category or colour, and
    /// a class or `ignore`. Where numbers are mapped, no other number is a class.
    #[arg(long, value_name = "MAP", value_delimiter = ',', allow_hyphen_values = true)]
    map: Vec<String>,
    /// The same for the truth alone, in place of --map.
    #[arg(long, value_name = "MAP", value_delimiter = ',', allow_hyphen_values = true)]
    truth_map: Vec<String>,
    /// The same for the predictions alone, in place of --map.
    #[arg(long, value_name = "MAP", value_delimiter = ',', allow_hyphen_values = true)]
    pred_map: Vec<String>,
    /// What becomes of values that mean nothing, on both sides. A prediction that is to be ignored is wrong where the
    /// truth has a class.
    #[arg(long, value_enum, default_value = "refuse")]
    others: OthersWord,
    /// The same for the truth alone.
    #[arg(long, value_enum)]
    truth_others: Option<OthersWord>,
    /// The same for the predictions alone.
    #[arg(long, value_enum)]
    pred_others: Option<OthersWord>,
    /// A table of colours, on both sides: a JSON object of "name": [r, g, b], or lines name:r,g,b (CVAT's labelmap.txt).
    /// Labels are then read for their colours.
    #[arg(long, value_name = "FILE")]
    colours: Option<PathBuf>,
    /// The same for the truth alone.
    #[arg(long, value_name = "FILE")]
    truth_colours: Option<PathBuf>,
    /// The same for the predictions alone.
    #[arg(long, value_name = "FILE")]
    pred_colours: Option<PathBuf>,
    /// What an alpha channel means that is not opaque.
    #[arg(long, value_enum, default_value = "refuse")]
    alpha: AlphaWord,
    /// What the number means that a TIFF gives for no data.
    #[arg(long, value_enum, default_value = "refuse")]
    nodata: NodataWord,
    /// How pixels are numbered in a table of run lengths.
    #[arg(long, value_enum, default_value = "columns")]
    run_order: RunOrderWord,
    /// From where a run's start is counted there.
    #[arg(long, value_enum, default_value = "one")]
    run_start: RunStartWord,
    /// What an image is that a table of run lengths has no row of, or no feature of a GeoJSON file lies on: one of --images, or, where
    /// these are not named, of the other side. Unsaid, it is not labelled, and not evaluated.
    #[arg(long, value_enum)]
    no_row: Option<NoRowWord>,
    /// Which array of a NumPy archive of several (.npz) is the label.
    #[arg(long, value_name = "NAME")]
    array: Option<String>,
    /// Which property of a feature on a map (GeoJSON) names its class [default: class].
    #[arg(long, value_name = "NAME")]
    property: Option<String>,
    /// What file names of the truth begin with, such as mask_; others are passed over.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    truth_prefix: String,
    /// The same of the predictions.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pred_prefix: String,
    /// What file names of the truth have before their extension, such as _mask; others are passed over.
    #[arg(long, value_name = "SUFFIX", default_value = "")]
    truth_suffix: String,
    /// The same of the predictions.
    #[arg(long, value_name = "SUFFIX", default_value = "")]
    pred_suffix: String,
    /// Bring a prediction of another size, but the same aspect, to the size of its truth.
    #[arg(long, value_enum)]
    resize: Option<ResizeWord>,
    /// How wide boundaries are, px [default: 2 % of the diagonal of the middle one of all images by size].
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    boundary_px: Option<u32>,
    /// How far outlines may be apart and still agree, px: the tolerance of the normalised surface distance.
    #[arg(long, value_name = "PX", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tolerance_px: u32,
    /// Another prediction of the same images: how much better is this one, and is that more than chance?
    #[arg(long, value_name = "DIR|FILE")]
    against: Option<PathBuf>,
    /// Write a page (index.html), evaluation.json and images.csv into this folder, and a small picture of each pair.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The images: they tell sizes that a table of run lengths does not, and are shown on the page of --out beside their labels,
    /// found by the predictions' names.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Images worked on side by side [default: one for each core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Most MB that images in hand take together.
    #[arg(long, value_name = "MB", default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    memory_mb: u64,
    /// How results are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OthersWord {
    /// They are an error.
    Refuse,
    /// They are left out.
    Ignore,
    /// They are background.
    Background,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AlphaWord {
    /// It must be said.
    Refuse,
    /// Nothing.
    Drop,
    /// Where it is 0 there is no label.
    Missing,
    /// It is the label.
    Label,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NodataWord {
    /// That there is no label; where it is also that of a class, it must be said.
    Refuse,
    /// That there is no label.
    Missing,
    /// What it means in any other file.
    Value,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RunOrderWord {
    /// Down the columns.
    Columns,
    /// Along the rows.
    Rows,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RunStartWord {
    /// The first pixel is number 1.
    One,
    /// The first pixel is number 0.
    Zero,
    /// The end of the run before.
    Relative,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NoRowWord {
    /// All of it is background.
    Background,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ResizeWord {
    /// By the nearest pixel, half-pixel centres.
    Nearest,
}

fn parse_ignore(text: &str) -> Result<IgnoreRule, String> {
    match text {
        "none" => Ok(IgnoreRule::Nothing),
        number => {
            number.parse().map(IgnoreRule::Value).map_err(|_| "a value is a whole number, or none".into())
        }
    }
}

pub(crate) fn run(args: &EvaluateArgs) -> Result<Exit, Fatal> {
    let scratch = tempfile::Builder::new()
        .prefix("marquetry-")
        .tempdir()
        .map_err(|e| Fatal::new(Exit::Unavailable, format!("cannot make a temporary folder: {e}")))?;
    if let Some(out) = &args.out {
        let read = [&args.pred, &args.truth].into_iter().chain(&args.against).chain(&args.images);
        if let Some(folder) = read.into_iter().find(|folder| folder.is_dir() && is_below(out, folder)) {
            let (out, folder) = (out.display(), folder.display());
            let found = format!(
                "--out {out} lies in {folder}, whose images are read: its pictures would be labels the next time"
            );
            return Err(Fatal::new(Exit::Usage, format!("{found}; name a folder outside of it")));
        }
    }
    let request = request(args, scratch.path()).map_err(|error| Fatal::new(error.class().into(), error))?;
    let (found, evaluation) = judged(&request, "")?;
    let mut document = found.document(&evaluation);
    let mut compared = String::new();
    if let Some(path) = &args.against {
        let predicted = SideRequest { path: path.clone(), ..request.predicted.clone() };
        let (_, other) = judged(
            &Request { predicted, pictures: None, ..request },
            "the prediction it is compared with: ",
        )?;
        let comparison = compare(&evaluation, &other);
        let source = path.display().to_string();
        compared = comparison_text(&source, &other, &comparison);
        document = document.against(source, &other, &comparison);
    }
    if let Some(out) = &args.out {
        write_results(out, &document, &evaluation).map_err(|error| fatal(&error))?;
        say::note(&format!("the page is {}", out.join("index.html").display()));
    }
    match args.format {
        Format::Json => say::data(&serde_json::to_string_pretty(&document).unwrap_or_default()),
        Format::Text => say::data(&(evaluation_text(&document) + &compared)),
    }
    Ok(Exit::Done)
}

/// Whether `path`, which need not be there yet, lies in `folder` or is the same.
fn is_below(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().any(|part| part.canonicalize().is_ok_and(|part| part == folder))
}

/// Evaluates, and says what the labels hold before anything else.
fn judged(request: &Request, whose: &str) -> Result<(Found, Evaluation), Fatal> {
    let (found, evaluation) = evaluate(request).map_err(|error| fatal(&error))?;
    census_lines(&found).iter().for_each(|line| say::note(line));
    found.notes.iter().for_each(|note| say::note(&format!("note: {whose}{note}")));
    found.warnings.iter().for_each(|warning| say::note(&format!("warning: {whose}{warning}")));
    let evaluation = evaluation.map_err(|error| fatal(&error))?;
    Ok((found, evaluation))
}

fn fatal(error: &EvaluateError) -> Fatal {
    Fatal::new(error.class().into(), marquetry_failure::chain(error))
}

fn request(args: &EvaluateArgs, scratch: &Path) -> Result<Request, LabelError> {
    let classes = ClassList::new(args.classes.iter().map(|name| name.trim().to_owned()).collect())?;
    let rules = |map: &[String], others: Option<OthersWord>, colours: Option<&PathBuf>| {
        let map = if map.is_empty() { &args.map } else { map };
        let colours = colours.or(args.colours.as_ref());
        Ok::<_, LabelError>(LabelRules {
            ignore: args.ignore.unwrap_or_default(),
            map: map.iter().map(|text| MapEntry::parse(text, &classes)).collect::<Result<_, _>>()?,
            others: match others.unwrap_or(args.others) {
                OthersWord::Refuse => Others::Refuse,
                OthersWord::Ignore => Others::Ignore,
                OthersWord::Background => Others::Background,
            },
            colours: colours.map(|path| ColourTable::open(path)).transpose()?,
            alpha: match args.alpha {
                AlphaWord::Refuse => AlphaRule::Refuse,
                AlphaWord::Drop => AlphaRule::Drop,
                AlphaWord::Missing => AlphaRule::Missing,
                AlphaWord::Label => AlphaRule::Label,
            },
            nodata: match args.nodata {
                NodataWord::Refuse => NodataRule::Refuse,
                NodataWord::Missing => NodataRule::Missing,
                NodataWord::Value => NodataRule::Value,
            },
            array: args.array.clone(),
            unnamed: false,
            property: args.property.clone(),
            run_order: match args.run_order {
                RunOrderWord::Columns => RunOrder::Columns,
                RunOrderWord::Rows => RunOrder::Rows,
            },
            run_start: match args.run_start {
                RunStartWord::One => RleStyle::Absolute,
                RunStartWord::Zero => RleStyle::FromZero,
                RunStartWord::Relative => RleStyle::Relative,
            },
        })
    };
    let is_table = |path: &Path| {
        path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
            || !path.is_dir() && is_geojson(path).unwrap_or(false)
    };
    let side = |path: &Path, prefix: &str, suffix: &str, rules: LabelRules| SideRequest {
        path: path.to_owned(),
        affixes: Affixes { prefix: prefix.to_owned(), suffix: suffix.to_owned() },
        unlisted_is_background: args.no_row.is_some() && is_table(path),
        rules,
    };
    if args.no_row.is_some() && !is_table(&args.truth) && !is_table(&args.pred) {
        let found = "neither side is a table of run lengths (.csv) or one GeoJSON file, of which it speaks; leave it out";
        return Err(LabelError::Meaning { what: "--no-row".to_owned(), found: found.to_owned() });
    }
    let truth = rules(&args.truth_map, args.truth_others, args.truth_colours.as_ref())?;
    let predicted = rules(&args.pred_map, args.pred_others, args.pred_colours.as_ref())?;
    let memory_bytes = args.memory_mb * 1_000_000;
    Ok(Request {
        truth: side(&args.truth, &args.truth_prefix, &args.truth_suffix, truth),
        predicted: side(&args.pred, &args.pred_prefix, &args.pred_suffix, predicted),
        classes,
        resize: args.resize.is_some(),
        boundary_px: args.boundary_px,
        tolerance_px: args.tolerance_px,
        threads: args
            .threads
            .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from),
        memory_bytes,
        images: args.images.clone(),
        georeferences: marquetry_coordinator::georeferences,
        pictures: args.out.as_ref().map(|out| out.join("pictures")),
        limits: Limits { pixels_max: u64::MAX, memory_bytes, scratch_dir: scratch.to_owned() },
    })
}
