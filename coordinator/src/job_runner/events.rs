//! What was heard, for the ledger, for what is in flight, and for the tally.

use super::{BACK_OFF, BACK_OFF_MAX, Heard, RunState, Tally};
use crate::in_flight::{FailedTry, InFlightKey};
use crate::job_tasks::JobTasks;
use crate::starts::{Start, Verdict};
use marquetry_job::{Action, Event, Failed, TaskPlace};
use std::time::Duration;
use tokio::time::Instant;

/// Tells the ledger what was heard; what follows from it. Of images and tasks that are not this run's nothing does.
pub(super) fn apply(heard: &Heard, state: &mut RunState<'_>) -> Vec<Action> {
    let RunState { ledger, tasks, .. } = state;
    let from = heard.from.as_str();
    match &heard.event {
        Event::TaskDone { task, .. } => {
            tasks.place(task).map_or_else(Vec::new, |place| ledger.task_done(place))
        }
        Event::TaskFailed { task, attempt, class, reason, damaged } => {
            let failed = Failed { from, attempt: *attempt, class: *class, reason };
            let damaged: Vec<TaskPlace> = damaged.iter().filter_map(|task| tasks.place(task)).collect();
            tasks.place(task).map_or_else(Vec::new, |place| ledger.task_failed(place, &failed, &damaged))
        }
        Event::Image { image, partial, unread, .. } => {
            let Some(place) = tasks.image_place(image) else { return Vec::new() };
            ledger.image_done(place, *partial);
            unread.as_ref().map_or_else(Vec::new, |reason| ledger.pixels_unread(place, from, reason))
        }
        Event::ImageFailed { image, attempt, class, reason, damaged } => {
            let failed = Failed { from, attempt: *attempt, class: *class, reason };
            let damaged: Vec<TaskPlace> = damaged.iter().filter_map(|task| tasks.place(task)).collect();
            let place = tasks.image_place(image);
            place.map_or_else(Vec::new, |place| ledger.image_failed(place, &failed, &damaged))
        }
        Event::TaskBegun { .. }
        | Event::TaskLeft { .. }
        | Event::ImageBegun { .. }
        | Event::Unread { .. } => Vec::new(),
        Event::Retry => ledger.reopen(),
    }
}

/// Notes what an event says of what is in flight. `changed`: whether the ledger took it in.
pub(super) fn note_in_flight(heard: &Heard, changed: bool, state: &mut RunState<'_>) {
    let RunState { in_flight, tasks, .. } = state;
    let (from, now) = (heard.from.as_str(), Instant::now());
    let key = match &heard.event {
        Event::TaskDone { task, .. } | Event::TaskFailed { task, .. } => {
            tasks.place(task).map(InFlightKey::Task)
        }
        Event::Image { image, .. } | Event::ImageFailed { image, .. } => {
            tasks.image_place(image).map(InFlightKey::Image)
        }
        // That it was begun is noted for itself.
        Event::TaskBegun { .. }
        | Event::TaskLeft { .. }
        | Event::ImageBegun { .. }
        | Event::Unread { .. }
        | Event::Retry => None,
    };
    let Some(key) = key else { return };
    match &heard.event {
        Event::TaskDone { .. } => in_flight.on_done(key, from, now),
        Event::Image { partial, .. } if changed || !partial => in_flight.on_done(key, from, now),
        Event::TaskFailed { attempt, class, reason, .. }
        | Event::ImageFailed { attempt, class, reason, .. } => {
            let (attempt, class) = (*attempt, *class);
            in_flight.on_failed(&FailedTry { key, attempt, from, class, reason, counts: changed }, now);
        }
        Event::Image { .. }
        | Event::TaskBegun { .. }
        | Event::TaskLeft { .. }
        | Event::ImageBegun { .. }
        | Event::Unread { .. }
        | Event::Retry => {}
    }
}

/// Notes that somebody begins with a task or an image, or gives one back; what is to be thought of it now, if it is one of this run's.
pub(super) fn note_start(
    heard: &Heard,
    deaths_max: u32,
    state: &mut RunState<'_>,
) -> Option<(InFlightKey, Verdict)> {
    let (key, attempt, process) = match &heard.event {
        Event::TaskBegun { task, attempt, process, takes } => {
            state.too_large.note(&heard.from, *takes);
            (InFlightKey::Task(state.tasks.place(task)?), *attempt, *process)
        }
        Event::ImageBegun { image, attempt, process } => {
            (InFlightKey::Image(state.tasks.image_place(image)?), *attempt, *process)
        }
        Event::TaskLeft { task, attempt, process } => {
            let key = InFlightKey::Task(state.tasks.place(task)?);
            state.in_flight.on_left(key, *attempt, *process);
            return Some((key, Verdict::Fine));
        }
        _ => return None,
    };
    let start = Start { attempt, process, from: &heard.from };
    Some((key, state.in_flight.on_begun(key, start, deaths_max, Instant::now())))
}

/// How long something waits before its next try.
pub(super) fn back_off(action: &Action) -> Duration {
    match action {
        Action::Compute { attempt, .. } | Action::Aggregate { attempt, .. } if *attempt > 1 => {
            BACK_OFF.saturating_mul(1 << (attempt - 2).min(10)).min(BACK_OFF_MAX)
        }
        _ => Duration::ZERO,
    }
}

pub(super) fn describe(action: &Action, tasks: &JobTasks<'_>) -> String {
    let of = |image: u32, what: &str| format!("{what} of image {}", tasks.image(image).id);
    match action {
        Action::Compute { task, .. } => of(task.image, &tasks.id(*task).kind.to_string()),
        Action::Aggregate { image, .. } => of(*image, "putting together"),
        Action::GiveUp(loss) => of(loss.image, "the loss"),
    }
}

pub(super) fn count(event: &Event, tally: &mut Tally) {
    match event {
        Event::TaskDone { stored_bytes, forwards, seconds, .. } => {
            tally.tile_bytes += stored_bytes;
            tally.tasks_computed += 1;
            tally.forwards += forwards;
            tally.seconds += *seconds;
        }
        Event::Image { seconds, .. } => tally.aggregate_seconds += seconds,
        Event::TaskBegun { .. }
        | Event::TaskLeft { .. }
        | Event::ImageBegun { .. }
        | Event::Unread { .. }
        | Event::TaskFailed { .. }
        | Event::ImageFailed { .. }
        | Event::Retry => {}
    }
}
