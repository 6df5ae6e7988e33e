//! A small convolutional network made in code, for tests: two convolutions with batch normalisation and a head, written as
//! exporters write one, in all the ways in which files of one network differ.

use crate::FloatType;
use crate::wire::{put_bytes, put_number};

/// How many channels lie between the layers.
pub const WIDTH: usize = 4;

/// The network: `[N, 3, H, W]` to `[N, classes, H, W]`, and how its file is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    /// Classes.
    pub classes: usize,
    /// Its two blocks.
    pub blocks: [Block; 2],
    /// `[classes, WIDTH, 1, 1]`.
    pub head: Vec<f32>,
    /// `[classes]`.
    pub head_bias: Vec<f32>,
    /// How it is written.
    pub style: Style,
}

/// A convolution of 3 × 3 px without bias, batch normalisation, and a `ReLU`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// `[WIDTH, channels, 3, 3]`.
    pub weight: Vec<f32>,
    /// Of the normalisation, `[WIDTH]`.
    pub scale: Vec<f32>,
    /// Of the normalisation, `[WIDTH]`.
    pub bias: Vec<f32>,
    /// Running mean, `[WIDTH]`.
    pub mean: Vec<f32>,
    /// Running variance, `[WIDTH]`.
    pub variance: Vec<f32>,
}

/// How a file is written.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one way in which files of one network differ")]
pub struct Style {
    /// What all names begin with.
    pub prefix: String,
    /// The type of weights, and of all else.
    pub element: FloatType,
    /// Numbers in `float_data`, `int32_data` or `double_data`.
    pub typed: bool,
    /// Tensors of equal bytes are kept once.
    pub deduplicated: bool,
    /// Of tensors of equal bytes only the first is kept, and the others are `Identity` nodes of it.
    pub identities: bool,
    /// Weights are `Constant` nodes.
    pub constants: bool,
    /// Each initialiser is an input of the graph too, as in files of IR version 3.
    pub declared: bool,
    /// Normalisation is folded into the first so many convolutions.
    pub folded: usize,
    /// The output is enlarged by this.
    pub scale: f32,
    /// What pixels are divided by first.
    pub pixels_by: Option<f32>,
    /// Of the normalisation.
    pub epsilon: f32,
    /// The version of the operators.
    pub opset: u64,
    /// A field that nobody knows, at every level.
    pub unknown: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            element: FloatType::F32,
            typed: false,
            deduplicated: false,
            identities: false,
            constants: false,
            declared: false,
            folded: 0,
            scale: 1.0,
            pixels_by: None,
            epsilon: 1e-5,
            opset: 17,
            unknown: false,
        }
    }
}

