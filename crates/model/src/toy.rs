//! Small ONNX models made in code, for tests.
//!
//! ```
//! use marquetry_model::toy::Toy;
//! let model: Vec<u8> = Toy { classes: 3, kernel: 3, ..Toy::default() }.bytes();
//! assert!(!model.is_empty());
//! ```

mod external;
mod sklearn;
mod wire;

use crate::{Activation, Element, Layout, OutputForm};
use marquetry_geometry::Size;
pub use sklearn::Sklearn;
use wire::{bytes, graph, int, ints, number};

/// What the convolution of a [`Toy`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// Numbers that look random, each head its own; the same for the same seed.
    Seeded(u64),
    /// Class `c` is channel `c`, counted round where there are fewer channels.
    Copy,
    /// These, `[classes, channels, kernel, kernel]`, in each head.
    Given(Vec<f32>),
    /// Class `c` is this number everywhere, whatever the image.
    Constant(Vec<f32>),
    /// Class `c` is the sum of all channels, each times its number in row `c`, and the last number of the row.
    Linear(Vec<Vec<f32>>),
}

/// What the graph of a [`Toy`] does to samples first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InputScaling {
    /// Divides them by this.
    Div(f32),
    /// Multiplies them by this.
    Mul(f32),
    /// Takes this off.
    Sub(f32),
}

/// A model of one convolution, and what real models do around it. The default takes `[N, 3, H, W]` of any size and
/// gives one class, the first channel, as `scores`.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that models do, whatever else they do")]
pub struct Toy {
    /// Channels of the input.
    pub channels: u32,
    /// Classes of each head.
    pub classes: u32,
    /// Of each head its own number of classes instead, where there are so many.
    pub head_classes: Vec<u32>,
    /// Batch; none is any.
    pub batch: Option<u32>,
    /// Rows and columns of the input, px; none is any.
    pub size: Option<Size>,
    /// Columns of the input, px, where rows may be any.
    pub width: Option<u32>,
    /// Side of the convolution, px: odd.
    pub kernel: u32,
    /// Step of the convolution, px: the output is this many times smaller.
    pub stride: u32,
    /// Whether the convolution pads nothing, so that the output is smaller by `kernel - 1` px.
    pub valid: bool,
    /// Px that the graph pads with 0 above and left, and below and right: the output is larger by as much.
    pub around: [u32; 2],
    /// What the graph does to samples first.
    pub scaling: Option<InputScaling>,
    /// A coarse path of pooling and enlarging by this factor is added, as in a U-Net: sides must be multiples of it.
    pub coarse: u32,
    /// What the convolution holds.
    pub weights: Weights,
    /// What is applied last.
    pub activation: Activation,
    /// Whether dropout is left on, so that no two runs give the same; outputs are `f32` then.
    pub dropout: bool,
    /// Axes of the input.
    pub layout: Layout,
    /// Numbers of the input: `f32`, `f16`, `f64` or `u8`; `i64` for any other.
    pub element_in: Element,
    /// Numbers of the outputs: `f32`, `f16` or `f64`; labels are `i64`, `i32` or `u8` too.
    pub element_out: Element,
    /// Axes of the outputs.
    pub form: OutputForm,
    /// Whether the graph fails for more than one image, whatever `batch` says.
    pub single: bool,
    /// Whether it never ends where an image is nothing but 1.
    pub hangs: bool,
    /// Whether the pixels are averaged away, as in a classifier.
    pub pooled: bool,
    /// So many of the last heads are of the whole image: their pixels are averaged away, and they come as `[N, classes]`.
    pub image_heads: usize,
    /// Whether the outputs have two more axes, of length 1.
    pub idle_axes: bool,
    /// Whether all sides and channels of the input are left open.
    pub is_open: bool,
    /// Names of the outputs.
    pub heads: Vec<String>,
    /// Text pairs to store in the file.
    pub metadata: Vec<(String, String)>,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            channels: 3,
            classes: 1,
            head_classes: Vec::new(),
            batch: None,
            size: None,
            width: None,
            kernel: 1,
            stride: 1,
            valid: false,
            around: [0, 0],
            scaling: None,
            coarse: 1,
            weights: Weights::Copy,
            activation: Activation::None,
            dropout: false,
            layout: Layout::Nchw,
            element_in: Element::F32,
            element_out: Element::F32,
            form: OutputForm::Nchw,
            single: false,
            hangs: false,
            pooled: false,
            image_heads: 0,
            idle_axes: false,
            is_open: false,
            heads: vec!["scores".into()],
            metadata: Vec::new(),
        }
    }
}

