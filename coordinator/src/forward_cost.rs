//! What running a member costs, as far as that is known before it was run.

use crate::planning::Planned;

/// What running some members costs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ForwardCost {
    /// Model runs of one window each.
    pub forwards: u64,
    /// The same, each weighed by the bytes of its model times the pixels of its window: how long one takes beside one of
    /// another model. An estimate: right within a factor of two for models of one kind, and not for models of two.
    pub work: f64,
}

/// What it costs to run `members`, places among all members of the plan, over all images that each of them scores.
///
/// # Panics
/// When members share tiles.
pub(crate) fn forward_cost(planned: &Planned, members: &[usize]) -> ForwardCost {
    let Planned { plan, images, .. } = planned;
    members.iter().fold(ForwardCost::default(), |sum, place| {
        let group = &plan.inference.groups[*place];
        let grids = images.iter().filter_map(|image| plan.layout(image, *place as u32));
        let windows: u64 = grids.map(|(grid, _)| grid.len()).sum();
        let forwards = windows * group.views.len() as u64;
        let bytes = group.members[0].model_bytes.max(1) as f64;
        let work = forwards as f64 * bytes * group.window.inner.area() as f64;
        ForwardCost { forwards: sum.forwards + forwards, work: sum.work + work }
    })
}
