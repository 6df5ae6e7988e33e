//! Nodes that are put around a model's own, under names that it does not have.

use crate::edit::{FreshNames, tensor_message};
use crate::types::F32;
use crate::wire::{put_bytes, put_number};

const I64: u64 = 7;

/// What a node is set to.
pub(super) enum Setting<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
    Text(&'a str, &'a str),
}

/// New nodes, each after those that it needs.
pub(super) struct Nodes<'n> {
    names: &'n mut FreshNames,
    written: Vec<Vec<u8>>,
}

/// One axis of a `Slice`, which may go backwards.
pub(super) struct Stretch {
    axis: i64,
    start: i64,
    end: i64,
    step: i64,
}

impl Stretch {
    /// `length` numbers from `start` on.
    pub(super) fn part(axis: i64, start: u64, length: u64) -> Self {
        Self { axis, start: start as i64, end: (start + length) as i64, step: 1 }
    }

    /// All `length` of them from the last to the first.
    pub(super) fn backwards(axis: i64, length: u64) -> Self {
        // Before the first: negative ends are counted from the last.
        Self { axis, start: -1, end: -1 - length as i64, step: -1 }
    }
}

impl<'n> Nodes<'n> {
    pub(super) fn new(names: &'n mut FreshNames) -> Self {
        Self { names, written: Vec::new() }
    }

    /// Their messages.
    pub(super) fn written(self) -> Vec<Vec<u8>> {
        self.written
    }

    /// A standard operator; the name of what it gives.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], settings: &[Setting<'_>]) -> String {
        let output = self.names.take(&format!("fused_{}", operator.to_ascii_lowercase()));
        self.node_giving(operator, inputs, settings, &output);
        output
    }

    /// A standard operator that gives a value of this very name.
    pub(super) fn node_giving(
        &mut self,
        operator: &str,
        inputs: &[&str],
        settings: &[Setting<'_>],
        output: &str,
    ) {
        let mut node = Vec::new();
        inputs.iter().for_each(|name| put_bytes(&mut node, 1, name.as_bytes()));
        put_bytes(&mut node, 2, output.as_bytes());
        put_bytes(&mut node, 3, self.names.take(&format!("node_{output}")).as_bytes());
        put_bytes(&mut node, 4, operator.as_bytes());
        settings.iter().for_each(|setting| put_bytes(&mut node, 5, &attribute(setting)));
        self.written.push(node);
    }

    /// Whole numbers, `[n]`.
    pub(super) fn ints(&mut self, numbers: &[i64]) -> String {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(&tensor_message("", &[numbers.len() as u64], I64, &data))
    }

    /// One number in single precision.
    pub(super) fn number(&mut self, number: f32) -> String {
        self.constant(&tensor_message("", &[], F32, &number.to_le_bytes()))
    }

    /// An empty list of numbers in single precision.
    pub(super) fn no_numbers(&mut self) -> String {
        self.constant(&tensor_message("", &[0], F32, &[]))
    }

    // A node and no initialiser: in old files each of those is an input too.
    fn constant(&mut self, tensor: &[u8]) -> String {
        let output = self.names.take("fused_constant");
        let (mut value, mut node) = (Vec::new(), Vec::new());
        put_bytes(&mut value, 1, b"value");
        put_bytes(&mut value, 5, tensor);
        // An attribute that is a tensor.
        put_number(&mut value, 20, 4);
        put_bytes(&mut node, 2, output.as_bytes());
        put_bytes(&mut node, 4, b"Constant");
        put_bytes(&mut node, 5, &value);
        self.written.push(node);
        output
    }

    pub(super) fn transpose(&mut self, value: &str, perm: &[i64]) -> String {
        self.node("Transpose", &[value], &[Setting::Ints("perm", perm)])
    }

    /// Rows and columns of planes exchanged.
    pub(super) fn on_its_side(&mut self, planes: &str) -> String {
        self.transpose(planes, &[0, 1, 3, 2])
    }

    pub(super) fn cast(&mut self, value: &str, element: u64) -> String {
        self.node("Cast", &[value], &[Setting::Int("to", element as i64)])
    }

    /// A part of a value; the value itself where there is nothing to take.
    pub(super) fn slice(&mut self, value: &str, stretches: &[Stretch]) -> String {
        if stretches.is_empty() {
            return value.to_owned();
        }
        let mut list = |of: fn(&Stretch) -> i64| self.ints(&stretches.iter().map(of).collect::<Vec<_>>());
        let [starts, ends] = [list(|s| s.start), list(|s| s.end)];
        let [axes, steps] = [list(|s| s.axis), list(|s| s.step)];
        self.node("Slice", &[value, &starts, &ends, &axes, &steps], &[])
    }

    /// Several values one after the other along an axis.
    pub(super) fn concat(&mut self, values: &[String], axis: i64) -> String {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        self.node("Concat", &values, &[Setting::Int("axis", axis)])
    }

    /// The sum of values of one shape.
    pub(super) fn sum(&mut self, values: &[String]) -> String {
        match values {
            [one] => one.clone(),
            many => {
                let many: Vec<&str> = many.iter().map(String::as_str).collect();
                self.node("Sum", &many, &[])
            }
        }
    }
}

fn attribute(setting: &Setting<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let (Setting::Int(name, _) | Setting::Ints(name, _) | Setting::Text(name, _)) = setting;
    put_bytes(&mut out, 1, name.as_bytes());
    let kind = match setting {
        Setting::Int(_, number) => {
            put_number(&mut out, 3, *number as u64);
            2
        }
        Setting::Text(_, text) => {
            put_bytes(&mut out, 4, text.as_bytes());
            3
        }
        Setting::Ints(_, numbers) => {
            numbers.iter().for_each(|number| put_number(&mut out, 8, *number as u64));
            7
        }
    };
    put_number(&mut out, 20, kind);
    out
}
