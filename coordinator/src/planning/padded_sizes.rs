//! Images that a model is shown as they are, with sides rounded up: one member for each size that comes of it.

use marquetry_geometry::Size;
use marquetry_job::{Inference, PlannedImage};
use marquetry_spec::{MemberSpec, WholeFit, WindowMode};
use std::collections::{BTreeMap, BTreeSet};

/// Sizes that a model is tried at, at most.
const SIZES_MAX: usize = 64;

/// What the members are for that are made for one size: by their names, what sides are a multiple of and the size, px.
pub(crate) type MadeFor = BTreeMap<String, (u32, Size)>;

/// What sides are to be a multiple of, if that is how `member` looks at images.
pub(crate) fn multiple(member: &MemberSpec) -> Option<u32> {
    match &member.window.mode {
        WindowMode::Whole(whole) => match whole.fit {
            WholeFit::Multiple(of) => Some(of),
            WholeFit::Stretch | WholeFit::Longest | WholeFit::Letterbox => None,
        },
        WindowMode::Slide(_) => None,
    }
}

/// The sizes that images come to, each once, in ascending order.
///
/// # Errors
/// With the reason, when there are too many of them to try a model at each.
pub(crate) fn padded_sizes(images: &[PlannedImage], of: u32) -> Result<Vec<Size>, String> {
    let sizes: BTreeSet<(u32, u32)> =
        images.iter().map(|image| rounded(image.size, of)).map(|size| (size.height, size.width)).collect();
    if sizes.len() > SIZES_MAX {
        return Err(format!(
            "window.fit: images come to {} sizes when their sides are rounded up to multiples of {of} px, and a model is \
             tried at no more than {SIZES_MAX}: use a larger multiple, or fit: letterbox",
            sizes.len()
        ));
    }
    Ok(sizes.into_iter().map(|(height, width)| Size::new(height, width)).collect())
}

/// Whether the member at `place` of the plan scores images of `image`'s size.
pub(crate) fn is_made_for(
    made_for: &MadeFor,
    inference: &Inference,
    place: u32,
    image: &PlannedImage,
) -> bool {
    let name = inference.members().nth(place as usize).map(|member| &member.name);
    name.and_then(|name| made_for.get(name)).is_none_or(|(of, size)| rounded(image.size, *of) == *size)
}

fn rounded(size: Size, of: u32) -> Size {
    let up = |side: u32| side.checked_next_multiple_of(of).unwrap_or(side);
    Size::new(up(size.height), up(size.width))
}
