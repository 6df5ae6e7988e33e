use super::*;

/// A job on a machine: forwards a second at each instant, and seconds that a submission takes beside forwards.
struct Machine<'a> {
    costs: Vec<ForwardCost>,
    /// Work a second.
    speed: &'a dyn Fn(f64) -> f64,
    together: f64,
}

/// What a machine came to in a time.
#[derive(Debug)]
struct Came {
    at: f64,
    whole: usize,
    cut: Cut,
    /// The rounds of each submission, and those that were broken off.
    made: Vec<usize>,
    broken: Vec<usize>,
    /// When the first one was whole.
    first: f64,
}

const TICK: f64 = 0.2;

impl Machine<'_> {
    fn run(&self, seconds: f64) -> Came {
        let mut budget = Budget::new(seconds, self.costs.clone());
        let mut came =
            Came { at: 0.0, whole: 0, cut: Cut::All, made: Vec::new(), broken: Vec::new(), first: f64::NAN };
        // Work stored of each round.
        let mut stored = vec![0.0; self.costs.len()];
        loop {
            let forwards =
                |(stored, cost): (&f64, &ForwardCost)| (stored / cost.work * cost.forwards as f64) as u64;
            budget.stored(&stored.iter().zip(&self.costs).map(forwards).collect::<Vec<_>>());
            match budget.next(came.at) {
                Next::Stop(cut) => {
                    (came.whole, came.cut) = (budget.rounds(), cut);
                    return came;
                }
                Next::Make(rounds) => {
                    budget.begin(came.at, rounds);
                    if self.step(&mut budget, rounds, &mut came.at, &mut stored) {
                        if came.made.is_empty() {
                            came.first = came.at;
                        }
                        came.made.push(rounds);
                    } else {
                        came.broken.push(rounds);
                    }
                }
            }
        }
    }

    /// Whether a submission became whole.
    fn step(&self, budget: &mut Budget, rounds: usize, at: &mut f64, stored: &mut [f64]) -> bool {
        let missing: Vec<f64> = (0..rounds).map(|n| self.costs[n].work - stored[n]).collect();
        let all: f64 = missing.iter().sum();
        let (mut done, mut together) = (0.0, 0.0);
        while together < self.together {
            *at += TICK;
            if done < all {
                done += (self.speed)(*at) * TICK;
            } else {
                together += TICK;
            }
            let share = if all > 0.0 { (done / all).min(1.0) } else { 1.0 };
            let forwards =
                (0..rounds).map(|n| missing[n] / self.costs[n].work * self.costs[n].forwards as f64);
            budget.heard(*at, (share * forwards.sum::<f64>()) as u64);
            if let Look::BreakOff(_) = budget.look(*at) {
                (0..rounds).for_each(|n| stored[n] += missing[n] * share);
                budget.broken_off();
                return false;
            }
        }
        (0..rounds).for_each(|n| stored[n] = self.costs[n].work);
        budget.whole(*at, Spent { computing: all / (self.speed)(*at), together: self.together });
        true
    }
}

fn alike(count: usize, seconds: f64) -> Vec<ForwardCost> {
    vec![ForwardCost { forwards: 10_000, work: seconds * 1000.0 }; count]
}

/// Work a second of a machine that never changes.
const STEADY: &dyn Fn(f64) -> f64 = &|_| 1000.0;

fn steady(costs: Vec<ForwardCost>, together: f64) -> Machine<'static> {
    Machine { costs, speed: STEADY, together }
}

/// Numbers that look random, the same every time.
fn drawn(seed: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed)
}

