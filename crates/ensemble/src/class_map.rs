//! Which channels of a model speak for which class.

use serde::{Deserialize, Serialize};

/// Which channels of a model speak for which class of the job. The default is a model whose channels are the classes,
/// one for one; with one channel and two exclusive classes the channel speaks of the second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClassMap {
    /// For each class the channels (or labels, of a model that says labels) whose probabilities are its own, summed; of
    /// a class that has none the model says nothing. Empty where channels are classes.
    pub channels: Vec<Vec<u16>>,
    /// What becomes of the rest.
    pub rest: Rest,
}

/// What becomes of the probability that no named channel has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rest {
    /// There is none. A label that is not named is an error.
    #[default]
    None,
    /// It is this class's, the background's.
    Class(u16),
    /// It is left out: where classes exclude each other, those that are named share 1 between them.
    Dropped,
}

impl ClassMap {
    /// One channel that speaks of `object`; what it leaves of 1 is the background's, the other one of two classes.
    pub fn object(object: u16) -> Self {
        let mut channels = vec![Vec::new(); 2];
        channels[usize::from(object)].push(0);
        Self { channels, rest: Rest::Class(1 - object) }
    }

    /// Whether channels are classes, one for one.
    pub fn is_by_channel(&self) -> bool {
        self.channels.is_empty()
    }

    /// Whether the model says anything of `class`.
    pub fn speaks_for(&self, class: usize) -> bool {
        self.is_by_channel()
            || self.rest == Rest::Class(class as u16)
            || self.channels.get(class).is_some_and(|channels| !channels.is_empty())
    }

    /// The channels of a model of `channels` channels that are not named.
    pub fn unnamed(&self, channels: usize) -> Vec<u16> {
        let named = |channel: &u16| self.channels.iter().flatten().any(|c| c == channel);
        (0..channels as u16).filter(|channel| !named(channel)).collect()
    }
}