impl Toy {
    /// The model as an ONNX file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = Graph::default();
        let mut x = "image".to_owned();
        if self.element_in != Element::F32 {
            x = graph.node("Cast", &[&x], &[int("to", 1)]);
        }
        if self.layout == Layout::Nhwc {
            x = graph.node("Transpose", &[&x], &[ints("perm", &[0, 3, 1, 2])]);
        }
        if let Some(scaling) = self.scaling {
            let (operator, by) = match scaling {
                InputScaling::Div(by) => ("Div", by),
                InputScaling::Mul(by) => ("Mul", by),
                InputScaling::Sub(by) => ("Sub", by),
            };
            let by = graph.tensor(1, &[], &by.to_le_bytes());
            x = graph.node(operator, &[&x, &by], &[]);
        }
        if self.around != [0, 0] {
            let [before, after] = self.around.map(i64::from);
            let pads = [0, 0, before, before, 0, 0, after, after].map(i64::to_le_bytes);
            let pads = graph.tensor(7, &[8], pads.as_flattened());
            x = graph.node("Pad", &[&x, &pads], &[]);
        }
        if self.coarse > 1 {
            let side = [i64::from(self.coarse); 2];
            let small =
                graph.node("AveragePool", &[&x], &[ints("kernel_shape", &side), ints("strides", &side)]);
            let scales = graph.tensor(
                1,
                &[4],
                [1.0, 1.0, self.coarse as f32, self.coarse as f32].map(f32::to_le_bytes).as_flattened(),
            );
            let large = graph.node("Resize", &[&small, "", &scales], &[]);
            x = graph.node("Add", &[&x, &large], &[]);
        }
        if self.hangs {
            x = graph.hang(&x);
        }
        for (index, head) in self.heads.iter().enumerate() {
            self.head(&mut graph, &x, index as u64, head);
        }
        graph.0.extend(bytes(11, value("image", &self.element_in, Some(&self.input_shape()))));
        let mut model =
            [number(1, 8), bytes(2, "marquetry-toy"), bytes(7, &graph.0), bytes(8, number(2, 17))].concat();
        for (key, value) in &self.metadata {
            model.extend(bytes(14, [bytes(1, key), bytes(2, value)].concat()));
        }
        model
    }

    /// The dimensions of the input.
    fn input_shape(&self) -> Vec<u8> {
        let any = |value: Option<u32>, name: &str| {
            value.map_or_else(|| bytes(2, name), |value| number(1, value.into()))
        };
        let channels = any((!self.is_open).then_some(self.channels), "C");
        let (batch, height, width) = (
            any(self.batch, "N"),
            any(self.size.map(|s| s.height), "H"),
            any(self.size.map(|s| s.width).or(self.width), "W"),
        );
        let dims = if self.layout == Layout::Nchw {
            [batch, channels, height, width]
        } else {
            [batch, height, width, channels]
        };
        dims.iter().flat_map(|dim| bytes(1, dim)).collect()
    }

    fn head(&self, graph: &mut Graph, x: &str, index: u64, name: &str) {
        let classes = self.head_classes.get(index as usize).copied().unwrap_or(self.classes);
        let y = self.values_of_head(graph, x, index, classes);
        if self.dropout {
            // As the last node: inside a graph ONNX Runtime may take it out.
            let ratio = graph.tensor(1, &[], &0.5_f32.to_le_bytes());
            let training = graph.tensor(BOOL, &[], &[1]);
            graph.named("Dropout", &[&y, &ratio, &training], &[], name);
        } else {
            graph.named("Cast", &[&y], &[int("to", code(&self.element_out))], name);
        }
        graph.0.extend(bytes(12, value(name, &self.element_out, None)));
    }

    /// What the head at place `index` says, before its type is changed.
    fn values_of_head(&self, graph: &mut Graph, x: &str, index: u64, classes: u32) -> String {
        let (kernel, stride) = (i64::from(self.kernel), i64::from(self.stride));
        let is_of_image = index as usize + self.image_heads >= self.heads.len();
        let (weights, bias) = self.numbers(index, classes);
        let weights = graph.tensor(1, &[classes.into(), self.channels.into(), kernel, kernel], &weights);
        let bias = graph.tensor(1, &[classes.into()], &bias);
        let pads = [if self.valid { 0 } else { kernel / 2 }; 4];
        let mut y =
            graph.node("Conv", &[x, &weights, &bias], &[ints("pads", &pads), ints("strides", &[stride; 2])]);
        if self.pooled || is_of_image {
            y = graph.node("GlobalAveragePool", &[&y], &[]);
        }
        if self.single {
            // A zero keeps the dimension, so two images no longer fit.
            let shape = graph.tensor(7, &[4], [1_i64, 0, 0, 0].map(i64::to_le_bytes).as_flattened());
            y = graph.node("Reshape", &[&y, &shape], &[]);
        }
        match self.activation {
            Activation::None => {}
            Activation::Labels => y = graph.node("ArgMax", &[&y], &[int("axis", 1), int("keepdims", 1)]),
            Activation::Softmax => y = graph.node("Softmax", &[&y], &[int("axis", 1)]),
            Activation::Sigmoid => y = graph.node("Sigmoid", &[&y], &[]),
        }
        if is_of_image {
            let axes = graph.tensor(7, &[2], [2_i64, 3].map(i64::to_le_bytes).as_flattened());
            return graph.node("Squeeze", &[&y, &axes], &[]);
        }
        if self.form.is_interleaved() {
            y = graph.node("Transpose", &[&y], &[ints("perm", &[0, 2, 3, 1])]);
        }
        let squeezed: &[i64] = match self.form {
            OutputForm::Nchw | OutputForm::Nhwc | OutputForm::Flat | OutputForm::FlatInterleaved => &[],
            OutputForm::Nhw => &[1],
            OutputForm::Chw | OutputForm::Hwc => &[0],
            OutputForm::Hw => &[0, 1],
        };
        if !squeezed.is_empty() {
            let axes: Vec<u8> = squeezed.iter().flat_map(|axis| axis.to_le_bytes()).collect();
            let axes = graph.tensor(7, &[squeezed.len() as i64], &axes);
            y = graph.node("Squeeze", &[&y, &axes], &[]);
        }
        if matches!(self.form, OutputForm::Flat | OutputForm::FlatInterleaved) {
            // 0 keeps an axis, -1 is all the rest.
            let dims =
                if self.form == OutputForm::Flat { [0, 0, -1] } else { [0, -1, i64::from(self.classes)] };
            let dims = graph.tensor(7, &[3], dims.map(i64::to_le_bytes).as_flattened());
            y = graph.node("Reshape", &[&y, &dims], &[]);
        }
        if self.idle_axes {
            let axes = graph.tensor(7, &[2], [1_i64, -1].map(i64::to_le_bytes).as_flattened());
            y = graph.node("Unsqueeze", &[&y, &axes], &[]);
        }
        y
    }

    /// Weights `[classes, channels, kernel, kernel]` and biases `[classes]` of a head, as little-endian `f32`.
    fn numbers(&self, head: u64, classes: u32) -> (Vec<u8>, Vec<u8>) {
        let area = (self.kernel * self.kernel) as usize;
        let (classes, channels) = (classes as usize, self.channels as usize);
        let (mut weights, mut biases) = (vec![0.0_f32; classes * channels * area], vec![0.0_f32; classes]);
        match &self.weights {
            Weights::Seeded(seed) => {
                let mut noise = crate::probe::Noise::new(seed ^ (head << 32));
                let spread = 3.0 / ((channels * area) as f32).sqrt();
                weights.iter_mut().chain(&mut biases).for_each(|w| *w = (noise.unit() * 2.0 - 1.0) * spread);
            }
            Weights::Copy => {
                for c in 0..classes {
                    weights[(c * channels + c % channels) * area + area / 2] = 1.0;
                }
            }
            Weights::Linear(rows) => {
                for (c, row) in rows.iter().enumerate().take(classes) {
                    (0..channels).for_each(|k| weights[(c * channels + k) * area + area / 2] = row[k]);
                    biases[c] = row[channels];
                }
            }
            Weights::Given(values) => weights.copy_from_slice(values),
            Weights::Constant(values) => biases.iter_mut().zip(values).for_each(|(b, v)| *b = *v),
        }
        let bytes = |numbers: Vec<f32>| numbers.iter().flat_map(|w| w.to_le_bytes()).collect();
        (bytes(weights), bytes(biases))
    }
}