#[test]
fn at_a_steady_speed_nothing_is_late_or_broken_off() {
    for seed in 0..300 {
        let mut random = drawn(seed);
        let count = random.usize(1..40);
        // Bytes and windows tell what each takes within the margin for what is unknown.
        let mut costs = alike(count, 1.0);
        costs.iter_mut().for_each(|cost| cost.work *= 2.0 + 60.0 * random.f64());
        let machine = steady(costs.clone(), 0.5 + 10.0 * random.f64());
        let first = costs[0].work / 1000.0 + machine.together + 2.0 * TICK;
        let seconds = first + 1500.0 * random.f64();
        let came = machine.run(seconds);
        assert!(
            came.whole >= 1 && came.broken.is_empty() && came.at <= seconds,
            "{seed}: {came:?} of {seconds}"
        );
        assert!((came.first - first).abs() < 1.0, "the first one is there as early as can be: {came:?}");
        let all: f64 = costs[..came.whole].iter().map(|cost| cost.work / 1000.0).sum();
        let next = costs.get(came.whole).map_or(0.0, |cost| cost.work / 1000.0);
        let takes = all + next + machine.together * came.made.len() as f64;
        // What is given away is the margin.
        let margin = 0.35 * (next + machine.together * 4.0) + 0.3 * (seconds - came.at) + 2.0;
        assert!(
            came.cut == Cut::All || takes > seconds - margin - machine.together * 3.0,
            "{seed}: {came:?} {takes} {seconds}"
        );
    }
}

#[test]
fn more_time_never_means_fewer_rounds_planned() {
    for seed in 0..100 {
        let mut random = drawn(seed);
        let mut budget = Budget::new(1e9, alike(30, 1.0));
        budget.costs.iter_mut().for_each(|cost| cost.work *= 1.0 + 20.0 * random.f64());
        budget.stored(&[0; 30]);
        budget.begin(0.0, 1);
        budget.heard(1.0, 1);
        let took = budget.costs[0].work / 1000.0;
        budget.heard(1.0 + took, 10_000);
        budget.whole(3.0 + took, Spent { computing: took, together: 1.0 });
        let planned = |seconds: f64, budget: &Budget| Budget { seconds, ..budget.clone() }.fitting(30.0);
        let times: Vec<f64> = (0..60).map(|n| 10.0 * f64::from(n)).collect();
        let fits: Vec<usize> = times.iter().map(|seconds| planned(*seconds, &budget)).collect();
        assert!(fits.windows(2).all(|pair| pair[0] <= pair[1]), "{fits:?}");
        assert!(fits[0] == 1 && planned(1e6, &budget) == 30, "{fits:?}");
        // And a slower machine never means more.
        let mut slow = budget.clone();
        slow.speed.add(30.0, 1000.0 * 30.0 / 3.0, 100.0);
        let slower: Vec<usize> = times.iter().map(|seconds| planned(*seconds, &slow)).collect();
        assert!(fits.iter().zip(&slower).all(|(fits, slower)| slower <= fits), "{fits:?} {slower:?}");
        assert!(fits.iter().zip(&slower).any(|(fits, slower)| slower < fits), "{fits:?} {slower:?}");
    }
}

#[test]
fn a_machine_that_slows_down_makes_fewer_rounds_and_is_in_time() {
    let costs = || alike(30, 20.0);
    let usual = steady(costs(), 1.0).run(400.0);
    assert_eq!(usual.whole, 18, "{usual:?}");
    for slow in [2.0, 5.0] {
        let speed = move |at: f64| if at > 150.0 { 1000.0 / slow } else { 1000.0 };
        let came = Machine { costs: costs(), speed: &speed, together: 1.0 }.run(400.0);
        assert!(came.whole >= 7 && came.whole < usual.whole && came.at <= 400.0 + TICK, "{came:?}");
    }
    // A step of several rounds is cut to what fits, and what is stored of it is not lost.
    let speed = |at: f64| if at > 60.0 { 250.0 } else { 1000.0 };
    let came = Machine { costs: alike(30, 2.0), speed: &speed, together: 5.0 }.run(100.0);
    assert!(!came.broken.is_empty() && came.whole >= 10 && came.at <= 100.0 + TICK, "{came:?}");
}

#[test]
fn what_takes_long_to_put_together_is_made_in_steps_of_several_rounds() {
    let cheap = steady(alike(30, 60.0), 1.0).run(1e6);
    assert_eq!((cheap.made.len(), cheap.cut), (30, Cut::All), "{cheap:?}");
    let dear = steady(alike(30, 60.0), 60.0).run(1e6);
    assert_eq!(dear.made[0], 1, "the first is whole as early as possible");
    assert!(dear.made.len() <= 4 && dear.whole == 30, "{dear:?}");
    let plain = 30.0 * 60.0 + 60.0;
    assert!(dear.at < plain * 1.15 && cheap.at < plain * 1.05, "{} {}", dear.at, cheap.at);
}

