//! Round after round, as long as there is time.

use crate::exit::Fatal;
use crate::in_time::time::Time;
use crate::in_time::told::counted;
use crate::say;
use marquetry_coordinator::{Budget, Cut, Look, Next, Spent};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Between two looks at what is done and what the clock says.
const TICK: Duration = Duration::from_millis(200);

/// What is done in rounds.
pub(crate) trait Rounds {
    /// Of each round the model runs whose tiles are stored.
    async fn stored(&mut self) -> Result<Vec<u64>, Fatal>;

    /// Makes the whole submission of the first `count` rounds, which takes the place of the one before; nothing of it when
    /// `stop` is cancelled before it is whole. Model runs are counted as they are done.
    async fn make(&mut self, count: usize, stop: &CancellationToken) -> Result<Option<Spent>, Fatal>;

    /// Where model runs of the submission on its way are counted.
    fn forwards(&self) -> Arc<AtomicU64>;
}

/// Makes as many of `count` rounds as fit into the time that began at `began`, and says how it goes; why it ended.
pub(crate) async fn drive(
    (budget, time): (&mut Budget, Time),
    rounds: &mut impl Rounds,
    count: usize,
    began: Instant,
) -> Result<Cut, Fatal> {
    let now = || began.elapsed().as_secs_f64();
    budget.stored(&rounds.stored().await?);
    loop {
        let next = match budget.next(now()) {
            Next::Stop(cut) => return Ok(cut),
            Next::Make(next) => next,
        };
        if let Some(words) = planned(budget, time, (next, count), now()) {
            say::note(&words);
        }
        budget.begin(now(), next);
        match make((budget, time), rounds, (next, count), &now).await? {
            None => {}
            Some(cut) => {
                say::note(&broken_off(budget, time, next, cut));
                budget.broken_off();
                if cut != Cut::FewerFit {
                    return Ok(cut);
                }
                budget.stored(&rounds.stored().await?);
            }
        }
    }
}

/// Makes one submission; why it was broken off, if it was.
async fn make(
    (budget, time): (&mut Budget, Time),
    rounds: &mut impl Rounds,
    (next, count): (usize, usize),
    now: &impl Fn() -> f64,
) -> Result<Option<Cut>, Fatal> {
    let (forwards, stop) = (rounds.forwards(), CancellationToken::new());
    forwards.store(0, Ordering::Relaxed);
    let (mut cut, mut told) = (None, false);
    let making = rounds.make(next, &stop);
    tokio::pin!(making);
    let made = loop {
        tokio::select! {
            made = &mut making => break made?,
            () = tokio::time::sleep(TICK) => {}
        }
        budget.heard(now(), forwards.load(Ordering::Relaxed));
        if cut.is_none()
            && let Look::BreakOff(why) = budget.look(now())
        {
            cut = Some(why);
            stop.cancel();
        }
        if budget.rounds() == 0
            && !told
            && let Some(words) = too_late(budget, time, count, now())
        {
            say::note(&words);
            told = true;
        }
    };
    Ok(match made {
        Some(spent) => {
            budget.heard(now(), forwards.load(Ordering::Relaxed));
            budget.whole(now(), spent);
            None
        }
        None => Some(cut.unwrap_or(Cut::TimeIsUp)),
    })
}

/// What there is to say before a submission is begun.
fn planned(budget: &Budget, time: Time, (next, count): (usize, usize), now: f64) -> Option<String> {
    let rate = budget.forwards_per_second()?;
    let fits = match budget.fitting(now) {
        fits if fits >= count => format!("all {count} rounds fit"),
        fits => format!("{fits} of {} fit", counted(count)),
    };
    let left = say::seconds((budget.seconds() - now).max(0.0));
    Some(format!(
        "--finish-in {time}: {fits} ({rate:.1} forwards/s, {left} left); the submission of {} is begun",
        counted(next)
    ))
}

/// What there is to say where the first round will not be whole in time.
fn too_late(budget: &Budget, time: Time, count: usize, now: f64) -> Option<String> {
    let (ends, rate) = (budget.ends(now)?, budget.forwards_per_second()?);
    // A first look says little; one at a tenth of the round, or of the time, says enough.
    let is_known = budget.share() > 0.1 || now > budget.seconds() / 10.0;
    (is_known && ends > budget.seconds()).then(|| {
        format!(
            "warning: --finish-in {time}: the first of {} takes {} more at {rate:.1} forwards/s, and {} are left: no \
             submission will be there in time; it goes on until then, and the same command after that",
            counted(count),
            say::seconds(ends - now),
            say::seconds((budget.seconds() - now).max(0.0))
        )
    })
}