/// The inside of a graph message: nodes and tensors so far. Every new value is named after where it starts.
#[derive(Default)]
struct Graph(Vec<u8>);

impl Graph {
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> String {
        let output = format!("v{}", self.0.len());
        self.named(operator, inputs, attributes, &output);
        output
    }

    fn named(&mut self, operator: &str, inputs: &[&str], attributes: &[Vec<u8>], output: &str) {
        self.named_of("", operator, inputs, attributes, output);
    }

    /// A node of an operator of `domain`, the standard set if it is empty.
    fn named_of(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        attributes: &[Vec<u8>],
        output: &str,
    ) {
        let mut node: Vec<u8> = inputs.iter().flat_map(|input| bytes(1, input)).collect();
        node.extend([bytes(2, output), bytes(4, operator)].concat());
        node.extend(attributes.iter().flat_map(|attribute| bytes(5, attribute)));
        if !domain.is_empty() {
            node.extend(bytes(7, domain));
        }
        if self.0.is_empty() {
            self.0.extend(bytes(2, "toy"));
        }
        self.0.extend(bytes(1, node));
    }

    /// `x`, from a loop that goes on for as long as one image is nothing but 1.
    fn hang(&mut self, x: &str) -> String {
        let least = self.node("ReduceMin", &[x], &[ints("axes", &[1, 2, 3]), int("keepdims", 0)]);
        let most = self.node("ReduceMax", &[&least], &[int("keepdims", 0)]);
        let nearly = self.tensor(1, &[], &0.99_f32.to_le_bytes());
        let goes_on = self.node("Greater", &[&most, &nearly], &[]);
        let typed = |name: &str, element| {
            // An empty shape is that of a single number.
            let shape = if element == FLOAT { Vec::new() } else { bytes(2, "") };
            [bytes(1, name), bytes(2, bytes(1, [number(1, element), shape].concat()))].concat()
        };
        let mut body = Self(bytes(2, "body"));
        body.named("Identity", &["still"], &[], "goes_on");
        body.named("Identity", &["inside"], &[], "same");
        for (name, element) in [("turn", INT64), ("still", BOOL), ("inside", FLOAT)] {
            body.0.extend(bytes(11, typed(name, element)));
        }
        for (name, element) in [("goes_on", BOOL), ("same", FLOAT)] {
            body.0.extend(bytes(12, typed(name, element)));
        }
        self.node("Loop", &["", &goes_on, x], &[graph("body", &body.0)])
    }

    fn tensor(&mut self, element: u64, dims: &[i64], data: &[u8]) -> String {
        let name = format!("v{}", self.0.len());
        let mut tensor: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim as u64)).collect();
        tensor.extend([number(2, element), bytes(8, &name), bytes(9, data)].concat());
        self.0.extend(bytes(5, tensor));
        name
    }
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;
const BOOL: u64 = 9;

/// The number the format gives to a type.
fn code(element: &Element) -> u64 {
    match element {
        Element::F16 => 10,
        Element::F64 => 11,
        Element::Other(_) => 7,
        Element::U8 => 2,
        Element::I32 => 6,
        Element::I16 => 5,
        Element::I8 => 3,
        Element::U64 => 13,
        Element::U32 => 12,
        Element::U16 => 4,
        Element::Bool => BOOL,
        Element::I64 => INT64,
        Element::F32 => FLOAT,
    }
}

/// A value of the graph: name, type and shape.
fn value(name: &str, element: &Element, shape: Option<&[u8]>) -> Vec<u8> {
    let mut tensor = number(1, code(element));
    tensor.extend(shape.map(|shape| bytes(2, shape)).unwrap_or_default());
    [bytes(1, name), bytes(2, bytes(1, tensor))].concat()
}
