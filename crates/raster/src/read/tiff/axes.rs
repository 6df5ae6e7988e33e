//! What a microscope's metadata say of the pages of a TIFF: which are channels of one image.

use super::directory::{Directory, tag};
use crate::read::file::Source;
use std::collections::BTreeMap;

/// Longest description that is looked at, bytes.
const DESCRIPTION_MAX: u64 = 16 << 20;

/// Which pages are the channels of one place along all other axes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Others {
    /// Channels follow each other by so many pages, and are so many.
    Every(u32, u32),
    /// The pages of each place, by channel.
    Named(Vec<Vec<u32>>),
}

/// The axes along which pages are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axes {
    /// The page of each channel, at the first place of all other axes.
    pub(super) channels: Vec<u32>,
    /// Where the channels of other places are.
    others: Others,
    /// `channels 3, z 5`.
    pub(super) in_words: String,
}

impl Axes {
    /// What the description of a file's first page says; `None` if it says nothing of axes.
    pub(super) fn of(first: &Directory, source: &Source) -> Option<Self> {
        let text = description(first, source)?;
        if text.starts_with("ImageJ=") {
            imagej(&text)
        } else if text.starts_with('{') {
            shaped(&text)
        } else if text.contains("OME") {
            ome(&text)
        } else {
            None
        }
    }

    /// The channels of the place of `page`, itself among them; `None` where nothing is said of it.
    pub(super) fn channels_beside(&self, page: u32) -> Option<Vec<u32>> {
        match &self.others {
            &Others::Every(step, length) => {
                let first = page - page / step % length * step;
                (0..length).map(|channel| first.checked_add(channel.checked_mul(step)?)).collect()
            }
            Others::Named(places) => places.iter().find(|pages| pages.contains(&page)).cloned(),
        }
    }

    /// Of axes in the order of the pages, the fastest first: letter and length.
    fn ordered(axes: &[(char, u32)]) -> Option<Self> {
        let mut step = 1_u32;
        let (mut channels, mut others) = (vec![0], Others::Every(1, 1));
        for &(axis, length) in axes {
            if axis == 'C' {
                channels = (0..length).map(|channel| channel.checked_mul(step)).collect::<Option<_>>()?;
                others = Others::Every(step.max(1), length.max(1));
            }
            step = step.checked_mul(length.max(1))?;
        }
        let name = |axis| match axis {
            'C' => "channels".to_owned(),
            'Z' => "z".to_owned(),
            'T' => "times".to_owned(),
            other => format!("axis {other}"),
        };
        let long = axes.iter().filter(|(_, length)| *length > 1);
        let words: Vec<String> = long.map(|&(axis, length)| format!("{} {length}", name(axis))).collect();
        (!words.is_empty()).then(|| Self { channels, others, in_words: words.join(", ") })
    }
}

/// The text that a file's first page has, without what fills it up.
pub(super) fn description(first: &Directory, source: &Source) -> Option<String> {
    let bytes = first.bytes(source, tag::DESCRIPTION, DESCRIPTION_MAX).ok().flatten()?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').trim().to_owned())
}

/// Bits of a sample that mean something, as OME-XML says.
pub(super) fn significant_bits(first: &Directory, source: &Source) -> Option<u32> {
    let text = description(first, source)?;
    if !text.contains("SignificantBits") {
        return None;
    }
    let document = roxmltree::Document::parse(&text).ok()?;
    let pixels = document.descendants().find(|node| node.tag_name().name() == "Pixels")?;
    pixels.attribute("SignificantBits")?.parse().ok()
}

/// What there is to tell of an OME-TIFF whose metadata lie in another file.
pub(super) fn elsewhere(directory: &Directory, source: &Source) -> Option<String> {
    let text = description(directory, source).filter(|text| text.contains("BinaryOnly"))?;
    let document = roxmltree::Document::parse(&text).ok()?;
    let only = document.descendants().find(|node| node.tag_name().name() == "BinaryOnly")?;
    let file = only.attribute("MetadataFile").map_or_else(String::new, |file| {
        let ending = file.rsplit_once('.').map_or(file, |(_, ending)| ending);
        format!(" (.{ending})")
    });
    Some(format!(
        "what its pages and channels are stands in another file{file}, which is NOT READ: `images: {{page: N}}` or `{{pages: \
         bands}}` say it"
    ))
}

/// Lines `channels=3`; pages are counted by channel, then slice, then frame.
fn imagej(text: &str) -> Option<Axes> {
    let number = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(1)
    };
    Axes::ordered(&[('C', number("channels")), ('Z', number("slices")), ('T', number("frames"))])
}

/// The JSON of the Python package tifffile: `{"shape": [3, 50, 60], "axes": "CYX"}`.
fn shaped(text: &str) -> Option<Axes> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let letters: Vec<char> = json.get("axes")?.as_str()?.chars().collect();
    let lengths = json.get("shape")?.as_array()?.iter().map(|n| u32::try_from(n.as_u64()?).ok());
    let lengths = lengths.collect::<Option<Vec<u32>>>()?;
    let paged = letters.iter().position(|&axis| axis == 'Y')?;
    if letters.len() != lengths.len() {
        return None;
    }
    let axes: Vec<(char, u32)> = letters.into_iter().zip(lengths).take(paged).rev().collect();
    Axes::ordered(&axes)
}

