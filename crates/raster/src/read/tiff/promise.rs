//! How many pages a TIFF's metadata promise, held against those that it has.
//!
//! Large stacks of `ImageJ` and tifffile keep all pages behind one directory, OME keeps channels in other files, and a
//! copy may have kept the first page and all of the text: what has a directory is then a part of the image.

use super::axes::{Axes, description};
use super::directory::{Directory, tag};
use crate::read::error::ReadFault;
use crate::read::file::Source;

/// What resaves any of these files.
const RESAVE: &str = "`python -c \"import tifffile; tifffile.imwrite('out.tif', tifffile.imread('in.tif'), \
                      photometric='minisblack')\"`";

/// What a file's metadata promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Promise {
    pages: u64,
    /// Whose metadata they are.
    program: &'static str,
    /// Whether some of them are said to lie in other files.
    elsewhere: bool,
}

/// The sides of the first page, and its samples of a pixel.
#[derive(Debug, Clone, Copy)]
struct PageShape {
    height: u64,
    width: u64,
    samples: u64,
}

/// Refuses a file of `count` pages, previews and masks not among them, whose metadata promise more, or `axes` whose
/// channels lie on pages that are not there.
pub(super) fn check(
    first: &Directory,
    source: &Source,
    count: u32,
    axes: Option<&Axes>,
) -> Result<(), ReadFault> {
    let last = axes.and_then(|axes| axes.channels.iter().max()).map_or(0, |&page| u64::from(page) + 1);
    let promise =
        description(first, source).and_then(|text| Promise::of(&text, PageShape::of(first, source)?));
    let Some(promise) = promise else { return Ok(()) };
    let pages = promise.pages.max(last);
    if pages <= u64::from(count) {
        return Ok(());
    }
    let directories = if count == 1 { "1 directory".to_owned() } else { format!("{count} directories") };
    let (program, elsewhere) = (promise.program, promise.elsewhere);
    let others = if elsewhere { "; the others lie in other files" } else { "" };
    let what = if elsewhere { "join the files" } else { "give each page a directory of its own" };
    let fault = ReadFault::unsupported(format!(
        "its {program} metadata promise {pages} pages, and it has {directories} of pages{others}"
    ));
    Err(fault.advise(format!(
        "{what}, for instance with {RESAVE}, and say `images: {{pages: bands}}` where pages are bands; or use what is \
         there with `images: {{page: 0}}`"
    )))
}

impl PageShape {
    fn of(first: &Directory, source: &Source) -> Option<Self> {
        let number = |tag| first.integer(source, tag).ok().flatten();
        let bits =
            || Some(first.integers(source, tag::BITS_PER_SAMPLE, u64::from(u16::MAX)).ok()??.len() as u64);
        let samples = number(tag::SAMPLES_PER_PIXEL).or_else(bits).unwrap_or(1).max(1);
        Some(Self { height: number(tag::HEIGHT)?, width: number(tag::WIDTH)?, samples })
    }
}

impl Promise {
    /// What the first page's description promises; `None` if it says nothing of pages.
    fn of(text: &str, page: PageShape) -> Option<Self> {
        if text.starts_with("ImageJ=") {
            Some(Self { pages: imagej(text, page)?, program: "ImageJ", elsewhere: false })
        } else if text.starts_with('{') {
            Some(Self { pages: shaped(text, page)?, program: "tifffile", elsewhere: false })
        } else if text.contains("OME") {
            let (pages, elsewhere) = ome(text, page)?;
            Some(Self { pages, program: "OME", elsewhere })
        } else {
            None
        }
    }
}

/// The line `images=6`, which is not there for a single one.
fn imagej(text: &str, page: PageShape) -> Option<u64> {
    let number = |key: &str| -> Option<u64> {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        value.trim().parse().ok()
    };
    let images = number("images")?;
    // Channels that another program has since made samples of one page.
    let are_samples = number("channels") == Some(images) && images == page.samples;
    (!are_samples).then_some(images)
}

/// The `shape` of tifffile's JSON, whose last sides are those of a page.
fn shaped(text: &str, page: PageShape) -> Option<u64> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let shape = json.get("shape")?.as_array()?;
    let sides = shape.iter().map(serde_json::Value::as_u64).collect::<Option<Vec<u64>>>()?;
    // Sides of 1 are left out by some and said by others.
    let long = |sides: &[u64]| sides.iter().copied().filter(|&side| side != 1).collect::<Vec<u64>>();
    let sides = long(&sides);
    let PageShape { height, width, samples } = page;
    let before = [[height, width, samples], [samples, height, width]]
        .iter()
        .find_map(|page| sides.strip_suffix(long(page).as_slice()))?;
    // What ends otherwise was said of another image, before this one was cut from it.
    before.iter().try_fold(1_u64, |all, &side| all.checked_mul(side))
}

