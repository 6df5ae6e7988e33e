//! Whether a process can do its work.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a process waits for. A clone tells of the same process; one that nothing was told waits for nothing.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Health {
    /// A process that waits for nothing: tell it of what is to come before it is served.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how a component is: well, or what it waits for, such as `waiting for Kafka`.
    pub fn set(&self, component: &'static str, state: Result<(), String>) {
        // A panic elsewhere leaves the map whole: each change is a single insertion.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(component, state);
    }

    /// Whether all components are well.
    ///
    /// # Errors
    /// The reasons of those that are not, in the order of the components' names.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let components = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reasons: Vec<_> = components.values().filter_map(|state| state.clone().err()).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_all_its_components_are() {
        let health = Health::new();
        assert_eq!(health.ready(), Ok(()));
        let elsewhere = health.clone();
        elsewhere.set("store", Err("waiting for the store".into()));
        elsewhere.set("queue", Err("waiting for Kafka".into()));
        let reasons = ["waiting for Kafka", "waiting for the store"].map(str::to_owned).to_vec();
        assert_eq!(health.ready(), Err(reasons));
        health.set("queue", Ok(()));
        assert_eq!(health.ready(), Err(vec!["waiting for the store".to_owned()]));
        health.set("store", Ok(()));
        assert_eq!(health.ready(), Ok(()));
    }
}
