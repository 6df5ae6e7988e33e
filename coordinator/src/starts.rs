//! How often a task was begun, or an image that is put together, and what it means when it never ends.
//!
//! A worker says when it begins with a task, and an aggregator when it begins with an image. When another process begins with the same message, whoever had it before has
//! ended without a word, or has lost its partition, or the message came twice. That is no proof against the task: machines die by themselves, and what else was in
//! hand was begun again too. So a task that outlives its workers is sent once more to be worked on *alone*; if that is not
//! survived either, twice, it is the task.

/// Deaths that are nobody's fault: machines go, and what they had in hand is begun again.
const SUSPECT_AFTER: u32 = 2;
/// Starts that something does not survive alone before it is to blame: one may have lost its partition to a worker that
/// was started again.
const ALONE_MAX: u32 = 2;
/// Workers whose names are kept.
const NAMES_MAX: usize = 4;

/// The starts of one task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Starts {
    /// Attempts that were begun since the task is alone, or at all, each with the processes that began it: one that says
    /// so twice, or is heard twice, lives.
    begun: Vec<(u32, Vec<u64>)>,
    /// Starts, and those that were not survived, of tries that are over.
    before: (u32, u32),
    /// Deaths before it was alone, if it is.
    alone_after: Option<u32>,
    /// Who began it last, the last one at the end.
    names: Vec<String>,
}

/// Somebody begins with something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    pub attempt: u32,
    /// The number that the process chose for itself.
    pub process: u64,
    /// The worker or aggregator.
    pub from: &'a str,
}

/// What the starts of a task say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Fine,
    /// It may be what ends workers.
    Suspect,
    /// It is.
    Guilty,
}

impl Starts {
    /// Somebody begins; what the starts say now. `deaths_max`: how many workers it may end.
    pub(crate) fn note(&mut self, start: Start<'_>, deaths_max: u32) -> Verdict {
        let Start { attempt, process, from } = start;
        match self.begun.iter_mut().find(|(begun, _)| *begun == attempt) {
            Some((_, by)) if by.contains(&process) => return Verdict::Fine,
            Some((_, by)) => by.push(process),
            None => self.begun.push((attempt, vec![process])),
        }
        self.names.retain(|name| name != from);
        if self.names.len() == NAMES_MAX {
            self.names.remove(0);
        }
        self.names.push(from.to_owned());
        match (self.alone_after, self.deaths()) {
            (Some(before), deaths) if deaths >= before + ALONE_MAX && deaths >= deaths_max => Verdict::Guilty,
            (None, deaths) if deaths >= deaths_max.saturating_sub(1).max(SUSPECT_AFTER) => Verdict::Suspect,
            _ => Verdict::Fine,
        }
    }

    /// A process that had begun with `attempt` gives it back, as if it had not been begun.
    pub(crate) fn leave(&mut self, attempt: u32, process: u64) {
        let begun = self.begun.iter_mut().filter(|(begun, _)| *begun == attempt);
        begun.for_each(|(_, by)| by.retain(|begun_by| *begun_by != process));
        self.begun.retain(|(_, by)| !by.is_empty());
    }

    /// `attempt` has ended, and somebody has lived to tell of it.
    pub(crate) fn end(&mut self, attempt: u32) {
        let times =
            self.begun.iter().find(|(begun, _)| *begun == attempt).map_or(0, |(_, by)| by.len() as u32);
        self.begun.retain(|(begun, _)| *begun != attempt);
        self.before = (self.before.0 + times, self.before.1 + times.saturating_sub(1));
    }

    /// Starts in all.
    pub(crate) fn count(&self) -> u32 {
        self.before.0 + self.begun.iter().map(|(_, by)| by.len() as u32).sum::<u32>()
    }

    /// Starts that came to no end: all but the last one of each attempt.
    pub(crate) fn deaths(&self) -> u32 {
        self.before.1 + self.begun.iter().map(|(_, by)| by.len() as u32 - 1).sum::<u32>()
    }

