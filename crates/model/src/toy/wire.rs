//! Protobuf, as far as an ONNX file needs it.

/// An attribute of a node: one whole number.
pub(super) fn int(name: &str, value: u64) -> Vec<u8> {
    [bytes(1, name), number(3, value), number(20, 2)].concat()
}

/// An attribute of a node: a list of whole numbers.
pub(super) fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values = values.iter().flat_map(|&value| number(8, value as u64));
    bytes(1, name).into_iter().chain(values).chain(number(20, 7)).collect()
}

/// An attribute of a node: a graph.
pub(super) fn graph(name: &str, graph: &[u8]) -> Vec<u8> {
    [bytes(1, name), bytes(6, graph), number(20, 5)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A protobuf field that holds a number.
pub(super) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A protobuf field that holds text, bytes or a message.
pub(super) fn bytes(field: u64, data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    [&varint(field << 3 | 2), &varint(data.len() as u64), data].concat()
}
