//! The outlines of components, traced while rows go by.
//!
//! Outlines run along pixel edges, with the component on the right hand as seen on a screen (x to the right, y down):
//! clockwise to the eye, counter-clockwise by the numbers. At every corner of the pixel grid the four pixels around it say
//! how outlines go on: a chain of vertices starts, grows at an end, or two ends meet. A chain whose own ends meet is a
//! ring, and belongs to the component of the pixel inside it.

use super::open_rings::{Edge, OpenRings};
use marquetry_geometry::Size;

/// A vertex: x to the right and y down, in pixel edges.
pub(super) type Vertex = (u32, u32);

/// A 4-connected component and its outline.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    /// The class of its pixels.
    pub class: u16,
    /// Pixels in it.
    pub area_px: u64,
    /// The sum over its pixels of their class's probability; 0 where none were given.
    pub probability: f64,
    /// The outer ring, counter-clockwise by the numbers (x, y), not closed: the first vertex is not repeated.
    pub shell: Vec<(u32, u32)>,
    /// Rings of holes, clockwise by the numbers. Rings may touch one another at vertices, but never cross, nor do they
    /// touch themselves.
    pub holes: Vec<Vec<(u32, u32)>>,
}

/// Neighbouring pixels of one value in a row, and the component they belong to.
#[derive(Debug, Clone, Copy)]
struct RowRun {
    first: u32,
    end: u32,
    value: u16,
    component: usize,
}

/// A component that may still grow. One that was joined to another points to it.
#[derive(Debug)]
enum Component {
    Open { area_px: u64, probability: f64, last_row: u32, rings: Vec<Vec<Vertex>> },
    Joined(usize),
    Free,
}

/// Traces the values of one plane that are asked for.
#[derive(Debug)]
pub(super) struct Tracer {
    size: Size,
    /// By value: the class it stands for, where it is asked for.
    class_of: Vec<Option<u16>>,
    /// The runs of the row before, and of the row in hand.
    before: Vec<RowRun>,
    runs: Vec<RowRun>,
    /// The values of both, nothing where a value is not asked for.
    above: Vec<Option<u16>>,
    below: Vec<Option<u16>>,
    /// The probability of each pixel's class in the row in hand; empty where none are given.
    sure: Vec<f32>,
    components: Vec<Component>,
    free: Vec<usize>,
    rings: OpenRings,
}

impl Tracer {
    pub(super) fn new(size: Size, class_of: Vec<Option<u16>>) -> Self {
        let width = size.width as usize;
        Self {
            size,
            class_of,
            before: Vec::new(),
            runs: Vec::new(),
            above: vec![None; width],
            below: vec![None; width],
            sure: Vec::new(),
            components: Vec::new(),
            free: Vec::new(),
            rings: OpenRings::new(width + 1),
        }
    }

    /// Takes row `y`, with the probabilities `[C, W]` of all classes or none. `done` hears of every component that ends above
    /// it, from left to right.
    pub(super) fn row<E>(
        &mut self,
        y: u32,
        values: &[u16],
        probabilities: Option<&[f32]>,
        done: impl FnMut(Polygon) -> Result<(), E>,
    ) -> Result<(), E> {
        let class_of = &self.class_of;
        let asked = values.iter().map(|&value| class_of[value as usize].map(|_| value));
        self.below.iter_mut().zip(asked).for_each(|(below, value)| *below = value);
        self.sure.clear();
        if let Some(all) = probabilities {
            let of = |(x, value): (usize, &u16)| {
                class_of[*value as usize].map_or(0.0, |class| all[class as usize * values.len() + x])
            };
            self.sure.extend(values.iter().enumerate().map(of));
        }
        self.step(y, done)
    }

    /// Ends all components at the lower border.
    pub(super) fn finish<E>(mut self, done: impl FnMut(Polygon) -> Result<(), E>) -> Result<(), E> {
        self.below.fill(None);
        self.step(self.size.height, done)
    }

