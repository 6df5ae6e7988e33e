//! How the cores are used.

/// Lanes beyond this many seldom help, and each keeps sessions of its own.
const LANES_MAX: usize = 8;

/// Threads that compute side by side, and threads inside each session.
#[derive(Debug, Clone, Copy)]
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
}
