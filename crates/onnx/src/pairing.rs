//! Which tensor of one file stands where which tensor of another does.
//!
//! Files of one architecture differ in the names of everything, in the order of nodes, and in which equal tensors they keep
//! once. So two graphs are followed from their outputs backwards, side by side: nodes that meet must do the same, and
//! tensors that meet are of the same place.

use crate::OnnxError;
use crate::attributes::same_attributes;
use crate::graph::{Constant, Declared, Graph, Model, Origin};
use std::collections::BTreeMap;

/// An input of a node that takes a constant: the node's place in the first file, and which of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// The node, counted in the order of the first file.
    pub node: usize,
    /// Which of its inputs, from 0.
    pub input: usize,
}

/// Of each slot of the first file, what both files have there.
pub(crate) type Pairs<'a, 'b> = BTreeMap<Slot, (Constant<'a>, Constant<'b>)>;

/// Two files that are to be one architecture, and what to call them.
pub(crate) struct Pairing<'p, 'a, 'b> {
    pub(crate) first: (&'p str, &'p Model<'a>),
    pub(crate) other: (&'p str, &'p Model<'b>),
}

impl<'a, 'b> Pairing<'_, 'a, 'b> {
    /// All slots that hang on the outputs.
    ///
    /// # Errors
    /// When the files are not of one architecture: with the first place where they part.
    pub(crate) fn pairs(&self) -> Result<Pairs<'a, 'b>, OnnxError> {
        self.check_versions()?;
        let (a, b) = (&self.first.1.graph, &self.other.1.graph);
        self.check_operators()?;
        let given = self.declared(
            "input",
            &a.given().copied().collect::<Vec<_>>(),
            &b.given().copied().collect::<Vec<_>>(),
        )?;
        let given: BTreeMap<&str, &str> = given.into_iter().map(|(x, y)| (x.name, y.name)).collect();
        let outputs = self.declared("output", &a.outputs, &b.outputs)?;
        let mut walk =
            Walk { pairs: BTreeMap::new(), there: BTreeMap::new(), back: BTreeMap::new(), open: Vec::new() };
        for (x, y) in outputs {
            self.meet(&mut walk, &given, (x.name, y.name), None)?;
        }
        while let Some((x, y)) = walk.open.pop() {
            let inputs = (&a.nodes[x].inputs, &b.nodes[y].inputs);
            // Optional inputs may be left out at the end, or be there without a name.
            for slot in 0..inputs.0.len().max(inputs.1.len()) {
                let names =
                    (inputs.0.get(slot).copied().unwrap_or(""), inputs.1.get(slot).copied().unwrap_or(""));
                self.meet(&mut walk, &given, names, Some((x, y, slot)))?;
            }
        }
        Ok(walk.pairs)
    }

    /// Two values that must be the same thing: both outputs, or both what input `slot` of two nodes takes.
    fn meet(
        &self,
        walk: &mut Walk<'a, 'b>,
        given: &BTreeMap<&str, &str>,
        names: (&'a str, &'b str),
        at: Option<(usize, usize, usize)>,
    ) -> Result<(), OnnxError> {
        let (a, b) = (&self.first.1.graph, &self.other.1.graph);
        let origins = (a.origin(names.0), b.origin(names.1));
        match origins {
            (Origin::Absent, Origin::Absent) => Ok(()),
            (Origin::Given(x), Origin::Given(y))
                if given.get(a.inputs[x].name) == Some(&b.inputs[y].name) =>
            {
                Ok(())
            }
            (Origin::Constant(x), Origin::Constant(y)) => {
                // An output that is a constant has no slot: it is kept as the first file has it.
                if let Some((node, _, input)) = at {
                    walk.pairs.insert(Slot { node, input }, (x, y));
                }
                Ok(())
            }
            (Origin::Computed(x, from_x), Origin::Computed(y, from_y)) => {
                let known = (walk.there.get(&x), walk.back.get(&y));
                if known != (None, None) {
                    if known == (Some(&y), Some(&x)) && from_x == from_y {
                        return Ok(());
                    }
                    return Err(self.part(
                        names,
                        at,
                        "one of them uses a result twice where the other computes two",
                    ));
                }
                let (nx, ny) = (&a.nodes[x], &b.nodes[y]);
                if (nx.domain, nx.operator, from_x) != (ny.domain, ny.operator, from_y) {
                    return Err(self.part(names, at, &format!("{} meets {}", nx.said(x), ny.said(y))));
                }
                for (file, graph_node, place) in [(self.first.0, nx, x), (self.other.0, ny, y)] {
                    if graph_node.attributes.keys().any(|name| {
                        graph_node.attribute(name, 6).is_some() || graph_node.attribute(name, 11).is_some()
                    }) {
                        return Err(OnnxError::Unsupported(format!(
                            "{file}: {} has a graph inside, and weights inside of such graphs are not looked for: export \
                             the model without control flow (fixed sizes, and `torch.onnx.export(…, dynamo=True)`, often \
                             leave none), or simplify it with onnxsim",
                            graph_node.said(place)
                        )));
                    }
                }
                if let Some(name) = same_attributes(nx, ny)? {
                    let what = format!("`{name}` of {} and of {} differ", nx.said(x), ny.said(y));
                    return Err(self.part(names, at, &what));
                }
                walk.there.insert(x, y);
                walk.back.insert(y, x);
                walk.open.push((x, y));
                Ok(())
            }
            (x, y) => {
                let said = |graph: &Graph<'_>, origin: Origin<'_>| match origin {
                    Origin::Computed(place, _) => graph.nodes[place].said(place),
                    Origin::Given(place) => format!("the input `{}`", graph.inputs[place].name),
                    Origin::Constant(_) => "a tensor".to_owned(),
                    Origin::Absent => "nothing".to_owned(),
                };
                Err(self.part(names, at, &format!("{} meets {}", said(a, x), said(b, y))))
            }
        }
    }

    fn part(&self, names: (&str, &str), at: Option<(usize, usize, usize)>, what: &str) -> OnnxError {
        let place = match at {
            None => format!("at the output `{}`", names.0),
            Some((node, _, slot)) => {
                format!("at input {slot} of {}", self.first.1.graph.nodes[node].said(node))
            }
        };
        self.different(&format!("{place} {what}"))
    }

    fn different(&self, what: &str) -> OnnxError {
        OnnxError::Different(format!(
            "{} and {} are not one architecture: {what}. Only files of one network can be averaged, exported in the same way \
             by the same version of the exporter; average what they predict instead: give both as members of a job",
            self.first.0, self.other.0
        ))
    }

    fn check_versions(&self) -> Result<(), OnnxError> {
        let (a, b) = (self.first.1, self.other.1);
        if a.opsets != b.opsets {
            let said = |opsets: &BTreeMap<&str, u64>| {
                let each = opsets.iter().map(|(domain, version)| {
                    format!(
                        "{}{version}",
                        if domain.is_empty() { String::new() } else { format!("{domain} ") }
                    )
                });
                each.collect::<Vec<_>>().join(", ")
            };
            return Err(self.different(&format!(
                "they are written in opset {} and {}",
                said(&a.opsets),
                said(&b.opsets)
            )));
        }
        if a.functions != b.functions {
            return Err(self.different("they define operators of their own that differ"));
        }
        Ok(())
    }

    /// Counts say more about two architectures than the first place where they part.
    fn check_operators(&self) -> Result<(), OnnxError> {
        let (a, b) = (operators(&self.first.1.graph), operators(&self.other.1.graph));
        let differing: Vec<String> = a
            .keys()
            .chain(b.keys().filter(|name| !a.contains_key(*name)))
            .filter(|name| a.get(*name) != b.get(*name))
            .map(|name| format!("{} and {} {name}", a.get(name).unwrap_or(&0), b.get(name).unwrap_or(&0)))
            .collect();
        if differing.is_empty() {
            return Ok(());
        }
        let mut what = format!("they have {}", differing.join(", "));
        if a.get("BatchNormalization") != b.get("BatchNormalization") {
            what.push_str(" (in one of them BatchNorm was folded into the convolutions)");
        }
        Err(self.different(&what))
    }

    /// Inputs or outputs that belong together: by their names where these are the same, else by their order.
    fn declared<'x, 'y>(
        &self,
        what: &str,
        a: &[Declared<'x>],
        b: &[Declared<'y>],
    ) -> Result<Vec<(Declared<'x>, Declared<'y>)>, OnnxError> {
        if a.len() != b.len() {
            return Err(self.different(&format!("they have {} and {} {what}s", a.len(), b.len())));
        }
        let named = |x: &Declared<'_>| b.iter().find(|y| y.name == x.name).copied();
        let by_name: Option<Vec<_>> = a.iter().map(|x| Some((*x, named(x)?))).collect();
        let pairs = by_name.unwrap_or_else(|| a.iter().copied().zip(b.iter().copied()).collect());
        for (x, y) in &pairs {
            let shapes = (x.shape()?, y.shape()?);
            // What an output declares is a note; the nodes decide.
            if what == "input" && shapes.0 != shapes.1 {
                let said = |(element, dims): &(u64, Vec<Option<u64>>)| {
                    let dims: Vec<String> = dims
                        .iter()
                        .map(|dim| dim.map_or_else(|| "?".to_owned(), |dim| dim.to_string()))
                        .collect();
                    format!("[{}] of type {element}", dims.join(", "))
                };
                return Err(self.different(&format!(
                    "the input `{}` is {} in one, and {} in the other",
                    x.name,
                    said(&shapes.0),
                    said(&shapes.1)
                )));
            }
        }
        Ok(pairs)
    }
}

/// What is known while two graphs are followed.
struct Walk<'a, 'b> {
    pairs: Pairs<'a, 'b>,
    there: BTreeMap<usize, usize>,
    back: BTreeMap<usize, usize>,
    open: Vec<(usize, usize)>,
}

/// How many nodes there are of each operator that outputs hang on, those apart that only pass on a value.
fn operators<'a>(graph: &Graph<'a>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for (node, _) in graph.nodes.iter().zip(graph.live()).filter(|(_, live)| *live) {
        if !(node.domain.is_empty() && matches!(node.operator, "Identity" | "Constant")) {
            *counts.entry(node.operator).or_default() += 1;
        }
    }
    counts
}
