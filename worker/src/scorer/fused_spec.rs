//! What of a member's work can be in one graph with its model, as far as the plan says.

use crate::context::{GroupContext, MemberContext};
use marquetry_ensemble::{PlainRoute, PlainStep, ScoreSpace, View, ViewMerge};
use marquetry_geometry::{Rect, Size};
use marquetry_job::{Fit, Group, Inference, IoContract, Member};
use marquetry_model::{
    Background, FusedScores, FusedSpec, FusedStep, FusedView, KeptPart, fused_head, fused_input,
};

/// What the graph of one member is to do, or why the host scorer has to do it. `half`: whether probabilities come in
/// half precision; logits never do, which overflow.
///
/// It follows from the plan alone, the number of windows too: kernels are chosen by shape, and the last bits of scores
/// hang on them.
pub(super) fn fused_spec(
    inference: &Inference,
    group: &Group,
    context: &GroupContext,
    at: usize,
    half: bool,
) -> Result<FusedSpec, String> {
    let (member, of) = (&group.members[at], &context.members[at]);
    let [signature] = member.signatures.as_slice() else {
        return Err("views are shown at several sizes".into());
    };
    if signature.backend.provider.is_on_processor() {
        return Err("the plan has it computed on the processor".into());
    }
    check_views(inference, group, signature)?;
    let windows = windows_together(signature, group);
    check_images(signature, windows * group.views.len() as u64)?;
    let input = fused_input(signature)
        .ok_or_else(|| format!("the model takes {}, which is no float", signature.element_in))?;
    let head = fused_head(signature)
        .ok_or_else(|| format!("the model says {}, which is no float", signature.element_out))?;
    let (resized, kept) = parts(group, member, signature)?;
    let (views, scores) = classes(inference, group, context, of)?;
    let half = half && inference.tile_space == ScoreSpace::Probabilities;
    Ok(FusedSpec { windows, input, views, head, resized, kept, scores: FusedScores { half, ..scores } })
}

/// Windows of each run: as many as fill the plan's batch with their views, at least 1.
fn windows_together(signature: &IoContract, group: &Group) -> u64 {
    (u64::from(signature.batch) / group.views.len() as u64).max(1)
}

fn check_views(inference: &Inference, group: &Group, signature: &IoContract) -> Result<(), String> {
    let merge = inference.view_merge;
    let is_mean = merge == ViewMerge::Mean;
    let is_one = group.views.len() == 1 && matches!(merge, ViewMerge::Sum | ViewMerge::Max | ViewMerge::Min);
    if !is_mean && !is_one {
        return Err(format!("views are merged by {merge:?}, and a graph takes their mean"));
    }
    if let Some(view) = group.views.iter().find(|view| **view != View::of(view.d4)) {
        return Err(format!("view {view} is more than a symmetry"));
    }
    let shown = group.shown_size();
    let fits = |view: &View| signature.size == shown && view.input_size(shown) == shown;
    if !group.views.iter().all(fits) {
        return Err("views turn a window on its side that is not square".into());
    }
    let same = |size: Size| group.views.iter().all(|view| view.d4.apply_to_size(size) == size);
    if !same(group.window.inner) || !same(group.window.margin) {
        return Err("views turn a margin on its side that is not the same all around".into());
    }
    Ok(())
}

/// Whether the model runs on so many images at once, and each of them alone.
fn check_images(signature: &IoContract, images: u64) -> Result<(), String> {
    if images == 1 {
        return Ok(());
    }
    if !signature.form.has_batch() {
        return Err("the output has no batch axis, and all views are run at once".into());
    }
    if signature.batch == 1 {
        // It may be that two images spoil each other's scores: the plan then says 1 as well.
        return Err("the plan runs the model on one image at a time, and all views are run at once".into());
    }
    Ok(())
}

/// The size that the model's planes are brought to, if any, and the part of them that is kept.
fn parts(
    group: &Group,
    member: &Member,
    signature: &IoContract,
) -> Result<(Option<[u64; 2]>, KeptPart), String> {
    let (window, output) = (&group.window, signature.output_size);
    let (inner, outer, margin) = (window.inner, window.outer(), window.margin);
    let within = Rect::new(i64::from(margin.height), i64::from(margin.width), inner);
    let (resized, part) = match member.fit {
        Fit::Crop if signature.size == outer => (None, within),
        Fit::Crop => return Err("what the model says is cut and resized".into()),
        Fit::Centre if output != outer => {
            let beyond = |output: u32, inner: u32| i64::from(output.saturating_sub(inner) / 2);
            let at = [beyond(output.height, inner.height), beyond(output.width, inner.width)];
            (None, Rect::new(at[0], at[1], inner))
        }
        _ if output == outer => (None, within),
        _ => (Some([outer.height.into(), outer.width.into()]), within),
    };
    let kept = KeptPart {
        top: part.top as u64,
        left: part.left as u64,
        height: part.size.height.into(),
        width: part.size.width.into(),
    };
    Ok((resized, kept))
}

/// The views with their classes, and what is done to scores.
fn classes(
    inference: &Inference,
    group: &Group,
    context: &GroupContext,
    member: &MemberContext,
) -> Result<(Vec<FusedView>, FusedScores), String> {
    let mut views = Vec::with_capacity(group.views.len());
    let mut scores = None;
    for view in &group.views {
        let plain = member.transforms.of(view.d4).plain();
        let plain = plain.ok_or("its channels are not the classes one for one")?;
        let (classes, background) = match plain.route {
            PlainRoute::Channels(order) => (order, None),
            PlainRoute::Binary { object, is_logit } => {
                let background = if is_logit { Background::Zero } else { Background::Complement };
                (if object == 1 { vec![0, 1] } else { vec![1, 0] }, Some(background))
            }
        };
        let (vflip, hflip) = flips(view);
        views.push(FusedView { transpose: view.d4.transposes(), vflip, hflip, classes });
        // In all views but for the classes the same.
        scores = Some(FusedScores {
            allowed: plain.allowed,
            step: step(plain.step),
            background,
            finish: FusedStep::Keep,
            half: false,
        });
    }
    let mut scores = scores.ok_or("there are no views")?;
    if inference.view_space != inference.tile_space {
        let finish = context.to_merge_space.plain();
        scores.finish = step(finish.ok_or("scores change their space in no plain way")?.step);
    }
    Ok((views, scores))
}

/// Whether a view exchanges top and bottom, and left and right, after what it transposes.
fn flips(view: &View) -> (bool, bool) {
    let (row, column) = view.d4.source(Size::square(2), 0, 0);
    if view.d4.transposes() { (column == 1, row == 1) } else { (row == 1, column == 1) }
}

fn step(step: PlainStep) -> FusedStep {
    match step {
        PlainStep::Keep => FusedStep::Keep,
        PlainStep::Softmax => FusedStep::Softmax,
        PlainStep::Sigmoid => FusedStep::Sigmoid,
        PlainStep::Ln { least } => FusedStep::Ln { least },
        PlainStep::Logit { least } => FusedStep::Logit { least },
    }
}

#[cfg(test)]
#[path = "fused_spec_tests.rs"]
mod tests;
