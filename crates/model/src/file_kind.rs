//! What a file is that is no ONNX model, or none that this ONNX Runtime can run: told from its bytes, in words.

use marquetry_onnx::wire::{Field, Value, fields};

/// Bytes at either end of an archive in which names of its files are looked for.
const NAMES_BYTES: usize = 1 << 20;

/// What a pointer of Git LFS begins with.
const LFS: &[u8] = b"version https://git-lfs.github.com/";

/// What `bytes` are instead of an ONNX model, and what to do; none for what may be one.
pub(crate) fn other_kind(bytes: &[u8]) -> Option<String> {
    let text = |what: &str| Some(what.to_owned());
    let start = &bytes[..bytes.len().min(4096)];
    if bytes.is_empty() {
        return text("the file is empty: it was not written or copied to its end");
    }
    if start.starts_with(LFS) {
        return Some(lfs(start));
    }
    if start.starts_with(b"PK\x03\x04") {
        return Some(archive(bytes));
    }
    if start.starts_with(b"ftrt") || start.starts_with(b"ptrt") {
        return text("a TensorRT engine: give the ONNX file that it was built from");
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return text("a TensorFlow Lite model: convert it to ONNX (python -m tf2onnx.convert --tflite …)");
    }
    if start.starts_with(b"\x89HDF\r\n\x1a\n") {
        return text(
            "an HDF5 file, such as Keras writes: export the model to ONNX (model.export or tf2onnx)",
        );
    }
    if is_safetensors(bytes) {
        return text(
            "a safetensors file: it holds weights and no graph; load it in PyTorch and use torch.onnx.export",
        );
    }
    if start.len() > 2 && start[0] == 0x80 && (2..=5).contains(&start[1]) {
        return text(
            "a Python pickle, such as older versions of torch.save write: load it in PyTorch and use torch.onnx.export",
        );
    }
    if start.starts_with(&[0x1f, 0x8b]) || bytes.get(257..262) == Some(b"ustar") {
        return text("a compressed or tar archive: unpack it, and name the .onnx file inside");
    }
    written(start)
}

/// What a file is that was fetched in place of weights; none for bytes that may be weights.
pub(crate) fn stand_in(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(4096)];
    let page = ["<!doctype html", "<html"];
    let is_page =
        |page: &str| start.get(..page.len()).is_some_and(|s| s.eq_ignore_ascii_case(page.as_bytes()));
    if start.starts_with(LFS) {
        Some(lfs(start))
    } else if page.into_iter().any(is_page) {
        Some("a web page: download the file itself".into())
    } else {
        None
    }
}

/// A pointer of Git LFS, and how large the file is that it stands for.
fn lfs(start: &[u8]) -> String {
    let lines = String::from_utf8_lossy(start);
    let size = lines.lines().find_map(|line| line.strip_prefix("size ")?.trim().parse::<u64>().ok());
    let size = size.map_or(String::new(), |size| format!(" of {size} bytes"));
    format!("a Git LFS pointer that stands for a file{size}: fetch the file itself with `git lfs pull`")
}

fn archive(bytes: &[u8]) -> String {
    let ends = [&bytes[..bytes.len().min(NAMES_BYTES)], &bytes[bytes.len().saturating_sub(NAMES_BYTES)..]];
    let holds = |name: &[u8]| ends.iter().any(|end| end.windows(name.len()).any(|part| part == name));
    if holds(b"/code/") && holds(b"constants.pkl") {
        "a TorchScript model: load it with torch.jit.load and use torch.onnx.export".into()
    } else if holds(b"data.pkl") {
        "a PyTorch checkpoint (.pt, .pth): it holds weights and no graph that can be run here; load it in PyTorch and use torch.onnx.export"
            .into()
    } else if holds(b"archive_format") {
        "a program of torch.export (.pt2): use torch.onnx.export(…, dynamo=True) instead".into()
    } else if holds(b"model.weights.h5") {
        "a Keras model (.keras): export it to ONNX (model.export or tf2onnx)".into()
    } else {
        "a zip archive: unpack it, and name the .onnx file inside".into()
    }
}

fn is_safetensors(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return false };
    let length = u64::from_le_bytes(*length);
    (2..=rest.len() as u64).contains(&length) && rest.starts_with(b"{\"")
}