    fn step<E>(&mut self, y: u32, mut done: impl FnMut(Polygon) -> Result<(), E>) -> Result<(), E> {
        self.find_runs(y);
        self.trace_line(y);
        for index in 0..self.before.len() {
            let run = self.before[index];
            if let Some(polygon) = self.close(run, y) {
                done(polygon)?;
            }
        }
        // Below this row, nothing points to components that were joined: every run knows its root.
        for index in 0..self.before.len() {
            self.release(self.before[index].component);
        }
        std::mem::swap(&mut self.before, &mut self.runs);
        std::mem::swap(&mut self.above, &mut self.below);
        Ok(())
    }

    /// Finds the runs of the row in hand and the components they go on with.
    fn find_runs(&mut self, y: u32) {
        self.runs.clear();
        let (mut first, mut candidate) = (0, 0);
        for index in 0..self.below.len() {
            let value = self.below[index];
            if self.below.get(index + 1) == Some(&value) {
                continue;
            }
            let (begin, end) = (first, index as u32 + 1);
            first = end;
            let Some(value) = value else { continue };
            while self.before.get(candidate).is_some_and(|above| above.end <= begin) {
                candidate += 1;
            }
            let mut component = None;
            for above in candidate..self.before.len() {
                let above = self.before[above];
                if above.first >= end {
                    break;
                }
                if above.value == value {
                    component = Some(self.join(component, above.component));
                }
            }
            let component = component.unwrap_or_else(|| self.open());
            if let Component::Open { area_px, probability, last_row, .. } = &mut self.components[component] {
                *area_px += u64::from(end - begin);
                let sure = self.sure.get(begin as usize..end as usize).unwrap_or_default();
                *probability += sure.iter().map(|p| f64::from(*p)).sum::<f64>();
                *last_row = y;
            }
            self.runs.push(RowRun { first: begin, end, value, component });
        }
        // A run may have been joined to another by one further right.
        for index in 0..self.runs.len() {
            self.runs[index].component = self.root(self.runs[index].component);
        }
    }

    fn open(&mut self) -> usize {
        let component = Component::Open { area_px: 0, probability: 0.0, last_row: 0, rings: Vec::new() };
        if let Some(index) = self.free.pop() {
            self.components[index] = component;
            return index;
        }
        self.components.push(component);
        self.components.len() - 1
    }

    fn root(&self, mut index: usize) -> usize {
        while let Component::Joined(to) = self.components[index] {
            index = to;
        }
        index
    }

    /// Makes one component of two, and answers it.
    fn join(&mut self, a: Option<usize>, b: usize) -> usize {
        let b = self.root(b);
        let Some(a) = a.map(|a| self.root(a)).filter(|&a| a != b) else { return b };
        // The one of fewer rings is poured into the other.
        let count = |index: usize| match &self.components[index] {
            Component::Open { rings, .. } => rings.len(),
            _ => 0,
        };
        let (root, other) = if count(a) >= count(b) { (a, b) } else { (b, a) };
        let joined = std::mem::replace(&mut self.components[other], Component::Joined(root));
        if let (
            Component::Open { area_px, probability, last_row, rings },
            Component::Open { area_px: area, probability: sure, last_row: last, rings: mut more },
        ) = (&mut self.components[root], joined)
        {
            *area_px += area;
            *probability += sure;
            *last_row = (*last_row).max(last);
            rings.append(&mut more);
        }
        root
    }

    /// Follows the outlines along the line between the row before and the row in hand.
    fn trace_line(&mut self, y: u32) {
        let width = self.size.width as usize;
        let mut run = 0;
        let at = |row: &[Option<u16>], x: usize| row.get(x).copied().flatten();
        let (mut nw, mut sw) = (None, None);
        for x in 0..=width {
            let (ne, se) = (at(&self.above, x), at(&self.below, x));
            // Straight edges need nothing, and are all there is in most places.
            if !(nw == ne && sw == se || nw == sw && ne == se) {
                let corner = [nw, ne, sw, se];
                self.rings.enter(x);
                for (index, value) in corner.iter().enumerate() {
                    let Some(value) = value else { continue };
                    if corner[..index].contains(&Some(*value)) {
                        continue;
                    }
                    if let Some(ring) = self.turn(corner.map(|other| other == Some(*value)), (x as u32, y)) {
                        // The pixel above the line that is inside the ring.
                        let inside = if nw == Some(*value) { x - 1 } else { x };
                        while self.before[run].end as usize <= inside {
                            run += 1;
                        }
                        let root = self.root(self.before[run].component);
                        if let Component::Open { rings, .. } = &mut self.components[root] {
                            rings.push(ring);
                        }
                    }
                }
            }
            (nw, sw) = (ne, se);
        }
    }

