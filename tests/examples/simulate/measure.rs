//! What this process has used so far (Linux).

use anyhow::{Context, Result};

/// Kernel ticks of CPU time a second: 100 on every Linux that people use.
const TICKS: f64 = 100.0;

/// Time and memory of this process.
pub(crate) struct Usage {
    /// User and system time, s.
    pub(crate) cpu_seconds: f64,
    /// Greatest resident memory, MB.
    pub(crate) peak_mb: f64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self> {
        let stat =
            std::fs::read_to_string("/proc/self/stat").context("only Linux tells what a process used")?;
        // The name may hold spaces; what follows its bracket does not.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|p| p.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
        Ok(Self { cpu_seconds: (ticks(11) + ticks(12)) / TICKS, peak_mb: kib.unwrap_or(0.0) / 1024.0 })
    }
}