/// Why a submission on its way was broken off.
fn broken_off(budget: &Budget, time: Time, next: usize, cut: Cut) -> String {
    let share = budget.share() * 100.0;
    let why = match cut {
        Cut::TimeIsUp => "the time is over",
        Cut::FewerFit => "it is slower than before, and fewer rounds fit",
        Cut::NothingFits | Cut::All => "it will not be whole in time",
    };
    format!(
        "--finish-in {time}: the submission of {next} rounds is broken off at {share:.0} % of its forwards: {why}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_coordinator::ForwardCost;

    /// Rounds that take virtual time.
    struct Virtual {
        forwards: Arc<AtomicU64>,
        /// Seconds of each forward, by how many were done in all.
        each: fn(u64) -> f64,
        stored: Vec<u64>,
        /// Submissions that were whole, and those that were broken off.
        whole: Vec<usize>,
        broken: Vec<usize>,
        done: u64,
    }

    const FORWARDS: u64 = 100;

    impl Rounds for Virtual {
        async fn stored(&mut self) -> Result<Vec<u64>, Fatal> {
            Ok(self.stored.clone())
        }

        async fn make(&mut self, count: usize, stop: &CancellationToken) -> Result<Option<Spent>, Fatal> {
            for round in 0..count {
                while self.stored[round] < FORWARDS {
                    tokio::time::sleep(Duration::from_secs_f64((self.each)(self.done))).await;
                    self.stored[round] += 1;
                    self.done += 1;
                    self.forwards.fetch_add(1, Ordering::Relaxed);
                    if stop.is_cancelled() {
                        self.broken.push(count);
                        return Ok(None);
                    }
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            if stop.is_cancelled() {
                self.broken.push(count);
                return Ok(None);
            }
            self.whole.push(count);
            Ok(Some(Spent { computing: 1.0, together: 1.0 }))
        }

        fn forwards(&self) -> Arc<AtomicU64> {
            Arc::clone(&self.forwards)
        }
    }

    async fn run(time: &str, count: usize, each: fn(u64) -> f64) -> (Virtual, Cut, f64) {
        let time: Time = time.parse().unwrap();
        let mut rounds = Virtual {
            forwards: Arc::default(),
            each,
            stored: vec![0; count],
            whole: Vec::new(),
            broken: Vec::new(),
            done: 0,
        };
        let cost = ForwardCost { forwards: FORWARDS, work: 1000.0 };
        let mut budget = Budget::new(time.seconds(), vec![cost; count]);
        let began = Instant::now();
        let cut = drive((&mut budget, time), &mut rounds, count, began).await.unwrap();
        assert_eq!(budget.rounds(), rounds.whole.last().copied().unwrap_or(0));
        (rounds, cut, began.elapsed().as_secs_f64())
    }

    #[tokio::test(start_paused = true)]
    async fn with_enough_time_all_rounds_are_made() {
        let (rounds, cut, took) = run("1h", 5, |_| 0.5).await;
        assert_eq!((rounds.whole, cut, rounds.broken.len()), (vec![1, 2, 3, 4, 5], Cut::All, 0));
        assert!((took - 255.0).abs() < 5.0, "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_not_begun() {
        let (rounds, cut, took) = run("3m", 10, |_| 0.5).await;
        assert_eq!((rounds.whole, cut, rounds.broken.len()), (vec![1, 2, 3], Cut::NothingFits, 0));
        assert!(took <= 180.0, "{took}");
    }

    /// It slows down in the second round: the first one stands, and nobody waits for what cannot come.
    #[tokio::test(start_paused = true)]
    async fn a_round_that_gets_too_slow_is_given_up() {
        let (rounds, cut, took) = run("200s", 10, |done| if done < 110 { 0.5 } else { 60.0 }).await;
        assert_eq!((rounds.whole, rounds.broken), (vec![1], vec![2]));
        assert_ne!(cut, Cut::All);
        assert!(took <= 200.0 + 60.0, "late by one task at most: {took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_round_that_is_not_whole_at_the_end_is_broken_off() {
        let (rounds, cut, took) = run("20s", 3, |_| 0.5).await;
        assert_eq!((rounds.whole.len(), rounds.broken, cut), (0, vec![1], Cut::TimeIsUp));
        assert!(
            rounds.stored[0] >= 39 && took <= 20.0 + TICK.as_secs_f64() + 0.5,
            "{took} {:?}",
            rounds.stored
        );
    }
}
