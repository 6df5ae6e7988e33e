//! Folders that were not there when they were looked for first: whoever writes alone knows all that is in them.

use std::collections::{HashMap, HashSet};

/// Names that are remembered, of all folders together; beyond that nothing is known any more.
const NAMES_MAX: usize = 1 << 18;

/// Which objects there are in folders of which all is known. Objects are named by their keys, folders by what comes before a key's
/// last part.
#[derive(Debug, Default)]
pub(crate) struct OwnFolders {
    folders: HashMap<String, OwnFolder>,
    names: usize,
}

#[derive(Debug, Default)]
struct OwnFolder {
    /// Whether it was not there: until that is known, what is written is noted all the same.
    was_absent: bool,
    names: HashSet<String>,
}

impl OwnFolders {
    /// Whether it is known that there is no such object.
    pub(crate) fn lack(&self, key: &str) -> bool {
        let (folder, name) = split(key);
        self.folders.get(folder).is_some_and(|own| own.was_absent && !own.names.contains(name))
    }

    /// Notes that the folder of `key` is about to be looked for; false if it was before.
    pub(crate) fn look(&mut self, key: &str) -> bool {
        let (folder, _) = split(key);
        if self.folders.contains_key(folder) {
            return false;
        }
        self.folders.insert(folder.to_owned(), OwnFolder::default());
        true
    }

    /// Notes what came of it.
    pub(crate) fn looked(&mut self, key: &str, was_absent: bool) {
        let (folder, _) = split(key);
        if let Some(own) = self.folders.get_mut(folder) {
            own.was_absent = was_absent;
            if !was_absent {
                // Not asked for again: what lay in it before is not known.
                self.names -= std::mem::take(&mut own.names).len();
            }
        }
    }

    /// Notes that there is such an object from now on.
    pub(crate) fn wrote(&mut self, key: &str) {
        let (folder, name) = split(key);
        if let Some(own) = self.folders.get_mut(folder)
            && own.names.insert(name.to_owned())
        {
            self.names += 1;
        }
        if self.names > NAMES_MAX {
            self.forget();
        }
    }

    /// Notes that there is no such object from now on.
    pub(crate) fn deleted(&mut self, key: &str) {
        let (folder, name) = split(key);
        let own = self.folders.get_mut(folder);
        self.names -= usize::from(own.is_some_and(|own| own.names.remove(name)));
    }

    /// Nothing is known any more.
    pub(crate) fn forget(&mut self) {
        self.folders.values_mut().for_each(|own| *own = OwnFolder::default());
        self.names = 0;
    }
}

fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('/').unwrap_or(("", key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_known_of_a_folder_that_was_not_there() {
        let mut own = OwnFolders::default();
        assert!(own.look("a/1") && !own.look("a/2"));
        // Written before anybody knew whether the folder was there.
        own.wrote("a/2");
        assert!(!own.lack("a/1"), "it is being looked for");
        own.looked("a/1", true);
        assert!(own.lack("a/1") && !own.lack("a/2") && !own.lack("b/1") && !own.lack("a/c/1"));
        own.wrote("a/1");
        own.deleted("a/2");
        own.deleted("a/2");
        assert!(!own.lack("a/1") && own.lack("a/2"));
        assert_eq!(own.names, 1);
    }

    #[test]
    fn nothing_is_known_of_one_that_was_there() {
        let mut own = OwnFolders::default();
        assert!(own.look("1"));
        own.wrote("2");
        own.looked("1", false);
        own.deleted("2");
        own.wrote("3");
        assert!(!own.lack("1") && !own.lack("2") && !own.look("4"));
    }

    #[test]
    fn too_many_names_are_forgotten() {
        let mut own = OwnFolders::default();
        own.look("a/0");
        own.looked("a/0", true);
        for n in 0..=NAMES_MAX {
            own.wrote(&format!("a/{n}"));
        }
        assert!(!own.lack("a/none") && own.names == 0, "it may be one of those that were forgotten");
        own.wrote("a/1");
        own.looked("a/0", false);
        assert!(!own.lack("a/none"));
    }
}
