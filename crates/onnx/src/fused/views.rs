//! Views in, and back.
//!
//! A symmetry is at most one `Transpose` and one `Slice` that goes backwards. The window on its side is made once for
//! all views that want it, and what they say is summed before it is set upright again.

use super::nodes::{Nodes, Stretch};
use super::{FusedSpec, FusedView};
use crate::element::FloatType;

impl FusedView {
    /// Which axes of planes go backwards: rows, columns.
    fn backwards(&self, rows: u64, columns: u64) -> Vec<Stretch> {
        let rows = self.vflip.then(|| Stretch::backwards(2, rows));
        rows.into_iter().chain(self.hflip.then(|| Stretch::backwards(3, columns))).collect()
    }
}

/// All views of the windows `given`, as the model takes them, under the name of its input.
pub(super) fn shown(nodes: &mut Nodes<'_>, given: &str, spec: &FusedSpec) {
    let input = &spec.input;
    let lying = spec.views.iter().any(|view| view.transpose).then(|| nodes.on_its_side(given));
    let mut views = Vec::with_capacity(spec.views.len());
    for view in &spec.views {
        let base = lying.as_deref().filter(|_| view.transpose).unwrap_or(given);
        views.push(nodes.slice(base, &view.backwards(input.height, input.width)));
    }
    let mut value = match views.as_slice() {
        [one] => one.clone(),
        many => nodes.concat(many, 0),
    };
    if input.channels_last {
        value = nodes.transpose(&value, &[0, 2, 3, 1]);
    }
    // Of one type to the same it is nothing, and gives the value its name.
    let element = element_code(input.element) as i64;
    nodes.node_giving("Cast", &[&value], &[super::nodes::Setting::Int("to", element)], &input.name);
}

/// The mean over views of `scores`, `[views · windows, natural classes, h, w]`: `[windows, classes, h, w]`.
pub(super) fn merged(nodes: &mut Nodes<'_>, scores: &str, spec: &FusedSpec) -> String {
    let (mut upright, mut lying) = (Vec::new(), Vec::new());
    for (place, view) in (0..).zip(&spec.views) {
        let mut stretches = Vec::new();
        if spec.views.len() > 1 {
            stretches.push(Stretch::part(0, place * spec.windows, spec.windows));
        }
        stretches.extend(view.backwards(spec.kept.height, spec.kept.width));
        let mut value = nodes.slice(scores, &stretches);
        if !view.classes.iter().copied().eq(0..spec.classes() as u16) {
            let order: Vec<i64> = view.classes.iter().map(|class| i64::from(*class)).collect();
            let order = nodes.ints(&order);
            value = nodes.node("Gather", &[&value, &order], &[super::nodes::Setting::Int("axis", 1)]);
        }
        if view.transpose { lying.push(value) } else { upright.push(value) }
    }
    if !lying.is_empty() {
        let sum = nodes.sum(&lying);
        upright.push(nodes.on_its_side(&sum));
    }
    let sum = nodes.sum(&upright);
    if spec.views.len() == 1 {
        return sum;
    }
    let share = nodes.number(1.0 / spec.views.len() as f32);
    nodes.node("Mul", &[&sum, &share], &[])
}

/// The number of a type in `TensorProto.DataType`.
pub(super) const fn element_code(element: FloatType) -> u64 {
    match element {
        FloatType::F32 => 1,
        FloatType::F16 => 10,
        FloatType::F64 => 11,
        FloatType::BF16 => 16,
    }
}
