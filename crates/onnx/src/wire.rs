//! The protobuf of an ONNX file.

/// The bytes are no protobuf, are cut short, or nest deeper than any model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

/// One field of a message.
pub struct Field<'a> {
    /// Its number.
    pub number: u64,
    /// What it holds.
    pub value: Value<'a>,
    /// All its bytes, number and length included.
    pub raw: &'a [u8],
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A whole number.
    Number(u64),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four or eight bytes: a float or a double.
    Fixed(&'a [u8]),
}

impl<'a> Field<'a> {
    /// The whole number that it holds.
    pub fn number_value(&self) -> Option<u64> {
        if let Value::Number(value) = self.value { Some(value) } else { None }
    }

    /// The bytes that it holds.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self.value { Some(bytes) } else { None }
    }

    /// The text that it holds.
    pub fn text(&self) -> Option<&'a str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

/// The fields of a message, in order. Ends after the first that is damaged.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Damaged>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let before = rest;
        let value = value(&mut rest);
        if value.is_none() {
            rest = &[];
        }
        let raw = &before[..before.len() - rest.len()];
        Some(value.map(|(number, value)| Field { number, value, raw }).ok_or(Damaged))
    })
}

fn value<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Fixed(take(rest, 8)?),
        2 => {
            let length = varint(rest)?;
            Value::Bytes(take(rest, usize::try_from(length).ok()?)?)
        }
        5 => Value::Fixed(take(rest, 4)?),
        _ => return None,
    };
    (tag >> 3 > 0).then_some((tag >> 3, value))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

/// The next number of `rest`, seven bits a byte.
pub fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Appends a field that holds bytes.
pub fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field that holds a number.
pub fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3);
    put_varint(out, number);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A kind of message that may hold tensors, however deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file.
    Model,
    /// The graph that is run.
    MainGraph,
    /// A graph inside a node, a function, or what only training looks at.
    InnerGraph,
    /// An operation.
    Node,
    /// What a node is set to.
    Attribute,
    /// An operator that the file itself defines.
    Function,
    /// What only training looks at.
    Training,
    /// Values and places.
    SparseTensor,
    /// A weight of the graph that is run.
    Initializer,
    /// A tensor anywhere else.
    Tensor,
}

/// Messages in messages, at most: graphs inside graphs are rare and shallow.
const DEPTH_MAX: usize = 128;

impl Kind {
    /// What the field of this number holds, if that may hold tensors, and whether it may come more than once.
    fn child(self, field: u64) -> Option<(Self, bool)> {
        Some(match (self, field) {
            (Self::Model, 7) => (Self::MainGraph, false),
            (Self::Model, 20) => (Self::Training, true),
            (Self::Model, 25) => (Self::Function, true),
            (Self::Training, 1 | 2) | (Self::Attribute, 6) => (Self::InnerGraph, false),
            (Self::Attribute, 11) => (Self::InnerGraph, true),
            (Self::MainGraph | Self::InnerGraph, 1) | (Self::Function, 7) => (Self::Node, true),
            (Self::MainGraph, 5) => (Self::Initializer, true),
            (Self::MainGraph | Self::InnerGraph, 15) | (Self::Attribute, 23) => (Self::SparseTensor, true),
            (Self::InnerGraph, 5) | (Self::Attribute, 10) => (Self::Tensor, true),
            (Self::Node, 5) | (Self::Function, 11) => (Self::Attribute, true),
            (Self::Attribute, 22) => (Self::SparseTensor, false),
            (Self::Attribute, 5) | (Self::SparseTensor, 1 | 2) => (Self::Tensor, false),
            _ => return None,
        })
    }
}

/// What is shown every tensor, and may give other bytes for it.
pub type EachTensor<'a, E> = dyn FnMut(&[u8], Kind) -> Result<Option<Vec<u8>>, E> + 'a;