    /// Turns outlines of one value at a corner; `pixels` (north-west, north-east, south-west, south-east) have it.
    ///
    /// Pixels that only touch at the corner are kept apart.
    fn turn(&mut self, pixels: [bool; 4], at: Vertex) -> Option<Vec<Vertex>> {
        use Edge::{DownLeft, LineAbove, LineBelow, UpRight};
        let rings = &mut self.rings;
        let bits = pixels.iter().fold(0, |bits, &pixel| bits << 1 | u8::from(pixel));
        match bits {
            // One pixel, or three: one turn.
            0b1000 => return rings.meet(DownLeft, LineAbove, at),
            0b0111 => return rings.meet(LineBelow, UpRight, at),
            0b0100 => rings.extend_head(UpRight, LineAbove, at),
            0b0010 => rings.extend_tail(LineBelow, DownLeft, at),
            0b0001 => rings.start(UpRight, LineBelow, at),
            0b1011 => rings.extend_tail(DownLeft, LineBelow, at),
            0b1101 => rings.extend_head(LineAbove, UpRight, at),
            0b1110 => rings.start(LineAbove, DownLeft, at),
            // Two that only touch: a turn for each.
            0b1001 => {
                let ring = rings.meet(DownLeft, LineAbove, at);
                rings.start(UpRight, LineBelow, at);
                return ring;
            }
            0b0110 => {
                rings.extend_head(UpRight, LineAbove, at);
                rings.extend_tail(LineBelow, DownLeft, at);
            }
            // Two side by side, four or none: straight on.
            _ => {}
        }
        None
    }

    /// The polygon of a component that has no run in row `y`, the first time it is asked for.
    fn close(&mut self, run: RowRun, y: u32) -> Option<Polygon> {
        let root = self.root(run.component);
        let Component::Open { area_px, probability, last_row, .. } = self.components[root] else {
            return None;
        };
        if last_row >= y {
            return None;
        }
        let closed = std::mem::replace(&mut self.components[root], Component::Free);
        self.free.push(root);
        let Component::Open { rings, .. } = closed else { return None };
        let mut rings: Vec<_> = rings.into_iter().flat_map(simple_rings).collect();
        // Rings begin at their first vertex, and the shell has the first of all.
        rings.sort_unstable_by_key(|ring| (ring[0].1, ring[0].0));
        let shell = rings.remove(0);
        let class = self.class_of[run.value as usize]?;
        Some(Polygon { class, area_px, probability, shell, holes: rings })
    }

    /// Makes the number of a component that was joined free for another.
    fn release(&mut self, index: usize) {
        if matches!(self.components[index], Component::Joined(_)) {
            self.components[index] = Component::Free;
            self.free.push(index);
        }
    }
}

/// Cuts a ring where it touches itself, and lets every part begin at its first vertex in row-major order.
fn simple_rings(ring: Vec<Vertex>) -> Vec<Vec<Vertex>> {
    let mut seen = std::collections::HashMap::new();
    let mut path: Vec<Vertex> = Vec::with_capacity(ring.len());
    let mut rings = Vec::new();
    for vertex in ring {
        if let Some(&at) = seen.get(&vertex) {
            // From the first visit to this one the path is a ring of its own; the vertex stays for the rest.
            let part = path.split_off(at);
            for vertex in &part {
                seen.remove(vertex);
            }
            rings.push(part);
        }
        seen.insert(vertex, path.len());
        path.push(vertex);
    }
    rings.push(path);
    for ring in &mut rings {
        let first = (0..ring.len()).min_by_key(|&index| (ring[index].1, ring[index].0)).unwrap_or(0);
        ring.rotate_left(first);
    }
    rings
}
