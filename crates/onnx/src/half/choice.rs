//! Which nodes are computed in half precision, where any that can be may be.

use super::Halving;
use super::operators::Kind;
use crate::graph::{Graph, Source};
use crate::types::F32;
use crate::wire::fields;
use std::collections::HashSet;

impl Halving<'_> {
    /// Of each node whether it is computed in half precision. What does no heavy work follows what it is given: so nothing goes to
    /// half precision and back between two nodes that stay.
    pub(super) fn half(&self) -> Vec<bool> {
        let graph = &self.model.graph;
        let can = |place: usize| self.kinds[place].filter(|_| !self.kept.contains_key(&place));
        let mut half = vec![false; graph.nodes.len()];
        for place in 0..graph.nodes.len() {
            half[place] = match can(place) {
                None => false,
                Some(Kind::Heavy) => true,
                Some(Kind::Following | Kind::Moving) => graph.nodes[place]
                    .inputs
                    .iter()
                    .any(|name| matches!(graph.source(name), Some(Source::Node(from, _)) if half[from])),
            };
        }
        // Weights that are only moved before they are taken.
        let (consumers, moves_constants) = (self.direct_consumers(), self.moves_constants());
        for place in (0..graph.nodes.len()).rev() {
            let outputs = &graph.nodes[place].outputs;
            let all = &consumers[place];
            if can(place) == Some(Kind::Moving)
                && !all.is_empty()
                && all.iter().all(|to| half[*to])
                && outputs.iter().all(|name| !self.pinned.contains(name))
                && moves_constants[place]
            {
                half[place] = true;
            }
        }
        half
    }

    /// Of each node whether it only moves tensors that do not change.
    fn moves_constants(&self) -> Vec<bool> {
        let graph = &self.model.graph;
        let mut moves = vec![false; graph.nodes.len()];
        for (place, node) in graph.nodes.iter().enumerate() {
            let floats = || node.inputs.iter().filter(|name| self.types.get(*name) == Some(&F32));
            let is_constant = |name: &&str| match graph.source(name) {
                Some(Source::Initialiser) => true,
                Some(Source::Node(from, _)) => moves[from] || graph.constant(name).is_some(),
                _ => false,
            };
            moves[place] = self.kinds[place] == Some(Kind::Moving) && floats().all(is_constant);
        }
        moves
    }

    fn direct_consumers(&self) -> Vec<Vec<usize>> {
        let mut consumers = vec![Vec::new(); self.model.graph.nodes.len()];
        for (place, node) in self.model.graph.nodes.iter().enumerate() {
            for name in &node.inputs {
                if let Some(Source::Node(from, _)) = self.model.graph.source(name) {
                    consumers[from].push(place);
                }
            }
        }
        consumers
    }
}

/// Values that are made of what the graph is given, and not of its dimensions alone: sizes and coordinates are not, and half
/// precision would make other ones of them.
pub(super) fn tainted<'a>(graph: &Graph<'a>) -> HashSet<&'a str> {
    let mut tainted: HashSet<&str> = graph.given().map(|input| input.name).collect();
    for node in &graph.nodes {
        let of_dimensions =
            node.domain.is_empty() && matches!(node.operator, "Shape" | "Size" | "ConstantOfShape");
        let has_graph = node.attributes.values().any(|attribute| holds_graph(attribute));
        if !of_dimensions && (has_graph || node.inputs.iter().any(|input| tainted.contains(input))) {
            tainted.extend(node.outputs.iter().copied());
        }
    }
    tainted
}

fn holds_graph(attribute: &[u8]) -> bool {
    fields(attribute).filter_map(Result::ok).any(|field| matches!(field.number, 6 | 11))
}