/// The planes of the first image in OME-XML that has any in this file, and whether others of its planes lie elsewhere.
fn ome(text: &str, page: PageShape) -> Option<(u64, bool)> {
    let document = roxmltree::Document::parse(text).ok()?;
    let named = |name: &'static str| move |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == name;
    let own = document.root_element().attribute("UUID");
    let uuids = |pixels: roxmltree::Node<'_, '_>| -> Vec<Option<String>> {
        let uuid = |data: roxmltree::Node<'_, '_>| {
            data.children().find(named("UUID")).map(|uuid| uuid.text().unwrap_or_default().trim().to_owned())
        };
        pixels.children().filter(named("TiffData")).map(uuid).collect()
    };
    let all: Vec<_> =
        document.descendants().filter(named("Pixels")).map(|pixels| (pixels, uuids(pixels))).collect();
    // A file that does not say which it is takes the first for its own.
    let own =
        own.or_else(|| all.iter().flat_map(|(_, uuids)| uuids.iter().flatten()).map(String::as_str).next());
    let is_here = |uuid: &Option<String>| uuid.is_none() || uuid.as_deref() == own;
    let here = all.iter().find(|(_, uuids)| uuids.is_empty() || uuids.iter().any(is_here));
    let (pixels, uuids) = here.or_else(|| all.first())?;
    let number =
        |node: roxmltree::Node<'_, '_>, key: &str| node.attribute(key).and_then(|v| v.parse::<u64>().ok());
    let channel = pixels.children().find(named("Channel"));
    let said = channel.and_then(|channel| number(channel, "SamplesPerPixel")).unwrap_or(1).max(1);
    let channels = number(*pixels, "SizeC").unwrap_or(1);
    // Colours of one page are counted as channels too, also where nothing says so.
    let samples = if channels.is_multiple_of(page.samples) { said.max(page.samples) } else { said };
    let planes = (channels / samples).max(1);
    let planes = planes.checked_mul(number(*pixels, "SizeZ").unwrap_or(1))?;
    let planes = planes.checked_mul(number(*pixels, "SizeT").unwrap_or(1))?;
    Some((planes, !uuids.iter().all(is_here)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: PageShape = PageShape { height: 5, width: 7, samples: 1 };
    const RGB: PageShape = PageShape { height: 5, width: 7, samples: 3 };

    #[test]
    fn descriptions_promise_pages() {
        let pages = |text: &str, page| Promise::of(text, page).map(|promise| promise.pages);
        assert_eq!(pages("ImageJ=1.54f\nimages=6\nchannels=3\nslices=2", GREY), Some(6));
        assert_eq!(pages("ImageJ=1.54f\nimages=3\nslices=3", RGB), Some(3));
        assert_eq!(pages("ImageJ=1.54f\nimages=3\nchannels=3", RGB), None);
        assert_eq!(pages("ImageJ=1.54f\nunit=um", GREY), None);
        for (shape, page, wanted) in [
            ("[3, 5, 7]", GREY, Some(3)),
            ("[2, 3, 5, 7]", GREY, Some(6)),
            ("[5, 7]", GREY, Some(1)),
            ("[1, 5, 7, 1]", GREY, Some(1)),
            ("[5, 7, 3]", RGB, Some(1)),
            ("[3, 5, 7]", RGB, Some(1)),
            ("[4, 5, 7, 3]", RGB, Some(4)),
            ("[4, 3, 5, 7]", RGB, Some(4)),
            ("[3, 50, 70]", GREY, None),
            ("[9]", PageShape { height: 1, width: 9, samples: 1 }, Some(1)),
        ] {
            assert_eq!(
                pages(&format!(r#"{{"shape": {shape}, "truncated": true}}"#), page),
                wanted,
                "{shape}"
            );
        }
    }

    #[test]
    fn ome_promises_the_planes_of_the_image_in_this_file() {
        let found = |own: &str, images: &[&[&str]], page| {
            let images = images.iter().map(|uuids| {
                let data = uuids
                    .iter()
                    .map(|uuid| format!(r#"<TiffData><UUID FileName="x">{uuid}</UUID></TiffData>"#));
                let data = data.collect::<String>();
                format!(r#"<Image><Pixels SizeC="3" SizeZ="2" SizeT="1">{data}</Pixels></Image>"#)
            });
            ome(&format!(r"<OME {own}>{}</OME>", images.collect::<String>()), page)
        };
        assert_eq!(found("", &[&[]], GREY), Some((6, false)));
        assert_eq!(found("", &[&[]], RGB), Some((2, false)));
        assert_eq!(found("", &[&["a", "a"]], GREY), Some((6, false)));
        assert_eq!(found("", &[&["a", "b"]], GREY), Some((6, true)));
        assert_eq!(found(r#"UUID="b""#, &[&["a", "b"]], GREY), Some((6, true)));
        assert_eq!(found(r#"UUID="b""#, &[&["a", "a"], &["b", "b"]], GREY), Some((6, false)));
    }
}
