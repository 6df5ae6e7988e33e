//! What planning found out: what was chosen for each kind of member, and what is suspicious.

use super::images::ImageKind;
use marquetry_spec::Concern;
use serde::{Serialize, Serializer};
use std::fmt;

/// What there is to tell of a plan. Nothing of it stops the job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// What is suspicious, without what the job lets pass.
    pub warnings: Vec<Warning>,
    /// What was settled for each kind of member.
    pub members: Vec<MemberKind>,
    /// What was settled for each kind of model of the gate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<MemberKind>,
    /// What images of each kind are, and what is done about it.
    pub images: Vec<ImageKind>,
    /// Other sentences for the user.
    pub notes: Vec<String>,
}

impl Findings {
    /// Takes out what the job lets pass, and what is told twice.
    pub(crate) fn allow(&mut self, allowed: &[Concern]) {
        let mut told = Vec::new();
        for warning in std::mem::take(&mut self.warnings) {
            if !allowed.contains(&warning.concern) && !told.contains(&warning) {
                told.push(warning);
            }
        }
        self.warnings = told;
    }
}

/// Something suspicious about a member or an image. It is told before anything is computed, and stands in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What it is about: the word of the job's `allow` that lets it pass.
    #[serde(rename = "allow", serialize_with = "word")]
    pub concern: Concern,
    /// The members or images, as the user knows them.
    pub who: String,
    /// What was found, and what to do.
    pub text: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn word<S: Serializer>(concern: &Concern, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(concern.word())
}

impl Warning {
    /// A warning about `who`.
    pub fn new(concern: Concern, who: impl Into<String>, text: impl Into<String>) -> Self {
        Self { concern, who: who.into(), text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (allow: [{}] lets it pass)", self.who, self.text, self.concern)
    }
}

/// Where a choice came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The job file.
    Said,
    /// What the model's file says of itself.
    Metadata,
    /// The model's trial run.
    Measured,
    /// Nothing else was there to follow.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Said => "said",
            Self::Metadata => "metadata",
            Self::Measured => "measured",
            Self::Default => "default",
        })
    }
}

/// A value that was settled on, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Choice<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub from: Origin,
}

impl<T> Choice<T> {
    /// `said`, if the job says it; else what `other` found.
    pub fn said_or(said: Option<T>, other: impl FnOnce() -> Self) -> Self {
        said.map_or_else(other, |value| Self { value, from: Origin::Said })
    }
}

impl<T: fmt::Display> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.from)
    }
}

/// What was settled for a member, in words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct MemberChoices {
    /// The output that is used, and its channels.
    pub head: Choice<String>,
    /// Which channel is which class.
    pub classes: Choice<String>,
    /// What the graph applies to its scores itself.
    pub activation: Choice<String>,
    /// The factor on sample values.
    pub scale: Choice<String>,
    /// How the output lies in the window.
    pub fit: Choice<String>,
    /// What is shown to the model, px.
    pub sizes: Choice<String>,
    /// Order of the axes of its input.
    pub layout: Choice<String>,
    /// Where it runs, if the plan says that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Choice<String>>,
}

/// Members for which all of that is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberKind {
    /// Their names, in the order of the job.
    pub members: Vec<String>,
    /// What was settled.
    #[serde(flatten)]
    pub choices: MemberChoices,
}

impl MemberKind {
    /// Members that are alike in all of it come together, kinds in the order of their first members.
    pub(crate) fn of(members: Vec<(String, MemberChoices)>) -> Vec<Self> {
        let mut kinds: Vec<Self> = Vec::new();
        for (name, choices) in members {
            match kinds.iter_mut().find(|kind| kind.choices == choices) {
                Some(kind) => kind.members.push(name),
                None => kinds.push(Self { members: vec![name], choices }),
            }
        }
        kinds
    }

    /// The members in a few words: `fold0`, `5 alike: fold0, fold1, …`.
    pub fn who(&self) -> String {
        const NAMED: usize = 3;
        let named = self.members.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        match self.members.len() {
            1 => named,
            n if n <= NAMED => format!("{n} alike: {named}"),
            n => format!("{n} alike: {named}, …"),
        }
    }

    /// What was settled, in one line.
    pub fn what(&self) -> String {
        let MemberChoices { head, classes, activation, scale, fit, sizes, layout, device } = &self.choices;
        let device = device.as_ref().map(|device| format!(", device {device}")).unwrap_or_default();
        format!(
            "head {head}, classes {classes}, activation {activation}, scale {scale}, fit {fit}, sizes {sizes}, \
             layout {layout}{device}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_alike_share_a_line() {
        let choice = |value: &str, from| Choice { value: value.to_owned(), from };
        let choices = |head: &str| MemberChoices {
            head: choice(head, Origin::Measured),
            classes: choice("by channel", Origin::Default),
            activation: choice("softmax", Origin::Measured),
            scale: choice("by depth", Origin::Default),
            fit: choice("same", Origin::Measured),
            sizes: choice("96 × 96 px", Origin::Said),
            layout: choice("nchw", Origin::Measured),
            device: None,
        };
        let members = [("a", "seg"), ("b", "aux"), ("c", "seg"), ("d", "seg"), ("e", "seg")];
        let kinds = MemberKind::of(members.map(|(name, head)| (name.to_owned(), choices(head))).into());
        let who: Vec<_> = kinds.iter().map(MemberKind::who).collect();
        assert_eq!(who, ["4 alike: a, c, d, …", "b"]);
        assert!(kinds[1].what().starts_with("head aux (measured), classes by channel (default)"));
    }
}
