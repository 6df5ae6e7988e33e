//! Graphs inside of nodes (`If`, `Loop`, `Scan`): what they take of the values around them.

use crate::graph::Graph;
use crate::wire::{Damaged, fields};
use std::collections::BTreeSet;

/// Graphs inside of graphs, at most.
const DEPTH_MAX: usize = 32;

/// All names that stand in graphs inside of nodes: what these take from outside is among them.
pub(crate) fn inner_names<'a>(graph: &Graph<'a>) -> Result<BTreeSet<&'a str>, Damaged> {
    let mut names = BTreeSet::new();
    for node in &graph.nodes {
        for attribute in node.attributes.values() {
            of_attribute(attribute, 0, &mut names)?;
        }
    }
    Ok(names)
}

fn of_attribute<'a>(message: &'a [u8], depth: usize, names: &mut BTreeSet<&'a str>) -> Result<(), Damaged> {
    if depth > DEPTH_MAX {
        return Err(Damaged);
    }
    for field in fields(message) {
        let field = field?;
        let Some(graph) = field.bytes().filter(|_| matches!(field.number, 6 | 11)) else { continue };
        for field in fields(graph) {
            let field = field?;
            match (field.number, field.bytes()) {
                (1, Some(node)) => of_node(node, depth, names)?,
                (5, Some(tensor)) => names.extend(text_of(tensor, 8)?),
                (11 | 12, Some(declared)) => names.extend(text_of(declared, 1)?),
                _ => {}
            }
        }
    }
    Ok(())
}

fn of_node<'a>(message: &'a [u8], depth: usize, names: &mut BTreeSet<&'a str>) -> Result<(), Damaged> {
    for field in fields(message) {
        let field = field?;
        match field.number {
            1 | 2 => {
                names.insert(field.text().ok_or(Damaged)?);
            }
            5 => of_attribute(field.bytes().ok_or(Damaged)?, depth + 1, names)?,
            _ => {}
        }
    }
    Ok(())
}

fn text_of(message: &[u8], number: u64) -> Result<Option<&str>, Damaged> {
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            return Ok(field.text());
        }
    }
    Ok(None)
}