/// A page, a document, or other plain text.
fn written(start: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start));
    // A character may be cut where `start` ends.
    let text = text.or_else(|e| std::str::from_utf8(&start[..e.valid_up_to()])).ok()?;
    let is_text =
        text.len() + 4 > start.len().min(4096) && !text.chars().any(|c| c.is_control() && !c.is_whitespace());
    if !is_text {
        return None;
    }
    let lower = text.trim_start().to_lowercase();
    let first: String = text.trim().lines().next().unwrap_or_default().chars().take(60).collect();
    Some(if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        "a web page and no model: the link leads to a page about the file, or one that asks to log in; download the file itself".into()
    } else if lower.starts_with("<?xml") && lower.contains("<net ") {
        "an OpenVINO model: give the ONNX file that it was made from".into()
    } else if lower.starts_with('<') || lower.starts_with('{') {
        format!(
            "a text and no model; it begins with `{first}`: perhaps what a server said instead of sending the file"
        )
    } else {
        format!("a text and no model; it begins with `{first}`")
    })
}

/// What is wrong with bytes that are no protobuf to their end.
pub(crate) fn damage(bytes: &[u8]) -> String {
    if let Some(kind) = other_kind(bytes) {
        return kind;
    }
    let begins_well = bytes.first() == Some(&8) && bytes.get(1).is_some_and(|version| *version < 64);
    if begins_well {
        format!(
            "the file is an ONNX model that is cut short or damaged after {} bytes: copy it anew",
            bytes.len()
        )
    } else {
        "its bytes are no ONNX model".into()
    }
}

/// What a model is written in: its IR version, and the version of the standard operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Versions {
    ir: Option<u64>,
    opset: Option<u64>,
    has_graph: bool,
}

impl Versions {
    fn of(model: &[u8]) -> Self {
        let mut versions = Self::default();
        for field in fields(model).map_while(Result::ok) {
            match (field.number, field.value) {
                (1, Value::Number(version)) => versions.ir = Some(version),
                (7, Value::Bytes(_)) => versions.has_graph = true,
                (8, Value::Bytes(import)) => {
                    let parts: Vec<_> = fields(import).map_while(Result::ok).collect();
                    let domain = parts.iter().rfind(|f| f.number == 1).and_then(Field::text).unwrap_or("");
                    let version = parts.iter().rfind(|f| f.number == 2).and_then(Field::number_value);
                    if matches!(domain, "" | "ai.onnx") {
                        versions.opset = version;
                    }
                }
                _ => {}
            }
        }
        versions
    }
}

/// A refusal of ONNX Runtime `runtime` to load a model, in words that say what the model is.
pub(crate) fn load_refusal(model: &[u8], said: &str, runtime: &str) -> String {
    let Versions { ir, opset, has_graph } = Versions::of(model);
    let newer = "or name a newer ONNX Runtime with --onnxruntime (which version knows what: \
                 https://onnxruntime.ai/docs/reference/compatibility.html)";
    let after = |words: &str| {
        let digits: String = said.split_once(words)?.1.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    if let (Some(known), Some(opset)) = (after("is till opset "), opset) {
        return format!(
            "the model is written in opset {opset}, and ONNX Runtime {runtime} knows opsets up to {known}: export it \
             with opset_version={known} or lower, {newer}"
        );
    }
    if let (Some(known), Some(ir)) = (after("max supported IR version: "), ir) {
        return format!(
            "the model has IR version {ir}, and ONNX Runtime {runtime} knows versions up to {known}: write it anew with \
             model.ir_version = {known}, {newer}"
        );
    }
    if let Some((_, rest)) = said.split_once("No Op registered for ") {
        let operator = rest.split_whitespace().next().unwrap_or_default();
        let opset = opset.map_or_else(|| "its opset".into(), |opset| format!("opset {opset}"));
        return format!("the model uses the operator `{operator}`, which {opset} does not have");
    }
    if let Some((_, rest)) = said.split_once("No opset import for domain '") {
        let domain = rest.split('\'').next().unwrap_or_default();
        return format!(
            "the model uses operators of `{domain}`, and does not say in which version: export it without custom operators"
        );
    }
    if let Some((operator, _)) = said.split_once("(-1) is not a registered function/op") {
        let operator = operator.rsplit(' ').next().unwrap_or_default();
        return format!(
            "the model uses the operator `{operator}`, which is none of ONNX Runtime's: export it without custom operators"
        );
    }
    if !has_graph {
        return "the file holds no graph: it is no ONNX model, or one that was cut short".into();
    }
    without_source(said)
}

/// A message without the names of C++ functions and files before it.
fn without_source(said: &str) -> String {
    let said = said.trim();
    let said = said.strip_prefix("Load model from memory failed:").unwrap_or(said).trim();
    if !said.contains("onnxruntime::") && !said.contains("/onnxruntime") {
        return said.to_owned();
    }
    // `file:line signature(arguments) condition was false. What it means.`
    let tail = said.rsplit_once(" was false. ").map(|(_, said)| said);
    let tail = tail.or_else(|| said.rsplit_once(") ").map(|(_, said)| said)).unwrap_or(said);
    tail.trim().to_owned()
}

#[cfg(test)]
#[path = "file_kind_tests.rs"]
mod tests;
