//! Free ports on the loopback address.

use anyhow::{Result, bail};
use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that systems hand to outgoing connections, so that a broker which a test stops finds its port
/// still free when it is started again.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// Gives each port once.
pub(super) struct Ports {
    next: u16,
    left: u16,
}

impl Default for Ports {
    /// Begins at a place of this process's own: two runs at once seldom look at the same port.
    fn default() -> Self {
        let span = RANGE.end - RANGE.start;
        let place = std::process::id().wrapping_mul(37) % u32::from(span);
        Self { next: RANGE.start + place as u16, left: span }
    }
}

impl Ports {
    /// The next port that nothing listens on.
    pub(super) fn take(&mut self) -> Result<u16> {
        while self.left > 0 {
            let port = self.next;
            self.next = if port + 1 == RANGE.end { RANGE.start } else { port + 1 };
            self.left -= 1;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
        bail!("no port between {} and {} is free on the loopback address", RANGE.start, RANGE.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_passed_over_and_none_is_given_twice() {
        let first = Ports::default().take().unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first));
        let mut ports = Ports::default();
        let given: Vec<u16> = (0..3).map(|_| ports.take().unwrap()).collect();
        assert!(!given.contains(&first) && given[0] != given[1] && given[1] != given[2], "{first} {given:?}");
    }

    #[test]
    fn the_range_wraps_round_and_ends() {
        let mut ports = Ports { next: RANGE.end - 1, left: 2 };
        let _ = ports.take();
        assert!(RANGE.contains(&ports.next));
        ports.left = 0;
        assert!(ports.take().is_err());
    }
}
