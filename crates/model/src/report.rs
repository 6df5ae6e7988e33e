//! Facts as text: a report to read and a member entry to paste.

use crate::error::yaml_size;
use crate::facts::{
    Activation, Batch, Dim, Element, Fit, HeadFacts, ImageFacts, ModelFacts, Relation, ScoreFacts,
    TensorFacts,
};
use crate::io_request::best_heads;
use std::fmt::Write as _;

impl ModelFacts {
    /// What is known of the model, as aligned plain text for a terminal; `path` names it.
    pub fn report(&self, path: &str) -> String {
        let mut lines = Lines::default();
        lines.add("model", path);
        let opset = self.opset.map(|opset| format!(", opset {opset}")).unwrap_or_default();
        let producer = if self.producer.is_empty() { "an unnamed program" } else { &self.producer };
        let beside = if self.external.is_empty() {
            String::new()
        } else {
            format!(" with the weights in {}", self.external.join(", "))
        };
        lines.add("file", &format!("{}{beside}, written by {producer}{opset}", bytes_text(self.bytes)));
        for input in &self.inputs {
            lines.add("input", &declared(input));
        }
        if let Some(image) = &self.image {
            image_lines(image, &mut lines);
        }
        for output in &self.outputs {
            lines.add("output", &declared(output));
            if let Some(head) = self.heads.iter().find(|head| head.name == output.name) {
                head_lines(head, &mut lines);
            }
        }
        for (index, names) in self.class_names.iter().enumerate() {
            let head = self.heads.get(index).filter(|_| self.class_names.len() > 1);
            let head = head.map(|head| format!("{}: ", head.name)).unwrap_or_default();
            let names = names.iter().map(|name| if name.is_empty() { "(no name)" } else { name.as_str() });
            lines.add("classes", &format!("{head}{}", names.collect::<Vec<_>>().join(", ")));
        }
        if let Some(doubt) = &self.class_names_doubt {
            lines.add("classes", doubt);
        }
        for (key, value) in self.metadata.iter().filter(|(key, _)| *key != "class_names") {
            lines.add("metadata", &format!("{key} = {value}"));
        }
        match (&self.refusal, &self.doubt) {
            (Some(reason), _) => lines.add("verdict", &format!("not a segmentation model: {reason}")),
            (None, Some(doubt)) => {
                lines.add("verdict", &format!("not a segmentation model, as it seems: {doubt}"));
            }
            (None, None) => lines.add("verdict", "a segmentation model"),
        }
        lines.text()
    }

    /// An entry for the `members` of a job file, with the first head that holds scores. Empty for a model that cannot
    /// be a member. `path` is written as it is given.
    pub fn member_yaml(&self, path: &str) -> String {
        if self.doubt.is_some() {
            return String::new();
        }
        // Which classes a job has is not known here: of heads that are as good as each other the last, as a job without
        // `head` would take it.
        let any: Vec<u32> = self.usable().map(|(_, scores)| scores.classes).collect();
        let best = best_heads(self, &any).last().copied();
        let (Some(image), Some((head, scores))) = (&self.image, best) else {
            return String::new();
        };
        let mut text = format!("- onnx: {}\n  window: {{size: {}}}\n", scalar(path), yaml_size(image.tried));
        // Images have three bands as a rule, and a model of one channel is shown their luma; for another number of channels
        // the entry says which.
        let bands = (0..image.channels).map(|band| band.to_string()).collect::<Vec<_>>().join(", ");
        let bands =
            if matches!(image.channels, 1 | 3) { String::new() } else { format!(", bands: [{bands}]") };
        // Said although it is the default: what such a model is shown is not what others are.
        let integers = self.inputs.first().is_some_and(|input| input.element == Element::U8);
        let fits = |list: &[f32]| list.len() == 1 || list.len() == image.channels as usize;
        let (scale, comment) = match &self.normalisation {
            Some(stated)
                if integers || image.scaling.is_some() || !fits(&stated.mean) || !fits(&stated.std) =>
            {
                (
                    if integers { ", scale: auto" } else { "" }.to_owned(),
                    format!(
                        "its own metadata has {} ({}): is it in the graph?",
                        stated.in_words(),
                        stated.keys
                    ),
                )
            }
            Some(stated) => {
                (format!(", {}", stated.in_words()), format!("by its own metadata ({})", stated.keys))
            }
            None if integers => (", scale: auto".to_owned(), "integers: 0 to 255".to_owned()),
            None => (
                String::new(),
                "mean and std as in training, if there were any: the model does not say".to_owned(),
            ),
        };
        let _ = writeln!(text, "  input: {{layout: {}{bands}{scale}}}  # {comment}", image.layout);
        let activation = match scores.activation {
            Activation::None => "none",
            Activation::Softmax => "softmax",
            Activation::Sigmoid if scores.classes > 1 => "sigmoid, multilabel: true",
            Activation::Sigmoid => "sigmoid",
            Activation::Labels => "labels",
        };
        let fit = match (scores.relation, scores.fit) {
            (Relation::Same, _) => "",
            (_, Fit::Resize) => ", fit: resize",
            (_, Fit::Centre) => ", fit: centre",
            (_, Fit::Crop) => ", fit: crop",
        };
        let _ = writeln!(
            text,
            "  output: {{head: {}, activation: {activation}{fit}}}{}",
            scalar(&head.name),
            classes_comment(scores)
        );
        text
    }
}

