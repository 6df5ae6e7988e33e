//! How far the job is: a bar on a terminal, plain lines elsewhere.

use crate::say;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use marquetry_coordinator::Tally;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Between two plain lines.
const PAUSE: Duration = Duration::from_secs(15);

/// Shows progress until it is dropped.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    total: u64,
    found: u64,
    images: String,
    said: Instant,
}

impl Progress {
    /// Progress over `total` model runs.
    pub(crate) fn new(total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template =
                "{bar:32} {percent:>3}%  {human_pos}/{human_len} forwards  {rate}  eta {eta}  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    // A text that cannot be written is one that nobody sees.
                    let _ = write!(out, "{:.1}/s", state.per_sec());
                };
                bar.set_style(style.with_key("rate", rate).progress_chars("━╸─"));
            }
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let now = Instant::now();
        let state = State { total, found: 0, images: String::new(), said: now };
        Self { bar, started: now, state: Mutex::new(state) }
    }

    /// What the coordinator knows: images, and what was found done at the start.
    pub(crate) fn follow(&self, tally: &Tally) {
        let Ok(mut state) = self.state.lock() else { return };
        let progress = tally.progress;
        state.images = format!("images {}/{}", progress.images_done, progress.images);
        if progress.images_failed > 0 {
            state.images += &format!(", {} failed", progress.images_failed);
        }
        if state.found != tally.forwards_found {
            state.found = tally.forwards_found;
            if let Some(bar) = &self.bar {
                // The rate is that of this run.
                bar.set_length(state.total - state.found.min(state.total));
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_message(state.images.clone());
        }
    }

    /// What the lanes have done.
    pub(crate) fn forwards(&self, forwards: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(forwards);
            return;
        }
        let Ok(mut state) = self.state.lock() else { return };
        if state.said.elapsed() < PAUSE || forwards == 0 {
            return;
        }
        state.said = Instant::now();
        if state.found + forwards >= state.total {
            say::note(&format!("putting images together, {}", state.images));
            return;
        }
        let left = state.total.saturating_sub(state.found + forwards);
        let rate = forwards as f64 / self.started.elapsed().as_secs_f64();
        say::note(&format!(
            "{}/{} forwards, {rate:.1}/s, eta {}, {}",
            say::count(state.found + forwards),
            say::count(state.total),
            say::seconds(left as f64 / rate),
            state.images
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
