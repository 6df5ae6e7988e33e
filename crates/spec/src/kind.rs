//! Kinds of values: what may be written, how it is read and printed.

use super::node::Node;
use super::read::At;
use super::scope::Scope;
use super::table::{Bounds, Shape};
use marquetry_geometry::Size;
use std::marker::PhantomData;

/// A kind of value, as it is printed and described.
pub(super) trait Kind {
    type Value;

    /// The value as it is printed; `None` where its key is left out.
    fn write(&self, value: &Self::Value, scope: &Scope<'_>) -> Option<Node>;

    /// What may be written.
    fn shape(&self) -> Shape;
}

/// A kind of value that replaces what a layer below says.
pub(super) trait ReadKind: Kind {
    /// The value at `at`; what is wrong with it is noted.
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value>;
}

/// A kind of value that may keep parts of what a layer below says.
pub(super) trait LayerKind: Kind {
    /// The value at `at` over that of the layer below; what is wrong with it is noted.
    fn read_over(&self, at: &At<'_>, below: &Self::Value, scope: &Scope<'_>) -> Option<Self::Value>;
}

impl<K: ReadKind> LayerKind for K {
    fn read_over(&self, at: &At<'_>, _: &Self::Value, scope: &Scope<'_>) -> Option<Self::Value> {
        self.read(at, scope)
    }
}

/// One of a few words. Of two words for one value the first is printed.
pub(super) struct Words<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Words<T> {
    type Value = T;

    fn write(&self, value: &T, _: &Scope<'_>) -> Option<Node> {
        self.0.iter().find(|(_, of)| of == value).map(|(word, _)| (*word).into())
    }

    fn shape(&self) -> Shape {
        Shape::Words(self.0.iter().map(|(word, _)| *word).collect())
    }
}

impl<T: Copy + PartialEq> ReadKind for Words<T> {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<T> {
        at.one_of(self.0)
    }
}

/// `true` or `false`, and what each stands for.
pub(super) struct Flag<T> {
    pub(super) no: T,
    pub(super) yes: T,
}

/// A truth value as such.
pub(super) const FLAG: Flag<bool> = Flag { no: false, yes: true };

impl<T: Copy + PartialEq> Kind for Flag<T> {
    type Value = T;

    fn write(&self, value: &T, _: &Scope<'_>) -> Option<Node> {
        Some((*value == self.yes).into())
    }

    fn shape(&self) -> Shape {
        Shape::Flag
    }
}

impl<T: Copy + PartialEq> ReadKind for Flag<T> {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<T> {
        at.flag().map(|flag| if flag { self.yes } else { self.no })
    }
}

/// A whole number.
pub(super) struct Whole<T> {
    min: u64,
    max: u64,
    number: PhantomData<T>,
}

impl<T> Whole<T> {
    /// From `min` to `max`, which `T` must be able to hold.
    pub(super) const fn new(min: u64, max: u64) -> Self {
        Self { min, max, number: PhantomData }
    }
}

impl<T: Copy + TryFrom<u64> + Into<Node>> Kind for Whole<T> {
    type Value = T;

    fn write(&self, value: &T, _: &Scope<'_>) -> Option<Node> {
        Some((*value).into())
    }

    fn shape(&self) -> Shape {
        Shape::Whole { min: self.min, max: self.max }
    }
}

impl<T: Copy + TryFrom<u64> + Into<Node>> ReadKind for Whole<T> {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<T> {
        at.integer(self.min..=self.max).and_then(|n| T::try_from(n).ok())
    }
}

/// A number in double precision.
pub(super) struct Double(pub(super) Bounds);

impl Kind for Double {
    type Value = f64;

    fn write(&self, value: &f64, _: &Scope<'_>) -> Option<Node> {
        Some((*value).into())
    }

    fn shape(&self) -> Shape {
        Shape::Real(self.0)
    }
}

impl ReadKind for Double {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<f64> {
        at.number(self.0.allowed, |x| self.0.hold(x))
    }
}

/// A number in single precision.
pub(super) struct Single(pub(super) Bounds);

impl Kind for Single {
    type Value = f32;

    fn write(&self, value: &f32, _: &Scope<'_>) -> Option<Node> {
        Some((*value).into())
    }

