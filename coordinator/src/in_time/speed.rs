//! How fast work goes: a moving estimate.

/// Work a second over about the last `window` seconds of work; what was before counts less and less.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speed {
    /// After so many seconds something counts 1/e.
    window: f64,
    work: f64,
    forwards: f64,
    seconds: f64,
}

impl Speed {
    pub(crate) const fn new(window: f64) -> Self {
        Self { window, work: 0.0, forwards: 0.0, seconds: 0.0 }
    }

    /// Takes in what was done in `seconds`.
    pub(crate) fn add(&mut self, seconds: f64, work: f64, forwards: f64) {
        let fades = (-seconds.max(0.0) / self.window).exp();
        self.work = self.work * fades + work;
        self.forwards = self.forwards * fades + forwards;
        self.seconds = self.seconds * fades + seconds.max(0.0);
    }

    /// Work a second; `None` while nothing was done, or nothing is known of how long it took.
    pub(crate) fn work(&self) -> Option<f64> {
        (self.work > 0.0 && self.seconds > 0.0).then(|| self.work / self.seconds)
    }

    /// Model runs of one window each, a second.
    pub(crate) fn forwards(&self) -> Option<f64> {
        (self.forwards > 0.0 && self.seconds > 0.0).then(|| self.forwards / self.seconds)
    }

    /// Seconds that the estimate is of.
    pub(crate) const fn seconds(&self) -> f64 {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_changes() {
        let mut speed = Speed::new(10.0);
        assert_eq!(speed.work(), None);
        for _ in 0..100 {
            speed.add(1.0, 8.0, 4.0);
        }
        assert!((speed.work().unwrap() - 8.0).abs() < 1e-9 && (speed.forwards().unwrap() - 4.0).abs() < 1e-9);
        assert!(speed.seconds() > 9.0 && speed.seconds() < 11.0);
        for _ in 0..30 {
            speed.add(1.0, 2.0, 1.0);
        }
        assert!((speed.work().unwrap() - 2.0).abs() < 0.4, "{speed:?}");
        speed.add(20.0, 0.0, 0.0);
        assert!(speed.work().unwrap() < 1.0, "silence is slow");
    }
}
