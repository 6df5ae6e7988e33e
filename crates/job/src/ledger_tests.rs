use super::*;
use proptest::prelude::*;

fn tile(task: TaskId) -> ResultMessage {
    ResultMessage::Tile { task, tile_bytes: 1, forwards: 1, seconds: crate::StageSeconds::default() }
}

fn failed(task: TaskId, attempt: u32, retry: bool) -> ResultMessage {
    ResultMessage::TaskFailed { task, attempt, reason: "no".into(), retry }
}

fn id(image: u32, group: u32, block: u32) -> TaskId {
    TaskId { image, group, block }
}

fn computes(steps: &[Step]) -> Vec<TaskId> {
    steps.iter().filter_map(|s| if let Step::Compute(m) = s { Some(m.task) } else { None }).collect()
}

fn aggregates(steps: &[Step]) -> Vec<u32> {
    steps.iter().filter_map(|s| if let Step::Aggregate(m) = s { Some(m.image) } else { None }).collect()
}

#[test]
fn an_image_is_put_together_once_all_its_blocks_are_stored() {
    let mut ledger = Ledger::new("j", "o", &[vec![2, 1], vec![1, 0]], 3);
    let start = ledger.start();
    assert_eq!(computes(&start), [id(0, 0, 0), id(0, 0, 1), id(0, 1, 0), id(1, 0, 0)]);
    assert!(ledger.apply(&tile(id(0, 1, 0))).is_empty());
    assert!(ledger.apply(&tile(id(0, 0, 1))).is_empty());
    assert_eq!(aggregates(&ledger.apply(&tile(id(0, 0, 0)))), [0]);
    assert!(ledger.apply(&tile(id(0, 0, 0))).is_empty(), "a duplicate must change nothing");
    ledger.apply(&ResultMessage::Image { image: 0, seconds: 0.0 });
    assert!(!ledger.is_complete());
    ledger.apply(&ResultMessage::Image { image: 1, seconds: 0.0 });
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_done), (4, 2));
}

#[test]
fn what_is_stored_is_not_computed_again() {
    let mut ledger = Ledger::new("j", "o", &[vec![2], vec![1], vec![1]], 3);
    ledger.found_tile(id(0, 0, 0));
    ledger.found_tile(id(1, 0, 0));
    ledger.found_image(2);
    ledger.found_tile(id(9, 9, 9));
    let start = ledger.start();
    assert_eq!((computes(&start), aggregates(&start)), (vec![id(0, 0, 1)], vec![1]));
}

#[test]
fn failures_are_tried_again_and_then_given_up() {
    let mut ledger = Ledger::new("j", "o", &[vec![2]], 2);
    ledger.start();
    let steps = ledger.apply(&failed(id(0, 0, 0), 1, true));
    assert!(matches!(&steps[..], [Step::Compute(m)] if m.attempt == 2));
    assert!(ledger.apply(&failed(id(0, 0, 0), 1, true)).is_empty(), "an old failure must change nothing");
    let steps = ledger.apply(&failed(id(0, 0, 0), 2, true));
    assert!(matches!(&steps[..], [Step::GiveUp(loss)] if loss.attempts == 2 && loss.reason == "no"));
    let steps = ledger.apply(&tile(id(0, 0, 1)));
    assert!(matches!(&steps[..], [Step::Aggregate(m)] if m.partial));
    ledger.apply(&ResultMessage::Image { image: 0, seconds: 0.0 });
    assert!(ledger.is_complete() && ledger.progress().images_failed == 1);
}

#[test]
fn a_reject_is_not_tried_again_and_an_image_without_blocks_is_lost() {
    let mut ledger = Ledger::new("j", "o", &[vec![1]], 5);
    ledger.start();
    let steps = ledger.apply(&failed(id(0, 0, 0), 1, false));
    assert!(matches!(&steps[..], [Step::GiveUp(a), Step::GiveUp(b)] if a.task.is_some() && b.task.is_none()));
    assert!(ledger.is_complete());
}

#[test]
fn damaged_tiles_are_computed_again() {
    let mut ledger = Ledger::new("j", "o", &[vec![2]], 3);
    ledger.start();
    ledger.apply(&tile(id(0, 0, 0)));
    ledger.apply(&tile(id(0, 0, 1)));
    let damage = ResultMessage::ImageFailed {
        image: 0,
        attempt: 1,
        reason: "cut".into(),
        damaged: vec![id(0, 0, 1)],
        retry: true,
    };
    let steps = ledger.apply(&damage);
    assert_eq!(computes(&steps), [id(0, 0, 1)]);
    assert!(ledger.apply(&damage).is_empty());
    let steps = ledger.apply(&tile(id(0, 0, 1)));
    assert!(matches!(&steps[..], [Step::Aggregate(m)] if m.attempt == 2));
}

#[test]
fn any_number_of_tiles_may_be_damaged_but_none_for_ever() {
    let damaged = |task: TaskId, attempt| ResultMessage::ImageFailed {
        image: 0,
        attempt,
        reason: "cut".into(),
        damaged: vec![task],
        retry: true,
    };
    let mut ledger = Ledger::new("j", "o", &[vec![8]], 2);
    for block in 0..8 {
        ledger.found_tile(id(0, 0, block));
    }
    ledger.start();
    for block in 0..8 {
        let steps = ledger.apply(&damaged(id(0, 0, block), block + 1));
        assert_eq!(computes(&steps), [id(0, 0, block)]);
        assert_eq!(aggregates(&ledger.apply(&tile(id(0, 0, block)))), [0]);
    }
    // The disk that spoils a tile again and again is given up.
    let steps = ledger.apply(&damaged(id(0, 0, 7), 9));
    assert_eq!(computes(&steps), [id(0, 0, 7)]);
    ledger.apply(&tile(id(0, 0, 7)));
    let steps = ledger.apply(&damaged(id(0, 0, 7), 10));
    assert!(matches!(&steps[..], [Step::GiveUp(loss)] if loss.task.is_none()), "{steps:?}");
}

proptest! {
    /// Any order and any duplicates end in the same state, with one aggregation per image.
    #[test]
    fn order_and_duplicates_do_not_matter(
        order in prop::collection::vec(0..10_u32, 0..60),
    ) {
        let mut ledger = Ledger::new("j", "o", &[vec![3, 2], vec![4, 1]], 3);
        let all = computes(&ledger.start());
        let mut seen = Vec::new();
        for i in order.into_iter().chain(0..10).chain((0..10).rev()) {
            seen.extend(aggregates(&ledger.apply(&tile(all[i as usize]))));
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, [0, 1]);
        prop_assert_eq!(ledger.progress().tasks_done, 10);
    }
}
