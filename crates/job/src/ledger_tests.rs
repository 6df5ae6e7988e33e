use super::*;
use FailureClass::{Bug, Config, Input, Passing, Worker};
use proptest::prelude::*;

fn tile(task: TaskId) -> Event {
    Event::Tile { task, tile_bytes: 1, forwards: 1, seconds: crate::StageSeconds::default() }
}

fn failed(task: TaskId, attempt: u32, class: FailureClass) -> Event {
    Event::TaskFailed { task, attempt, reason: "no".into(), class }
}

fn finished(image: u32, partial: bool) -> Event {
    Event::Image { image, partial, seconds: 0.0 }
}

fn id(image: u32, group: u32, block: u32) -> TaskId {
    TaskId { image, group, block }
}

fn computes(actions: &[Action]) -> Vec<TaskId> {
    actions
        .iter()
        .filter_map(|s| if let Action::Compute { task, .. } = s { Some(*task) } else { None })
        .collect()
}

fn aggregates(actions: &[Action]) -> Vec<u32> {
    actions
        .iter()
        .filter_map(|s| if let Action::Aggregate { image, .. } = s { Some(*image) } else { None })
        .collect()
}

#[test]
fn an_image_is_put_together_once_all_its_blocks_are_stored() {
    let mut ledger = Ledger::new(&[vec![2, 1], vec![1, 0]], 3);
    let start = ledger.advance(usize::MAX);
    assert_eq!(computes(&start), [id(0, 0, 0), id(0, 0, 1), id(0, 1, 0), id(1, 0, 0)]);
    assert!(ledger.apply("w", &tile(id(0, 1, 0))).is_empty());
    assert!(ledger.apply("w", &tile(id(0, 0, 1))).is_empty());
    assert_eq!(aggregates(&ledger.apply("w", &tile(id(0, 0, 0)))), [0]);
    assert!(ledger.apply("w", &tile(id(0, 0, 0))).is_empty(), "a duplicate must change nothing");
    ledger.apply("w", &finished(0, false));
    assert!(!ledger.is_complete());
    ledger.apply("w", &finished(1, false));
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_done), (4, 2));
}

#[test]
fn what_is_stored_is_not_computed_again() {
    let mut ledger = Ledger::new(&[vec![2], vec![1], vec![1]], 3);
    ledger.found_tile(id(0, 0, 0));
    ledger.found_tile(id(1, 0, 0));
    ledger.found_image(2);
    ledger.found_tile(id(9, 9, 9));
    let start = ledger.advance(usize::MAX);
    assert!(ledger.is_handed_out());
    assert_eq!((computes(&start), aggregates(&start)), (vec![id(0, 0, 1)], vec![1]));
}

#[test]
fn failures_are_tried_again_and_then_given_up() {
    let mut ledger = Ledger::new(&[vec![2]], 2);
    ledger.advance(usize::MAX);
    let actions = ledger.apply("w", &failed(id(0, 0, 0), 1, Passing));
    assert!(matches!(&actions[..], [Action::Compute { attempt: 2, replace: false, .. }]));
    assert!(
        ledger.apply("w", &failed(id(0, 0, 0), 1, Passing)).is_empty(),
        "an old failure must change nothing"
    );
    let actions = ledger.apply("w", &failed(id(0, 0, 0), 2, Passing));
    assert!(matches!(&actions[..], [Action::GiveUp(loss)] if loss.attempts == 2 && loss.reason == "no"));
    let actions = ledger.apply("w", &tile(id(0, 0, 1)));
    assert!(matches!(&actions[..], [Action::Aggregate { partial: true, .. }]));
    ledger.apply("w", &finished(0, true));
    assert!(ledger.is_complete() && ledger.progress().images_failed == 1);
}

#[test]
fn a_reject_is_not_tried_again_and_an_image_without_blocks_is_lost() {
    let mut ledger = Ledger::new(&[vec![1]], 5);
    ledger.advance(usize::MAX);
    let actions = ledger.apply("w", &failed(id(0, 0, 0), 1, Input));
    assert!(
        matches!(&actions[..], [Action::GiveUp(a), Action::GiveUp(b)] if a.task.is_some() && b.task.is_none())
    );
    assert!(ledger.is_complete());
}

