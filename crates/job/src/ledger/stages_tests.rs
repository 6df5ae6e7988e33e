//! Stages and rounds: what hangs on what.

use super::tests::{aggregates, computes, failed, id, ledger};
use super::*;
use marquetry_failure::FailureClass::{Input, Passing};

/// An image of one task before its rounds, which are of two tasks, of one, and of two again.
fn in_rounds() -> Ledger {
    Ledger::new(&[Stages::new(1, vec![2, 1, 2])], 2)
}

#[test]
fn rounds_follow_one_another_and_are_all_put_together() {
    let mut ledger = in_rounds();
    // Later tiles that are there do not make the first ones needless.
    ledger.found_task(id(0, 4));
    ledger.found_task(id(0, 5));
    assert_eq!(computes(&ledger.advance(9)), [id(0, 0)]);
    ledger.task_done(id(0, 0));
    assert_eq!(computes(&ledger.advance(9)), [id(0, 1), id(0, 2)]);
    ledger.task_done(id(0, 1));
    assert!(ledger.task_done(id(0, 2)).is_empty());
    assert_eq!(computes(&ledger.advance(9)), [id(0, 3)]);
    assert_eq!(ledger.task_done(id(0, 3)), [Action::Aggregate { image: 0, attempt: 1, partial: false }]);
}

#[test]
fn a_gap_in_a_round_leaves_out_the_later_ones_until_it_is_filled() {
    let mut ledger = in_rounds();
    for (place, tasks) in [(0, 1), (1, 2), (2, 0)] {
        assert_eq!(computes(&ledger.advance(9)).len(), tasks);
        if place < 2 {
            ledger.task_done(id(0, place));
        }
    }
    let actions = failed(&mut ledger, id(0, 2), 1, Input);
    assert!(
        matches!(&actions[..], [Action::GiveUp(loss), Action::Aggregate { partial: true, .. }] if loss.task == Some(2)),
        "{actions:?}"
    );
    ledger.image_done(0, true);
    assert!(ledger.is_complete() && ledger.has_loss(0));
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_failed), (6, 1));
    assert!(ledger.reopen().is_empty());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_failed), (2, 0));
    assert!(
        matches!(&ledger.advance(9)[..], [Action::Compute { task, attempt: 2, .. }] if *task == id(0, 2))
    );
    for place in 2..5 {
        assert!(ledger.task_done(id(0, place)).is_empty());
        ledger.advance(9);
    }
    let actions = ledger.task_done(id(0, 5));
    assert!(matches!(&actions[..], [Action::Aggregate { partial: false, .. }]), "{actions:?}");
}

#[test]
fn an_image_without_any_task_of_its_first_round_is_lost() {
    let mut ledger = in_rounds();
    ledger.advance(9);
    ledger.task_done(id(0, 0));
    ledger.advance(9);
    failed(&mut ledger, id(0, 1), 1, Input);
    let actions = failed(&mut ledger, id(0, 2), 1, Input);
    assert!(
        matches!(&actions[..], [Action::GiveUp(_), Action::GiveUp(image)] if image.task.is_none()),
        "{actions:?}"
    );
    assert!(ledger.is_complete());
    assert!(ledger.reopen().is_empty());
    assert_eq!(computes(&ledger.advance(9)), [id(0, 1), id(0, 2)]);
    assert_eq!(ledger.progress().tasks_done, 1);
}

#[test]
fn what_a_task_finds_damaged_is_done_again_before_it() {
    let mut ledger = in_rounds();
    for place in 0..3 {
        ledger.advance(9);
        ledger.task_done(id(0, place));
    }
    assert_eq!(computes(&ledger.advance(9)), [id(0, 3)]);
    let failure = |attempt| Failed { from: "w", attempt, class: Passing, reason: "cut" };
    let actions = ledger.task_failed(id(0, 3), &failure(1), &[id(0, 2), id(0, 5), id(7, 0)]);
    assert_eq!(actions, [Action::Compute { task: id(0, 2), attempt: 2, replace: true }]);
    assert!(ledger.advance(9).is_empty(), "nothing else before that");
    assert_eq!(ledger.progress().tasks_done, 2);
    ledger.task_done(id(0, 2));
    assert_eq!(ledger.advance(9), [Action::Compute { task: id(0, 3), attempt: 2, replace: false }]);
    // It has used up no try of its own; the tile has used up its.
    assert_eq!(ledger.task_failed(id(0, 3), &failure(2), &[id(0, 2)]).len(), 1);
    let actions = ledger.task_done(id(0, 2));
    assert!(actions.is_empty());
}