impl Net {
    /// A network of numbers that look random, the same for the same seed.
    pub fn seeded(seed: u64, classes: usize) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut numbers = move |count: usize, low: f32, high: f32| -> Vec<f32> {
            let next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                low + (high - low) * ((state >> 40) as f32 / (1 << 24) as f32)
            };
            std::iter::repeat_with(next).take(count).collect()
        };
        let mut block = |channels: usize| Block {
            weight: numbers(WIDTH * channels * 9, -0.5, 0.5),
            scale: numbers(WIDTH, 0.5, 1.5),
            bias: numbers(WIDTH, -0.5, 0.5),
            mean: numbers(WIDTH, -0.5, 0.5),
            variance: numbers(WIDTH, 0.5, 2.0),
        };
        let blocks = [block(3), block(WIDTH)];
        let (head, head_bias) = (numbers(classes * WIDTH, -1.0, 1.0), numbers(classes, -0.5, 0.5));
        Self { classes, blocks, head, head_bias, style: Style::default() }
    }

    /// The same network, written so.
    #[must_use]
    pub fn written(&self, style: Style) -> Self {
        Self { style, ..self.clone() }
    }

    /// All its numbers, in the order of the graph.
    pub fn numbers(&self) -> Vec<f32> {
        let blocks = self.blocks.iter().flat_map(|b| [&b.weight, &b.scale, &b.bias, &b.mean, &b.variance]);
        blocks.chain([&self.head, &self.head_bias]).flatten().copied().collect()
    }

    /// The same network with these numbers, in the order of [`numbers`](Self::numbers).
    ///
    /// # Panics
    /// When there are not as many as it has.
    #[must_use]
    pub fn with_numbers(&self, numbers: &[f32]) -> Self {
        let mut net = self.clone();
        let mut rest = numbers;
        let mut fill = |to: &mut Vec<f32>| {
            let (these, after) = rest.split_at(to.len());
            to.copy_from_slice(these);
            rest = after;
        };
        for block in &mut net.blocks {
            [&mut block.weight, &mut block.scale, &mut block.bias, &mut block.mean, &mut block.variance]
                .into_iter()
                .for_each(&mut fill);
        }
        [&mut net.head, &mut net.head_bias].into_iter().for_each(&mut fill);
        assert!(rest.is_empty(), "as many numbers as the network has");
        net
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut file =
            File { style: &self.style, graph: Vec::new(), inputs: Vec::new(), kept: Vec::new(), count: 0 };
        put_bytes(&mut file.graph, 2, b"net");
        let mut x = "image".to_owned();
        if let Some(by) = self.style.pixels_by {
            let by = file.tensor(&[1], &[by]);
            x = file.node("Div", &[&x, &by], &[], None);
        }
        for (place, block) in self.blocks.iter().enumerate() {
            let channels = block.weight.len() / WIDTH / 9;
            let pads = ints("pads", &[1; 4]);
            let dims = [WIDTH, channels, 3, 3];
            if place < self.style.folded {
                let (weight, bias) = block.folded(self.style.epsilon);
                let (weight, bias) = (file.tensor(&dims, &weight), file.tensor(&[WIDTH], &bias));
                x = file.node("Conv", &[&x, &weight, &bias], &[pads], None);
            } else {
                let weight = file.tensor(&dims, &block.weight);
                x = file.node("Conv", &[&x, &weight], &[pads], None);
                let all = [&block.scale, &block.bias, &block.mean, &block.variance];
                let all = all.map(|numbers| file.tensor(&[WIDTH], numbers));
                let inputs = [&x, &all[0], &all[1], &all[2], &all[3]].map(String::as_str);
                x = file.node("BatchNormalization", &inputs, &[float("epsilon", self.style.epsilon)], None);
            }
            x = file.node("Relu", &[&x], &[], None);
        }
        let weight = file.tensor(&[self.classes, WIDTH, 1, 1], &self.head);
        let bias = file.tensor(&[self.classes], &self.head_bias);
        x = file.node("Conv", &[&x, &weight, &bias], &[], None);
        let scales = file.scales([1.0, 1.0, self.style.scale, self.style.scale]);
        file.node("Resize", &[&x, "", &scales], &[], Some("scores"));
        file.model()
    }
}

impl Block {
    /// Weight and bias of the convolution that does all of it but the `ReLU`.
    pub fn folded(&self, epsilon: f32) -> (Vec<f32>, Vec<f32>) {
        let factors: Vec<f32> =
            self.scale.iter().zip(&self.variance).map(|(scale, v)| scale / (v + epsilon).sqrt()).collect();
        let each = self.weight.len() / WIDTH;
        let weight = self.weight.iter().enumerate().map(|(n, w)| w * factors[n / each]).collect();
        let bias = (0..WIDTH).map(|c| self.bias[c] - self.mean[c] * factors[c]).collect();
        (weight, bias)
    }
}

struct File<'a> {
    style: &'a Style,
    graph: Vec<u8>,
    /// Inputs beside the image.
    inputs: Vec<u8>,
    /// Name, dimensions and data of what is kept.
    kept: Vec<(String, Vec<usize>, Vec<u8>)>,
    count: usize,
}

