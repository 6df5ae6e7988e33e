//! The classes that labels are of.

use crate::error::LabelError;
use marquetry_evaluation::is_background;

/// Class names in their order, and which of them has no objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassList {
    names: Vec<String>,
    background: Option<u16>,
}

impl ClassList {
    /// One to 60,000 different names.
    ///
    /// # Errors
    /// When there is none, too many, or a name is empty or there twice.
    pub fn new(names: Vec<String>) -> Result<Self, LabelError> {
        let fault = |found: String| Err(LabelError::meaning(&"classes", found));
        if names.is_empty() || names.len() > 60_000 {
            return fault(format!("{} classes; allowed are 1 to 60000", names.len()));
        }
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() {
                return fault(format!("class {at} has no name"));
            }
            if names[..at].contains(name) {
                return fault(format!("`{name}` is there twice"));
            }
        }
        let background = names.iter().position(|name| is_background(name));
        Ok(Self { names, background: background.map(|at| at as u16) })
    }

    /// The same classes, of which this one has no objects; none: as it was.
    #[must_use]
    pub fn with_background(self, class: Option<u16>) -> Self {
        let background = class.filter(|&class| usize::from(class) < self.names.len()).or(self.background);
        Self { background, ..self }
    }

    /// Their names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: there is at least one.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The class of everything else: the one that is called background, or was said to be.
    pub const fn background(&self) -> Option<u16> {
        self.background
    }

    /// The class of a name.
    pub fn find(&self, name: &str) -> Option<u16> {
        self.names.iter().position(|own| own == name).map(|at| at as u16)
    }

    /// All names in a sentence.
    pub fn listed(&self) -> String {
        const SHOWN: usize = 12;
        let mut text = self.names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if self.names.len() > SHOWN {
            text.push_str(&format!(" and {} more", self.names.len() - SHOWN));
        }
        text
    }
}

/// Whether a name says that its pixels are to be left out.
pub(crate) fn means_ignore(name: &str) -> bool {
    ["ignore", "_ignore_", "__ignore__"].contains(&name.to_lowercase().as_str())
}