/// Shows every tensor of a model to `each`, which may give other bytes for it; the model with these, or `None` where
/// none came. A message that must come once and comes twice is damaged: readers join the two, and would see a tensor
/// that was never shown here.
///
/// # Errors
/// When the bytes are no protobuf, or `each` fails.
pub fn map_tensors<E: From<Damaged>>(
    model: &[u8],
    each: &mut EachTensor<'_, E>,
) -> Result<Option<Vec<u8>>, E> {
    map(model, Kind::Model, 0, each)
}

fn map<E: From<Damaged>>(
    message: &[u8],
    kind: Kind,
    depth: usize,
    each: &mut EachTensor<'_, E>,
) -> Result<Option<Vec<u8>>, E> {
    if matches!(kind, Kind::Tensor | Kind::Initializer) {
        return each(message, kind);
    }
    if depth > DEPTH_MAX {
        return Err(Damaged.into());
    }
    // Bytes of `message` that are in `changed` already; what nothing changed is never copied.
    let (mut changed, mut copied, mut at) = (None::<Vec<u8>>, 0, 0);
    let mut single = Vec::new();
    for field in fields(message) {
        let field = field?;
        let start = at;
        at += field.raw.len();
        let Some((child, repeated)) = kind.child(field.number) else { continue };
        let Some(bytes) = field.bytes() else { return Err(Damaged.into()) };
        if !repeated {
            if single.contains(&field.number) {
                return Err(Damaged.into());
            }
            single.push(field.number);
        }
        if let Some(other) = map(bytes, child, depth + 1, each)? {
            let out = changed.get_or_insert_default();
            out.extend_from_slice(&message[copied..start]);
            put_bytes(out, field.number, &other);
            copied = at;
        }
    }
    if let Some(out) = &mut changed {
        out.extend_from_slice(&message[copied..]);
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_damage_ends_them() {
        let mut message = Vec::new();
        put_number(&mut message, 1, 300);
        put_bytes(&mut message, 20, b"abc");
        message.extend([5 << 3 | 5, 1, 2, 3, 4, 6 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
        let seen: Vec<_> = fields(&message).map(|f| f.map(|f| (f.number, f.value))).collect();
        let expected = [
            (1, Value::Number(300)),
            (20, Value::Bytes(b"abc")),
            (5, Value::Fixed(&[1, 2, 3, 4])),
            (6, Value::Fixed(&[1, 2, 3, 4, 5, 6, 7, 8])),
        ];
        assert_eq!(seen, expected.map(Ok));
        let whole: Vec<u8> =
            fields(&message).flat_map(|f| f.map(|f| f.raw.to_vec()).unwrap_or_default()).collect();
        assert_eq!(whole, message, "the fields are all there is");
        for cut in 1..message.len() {
            let ends_well = fields(&message[..cut]).all(|f| f.is_ok());
            let whole = [3, 9, 14, message.len()].contains(&cut);
            assert_eq!(ends_well, whole, "cut after {cut} bytes");
        }
        for bad in [&[0xff; 12][..], &[0x0b], &[0x00, 0x01], &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
            assert!(fields(bad).any(|f| f.is_err()), "{bad:?}");
        }
    }

    #[test]
    fn a_message_that_must_come_once_may_not_come_twice() {
        let graph = [7 << 3 | 2, 0];
        let each = &mut |_: &[u8], _| Ok::<_, Damaged>(None);
        assert_eq!(map_tensors(&graph, each), Ok(None));
        assert_eq!(map_tensors(&[graph, graph].concat(), each), Err(Damaged));
        let mut deep = Vec::new();
        for _ in 0..400 {
            let mut outer = Vec::new();
            put_bytes(&mut outer, 6, &deep);
            let mut node = Vec::new();
            put_bytes(&mut node, 5, &outer);
            deep.clear();
            put_bytes(&mut deep, 1, &node);
        }
        let mut model = Vec::new();
        put_bytes(&mut model, 7, &deep);
        assert_eq!(map_tensors(&model, each), Err(Damaged), "nested beyond reason");
    }
}