#[test]
fn a_stage_begins_when_the_one_before_is_done() {
    let mut ledger = ledger(&[vec![1, 2], vec![2]], 3);
    assert_eq!(computes(&ledger.advance(usize::MAX)), [id(0, 0), id(1, 0), id(1, 1)]);
    assert!(ledger.is_handed_out());
    assert!(ledger.task_done(id(0, 0)).is_empty());
    assert!(!ledger.is_handed_out());
    assert_eq!(computes(&ledger.advance(1)), [id(0, 1)]);
    assert_eq!(computes(&ledger.advance(usize::MAX)), [id(0, 2)]);
    ledger.task_done(id(0, 1));
    assert_eq!(aggregates(&ledger.task_done(id(0, 2))), [0]);
    assert_eq!(ledger.progress().tasks_done, 3);
}

#[test]
fn a_stage_that_nothing_waits_for_is_left_out() {
    let mut ledger = ledger(&[vec![1, 2], vec![1, 2], vec![1, 2]], 3);
    // Of the first image all tiles are there, of the second one, of the third what comes first.
    for task in [id(0, 1), id(0, 2), id(1, 1), id(2, 0)] {
        ledger.found_task(task);
    }
    let start = ledger.advance(usize::MAX);
    assert_eq!(aggregates(&start), [0]);
    assert_eq!(computes(&start), [id(1, 0), id(2, 1), id(2, 2)]);
    ledger.task_done(id(1, 0));
    assert_eq!(computes(&ledger.advance(usize::MAX)), [id(1, 2)]);
    assert_eq!(ledger.progress().tasks_done, 6);
}

#[test]
fn an_image_is_lost_with_what_its_other_tasks_wait_for() {
    let mut ledger = ledger(&[vec![1, 4], vec![1]], 3);
    ledger.advance(usize::MAX);
    let actions = failed(&mut ledger, id(0, 0), 1, Input);
    assert!(
        matches!(&actions[..], [Action::GiveUp(a), Action::GiveUp(b)] if a.task == Some(0) && b.task.is_none())
    );
    ledger.task_done(id(1, 0));
    ledger.image_done(1, false);
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_failed), (6, 1));
    assert!(ledger.reopen().is_empty(), "what is open is handed out");
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_failed), (1, 0));
    let actions = ledger.advance(usize::MAX);
    assert!(
        matches!(&actions[..], [Action::Compute { task, attempt: 2, .. }] if *task == id(0, 0)),
        "{actions:?}"
    );
    ledger.task_done(id(0, 0));
    assert_eq!(computes(&ledger.advance(usize::MAX)).len(), 4);
    (1..5).for_each(|place| drop(ledger.task_done(id(0, place))));
    ledger.image_done(0, false);
    assert!(ledger.is_complete());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_done), (6, 2));
}

/// An image whose second task is needed to put it together, beside its two blocks.
fn with_gate(attempts_max: u32) -> Ledger {
    Ledger::new(&[Stages::new(2, vec![2]).with_tasks_for_image(1)], attempts_max)
}

#[test]
fn what_the_image_needs_is_done_even_where_all_blocks_are() {
    let mut ledger = with_gate(2);
    ledger.found_task(id(0, 2));
    ledger.found_task(id(0, 3));
    assert_eq!(computes(&ledger.advance(9)), [id(0, 1)], "nothing waits for the first task");
    assert_eq!(ledger.progress().tasks_done, 3);
    assert_eq!(ledger.task_done(id(0, 1)), [Action::Aggregate { image: 0, attempt: 1, partial: false }]);
    ledger.image_done(0, false);
    assert!(ledger.is_complete());
    assert_eq!(ledger.progress().tasks_done, 4);
}

#[test]
fn what_the_image_needs_is_done_again_where_it_is_damaged() {
    let mut ledger = with_gate(2);
    for places in [0..2, 2..4] {
        ledger.advance(9);
        for place in places {
            ledger.task_done(id(0, place));
        }
    }
    let damaged = Failed { from: "a", attempt: 1, class: Passing, reason: "cut" };
    let actions = ledger.image_failed(0, &damaged, &[id(0, 1)]);
    assert_eq!(actions, [Action::Compute { task: id(0, 1), attempt: 2, replace: true }]);
    assert_eq!(ledger.progress().tasks_done, 3);
    // Nobody can do it: the image is lost, and has new tries afterwards.
    let actions = failed(&mut ledger, id(0, 1), 2, Input);
    assert!(matches!(&actions[..], [Action::GiveUp(_), ..]), "{actions:?}");
    assert!(ledger.is_complete() && ledger.progress().images_failed == 1);
    assert!(ledger.reopen().is_empty());
    assert_eq!((ledger.progress().tasks_done, ledger.progress().images_failed), (3, 0));
    assert_eq!(computes(&ledger.advance(9)), [id(0, 1)]);
    assert_eq!(ledger.task_done(id(0, 1)), [Action::Aggregate { image: 0, attempt: 3, partial: false }]);
}
