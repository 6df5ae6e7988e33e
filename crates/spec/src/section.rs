//! Sections of the job file: each is declared once, and its struct, defaults, reading, printing, schema and reference
//! come from that declaration.

use super::kind::{Kind, LayerKind};
use super::node::Node;
use super::read::{At, Fields};
use super::scope::Scope;
use super::table::{CrossCheck, Key, Shape, Table};
use std::marker::PhantomData;

/// Values that some keys of a map say.
pub(super) trait KeyGroup: Sized {
    /// Adds the names of its keys, in their order.
    fn names(names: &mut Vec<&'static str>);

    /// Adds its keys to a table; this value is what holds where they are not given.
    fn keys(&self, scope: &Scope<'_>, keys: &mut Vec<Key>);

    /// This value with what is given instead.
    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self;

    /// Adds its keys and their values, as they are printed.
    fn write(&self, scope: &Scope<'_>, entries: &mut Vec<(&'static str, Node)>);
}

/// A map with fixed keys.
pub(super) trait Section: KeyGroup {
    /// What the schema calls it; unique.
    const NAME: &'static str;
    /// The lines of its documentation.
    const ABOUT: &'static [&'static str];
    /// What its keys can only get wrong together.
    const CHECKS: &'static [CrossCheck];

    /// What holds where nothing is given.
    fn standard(scope: &Scope<'_>) -> Self;

    /// The entries of the map at `at`; unknown keys are noted.
    fn fields<'a>(at: &At<'a>) -> Fields<'a> {
        at.fields(&names::<Self>())
    }

    /// This section with what `at` says instead.
    fn over_at(&self, at: &At<'_>, scope: &Scope<'_>) -> Self {
        self.over_fields(&Self::fields(at), scope)
    }

    /// This section with what the fields say instead; cross-checks are made.
    fn over_fields(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        let new = self.over(fields, scope);
        if !Self::CHECKS.is_empty() {
            let entries = new.entries(scope);
            Self::CHECKS.iter().for_each(|check| check.check(fields, &entries));
        }
        new
    }

    /// The section at `at`, over the defaults; `None` where something required is missing or wrong.
    fn read(at: &At<'_>, scope: &Scope<'_>) -> Option<Self> {
        let fields = Self::fields(at);
        let section = Self::standard(scope).over_fields(&fields, scope);
        fields.is_complete().then_some(section)
    }

    /// Notes at `at` what contradicts itself once all layers are in.
    fn check_contradictions(&self, at: &At<'_>, scope: &Scope<'_>) {
        let entries = self.entries(scope);
        for because in Self::CHECKS.iter().filter_map(|check| check.contradiction(&entries)) {
            at.conflict(because);
        }
    }

    fn entries(&self, scope: &Scope<'_>) -> Vec<(&'static str, Node)> {
        let mut entries = Vec::new();
        self.write(scope, &mut entries);
        entries
    }

    /// The section as it is printed.
    fn node(&self, scope: &Scope<'_>) -> Node {
        Node::map(self.entries(scope).into_iter().map(|(key, node)| (key, Some(node))))
    }

    fn table() -> Table {
        Scope::documented(|scope| {
            let mut keys = Vec::new();
            Self::standard(scope).keys(scope, &mut keys);
            Table { name: Self::NAME, about: super::table::about(Self::ABOUT), keys, checks: Self::CHECKS }
        })
    }
}

/// The names of a group's keys.
pub(super) fn names<G: KeyGroup>() -> Vec<&'static str> {
    let mut names = Vec::new();
    G::names(&mut names);
    names
}

/// A value that several keys say together: what each of them says is `Keys`.
pub(super) trait SaidByKeys: Sized {
    type Keys: KeyGroup;

    fn to_keys(&self) -> Self::Keys;

    /// This value with what the fields say instead.
    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self;
}