/// OME-XML: the lengths of C, Z and T, their order, and which page holds which of them where that is said.
fn ome(text: &str) -> Option<Axes> {
    let document = roxmltree::Document::parse(text).ok()?;
    let named = |name: &'static str| move |node: &roxmltree::Node<'_, '_>| node.tag_name().name() == name;
    let pixels = document.descendants().find(named("Pixels"))?;
    let number =
        |node: roxmltree::Node<'_, '_>, key: &str| node.attribute(key).and_then(|v| v.parse::<u32>().ok());
    // Colours that are samples of one page are counted as channels too.
    let channel = pixels.children().find(named("Channel"));
    let samples = channel.and_then(|channel| number(channel, "SamplesPerPixel")).unwrap_or(1).max(1);
    let length = |axis: char| match axis {
        'C' => number(pixels, "SizeC").unwrap_or(1) / samples,
        axis => number(pixels, &format!("Size{axis}")).unwrap_or(1),
    };
    let order = pixels.attribute("DimensionOrder")?.strip_prefix("XY")?;
    let axes: Vec<(char, u32)> = order.chars().map(|axis| (axis, length(axis).max(1))).collect();
    let mut found = Axes::ordered(&axes)?;
    // Where single planes are named, that counts; channels that are in other files are none of this one.
    let planes = pixels.children().filter(named("TiffData"));
    let single = |data: roxmltree::Node<'_, '_>| {
        let first = |axis: &str| number(data, axis).unwrap_or(0);
        let place = (first("FirstT"), first("FirstZ"));
        let alone = number(data, "PlaneCount").is_none_or(|count| count == 1);
        (number(data, "IFD").is_some() && alone).then(|| (place, first("FirstC"), first("IFD")))
    };
    let planes: Vec<_> = planes.map(single).collect();
    if planes.len() > 1 && planes.iter().all(Option::is_some) {
        let mut places: BTreeMap<(u32, u32), BTreeMap<u32, u32>> = BTreeMap::new();
        for (place, channel, page) in planes.into_iter().flatten() {
            places.entry(place).or_default().insert(channel, page);
        }
        let pages = |channels: &BTreeMap<u32, u32>| channels.values().copied().collect::<Vec<_>>();
        if let Some(first) = places.get(&(0, 0)) {
            found.channels = pages(first);
        }
        found.others = Others::Named(places.values().map(pages).collect());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_found_in_every_order() {
        let channels = |axes: Option<Axes>| axes.map(|axes| (axes.channels, axes.in_words));
        let words = |text: &str| text.to_owned();
        let imagej_text = "ImageJ=1.54f\nimages=30\nchannels=3\nslices=5\nframes=2\nhyperstack=true\n";
        let wanted = Some((vec![0, 1, 2], words("channels 3, z 5, times 2")));
        assert_eq!(channels(imagej(imagej_text)), wanted);
        assert_eq!(channels(imagej("ImageJ=1.54f\nimages=4\nslices=4")), Some((vec![0], words("z 4"))));
        assert_eq!(imagej("ImageJ=1.54f\nunit=um"), None);
        let json = r#"{"shape": [3, 5, 40, 50], "axes": "CZYX"}"#;
        assert_eq!(channels(shaped(json)), Some((vec![0, 5, 10], words("z 5, channels 3"))));
        assert_eq!(channels(shaped(r#"{"shape": [4, 40, 50], "axes": "ZYX"}"#)).unwrap().0, [0]);
        assert_eq!(shaped(r#"{"shape": [40, 50, 3], "axes": "YXS"}"#), None);
        assert_eq!(shaped(r#"{"shape": [4, 40, 50]}"#), None);
        let xml = |order: &str, more: &str| {
            format!(
                r#"<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
                <Pixels DimensionOrder="{order}" SizeC="3" SizeZ="2" SizeT="4" SizeX="9" SizeY="8">{more}</Pixels></Image></OME>"#
            )
        };
        let found = |order: &str, more: &str| channels(ome(&xml(order, more))).unwrap().0;
        assert_eq!(found("XYCZT", "<TiffData/>"), [0, 1, 2]);
        assert_eq!(found("XYZCT", r#"<TiffData IFD="0" PlaneCount="24"/>"#), [0, 2, 4]);
        assert_eq!(found("XYZTC", ""), [0, 8, 16]);
        assert_eq!(found("XYCZT", r#"<Channel SamplesPerPixel="3"/>"#), [0]);
        let planes = r#"<TiffData IFD="5" FirstC="0"/><TiffData IFD="1" FirstC="1"/><TiffData IFD="2" FirstC="2"/>
            <TiffData IFD="3" FirstC="0" FirstZ="1"/>"#;
        assert_eq!(found("XYCZT", planes), [5, 1, 2]);
    }
}