    /// Whether it is under way now, as far as is known.
    pub(crate) const fn is_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// From now on it is sent to be worked on alone.
    pub(crate) fn isolate(&mut self) {
        self.renew();
        self.alone_after = Some(self.before.1);
    }

    /// It was sent anew, and what was sent before counts no more.
    pub(crate) fn renew(&mut self) {
        self.before = (self.count(), self.deaths());
        self.begun.clear();
    }

    /// Whether it is to be worked on alone.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone_after.is_some()
    }

    /// The reason to give it up for; `role`: who begins with such things.
    pub(crate) fn reason(&self, role: &str) -> String {
        format!(
            "started {} times, and no {role} survived it (the last: {}): it needs more memory than one has, or a library \
             crashes on it; the logs of these {role}s and of their systems say what ended them",
            self.count(),
            self.names.join(", ")
        )
    }

    /// Who began it last.
    pub(crate) fn last(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(attempt: u32, process: usize, from: &str) -> Start<'_> {
        Start { attempt, process: process as u64, from }
    }

    #[test]
    fn what_no_worker_survives_alone_is_to_blame() {
        let mut starts = Starts::default();
        // A pod that is started again has the name it had.
        let said: Vec<Verdict> = [1, 2, 3].map(|process| starts.note(start(1, process, "a"), 3)).into();
        assert_eq!(said, [Verdict::Fine, Verdict::Fine, Verdict::Suspect]);
        starts.isolate();
        assert_eq!(starts.note(start(2, 4, "d"), 3), Verdict::Fine, "it may be done well alone");
        assert_eq!(starts.note(start(2, 5, "e"), 3), Verdict::Fine, "d may have lost its partition");
        assert_eq!(starts.note(start(2, 6, "f"), 3), Verdict::Guilty);
        let reason = starts.reason("worker");
        assert!(reason.contains("started 6 times") && reason.contains("a, d, e, f"), "{reason}");
        assert_eq!((starts.last(), starts.deaths()), ("f", 4));
    }

    #[test]
    fn what_is_given_back_or_told_of_is_no_death() {
        let mut starts = Starts::default();
        for (process, worker) in ["a", "b", "c", "d"].into_iter().enumerate() {
            assert_eq!(starts.note(start(1, process, worker), 3), Verdict::Fine);
            starts.leave(1, process as u64);
        }
        assert_eq!((starts.count(), starts.is_begun()), (0, false));
        for attempt in 1..10 {
            assert_eq!(starts.note(start(attempt, 1, "hangs"), 3), Verdict::Fine);
            starts.end(attempt);
        }
        assert_eq!((starts.count(), starts.deaths()), (9, 0));
    }

    #[test]
    fn tries_side_by_side_are_no_deaths() {
        let mut starts = Starts::default();
        assert!((1..20).all(|attempt| starts.note(start(attempt, 1, "slow"), 3) == Verdict::Fine));
        let mut once = Starts::default();
        assert_eq!(once.note(start(1, 1, "a"), 1), Verdict::Fine);
        let nobodys_fault = "one death is nobody's fault, whatever the job says";
        assert_eq!(once.note(start(1, 2, "b"), 1), Verdict::Fine, "{nobodys_fault}");
        assert_eq!(once.note(start(1, 3, "c"), 1), Verdict::Suspect);
    }

    #[test]
    fn what_is_heard_twice_or_had_twice_by_one_process_is_no_death() {
        let mut starts = Starts::default();
        for _ in 0..9 {
            for process in [1, 2] {
                assert_eq!(starts.note(start(1, process, "a"), 3), Verdict::Fine);
            }
        }
        assert_eq!((starts.count(), starts.deaths()), (2, 1), "two had it, and one of them may be gone");
        starts.leave(1, 2);
        starts.leave(1, 2);
        assert_eq!((starts.count(), starts.is_begun()), (1, true), "the other one has it still");
    }
}