#[test]
fn a_first_round_that_does_not_fit_is_told_and_goes_on_to_the_end() {
    let mut budget = Budget::new(100.0, alike(3, 1000.0));
    assert_eq!(budget.next(2.0), Next::Make(1));
    budget.begin(2.0, 1);
    for second in 1..40 {
        budget.heard(2.0 + f64::from(second), second as u64 * 10);
    }
    assert!(budget.ends(42.0).is_some_and(|ends| (ends - 1003.0).abs() < 20.0), "{:?}", budget.ends(42.0));
    assert_eq!(budget.look(42.0), Look::GoOn, "what is stored is found by the next run");
    assert!((budget.share() - 0.039).abs() < 1e-3);
    assert_eq!(budget.look(100.0), Look::BreakOff(Cut::TimeIsUp));
    budget.broken_off();
    assert_eq!((budget.next(100.0), budget.rounds()), (Next::Stop(Cut::TimeIsUp), 0));
}

#[test]
fn what_is_stored_counts_as_done() {
    let mut budget = Budget::new(1000.0, alike(10, 50.0));
    budget.stored(&[10_000, 10_000, 10_000, 5_000, 0, 0, 0, 0, 0, 0]);
    assert_eq!(budget.next(0.0), Next::Make(3), "three rounds are there");
    budget.begin(0.0, 3);
    budget.whole(2.0, Spent { computing: 0.0, together: 1.0 });
    assert_eq!(budget.next(2.0), Next::Make(4));
    budget.begin(2.0, 4);
    assert_eq!(budget.share(), 0.0);
    budget.heard(3.0, 100);
    budget.heard(27.0, 5_000);
    assert_eq!(budget.share(), 1.0, "half of it was there");

    // A submission that stands needs no tiles; one more round needs those of all.
    let mut budget = Budget::new(600.0, alike(10, 50.0));
    budget.found(7);
    assert_eq!(budget.next(0.0), Next::Make(7));
    budget.begin(0.0, 7);
    budget.whole(1.0, Spent::default());
    assert_eq!((budget.rounds(), budget.next(1.0)), (7, Next::Make(8)));
    budget.begin(1.0, 8);
    let mut slow = budget.clone();
    for second in 2..60 {
        budget.heard(f64::from(second), 200 * second as u64);
        assert_eq!(budget.look(f64::from(second)), Look::GoOn, "eight rounds of 50 s are in time");
        slow.heard(f64::from(second), 20 * second as u64);
    }
    assert_eq!(slow.look(60.0), Look::BreakOff(Cut::NothingFits), "eight of 500 s are not, and seven stand");
}

#[test]
fn nothing_begins_that_does_not_fit() {
    let came = steady(alike(10, 50.0), 2.0).run(120.0);
    assert_eq!((came.whole, came.cut, came.broken.len()), (2, Cut::NothingFits, 0), "{came:?}");
    assert!(came.at < 110.0, "nobody waits for what cannot come: {came:?}");
    let nothing = steady(alike(10, 50.0), 2.0).run(20.0);
    assert_eq!((nothing.whole, nothing.cut), (0, Cut::TimeIsUp), "{nothing:?}");
    assert!(nothing.at <= 20.0 + TICK, "{nothing:?}");
}

#[test]
fn what_was_found_done_tells_no_speed() {
    let mut budget = Budget::new(100.0, vec![ForwardCost { forwards: 50, work: 50.0 }; 2]);
    budget.begin(0.0, 1);
    budget.whole(0.5, Spent { computing: 0.0, together: 0.1 });
    assert_eq!((budget.rounds(), budget.forwards_per_second()), (1, None));
    budget.begin(0.5, 2);
    budget.whole(10.5, Spent { computing: 5.0, together: 0.1 });
    assert_eq!(budget.forwards_per_second(), Some(10.0));
}