/// What only the user knows of a head's channels.
fn classes_comment(scores: &ScoreFacts) -> &'static str {
    match (scores.activation, scores.classes) {
        (Activation::Labels, _) => {
            "  # labels 0, 1, … are the job's classes in their order; else say classes"
        }
        (_, 1) => "  # the class that is not the background",
        _ => "  # channels are the job's classes in their order; else say classes: {NAME: CHANNEL}",
    }
}

/// Lines of a label and a text; a label is written once for the lines that follow each other under it.
#[derive(Default)]
struct Lines(Vec<(&'static str, String)>);

impl Lines {
    fn add(&mut self, label: &'static str, text: &str) {
        self.0.push((label, text.to_owned()));
    }

    /// A line that belongs to the one before.
    fn more(&mut self, text: &str) {
        self.0.push(("", format!("  {text}")));
    }

    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (label, line)| {
            let _ = writeln!(text, "{label:<10}{line}");
            text
        })
    }
}

fn declared(tensor: &TensorFacts) -> String {
    format!("{}  {} {}", tensor.name, tensor.element, tensor.dims_text())
}

fn image_lines(image: &ImageFacts, lines: &mut Lines) {
    lines.more(&format!("axes      {}, {}", image.layout, counted(image.channels, "channel", "channels")));
    let open = |dim: &Dim| dim.fixed().is_none();
    let size = match (open(&image.height) || open(&image.width), image.multiple) {
        (false, _) => format!("{} px only", image.tried),
        (true, Some(1)) => format!("any, tried at {} px", image.tried),
        (true, Some(multiple)) => format!("any multiple of {multiple} px, tried at {} px", image.tried),
        (true, None) => format!("declared open, only {} px is known to work", image.tried),
    };
    lines.more(&format!("window    {size}"));
    let batch = match &image.batch {
        Batch::Fixed(batch) => format!("{batch} only"),
        Batch::Any => "any".to_owned(),
        Batch::Broken(reason) => format!("1: it declares any, but 2 fail ({reason})"),
    };
    lines.more(&format!("batch     {batch}"));
}

fn head_lines(head: &HeadFacts, lines: &mut Lines) {
    let Some(scores) = &head.scores else {
        lines.more(&format!("unusable  {}", head.reason.as_deref().unwrap_or("no scores")));
        return;
    };
    lines.more(&format!("axes      {}, {}", scores.form, counted(scores.classes, "class", "classes")));
    lines.more(&format!("size      {}", size_text(scores)));
    let activation = match scores.activation {
        Activation::None => "none: unbounded scores",
        Activation::Softmax => "softmax: in 0..1, summing to 1",
        Activation::Sigmoid => "sigmoid: in 0..1, each class by itself",
        Activation::Labels => "labels: for each pixel the number of a class",
    };
    lines.more(&format!(
        "values    {activation}; seen {} to {}",
        value_text(scores.range.0),
        value_text(scores.range.1)
    ));
    for note in &scores.notes {
        lines.more(&format!("note      {note}"));
    }
}

fn size_text(scores: &ScoreFacts) -> String {
    let how = match scores.relation {
        Relation::Same => return format!("{} px, as the input", scores.size),
        Relation::Down(factor) => format!("the input's divided by {factor}"),
        Relation::Up(factor) => format!("the input's times {factor}"),
        Relation::Less(less) => format!("{less} px less than the input"),
        Relation::Image => return "one number for each class, of the image".to_owned(),
        Relation::Unclear => "unlike the input".to_owned(),
    };
    let fit = match scores.fit {
        Fit::Resize => "shows the whole window: resize it",
        Fit::Centre => "shows the middle of the window px for px: centre it",
        Fit::Crop => "shows the window px for px from its top left: crop it",
    };
    format!("{} px, {how}; {fit}", scores.size)
}

fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn value_text(value: f32) -> String {
    if value.abs() < 1e4 { format!("{value:.4}") } else { format!("{value:.2e}") }
}

fn bytes_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// A YAML scalar inside a flow mapping: quoted unless it is plainly a word or a path.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-');
    let starts_plainly = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'));
    let keyword = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if text.chars().all(plain) && starts_plainly && !keyword {
        return text.to_owned();
    }
    // JSON strings are YAML scalars.
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