#[test]
fn damaged_tiles_are_computed_again() {
    let mut ledger = Ledger::new(&[vec![2]], 3);
    ledger.advance(usize::MAX);
    ledger.apply("w", &tile(id(0, 0, 0)));
    ledger.apply("w", &tile(id(0, 0, 1)));
    let damage = Event::ImageFailed {
        image: 0,
        attempt: 1,
        reason: "cut".into(),
        damaged: vec![id(0, 0, 1)],
        class: Passing,
    };
    let actions = ledger.apply("w", &damage);
    assert_eq!(computes(&actions), [id(0, 0, 1)]);
    assert!(ledger.apply("w", &damage).is_empty());
    let actions = ledger.apply("w", &tile(id(0, 0, 1)));
    assert!(matches!(&actions[..], [Action::Aggregate { attempt: 2, .. }]));
}

#[test]
fn any_number_of_tiles_may_be_damaged_but_none_for_ever() {
    let damaged = |task: TaskId, attempt| Event::ImageFailed {
        image: 0,
        attempt,
        reason: "cut".into(),
        damaged: vec![task],
        class: Passing,
    };
    let mut ledger = Ledger::new(&[vec![8]], 2);
    for block in 0..8 {
        ledger.found_tile(id(0, 0, block));
    }
    ledger.advance(usize::MAX);
    for block in 0..8 {
        let actions = ledger.apply("w", &damaged(id(0, 0, block), block + 1));
        assert_eq!(computes(&actions), [id(0, 0, block)]);
        assert_eq!(aggregates(&ledger.apply("w", &tile(id(0, 0, block)))), [0]);
    }
    // The disk that spoils a tile again and again is given up.
    let actions = ledger.apply("w", &damaged(id(0, 0, 7), 9));
    assert_eq!(computes(&actions), [id(0, 0, 7)]);
    ledger.apply("w", &tile(id(0, 0, 7)));
    let actions = ledger.apply("w", &damaged(id(0, 0, 7), 10));
    assert!(matches!(&actions[..], [Action::GiveUp(loss)] if loss.task.is_none()), "{actions:?}");
}

#[test]
fn work_is_handed_out_bit_by_bit() {
    let mut ledger = Ledger::new(&[vec![3], vec![0], vec![2, 1]], 3);
    ledger.found_tile(id(0, 0, 1));
    let mut handed = Vec::new();
    while !ledger.is_handed_out() {
        let actions = ledger.advance(2);
        assert!(actions.len() <= 2);
        handed.extend(actions);
    }
    assert_eq!(computes(&handed), [id(0, 0, 0), id(0, 0, 2), id(2, 0, 0), id(2, 0, 1), id(2, 1, 0)]);
    assert_eq!(aggregates(&handed), [1], "an image without blocks is put together at once");
}

#[test]
fn what_was_out_too_long_is_sent_again_without_being_a_failure() {
    let mut ledger = Ledger::new(&[vec![1]], 2);
    let first = ledger.advance(9).remove(0);
    for n in 2..9 {
        assert!(matches!(ledger.resend(&first), Some(Action::Compute { attempt, .. }) if attempt == n));
    }
    assert!(
        ledger.apply("w", &failed(id(0, 0, 0), 1, Passing)).is_empty(),
        "the one that was too slow does not count"
    );
    let actions = ledger.apply("w", &failed(id(0, 0, 0), 8, Passing));
    assert!(matches!(&actions[..], [Action::Compute { attempt: 9, .. }]), "{actions:?}");
    let aggregate = ledger.apply("w", &tile(id(0, 0, 0))).remove(0);
    assert_eq!(ledger.resend(&first), None, "nothing is open");
    assert!(matches!(ledger.resend(&aggregate), Some(Action::Aggregate { attempt: 2, .. })));
    ledger.apply("w", &finished(0, false));
    assert!(ledger.is_complete() && ledger.resend(&aggregate).is_none());
}

