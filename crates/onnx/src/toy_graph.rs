//! Any small graph made in code, for tests.

use crate::FloatType;
use crate::wire::{put_bytes, put_number};

/// What a node is set to.
#[derive(Debug, Clone)]
pub enum Setting<'a> {
    /// A whole number.
    Int(&'a str, i64),
    /// Whole numbers.
    Ints(&'a str, &'a [i64]),
    /// A number.
    Float(&'a str, f32),
    /// A word.
    Text(&'a str, &'a str),
    /// A graph inside of the node.
    Graph(&'a str, &'a ToyGraph),
}

/// A graph, and the file that holds it.
#[derive(Debug, Clone, Default)]
pub struct ToyGraph {
    nodes: Vec<u8>,
    rest: Vec<u8>,
    count: usize,
}

impl ToyGraph {
    /// Takes a value of this element type; dimensions without a length have a name, `d0` and so on.
    #[must_use]
    pub fn takes(mut self, name: &str, element: u64, dims: &[Option<u64>]) -> Self {
        put_bytes(&mut self.rest, 11, &info(name, element, dims));
        self
    }

    /// Gives a value of this element type.
    #[must_use]
    pub fn gives(mut self, name: &str, element: u64, dims: &[Option<u64>]) -> Self {
        put_bytes(&mut self.rest, 12, &info(name, element, dims));
        self
    }

    /// Says of a value that it is of this element type.
    #[must_use]
    pub fn says(mut self, name: &str, element: u64, dims: &[Option<u64>]) -> Self {
        put_bytes(&mut self.rest, 13, &info(name, element, dims));
        self
    }

    /// Has a tensor in single precision.
    #[must_use]
    pub fn floats(mut self, name: &str, dims: &[u64], numbers: &[f32]) -> Self {
        let mut data = Vec::new();
        numbers.iter().for_each(|number| FloatType::F32.write(f64::from(*number), &mut data));
        put_bytes(&mut self.rest, 5, &tensor(name, 1, dims, &data));
        self
    }

    /// Has a tensor of whole numbers.
    #[must_use]
    pub fn ints(mut self, name: &str, numbers: &[i64]) -> Self {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        put_bytes(&mut self.rest, 5, &tensor(name, 7, &[numbers.len() as u64], &data));
        self
    }

    /// Has a tensor in single precision as a `Constant` node.
    #[must_use]
    pub fn constant(mut self, name: &str, dims: &[u64], numbers: &[f32]) -> Self {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let mut value = Vec::new();
        put_bytes(&mut value, 1, b"value");
        put_bytes(&mut value, 5, &tensor("", 1, dims, &data));
        put_number(&mut value, 20, 4);
        let mut node = Vec::new();
        put_bytes(&mut node, 2, name.as_bytes());
        put_bytes(&mut node, 4, b"Constant");
        put_bytes(&mut node, 5, &value);
        put_bytes(&mut self.nodes, 1, &node);
        self
    }

    /// Does something. The node is called by its operator and number.
    #[must_use]
    pub fn node(
        mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        settings: &[Setting<'_>],
    ) -> Self {
        let mut node = Vec::new();
        inputs.iter().for_each(|name| put_bytes(&mut node, 1, name.as_bytes()));
        outputs.iter().for_each(|name| put_bytes(&mut node, 2, name.as_bytes()));
        put_bytes(&mut node, 3, format!("{operator}_{}", self.count).as_bytes());
        put_bytes(&mut node, 4, operator.as_bytes());
        settings.iter().for_each(|setting| put_bytes(&mut node, 5, &attribute(setting)));
        put_bytes(&mut self.nodes, 1, &node);
        self.count += 1;
        self
    }

    fn message(&self) -> Vec<u8> {
        let mut graph = self.nodes.clone();
        put_bytes(&mut graph, 2, b"toy");
        graph.extend(&self.rest);
        graph
    }

    /// The file, with operators of this version.
    pub fn bytes(&self, opset: u64) -> Vec<u8> {
        let (mut model, mut import) = (Vec::new(), Vec::new());
        put_number(&mut model, 1, 8);
        put_bytes(&mut model, 7, &self.message());
        put_number(&mut import, 2, opset);
        put_bytes(&mut model, 8, &import);
        model
    }
}

fn attribute(setting: &Setting<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let (Setting::Int(name, _)
    | Setting::Ints(name, _)
    | Setting::Float(name, _)
    | Setting::Text(name, _)
    | Setting::Graph(name, _)) = setting;
    put_bytes(&mut out, 1, name.as_bytes());
    let kind = match setting {
        Setting::Float(_, value) => {
            out.push(2 << 3 | 5);
            out.extend(value.to_le_bytes());
            1
        }
        Setting::Int(_, value) => {
            put_number(&mut out, 3, *value as u64);
            2
        }
        Setting::Text(_, text) => {
            put_bytes(&mut out, 4, text.as_bytes());
            3
        }
        Setting::Graph(_, graph) => {
            put_bytes(&mut out, 6, &graph.message());
            5
        }
        Setting::Ints(_, values) => {
            values.iter().for_each(|value| put_number(&mut out, 8, *value as u64));
            7
        }
    };
    put_number(&mut out, 20, kind);
    out
}

fn tensor(name: &str, element: u64, dims: &[u64], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    dims.iter().for_each(|dim| put_number(&mut out, 1, *dim));
    put_number(&mut out, 2, element);
    put_bytes(&mut out, 8, name.as_bytes());
    put_bytes(&mut out, 9, data);
    out
}

fn info(name: &str, element: u64, dims: &[Option<u64>]) -> Vec<u8> {
    let (mut shape, mut ty, mut outer, mut info) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, dim) in dims.iter().enumerate() {
        let mut message = Vec::new();
        match dim {
            Some(length) => put_number(&mut message, 1, *length),
            None => put_bytes(&mut message, 2, format!("d{place}").as_bytes()),
        }
        put_bytes(&mut shape, 1, &message);
    }
    put_number(&mut ty, 1, element);
    put_bytes(&mut ty, 2, &shape);
    put_bytes(&mut outer, 1, &ty);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &outer);
    info
}
