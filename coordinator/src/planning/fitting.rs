//! Images that some model cannot be shown, and those of which too much is said.

use crate::planning::images::{ImageKind, Rejected};
use marquetry_job::{GateModel, Inference, Member, PlannedImage};
use marquetry_raster::read::AlphaUse;
use std::collections::HashSet;

/// Most bytes of an image's id, path and other columns: they travel in every message about it.
const IMAGE_BYTES_MAX: usize = 8 << 10;

/// Sets aside the images whose bands are no input for some member, and those of which too much is said.
pub(crate) fn fitting(
    images: Vec<PlannedImage>,
    inference: &Inference,
    kinds: &[ImageKind],
    other_colours: &HashSet<String>,
) -> (Vec<PlannedImage>, Vec<Rejected>) {
    let (mut fit, mut unfit) = (Vec::new(), Vec::new());
    for image in images {
        let members = inference.members().enumerate().filter(|(place, _)| image.is_scored_by(*place));
        let gate = inference.gate.iter().map(GateModel::member);
        let wrong = members.map(|(_, member)| member).chain(gate).find(|m| {
            let rgb = !other_colours.contains(&image.id);
            m.signatures.first().is_some_and(|s| m.input.channels_of(image.bands, rgb, s.channels).is_none())
        });
        let bytes = serde_json::to_vec(&image).map_or(0, |json| json.len());
        let reason = if let Some(member) = wrong {
            let alike = kinds.iter().map(|kind| &kind.traits).filter(|traits| traits.bands == image.bands);
            wrong_bands(image.bands, member, alike.clone().any(|t| t.alpha == AlphaUse::Dropped))
        } else if bytes > IMAGE_BYTES_MAX {
            format!(
                "its id, path and other columns come to {bytes} bytes, and messages carry {IMAGE_BYTES_MAX}: leave \
                 columns out of the list"
            )
        } else {
            fit.push(image);
            continue;
        };
        unfit.push(Rejected { id: image.id, uri: image.uri, reason });
    }
    (fit, unfit)
}

/// Why an image of `bands` bands is no input of `member`, and what to do. `drops_alpha`: such images may have an alpha band
/// beside them.
fn wrong_bands(bands: u16, member: &Member, drops_alpha: bool) -> String {
    let (channels, name) = (member.signatures[0].channels, &member.name);
    let plural = if bands == 1 { "" } else { "s" };
    let alpha = if drops_alpha {
        format!(
            ", and one that the file calls alpha and that is not counted (`images: {{alpha: band}}`, or naming it as band \
             {bands}, makes it one)"
        )
    } else {
        String::new()
    };
    match member.input.bands.as_ref().and_then(|chosen| chosen.iter().max()) {
        Some(&most) if most >= bands => format!(
            "band {most} is chosen (images.bands or input.bands), and it has {bands} band{plural}{alpha}: they are counted \
             from 0, so 0 to {}",
            bands.saturating_sub(1)
        ),
        Some(_) => format!(
            "the bands that are chosen for member {name} are not the {channels} channels that it takes: name {channels} in \
             images.bands or input.bands, counted from 0"
        ),
        None if drops_alpha && u32::from(bands) + 1 == channels => format!(
            "it has {bands} band{plural}, and one that the file calls alpha and that is not counted, and member {name} takes {channels}: if \
             that one is a band like the others, say `images: {{from: …, alpha: band}}`, or name it as band {bands}"
        ),
        None if bands == 1 => format!(
            "it has 1 band{alpha}, and member {name} takes {channels}: if its pages are bands, say `images: {{from: …, pages: \
             bands}}`; to show one band several times, name it for each channel in input.bands, as [0, 0, …]"
        ),
        None if u32::from(bands) < channels => format!(
            "it has {bands} bands{alpha}, and member {name} takes {channels}: if its pages are bands, say `images: {{from: …, \
             pages: bands}}`; else name for each channel the band that it is to see in input.bands, counted from 0, one of them \
             several times, as {:?}",
            (0..channels).map(|channel| channel.min(u32::from(bands) - 1)).collect::<Vec<_>>()
        ),
        None => format!(
            "it has {bands} band{plural}{alpha}, and member {name} takes {channels}: choose {channels} of them with `images: \
             {{from: …, bands: […]}}`, counted from 0"
        ),
    }
}