impl File<'_> {
    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{}v{}", self.style.prefix, self.count)
    }

    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[Vec<u8>],
        output: Option<&str>,
    ) -> String {
        let output = output.map_or_else(|| self.fresh(), ToOwned::to_owned);
        let mut node = Vec::new();
        inputs.iter().for_each(|input| put_bytes(&mut node, 1, input.as_bytes()));
        put_bytes(&mut node, 2, output.as_bytes());
        put_bytes(&mut node, 3, format!("{}/{operator}_{}", self.style.prefix, self.count).as_bytes());
        put_bytes(&mut node, 4, operator.as_bytes());
        attributes.iter().for_each(|attribute| put_bytes(&mut node, 5, attribute));
        if self.style.unknown {
            put_bytes(&mut node, 77, b"kept");
        }
        put_bytes(&mut self.graph, 1, &node);
        output
    }

    /// A weight.
    fn tensor(&mut self, dims: &[usize], numbers: &[f32]) -> String {
        let element = self.style.element;
        let mut data = Vec::new();
        numbers.iter().for_each(|number| element.write(f64::from(*number), &mut data));
        let before = self.kept.iter().find(|(_, d, b)| d == dims && *b == data).map(|kept| kept.0.clone());
        if let Some(kept) = before {
            if self.style.deduplicated {
                return kept;
            }
            if self.style.identities {
                return self.node("Identity", &[&kept], &[], None);
            }
        }
        let code = match element {
            FloatType::F32 => 1,
            FloatType::F16 => 10,
            FloatType::F64 => 11,
            FloatType::BF16 => 16,
        };
        let name = self.fresh();
        let message = self.message(&name, code, dims, &data);
        if self.style.constants {
            let mut value = Vec::new();
            put_bytes(&mut value, 1, b"value");
            put_bytes(&mut value, 5, &message);
            put_number(&mut value, 20, 4);
            return self.node("Constant", &[], &[value], Some(&name));
        }
        put_bytes(&mut self.graph, 5, &message);
        if self.style.declared {
            put_bytes(
                &mut self.inputs,
                11,
                &declared(&name, code, &dims.iter().map(|d| Some(*d)).collect::<Vec<_>>()),
            );
        }
        self.kept.push((name.clone(), dims.to_vec(), data));
        name
    }

    fn message(&self, name: &str, code: u64, dims: &[usize], data: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        dims.iter().for_each(|dim| put_number(&mut message, 1, *dim as u64));
        put_number(&mut message, 2, code);
        put_bytes(&mut message, 8, name.as_bytes());
        match (self.style.typed, code) {
            (true, 1) => put_bytes(&mut message, 4, data),
            (true, 11) => put_bytes(&mut message, 10, data),
            (true, _) => {
                data.as_chunks()
                    .0
                    .iter()
                    .for_each(|b| put_number(&mut message, 5, u16::from_le_bytes(*b).into()));
            }
            (false, _) => put_bytes(&mut message, 9, data),
        }
        if self.style.unknown {
            put_bytes(&mut message, 77, b"gone with other numbers");
        }
        message
    }

    /// The factors of a `Resize`, which are never halves.
    fn scales(&mut self, numbers: [f32; 4]) -> String {
        let name = self.fresh();
        let mut message = Vec::new();
        put_number(&mut message, 1, 4);
        put_number(&mut message, 2, 1);
        put_bytes(&mut message, 8, name.as_bytes());
        put_bytes(&mut message, 9, numbers.map(f32::to_le_bytes).as_flattened());
        put_bytes(&mut self.graph, 5, &message);
        if self.style.declared {
            put_bytes(&mut self.inputs, 11, &declared(&name, 1, &[Some(4)]));
        }
        name
    }

    fn model(self) -> Vec<u8> {
        let code = match self.style.element {
            FloatType::F32 => 1,
            FloatType::F16 => 10,
            FloatType::F64 => 11,
            FloatType::BF16 => 16,
        };
        let mut graph = self.graph;
        put_bytes(&mut graph, 11, &declared("image", code, &[None, Some(3), None, None]));
        graph.extend(self.inputs);
        put_bytes(&mut graph, 12, &declared("scores", code, &[None; 4]));
        if self.style.unknown {
            put_bytes(&mut graph, 77, b"kept");
        }
        let mut model = Vec::new();
        put_number(&mut model, 1, if self.style.declared { 3 } else { 8 });
        put_bytes(&mut model, 7, &graph);
        let mut opset = Vec::new();
        put_number(&mut opset, 2, self.style.opset);
        put_bytes(&mut model, 8, &opset);
        if self.style.unknown {
            put_bytes(&mut model, 77, b"kept");
        }
        model
    }
}

fn declared(name: &str, code: u64, dims: &[Option<usize>]) -> Vec<u8> {
    let (mut shape, mut tensor, mut ty, mut info) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, dim) in dims.iter().enumerate() {
        let mut message = Vec::new();
        match dim {
            Some(dim) => put_number(&mut message, 1, *dim as u64),
            None => put_bytes(&mut message, 2, format!("d{place}").as_bytes()),
        }
        put_bytes(&mut shape, 1, &message);
    }
    put_number(&mut tensor, 1, code);
    put_bytes(&mut tensor, 2, &shape);
    put_bytes(&mut ty, 1, &tensor);
    put_bytes(&mut info, 1, name.as_bytes());
    put_bytes(&mut info, 2, &ty);
    info
}

fn float(name: &str, value: f32) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, 1, name.as_bytes());
    attribute.push(2 << 3 | 5);
    attribute.extend(value.to_le_bytes());
    put_number(&mut attribute, 20, 1);
    attribute
}

fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let mut attribute = Vec::new();
    put_bytes(&mut attribute, 1, name.as_bytes());
    values.iter().for_each(|value| put_number(&mut attribute, 8, *value as u64));
    put_number(&mut attribute, 20, 7);
    attribute
}