impl<T: SaidByKeys> KeyGroup for T {
    fn names(names: &mut Vec<&'static str>) {
        T::Keys::names(names);
    }

    fn keys(&self, scope: &Scope<'_>, keys: &mut Vec<Key>) {
        self.to_keys().keys(scope, keys);
    }

    fn over(&self, fields: &Fields<'_>, scope: &Scope<'_>) -> Self {
        SaidByKeys::over(self, fields, scope)
    }

    fn write(&self, scope: &Scope<'_>, entries: &mut Vec<(&'static str, Node)>) {
        self.to_keys().write(scope, entries);
    }
}

/// A section within a section: what it does not give comes from the layer below.
pub(super) struct Nested<S>(PhantomData<S>);

impl<S> Nested<S> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<S: Section> Kind for Nested<S> {
    type Value = S;

    fn write(&self, value: &S, scope: &Scope<'_>) -> Option<Node> {
        Some(value.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::Section(S::table())
    }
}

impl<S: Section> LayerKind for Nested<S> {
    fn read_over(&self, at: &At<'_>, below: &S, scope: &Scope<'_>) -> Option<S> {
        Some(below.over_at(at, scope))
    }
}

/// Declares a section, or with no name a group of keys that is part of one. Each row is one key:
///
/// ```text
/// section! {
///     /// What the section is for: documentation of the struct, the schema and the reference page.
///     pub struct Limits: "limits" (_) derive [Copy, Eq] {
///         /// What the key does.
///         pub block_mb: u64 = 256, Whole::new(1, 1_000_000);
///     }
///     checks [CrossCheck::Either { … }]
/// }
/// ```
///
/// `(scope)` names the [`Scope`] that defaults may look at. Further forms of a row:
///
/// - `color as reversed: …` keeps the key `color` in the field `reversed`.
/// - `…, required = "what"` must be given; `…, unset = "words"` says in words what holds without it; `…, default = x`
///   says it where the section's own default does not show it.
/// - `apart …` is printed like others and read by the code that holds the section, which must know more first.
/// - `constant key, kind;` has no field.
/// - `views => views.names, kind;` is a part of the field `views`, which `field pub views: Views = …;` declares.
/// - `..pub mode: WindowMode = …;` is said by several keys, those of its [`KeyGroup`].
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $Name:ident: $name:literal ($scope:tt) $(derive [$($derive:ident),*])? { $($rows:tt)* }
        $(checks [$($check:expr),* $(,)?])?
    ) => {
        section! {
            @munch { [$($about)+] $vis $Name (section $name $scope [$($($check),*)?]) [$($($derive),*)?] }
            [] [] $($rows)*
        }
    };
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $Name:ident $(derive [$($derive:ident),*])? { $($rows:tt)* }
    ) => {
        section! { @munch { [$($about)+] $vis $Name (group) [$($($derive),*)?] } [] [] $($rows)* }
    };

    // One row after the other: fields of the struct, and rows of the table.
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ field $vis:vis $field:ident: $type:ty = $default:expr; $($rest:tt)*
    ) => {
        section! { @munch $head [$($fields)* { [$($doc)+] $vis $field ($type) ($default) }] [$($rows)*] $($rest)* }
    };
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ ..$vis:vis $field:ident: $type:ty = $default:expr; $($rest:tt)*
    ) => {
        section! {
            @munch $head [$($fields)* { [$($doc)+] $vis $field ($type) ($default) }]
            [$($rows)* { group $field ($type) }] $($rest)*
        }
    };
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ constant $key:ident, $kind:expr $(, $option:ident = $value:expr)?; $($rest:tt)*
    ) => {
        section! {
            @munch $head [$($fields)*]
            [$($rows)* { constant [$($doc)+] $key ($kind) [$($option = $value)?] }] $($rest)*
        }
    };
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ apart $vis:vis $key:ident: $type:ty = $default:expr, $kind:expr
        $(, $option:ident = $value:expr)?; $($rest:tt)*
    ) => {
        section! {
            @munch $head [$($fields)* { [$($doc)+] $vis $key ($type) ($default) }]
            [$($rows)* { apart [$($doc)+] $key ($key) ($kind) [$($option = $value)?] }] $($rest)*
        }
    };
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ $key:ident => $($place:ident).+, $kind:expr
        $(, $option:ident = $value:expr)?; $($rest:tt)*
    ) => {
        section! {
            @munch $head [$($fields)*]
            [$($rows)* { plain [$($doc)+] $key ($($place).+) ($kind) [$($option = $value)?] }] $($rest)*
        }
    };
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ $vis:vis $key:ident as $field:ident: $type:ty = $default:expr, $kind:expr
        $(, $option:ident = $value:expr)?; $($rest:tt)*
    ) => {
        section! {
            @munch $head [$($fields)* { [$($doc)+] $vis $field ($type) ($default) }]
            [$($rows)* { plain [$($doc)+] $key ($field) ($kind) [$($option = $value)?] }] $($rest)*
        }
    };
    (@munch $head:tt [$($fields:tt)*] [$($rows:tt)*]
        $(#[doc = $doc:literal])+ $vis:vis $key:ident: $type:ty = $default:expr, $kind:expr
        $(, $option:ident = $value:expr)?; $($rest:tt)*
    ) => {
        section! {
            @munch $head [$($fields)* { [$($doc)+] $vis $key ($type) ($default) }]
            [$($rows)* { plain [$($doc)+] $key ($key) ($kind) [$($option = $value)?] }] $($rest)*
        }
    };

    // All rows are known: the struct and what it does.
    (@munch { [$($about:literal)+] $vis:vis $Name:ident $form:tt [$($derive:ident),*] }
        [$({ [$($doc:literal)+] $fvis:vis $field:ident ($type:ty) ($default:expr) })*] [$($row:tt)*]
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq $(, $derive)*)]
        $vis struct $Name {
            $($(#[doc = $doc])+ $fvis $field: $type,)*
        }

        section! { @standard $Name $form [$($about)+] [$({ $field ($default) })*] }

        impl $crate::section::KeyGroup for $Name {
            fn names(names: &mut Vec<&'static str>) {
                $(section!(@names names $row);)*
            }

            #[allow(unused_variables, reason = "a section of constants has no defaults")]
            fn keys(&self, scope: &$crate::scope::Scope<'_>, keys: &mut Vec<$crate::table::Key>) {
                $(section!(@keys self scope keys $row);)*
            }

            fn over(
                &self,
                fields: &$crate::read::Fields<'_>,
                scope: &$crate::scope::Scope<'_>,
            ) -> Self {
                #[allow(unused_mut, unused_variables, reason = "a section of constants keeps nothing")]
                let (mut new, scope) = (self.clone(), scope);
                $(section!(@over self new fields scope $row);)*
                new
            }

            fn write(
                &self,
                scope: &$crate::scope::Scope<'_>,
                entries: &mut Vec<(&'static str, $crate::node::Node)>,
            ) {
                $(section!(@write self scope entries $row);)*
            }
        }
    };

    (@standard $Name:ident (section $name:literal $scope:tt [$($check:expr),*]) [$($about:literal)+]
        [$({ $field:ident ($default:expr) })*]
    ) => {
        impl $crate::section::Section for $Name {
            const NAME: &'static str = $name;
            const ABOUT: &'static [&'static str] = &[$($about),+];
            const CHECKS: &'static [$crate::table::CrossCheck] = &[$($check),*];

            fn standard($scope: &$crate::scope::Scope<'_>) -> Self {
                Self { $($field: $default),* }
            }
        }
    };
    (@standard $Name:ident (group) $about:tt [$({ $field:ident ($default:expr) })*]) => {
        impl Default for $Name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }
    };

    (@names $names:ident { group $field:ident ($type:ty) }) => {
        <$type as $crate::section::KeyGroup>::names($names)
    };
    (@names $names:ident { $form:ident $doc:tt $key:ident $($rest:tt)* }) => {
        $names.push(stringify!($key))
    };

    (@keys $self:ident $scope:ident $keys:ident { group $field:ident ($type:ty) }) => {
        $crate::section::KeyGroup::keys(&$self.$field, $scope, $keys)
    };
    (@keys $self:ident $scope:ident $keys:ident { constant $doc:tt $key:ident ($kind:expr) $option:tt }) => {
        section!(@key $keys $doc $key ($kind) $option None)
    };
    (@keys $self:ident $scope:ident $keys:ident
        { $form:ident $doc:tt $key:ident ($($place:ident).+) ($kind:expr) $option:tt }
    ) => {
        section!(@key $keys $doc $key ($kind) $option
            $crate::kind::Kind::write(&$kind, &$self.$($place).+, $scope))
    };
    (@key $keys:ident [$($doc:literal)+] $key:ident ($kind:expr) $option:tt $default:expr) => {
        $keys.push($crate::table::Key {
            name: stringify!($key),
            about: $crate::table::about(&[$($doc),+]),
            shape: $crate::kind::Kind::shape(&$kind),
            unset: section!(@unset $option $default),
        })
    };
    (@unset [] $default:expr) => { $crate::table::Unset::from_default($default) };
    (@unset [required = $allowed:expr] $default:expr) => { $crate::table::Unset::Required };
    (@unset [unset = $words:expr] $default:expr) => { $crate::table::Unset::Described($words) };
    (@unset [default = $value:expr] $default:expr) => {
        $crate::table::Unset::Value($crate::node::Node::from($value))
    };

    (@over $self:ident $new:ident $fields:ident $scope:ident { group $field:ident ($type:ty) }) => {
        $new.$field = $crate::section::KeyGroup::over(&$self.$field, $fields, $scope)
    };
    (@over $self:ident $new:ident $fields:ident $scope:ident
        { apart $doc:tt $key:ident $place:tt ($kind:expr) $option:tt }
    ) => {
        $fields.take(stringify!($key), section!(@needed $option), |_| Some(()))
    };
    (@over $self:ident $new:ident $fields:ident $scope:ident
        { constant $doc:tt $key:ident ($kind:expr) $option:tt }
    ) => {
        $fields.take(stringify!($key), section!(@needed $option), |at| {
            $crate::kind::LayerKind::read_over(&$kind, at, &(), $scope)
        })
    };
    (@over $self:ident $new:ident $fields:ident $scope:ident
        { plain $doc:tt $key:ident ($($place:ident).+) ($kind:expr) $option:tt }
    ) => {
        if let Some(value) = $fields.take(stringify!($key), section!(@needed $option), |at| {
            $crate::kind::LayerKind::read_over(&$kind, at, &$self.$($place).+, $scope)
        }) {
            $new.$($place).+ = value;
        }
    };
    (@needed [required = $allowed:expr]) => { Some($allowed) };
    (@needed $option:tt) => { None };

    (@write $self:ident $scope:ident $entries:ident { group $field:ident ($type:ty) }) => {
        $crate::section::KeyGroup::write(&$self.$field, $scope, $entries)
    };
    (@write $self:ident $scope:ident $entries:ident { constant $doc:tt $key:ident ($kind:expr) $option:tt }) => {
        $entries.extend($crate::kind::Kind::write(&$kind, &(), $scope).map(|node| (stringify!($key), node)))
    };
    (@write $self:ident $scope:ident $entries:ident
        { $form:ident $doc:tt $key:ident ($($place:ident).+) ($kind:expr) $option:tt }
    ) => {
        $entries.extend(
            $crate::kind::Kind::write(&$kind, &$self.$($place).+, $scope).map(|node| (stringify!($key), node)),
        )
    };
}
pub(crate) use section;
