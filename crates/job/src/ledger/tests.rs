use super::*;
use marquetry_failure::FailureClass::{self, Bug, Config, Input, Passing, Worker};
use proptest::prelude::*;

pub(super) fn id(image: u32, place: u32) -> TaskPlace {
    TaskPlace { image, place }
}

/// Images with tasks in these stages, of which the last is the only round.
pub(super) fn ledger(stages: &[Vec<u32>], attempts_max: u32) -> Ledger {
    let all = stages.iter().map(|stages| {
        let (last, before) = stages.split_last().unwrap();
        Stages::new(before.iter().sum(), vec![*last])
    });
    Ledger::new(&all.collect::<Vec<_>>(), attempts_max)
}

pub(super) fn failed(ledger: &mut Ledger, task: TaskPlace, attempt: u32, class: FailureClass) -> Vec<Action> {
    ledger.task_failed(task, &Failed { from: "w", attempt, class, reason: "no" }, &[])
}

fn image_failed(ledger: &mut Ledger, attempt: u32, damaged: &[TaskPlace]) -> Vec<Action> {
    ledger.image_failed(0, &Failed { from: "a", attempt, class: Passing, reason: "cut" }, damaged)
}

pub(super) fn computes(actions: &[Action]) -> Vec<TaskPlace> {
    actions
        .iter()
        .filter_map(|a| if let Action::Compute { task, .. } = a { Some(*task) } else { None })
        .collect()
}

pub(super) fn aggregates(actions: &[Action]) -> Vec<u32> {
    actions
        .iter()
        .filter_map(|a| if let Action::Aggregate { image, .. } = a { Some(*image) } else { None })
        .collect()
}

#[test]
fn an_image_is_put_together_once_all_its_tasks_are_done() {
    let mut ledger = ledger(&[vec![3], vec![1]], 3);
    let start = ledger.advance(usize::MAX);
    assert_eq!(computes(&start), [id(0, 0), id(0, 1), id(0, 2), id(1, 0)]);
    assert!(ledger.task_done(id(0, 2)).is_empty());
    assert!(ledger.task_done(id(0, 1)).is_empty());
    assert_eq!(aggregates(&ledger.task_done(id(0, 0))), [0]);
    assert!(ledger.task_done(id(0, 0)).is_empty(), "a duplicate must change nothing");
    ledger.image_done(0, false);
    assert!(!ledger.is_complete());
    ledger.image_done(1, false);
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_done), (4, 2));
}

#[test]
fn what_is_stored_is_not_computed_again() {
    let mut ledger = ledger(&[vec![2], vec![1], vec![1]], 3);
    ledger.found_task(id(0, 0));
    ledger.found_task(id(1, 0));
    ledger.found_image(2);
    ledger.found_task(id(9, 9));
    let start = ledger.advance(usize::MAX);
    assert!(ledger.is_handed_out());
    assert_eq!((computes(&start), aggregates(&start)), (vec![id(0, 1)], vec![1]));
}

#[test]
fn failures_are_tried_again_and_then_given_up() {
    let mut ledger = ledger(&[vec![2]], 2);
    ledger.advance(usize::MAX);
    let actions = failed(&mut ledger, id(0, 0), 1, Passing);
    assert!(matches!(&actions[..], [Action::Compute { attempt: 2, replace: false, .. }]));
    assert!(failed(&mut ledger, id(0, 0), 1, Passing).is_empty(), "an old failure must change nothing");
    let actions = failed(&mut ledger, id(0, 0), 2, Passing);
    assert!(matches!(&actions[..], [Action::GiveUp(loss)] if loss.attempts == 2 && loss.reason == "no"));
    let actions = ledger.task_done(id(0, 1));
    assert!(matches!(&actions[..], [Action::Aggregate { partial: true, .. }]));
    ledger.image_done(0, true);
    assert!(ledger.is_complete() && ledger.progress().images_failed == 1);
}

