//! Which settings are tried, as the command line says it.

use clap::Args;
use marquetry_coordinator::{WindowAxes, known_views};
use marquetry_geometry::Size;

#[derive(Args)]
pub(crate) struct SweepArgs {
    /// Try other windows instead, each as a plain job over the images with truth, and write the job with those that are
    /// worth their seconds: `size=256|512,overlap=0.25|0.5,scale=0.5|1` tries all combinations (a scale is a factor on what
    /// each member has), and no value each of the usual sizes, overlaps and scales alone.
    #[arg(long, value_name = "NAME=VALUE|…,…", num_args = 0..=1, default_missing_value = "", value_parser = windows,
        conflicts_with_all = ["views", "probe_mb"])]
    pub(crate) windows: Option<AskedWindows>,
    /// Try other views in the same way: `identity|hflip|flips+scale(0.75)|d4`, each set of views beside the window as it is;
    /// no value is `identity|hflip|flips|d4`, and what the job has without each of its own.
    #[arg(long, value_name = "VIEW+…|…", num_args = 0..=1, default_missing_value = "", value_parser = views,
        conflicts_with = "probe_mb")]
    pub(crate) views: Option<AskedViews>,
}

/// Values of windows; none are the usual ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AskedWindows(pub(crate) Option<WindowAxes>);

/// Sets of views; none are the usual ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AskedViews(pub(crate) Option<Vec<Vec<String>>>);

/// Factors on scales, as job files take them.
const SCALE: std::ops::RangeInclusive<f64> = 0.01..=100.0;
/// Sides of windows, as job files take them, px.
const SIDE: std::ops::RangeInclusive<u32> = 1..=16_384;

fn windows(text: &str) -> Result<AskedWindows, String> {
    if text.trim().is_empty() {
        return Ok(AskedWindows(None));
    }
    let mut axes = WindowAxes::default();
    for part in text.split(',') {
        let (name, values) = part.split_once('=').ok_or_else(|| {
            format!(
                "`{part}` is no NAME=VALUE, such as overlap=0.25|0.5; the job file comes before --windows"
            )
        })?;
        match name.trim() {
            "size" => fill(&mut axes.sizes, "size", values, size)?,
            "overlap" => fill(&mut axes.overlaps, "overlap", values, |text| {
                let overlap = text.parse().ok().filter(|overlap| (0.0..1.0).contains(overlap));
                overlap.ok_or("an overlap is 0 to less than 1")
            })?,
            "scale" => fill(&mut axes.scales, "scale", values, |text| {
                let scale = text.parse().ok().filter(|scale| SCALE.contains(scale));
                scale.ok_or("a scale is a factor from 0.01 to 100")
            })?,
            other => return Err(format!("`{other}` is none of size, overlap and scale")),
        }
    }
    Ok(AskedWindows(Some(axes)))
}

/// Reads the values of one name, which may come once.
fn fill<T>(
    into: &mut Vec<T>,
    name: &str,
    values: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<(), String> {
    if !into.is_empty() {
        return Err(format!("`{name}` is said twice; put `|` between its values"));
    }
    for value in values.split('|') {
        into.push(read(value.trim()).map_err(|words| format!("{name}={value}: {words}"))?);
    }
    Ok(())
}

fn size(text: &str) -> Result<Size, &'static str> {
    let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| SIDE.contains(side));
    let (height, width) = text.split_once('x').unwrap_or((text, text));
    let size = side(height).zip(side(width)).map(|(height, width)| Size::new(height, width));
    size.ok_or("a size is a number of px, or HEIGHTxWIDTH, each 1 to 16384")
}

fn views(text: &str) -> Result<AskedViews, String> {
    if text.trim().is_empty() {
        return Ok(AskedViews(None));
    }
    let set = |text: &str| {
        let names: Vec<String> = text.split('+').map(|name| name.trim().to_owned()).collect();
        known_views(&names).map_err(|error| {
            format!("{error}; `|` stands between sets of views, `+` between those of one; the job file comes before --views")
        })?;
        Ok(names.into_iter().filter(|name| name != "identity").collect())
    };
    text.split('|').map(set).collect::<Result<_, String>>().map(|sets| AskedViews(Some(sets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_people_write_them() {
        let found = windows("size=256|384x512, overlap=0|0.25,scale=0.5").unwrap().0.unwrap();
        assert_eq!(found.sizes, [Size::square(256), Size::new(384, 512)]);
        assert_eq!((found.overlaps, found.scales), (vec![0.0, 0.25], vec![0.5]));
        assert_eq!(windows("").unwrap(), AskedWindows(None));
        for (nonsense, words) in [
            ("job.yaml", "comes before --windows"),
            ("overlap=1", "0 to less than 1"),
            ("overlap=NaN", "0 to less than 1"),
            ("size=0", "number of px"),
            ("size=", "number of px"),
            ("scale=0", "a factor from"),
            ("stride=8", "none of size, overlap and scale"),
            ("size=64,size=96", "said twice"),
        ] {
            assert!(windows(nonsense).is_err_and(|error| error.contains(words)), "{nonsense}");
        }
    }

    #[test]
    fn views_are_read_as_people_write_them() {
        let found = views("identity|hflip| flips + scale(0.75)").unwrap().0.unwrap();
        assert_eq!(found, [vec![], vec!["hflip"], vec!["flips", "scale(0.75)"]]);
        assert_eq!(views("").unwrap(), AskedViews(None));
        for nonsense in ["sideways", "hflip||d4", "scale(0)", "job.yaml"] {
            assert!(views(nonsense).is_err_and(|error| error.contains("is no view")), "{nonsense}");
        }
    }
}