#[test]
fn what_was_given_up_may_be_tried_again() {
    let mut ledger = Ledger::new(&[vec![2], vec![1]], 1);
    ledger.advance(usize::MAX);
    ledger.apply("w", &failed(id(0, 0, 0), 1, Passing));
    ledger.apply("w", &tile(id(0, 0, 1)));
    ledger.apply("w", &finished(0, true));
    ledger.apply("w", &failed(id(1, 0, 0), 1, Input));
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().images_done, ledger.progress().images_failed), (1, 2));

    let actions = ledger.apply("w", &Event::Retry);
    assert_eq!(computes(&actions), [id(0, 0, 0), id(1, 0, 0)]);
    assert!(!ledger.is_complete());
    assert_eq!((ledger.progress().images_done, ledger.progress().images_failed), (0, 0));
    assert!(ledger.apply("w", &Event::Retry).is_empty(), "there is nothing more to try");
    let actions = [tile(id(0, 0, 0)), tile(id(1, 0, 0))].map(|event| ledger.apply("w", &event));
    for (image, actions) in actions.iter().enumerate() {
        let [Action::Aggregate { attempt, partial: false, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(*attempt, 2, "image {image}");
        ledger.apply("w", &finished(image as u32, false));
    }
    assert!(ledger.is_complete());
    let progress = ledger.progress();
    assert_eq!((progress.tasks_done, progress.images_done, progress.images_failed), (3, 2, 0));
}

/// The message that asks for an image with gaps may wait while its blocks get another try, also by another coordinator.
#[test]
fn an_image_with_gaps_does_not_count_when_the_gaps_are_being_filled() {
    let mut ledger = Ledger::new(&[vec![2]], 1);
    ledger.advance(usize::MAX);
    ledger.apply("w", &tile(id(0, 0, 0)));
    let actions = ledger.apply("w", &failed(id(0, 0, 1), 1, Input));
    assert!(
        matches!(&actions[..], [Action::GiveUp(_), Action::Aggregate { partial: true, .. }]),
        "{actions:?}"
    );
    ledger.apply("w", &Event::Retry);
    ledger.apply("w", &finished(0, true));
    assert!(!ledger.is_complete());
    let actions = ledger.apply("w", &tile(id(0, 0, 1)));
    assert!(matches!(&actions[..], [Action::Aggregate { partial: false, .. }]), "{actions:?}");
    ledger.apply("w", &finished(0, true));
    assert!(!ledger.is_complete());
    ledger.apply("w", &finished(0, false));
    assert!(ledger.is_complete());
}

proptest! {
    /// Whatever fails, comes late, comes twice or is sent again: the job ends, and its counts are right.
    #[test]
    fn every_job_ends(seed: u64, attempts_max in 1..4_u32) {
        let mut dice = Dice(seed | 1);
        let mut ledger = Ledger::new(&[vec![3, 2], vec![4, 1], vec![0], vec![1]], attempts_max);
        let mut open: Vec<Action> = Vec::new();
        let mut old: Vec<Event> = Vec::new();
        for _ in 0..10_000 {
            if ledger.is_complete() {
                break;
            }
            open.extend(ledger.advance(2));
            if open.is_empty() {
                prop_assert!(!ledger.is_handed_out(), "nothing is open and the job has not ended");
                continue;
            }
            let action = open[dice.below(open.len())].clone();
            let mut events = vec![dice.outcome(&action)];
            if dice.below(4) == 0 {
                open.extend(ledger.resend(&action));
            } else {
                open.retain(|s| *s != action);
            }
            if !old.is_empty() && dice.below(3) == 0 {
                events.push(old[dice.below(old.len())].clone());
            }
            for event in events {
                let from = ["w1", "w2", "w3"][dice.below(3)];
                open.extend(ledger.apply(from, &event).into_iter().filter(|s| !matches!(s, Action::GiveUp(_))));
                old.push(event);
            }
        }
        prop_assert!(ledger.is_complete());
        let progress = ledger.progress();
        prop_assert_eq!(progress.tasks, 11);
        prop_assert!(progress.images_done <= 4 && progress.images_failed <= 4);
        prop_assert!(progress.images_done + progress.images_failed >= 4);
    }
}

proptest! {
    /// What becomes of a task hangs on its own failures alone, in whatever order they come: exactly the losses that they
    /// ask for, and a machine's failures never use up a try.
    #[test]
    fn exactly_what_failed_for_good_is_lost(
        classes in prop::collection::vec(prop::collection::vec(0..5_usize, 0..12), 1..8),
        attempts_max in 1..4_u32,
        seed: u64,
    ) {
        let mut dice = Dice(seed | 1);
        let blocks = classes.len() as u32;
        let mut ledger = Ledger::new(&[vec![blocks + 1]], attempts_max);
        let mut open = ledger.advance(usize::MAX);
        let mut failures: Vec<std::vec::IntoIter<usize>> = classes.iter().map(|c| c.clone().into_iter()).collect();
        let mut lost = Vec::new();
        while !open.is_empty() {
            let Action::Compute { task, attempt, .. } = open.swap_remove(dice.below(open.len())) else { continue };
            let class = failures.get_mut(task.block as usize).and_then(Iterator::next);
            let event = class.map_or_else(|| tile(task), |class| failed(task, attempt, ALL[class]));
            let from = ["w1", "w2", "w3"][dice.below(3)];
            for action in ledger.apply(from, &event) {
                match action {
                    Action::GiveUp(Loss { task: Some(task), .. }) => lost.push(task.block),
                    action => open.push(action),
                }
            }
        }
        lost.sort_unstable();
        let expected: Vec<u32> = (0..blocks).filter(|&b| is_lost(&classes[b as usize], attempts_max)).collect();
        prop_assert_eq!(lost, expected);
    }
}

const ALL: [FailureClass; 5] = [Input, Worker, Passing, Config, Bug];

/// Whether a task that fails in these ways, one after the other, and then would be done, is given up before.
fn is_lost(classes: &[usize], attempts_max: u32) -> bool {
    let (mut counted, mut machines) = (0, 0);
    classes.iter().any(|&class| match ALL[class] {
        Input => true,
        Passing | Bug => {
            counted += 1;
            counted >= attempts_max
        }
        Worker | Config => {
            machines += 1;
            machines >= 3 * attempts_max
        }
    })
}

#[test]
fn a_machine_s_failures_do_not_count_but_do_not_go_on_for_ever() {
    let mut ledger = Ledger::new(&[vec![2]], 2);
    ledger.advance(usize::MAX);
    let say = |attempt: u32| Event::TaskFailed {
        task: id(0, 0, 0),
        attempt,
        reason: format!("no device at try {attempt}"),
        class: Worker,
    };
    for attempt in 1..6 {
        let from = if attempt % 2 == 0 { "even" } else { "odd" };
        let actions = ledger.apply(from, &say(attempt));
        assert!(
            matches!(&actions[..], [Action::Compute { attempt: n, .. }] if *n == attempt + 1),
            "{actions:?}"
        );
    }
    let actions = ledger.apply("even", &say(6));
    let [Action::GiveUp(loss)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((loss.attempts, loss.class), (6, Worker));
    assert_eq!(loss.reason, "odd: no device at try 5; even: no device at try 6");
    assert!(ledger.has_loss(0));
}

/// Small numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn outcome(&mut self, action: &Action) -> Event {
        let good = self.below(3) > 0;
        let class = ALL[self.below(ALL.len())];
        match *action {
            Action::Compute { task, .. } if good => tile(task),
            Action::Compute { task, attempt, .. } => failed(task, attempt, class),
            Action::Aggregate { image, partial, .. } if good => finished(image, partial),
            Action::Aggregate { image, attempt, .. } => {
                let damaged = if self.below(2) == 0 { vec![id(image, 0, 0)] } else { Vec::new() };
                Event::ImageFailed { image, attempt, reason: "no".into(), damaged, class }
            }
            Action::GiveUp(_) => unreachable!("nobody works on what was given up"),
        }
    }
}

proptest! {
    /// Any order and any duplicates end in the same state, with one aggregation per image.
    #[test]
    fn order_and_duplicates_do_not_matter(
        order in prop::collection::vec(0..10_u32, 0..60),
    ) {
        let mut ledger = Ledger::new(&[vec![3, 2], vec![4, 1]], 3);
        let all = computes(&ledger.advance(usize::MAX));
        let mut seen = Vec::new();
        for i in order.into_iter().chain(0..10).chain((0..10).rev()) {
            seen.extend(aggregates(&ledger.apply("w", &tile(all[i as usize]))));
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, [0, 1]);
        prop_assert_eq!(ledger.progress().tasks_done, 10);
    }
}