/// A worker without a GPU, or with a full disk, costs time and no block; and yet nothing is tried for ever.
#[test]
fn what_machines_are_to_blame_for_does_not_count_but_does_not_go_on_for_ever() {
    let mut ledger = ledger(&[vec![2]], 2);
    ledger.advance(usize::MAX);
    let mut fail = |attempt: u32| {
        let from = if attempt.is_multiple_of(2) { "even" } else { "odd" };
        let class = if attempt.is_multiple_of(3) { Config } else { Worker };
        let reason = format!("no device at try {attempt}");
        ledger.task_failed(id(0, 0), &Failed { from, attempt, class, reason: &reason }, &[])
    };
    for attempt in 1..6 {
        let actions = fail(attempt);
        assert!(
            matches!(&actions[..], [Action::Compute { attempt: n, .. }] if *n == attempt + 1),
            "{actions:?}"
        );
    }
    let actions = fail(6);
    let [Action::GiveUp(loss)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((loss.attempts, loss.class), (6, Config));
    assert_eq!(loss.reason, "odd: no device at try 5; even: no device at try 6");
    assert!(ledger.has_loss(0));
}

#[test]
fn what_every_worker_fails_at_is_not_tried_again_and_an_image_without_blocks_is_lost() {
    let mut ledger = ledger(&[vec![1]], 5);
    ledger.advance(usize::MAX);
    let actions = failed(&mut ledger, id(0, 0), 1, Input);
    assert!(
        matches!(&actions[..], [Action::GiveUp(a), Action::GiveUp(b)] if a.task.is_some() && b.task.is_none())
    );
    assert!(ledger.is_complete());
}

#[test]
fn damaged_tiles_are_computed_again() {
    let mut ledger = ledger(&[vec![2]], 3);
    ledger.advance(usize::MAX);
    ledger.task_done(id(0, 0));
    ledger.task_done(id(0, 1));
    let damage = |ledger: &mut Ledger| image_failed(ledger, 1, &[id(0, 1)]);
    let actions = damage(&mut ledger);
    assert!(matches!(&actions[..], [Action::Compute { task, replace: true, .. }] if *task == id(0, 1)));
    assert!(damage(&mut ledger).is_empty());
    let actions = ledger.task_done(id(0, 1));
    assert!(matches!(&actions[..], [Action::Aggregate { attempt: 2, .. }]));
}

/// A tile that another has deleted is no failure of the image, which may have one try.
#[test]
fn what_is_gone_is_computed_again_where_a_failure_is_not_tried_again() {
    let mut ledger = ledger(&[vec![1]], 1);
    ledger.advance(usize::MAX);
    ledger.task_done(id(0, 0));
    for attempt in 1..DAMAGED_TRIES_MIN {
        assert_eq!(computes(&image_failed(&mut ledger, attempt, &[id(0, 0)])), [id(0, 0)]);
        ledger.task_done(id(0, 0));
    }
    let actions = image_failed(&mut ledger, DAMAGED_TRIES_MIN, &[id(0, 0)]);
    assert!(matches!(actions[..], [Action::GiveUp(_)]), "{actions:?}");
}

#[test]
fn any_number_of_tiles_may_be_damaged_but_none_for_ever() {
    let mut ledger = ledger(&[vec![8]], 2);
    (0..8).for_each(|place| ledger.found_task(id(0, place)));
    ledger.advance(usize::MAX);
    for place in 0..8 {
        let actions = image_failed(&mut ledger, place + 1, &[id(0, place)]);
        assert_eq!(computes(&actions), [id(0, place)]);
        assert_eq!(aggregates(&ledger.task_done(id(0, place))), [0]);
    }
    // The disk that spoils a tile again and again is given up.
    let actions = image_failed(&mut ledger, 9, &[id(0, 7)]);
    assert_eq!(computes(&actions), [id(0, 7)]);
    ledger.task_done(id(0, 7));
    let actions = image_failed(&mut ledger, 10, &[id(0, 7)]);
    assert!(matches!(&actions[..], [Action::GiveUp(loss)] if loss.task.is_none()), "{actions:?}");
}

#[test]
fn work_is_handed_out_bit_by_bit() {
    let mut ledger = ledger(&[vec![3], vec![0], vec![3]], 3);
    ledger.found_task(id(0, 1));
    let mut handed = Vec::new();
    while !ledger.is_handed_out() {
        let actions = ledger.advance(2);
        assert!(actions.len() <= 2);
        handed.extend(actions);
    }
    assert_eq!(computes(&handed), [id(0, 0), id(0, 2), id(2, 0), id(2, 1), id(2, 2)]);
    assert_eq!(aggregates(&handed), [1], "an image without tasks is put together at once");
}

#[test]
fn what_was_out_too_long_is_sent_again_without_being_a_failure() {
    let mut ledger = ledger(&[vec![1]], 2);
    let first = ledger.advance(9).remove(0);
    for n in 2..9 {
        assert!(matches!(ledger.resend(&first), Some(Action::Compute { attempt, .. }) if attempt == n));
    }
    assert!(failed(&mut ledger, id(0, 0), 1, Passing).is_empty(), "the one that was too slow does not count");
    let actions = failed(&mut ledger, id(0, 0), 8, Passing);
    assert!(matches!(&actions[..], [Action::Compute { attempt: 9, .. }]), "{actions:?}");
    let aggregate = ledger.task_done(id(0, 0)).remove(0);
    assert_eq!(ledger.resend(&first), None, "nothing is open");
    assert!(matches!(ledger.resend(&aggregate), Some(Action::Aggregate { attempt: 2, .. })));
    ledger.image_done(0, false);
    assert!(ledger.is_complete() && ledger.resend(&aggregate).is_none());
}

#[test]
fn what_was_given_up_may_be_tried_again() {
    let mut ledger = ledger(&[vec![2], vec![1]], 1);
    ledger.advance(usize::MAX);
    failed(&mut ledger, id(0, 0), 1, Passing);
    ledger.task_done(id(0, 1));
    ledger.image_done(0, true);
    failed(&mut ledger, id(1, 0), 1, Input);
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().images_done, ledger.progress().images_failed), (1, 2));

    let actions = ledger.reopen();
    assert_eq!(computes(&actions), [id(0, 0), id(1, 0)]);
    assert!(!ledger.is_complete());
    assert_eq!((ledger.progress().images_done, ledger.progress().images_failed), (0, 0));
    assert!(ledger.reopen().is_empty(), "there is nothing more to try");
    for image in 0..2 {
        let actions = ledger.task_done(id(image, 0));
        let [Action::Aggregate { attempt, partial: false, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(*attempt, 2, "image {image}");
        ledger.image_done(image, false);
    }
    assert!(ledger.is_complete());
    let progress = ledger.progress();
    assert_eq!((progress.tasks_done, progress.images_done, progress.images_failed), (3, 2, 0));
}

/// A block that is given up while others of its image were never handed out leaves these where they are.
#[test]
fn another_try_forgets_nothing_that_was_not_handed_out() {
    let mut ledger = ledger(&[vec![4]], 1);
    ledger.advance(1);
    failed(&mut ledger, id(0, 0), 1, Input);
    assert_eq!(computes(&ledger.reopen()), [id(0, 0)]);
    assert_eq!(computes(&ledger.advance(usize::MAX)), [id(0, 1), id(0, 2), id(0, 3)]);
}

/// The message that asks for an image with gaps may wait while its blocks get another try, also by another coordinator.
#[test]
fn an_image_with_gaps_does_not_count_when_the_gaps_are_being_filled() {
    let mut ledger = ledger(&[vec![2]], 1);
    ledger.advance(usize::MAX);
    ledger.task_done(id(0, 0));
    let actions = failed(&mut ledger, id(0, 1), 1, Input);
    assert!(
        matches!(&actions[..], [Action::GiveUp(_), Action::Aggregate { partial: true, .. }]),
        "{actions:?}"
    );
    ledger.reopen();
    ledger.image_done(0, true);
    assert!(!ledger.is_complete());
    let actions = ledger.task_done(id(0, 1));
    assert!(matches!(&actions[..], [Action::Aggregate { partial: false, .. }]), "{actions:?}");
    ledger.image_done(0, true);
    assert!(!ledger.is_complete());
    ledger.image_done(0, false);
    assert!(ledger.is_complete());
}

/// What is heard of something that was handed out.
#[derive(Debug, Clone, Copy)]
enum Heard {
    Done(TaskPlace),
    Failed(TaskPlace, u32, FailureClass, Option<TaskPlace>),
    Image(u32, bool),
    ImageFailed(u32, u32, FailureClass, Option<TaskPlace>),
}

impl Heard {
    fn tell(self, ledger: &mut Ledger) -> Vec<Action> {
        match self {
            Self::Done(task) => ledger.task_done(task),
            Self::Failed(task, attempt, class, damaged) => {
                let failure = Failed { from: "w", attempt, class, reason: "no" };
                ledger.task_failed(task, &failure, damaged.as_slice())
            }
            Self::Image(image, partial) => {
                ledger.image_done(image, partial);
                Vec::new()
            }
            Self::ImageFailed(image, attempt, class, damaged) => {
                let failure = Failed { from: "a", attempt, class, reason: "no" };
                ledger.image_failed(image, &failure, damaged.as_slice())
            }
        }
    }

    /// `rounds` are the first and the last task of the first round of each image.
    fn of(dice: &mut fastrand::Rng, action: &Action, rounds: &[[u32; 2]]) -> Self {
        let good = dice.u8(..3) > 0;
        let class = ALL[dice.usize(..ALL.len())];
        match *action {
            Action::Compute { task, .. } if good => Self::Done(task),
            Action::Compute { task, attempt, .. } => {
                let [first, last] = rounds[task.image as usize];
                let damaged = (dice.bool() && task.place > last).then(|| id(task.image, first));
                Self::Failed(task, attempt, class, damaged)
            }
            Action::Aggregate { image, partial, .. } if good => Self::Image(image, partial),
            Action::Aggregate { image, attempt, .. } => {
                let damaged = dice.bool().then(|| id(image, rounds[image as usize][0]));
                Self::ImageFailed(image, attempt, class, damaged)
            }
            Action::GiveUp(_) => unreachable!("nobody works on what was given up"),
        }
    }
}

proptest! {
    /// Whatever fails, comes late, comes twice or is sent again: the job ends, and its counts are right.
    #[test]
    fn every_job_ends(seed: u64, attempts_max in 1..4_u32, retries in 0..3_u32) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let stages = [(0, vec![5]), (1, vec![5]), (0, vec![0]), (0, vec![1]), (2, vec![3, 1, 2])];
        let rounds = [[0, 4], [1, 5], [0, 0], [0, 0], [2, 4]];
        let stages = stages.map(|(before, rounds)| Stages::new(before, rounds));
        let mut ledger = Ledger::new(&stages, attempts_max);
        let mut open: Vec<Action> = Vec::new();
        let mut old: Vec<Heard> = Vec::new();
        let mut losses = Vec::new();
        let mut retries = retries;
        for _ in 0..20_000 {
            if ledger.is_complete() {
                if retries == 0 || losses.is_empty() {
                    break;
                }
                retries -= 1;
                losses.clear();
                open.extend(ledger.reopen());
                prop_assert_eq!(ledger.progress().images_failed, 0);
                continue;
            }
            open.extend(ledger.advance(2));
            if open.is_empty() {
                prop_assert!(!ledger.is_handed_out(), "nothing is open and the job has not ended");
                continue;
            }
            let action = open[dice.usize(..open.len())].clone();
            let mut heard = vec![Heard::of(&mut dice, &action, &rounds)];
            if dice.u8(..4) == 0 {
                open.extend(ledger.resend(&action));
            } else {
                open.retain(|a| *a != action);
            }
            if !old.is_empty() && dice.u8(..3) == 0 {
                heard.push(old[dice.usize(..old.len())]);
            }
            for heard in heard {
                for action in heard.tell(&mut ledger) {
                    if let Action::GiveUp(loss) = action { losses.push(loss) } else { open.push(action) }
                }
                old.push(heard);
            }
            let progress = ledger.progress();
            prop_assert!(progress.tasks_done <= progress.tasks && progress.images_failed <= 5, "{progress:?}");
        }
        prop_assert!(ledger.is_complete());
        let progress = ledger.progress();
        prop_assert_eq!((progress.tasks, progress.tasks_done), (20, 20));
        // Each image is done, or lost as a whole; those that failed are those of which something is missing.
        let count = |is: fn(&ImageState) -> bool| ledger.images.iter().filter(|i| is(i)).count() as u64;
        prop_assert_eq!(progress.images_done + count(|i| i.phase == Phase::Lost), 5);
        prop_assert_eq!(progress.images_failed, count(|i| i.phase == Phase::Lost || i.gaps > 0));
        let told: std::collections::BTreeSet<u32> = losses.iter().map(|loss| loss.image).collect();
        let missing = |i: &u32| ledger.images[*i as usize].phase == Phase::Lost || ledger.images[*i as usize].gaps > 0;
        prop_assert!((0..5).filter(missing).all(|image| told.contains(&image)), "what is missing was told");
    }

    /// Any order and any duplicates end in the same state, with one aggregation per image.
    #[test]
    fn order_and_duplicates_do_not_matter(order in prop::collection::vec(0..10_u32, 0..60)) {
        let mut ledger = ledger(&[vec![5], vec![5]], 3);
        let all = computes(&ledger.advance(usize::MAX));
        let mut seen = Vec::new();
        for i in order.into_iter().chain(0..10).chain((0..10).rev()) {
            seen.extend(aggregates(&ledger.task_done(all[i as usize])));
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, [0, 1]);
        prop_assert_eq!(ledger.progress().tasks_done, 10);
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

proptest! {
    /// What becomes of a task hangs on its own failures alone, in whatever order they come: exactly the losses that they
    /// ask for, and a machine's failures never use up a try.
    #[test]
    fn exactly_what_failed_for_good_is_lost(
        classes in prop::collection::vec(prop::collection::vec(0..5_usize, 0..12), 1..8),
        attempts_max in 1..4_u32,
        seed: u64,
    ) {
        let mut dice = fastrand::Rng::with_seed(seed);
        let tasks = classes.len() as u32;
        let mut ledger = ledger(&[vec![tasks + 1]], attempts_max);
        let mut open = ledger.advance(usize::MAX);
        let mut failures: Vec<_> = classes.iter().map(|c| c.clone().into_iter()).collect();
        let mut lost = Vec::new();
        while !open.is_empty() {
            let action = open.swap_remove(dice.usize(..open.len()));
            let Action::Compute { task, attempt, .. } = action else { continue };
            let actions = match failures.get_mut(task.place as usize).and_then(Iterator::next) {
                None => ledger.task_done(task),
                Some(class) => {
                    let from = ["w1", "w2", "w3"][dice.usize(..3)];
                    ledger.task_failed(task, &Failed { from, attempt, class: ALL[class], reason: "no" }, &[])
                }
            };
            for action in actions {
                match action {
                    Action::GiveUp(Loss { task: Some(place), .. }) => lost.push(place),
                    action => open.push(action),
                }
            }
        }
        lost.sort_unstable();
        let expected: Vec<u32> = (0..tasks).filter(|&t| is_lost(&classes[t as usize], attempts_max)).collect();
        prop_assert_eq!(lost, expected);
    }
}

/// An image that lacks pixels is done and failed at once, told once, and told anew when it is put together anew.
#[test]
fn pixels_that_cannot_be_read_are_a_loss_of_a_finished_image() {
    let mut ledger = ledger(&[vec![1], vec![1]], 3);
    assert_eq!(ledger.pixels_unread(0, "a", "it is not done yet"), []);
    ledger.advance(9);
    ledger.task_done(TaskPlace { image: 0, place: 0 });
    ledger.image_done(0, false);
    let actions = ledger.pixels_unread(0, "a", "tile 3");
    let told = matches!(&actions[..], [Action::GiveUp(loss)] if loss.only_pixels && loss.reason == "tile 3");
    assert!(told, "{actions:?}");
    assert_eq!(ledger.pixels_unread(0, "a", "tile 3"), [], "it was told");
    let progress = ledger.progress();
    assert_eq!((progress.images_done, progress.images_failed, ledger.has_loss(0)), (1, 1, true));
    // Another try puts it together anew, which tells of it anew.
    let again = Action::Aggregate { image: 0, attempt: 2, partial: false };
    assert_eq!(ledger.reopen(), [again]);
    let progress = ledger.progress();
    assert_eq!((progress.images_done, progress.images_failed, ledger.has_loss(0)), (0, 0, false));
    ledger.image_done(0, false);
    assert_eq!(ledger.pixels_unread(0, "a", "tile 3").len(), 1);
    assert_eq!(ledger.reopen().len(), 1);
    ledger.image_done(0, false);
    assert!(!ledger.has_loss(0), "the file was mended");
}