    fn shape(&self) -> Shape {
        Shape::Real(self.0)
    }
}

impl ReadKind for Single {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<f32> {
        at.single(self.0.allowed, |x| self.0.hold(f64::from(x)))
    }
}

/// Text, in quotes where it would mean something else without.
pub(super) struct Text {
    /// In words.
    pub(super) allowed: &'static str,
    /// A regular expression of the same meaning, for the schema.
    pub(super) pattern: Option<&'static str>,
    pub(super) accept: fn(&str) -> bool,
}

impl Text {
    /// Text that is more than spaces.
    pub(super) const fn not_blank(allowed: &'static str) -> Self {
        Self { allowed, pattern: Some("\\S"), accept: |text| !text.trim().is_empty() }
    }
}

impl Kind for Text {
    type Value = String;

    fn write(&self, value: &String, _: &Scope<'_>) -> Option<Node> {
        Some(value.as_str().into())
    }

    fn shape(&self) -> Shape {
        Shape::Text { allowed: self.allowed, pattern: self.pattern }
    }
}

impl ReadKind for Text {
    fn read(&self, at: &At<'_>, _: &Scope<'_>) -> Option<String> {
        at.text_where(self.allowed, self.accept)
    }
}

/// A value that need not be given; without it the key is not printed.
pub(super) struct Maybe<K>(pub(super) K);

impl<K: Kind> Kind for Maybe<K> {
    type Value = Option<K::Value>;

    fn write(&self, value: &Self::Value, scope: &Scope<'_>) -> Option<Node> {
        value.as_ref().and_then(|value| self.0.write(value, scope))
    }

    fn shape(&self) -> Shape {
        self.0.shape()
    }
}

impl<K: ReadKind> ReadKind for Maybe<K> {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value> {
        self.0.read(at, scope).map(Some)
    }
}

/// `auto`, which is none, or a value; both of them in words.
pub(super) struct AutoOr<K>(pub(super) K, pub(super) &'static str);

impl<K: Kind> Kind for AutoOr<K> {
    type Value = Option<K::Value>;

    fn write(&self, value: &Self::Value, scope: &Scope<'_>) -> Option<Node> {
        value.as_ref().map_or_else(|| Some("auto".into()), |value| self.0.write(value, scope))
    }

    fn shape(&self) -> Shape {
        let either = Shape::AnyOf(vec![Shape::Words(vec!["auto"]), self.0.shape()]);
        Shape::Described(self.1, Box::new(either))
    }
}

impl<K: ReadKind> ReadKind for AutoOr<K> {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value> {
        if at.as_text() == Some("auto") { Some(None) } else { self.0.read(at, scope).map(Some) }
    }
}

/// One value for both axes, or `[y, x]`.
pub(super) struct Axes<K> {
    /// What one of them is, in words.
    pub(super) allowed: &'static str,
    pub(super) each: K,
}

impl<K: Kind<Value: Copy + PartialEq + Into<Node>>> Kind for Axes<K> {
    type Value = [K::Value; 2];

    fn write(&self, &[y, x]: &Self::Value, _: &Scope<'_>) -> Option<Node> {
        Some(if y == x { y.into() } else { Node::list([y, x]) })
    }

    fn shape(&self) -> Shape {
        Shape::axes(|| self.each.shape())
    }
}

impl<K: ReadKind<Value: Copy + PartialEq + Into<Node>>> ReadKind for Axes<K> {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value> {
        at.both_axes(self.allowed, |at| self.each.read(at, scope))
    }
}

/// Longest side of a window, px: 16,384² of f32 scores are 1 GiB per class.
const SIDE_MAX: u64 = 16_384;

/// A size, px: one side for both, or `[height, width]`.
pub(super) struct Sides {
    min: u64,
    /// Whether both sides are printed where they agree.
    both: bool,
}

impl Sides {
    /// Each side at least `min`.
    pub(super) const fn at_least(min: u64) -> Self {
        Self { min, both: false }
    }

    /// Printed as `[height, width]` always.
    pub(super) const fn both(self) -> Self {
        Self { both: true, ..self }
    }

    const fn axes(&self) -> Axes<Whole<u32>> {
        Axes { allowed: "a number of pixels", each: Whole::new(self.min, SIDE_MAX) }
    }
}

impl Kind for Sides {
    type Value = Size;

    fn write(&self, size: &Size, scope: &Scope<'_>) -> Option<Node> {
        let sides = [size.height, size.width];
        if self.both { Some(Node::list(sides)) } else { self.axes().write(&sides, scope) }
    }

    fn shape(&self) -> Shape {
        self.axes().shape()
    }
}

impl ReadKind for Sides {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Size> {
        self.axes().read(at, scope).map(|[height, width]| Size::new(height, width))
    }
}
