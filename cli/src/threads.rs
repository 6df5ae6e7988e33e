//! How the cores are used.

use crate::exit::{Exit, Fatal};
use marquetry_model::Device;
use std::io;
use std::sync::Mutex;

/// Lanes beyond this many seldom help, and each keeps sessions of its own.
const LANES_MAX: usize = 8;

/// Where models run on a GPU, lanes keep none open, and do all that is around it.
const LANES_MAX_GPU: usize = 32;

/// Threads that a role needs beside one for each core twice over: for files, messages and what waits.
const THREADS_MORE: usize = 20;

/// Makes sure that as many threads can be started as a role needs at least, and `computing` beside them: libraries panic or
/// hang when they get none.
///
/// # Errors
/// When the system does not let this process have so many.
pub(crate) fn require(computing: usize) -> Result<(), Fatal> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted = cores * 2 + THREADS_MORE + computing;
    let gate = Mutex::new(());
    let started = std::thread::scope(|scope| {
        let held = gate.lock();
        let wait = || drop(gate.lock());
        let started: io::Result<Vec<_>> =
            (0..wanted).map(|_| std::thread::Builder::new().spawn_scoped(scope, wait)).collect();
        drop(held);
        started.map(drop)
    });
    started.map_err(|error| {
        let reason = format!(
            "cannot start {wanted} threads ({error}): raise the limit on processes and threads (ulimit -u, pids of the \
             container), or compute with fewer (--lanes, --threads)"
        );
        Fatal::new(Exit::Unavailable, reason)
    })
}

/// Threads that compute side by side, and threads inside each session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Threads {
    pub(crate) lanes: usize,
    pub(crate) each: usize,
}

impl Threads {
    /// What was asked for, or a lane for each core.
    pub(crate) fn choose(lanes: Option<u16>, threads: Option<u16>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = lanes.map_or(cores.min(LANES_MAX), usize::from);
        let each = threads.map_or((cores / lanes).max(1), usize::from);
        Self { lanes, each }
    }

    /// As many lanes as there are cores where models run on a GPU, unless `lanes` were asked for.
    #[must_use]
    pub(crate) fn on(self, device: Device, lanes: Option<u16>) -> Self {
        match (device, lanes) {
            (Device::Cuda(_), None) => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                Self { lanes: cores.min(LANES_MAX_GPU), ..self }
            }
            _ => self,
        }
    }

    /// Makes sure that all of them can be started, before a model is opened.
    ///
    /// # Errors
    /// When the system does not let this process have so many.
    pub(crate) fn require(self) -> Result<(), Fatal> {
        require(self.lanes * self.each)
    }
}
