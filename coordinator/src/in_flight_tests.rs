use super::*;

fn action(block: u32) -> Action {
    Action::Compute { task: TaskPlace { image: 0, place: block }, attempt: 1, replace: false }
}

fn key(block: u32) -> InFlightKey {
    InFlightKey::Task(TaskPlace { image: 0, place: block })
}

/// So many messages wait in the queue, seen a moment ago.
fn waiting(messages: u64) -> Lag {
    Lag { messages, at: Instant::now() + Duration::from_hours(24) }
}

#[test]
fn what_was_lost_on_its_way_is_late_though_nothing_ever_came_back() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let mut out = InFlight::new(Duration::from_secs(5), [4, 4]);
    for block in 0..3 {
        out.on_sent(action(block), start);
    }
    assert!(out.overdue(at(60), Some(waiting(3))).is_empty(), "all of it waits in the queue");
    assert!(out.overdue(at(5), Some(waiting(0))).is_empty(), "it is too early");
    let look = |at| Some(Lag { messages: 0, at });
    assert!(out.overdue(at(60), look(start)).is_empty(), "nobody has looked since it was sent");
    assert_eq!(out.on_begun(key(1), Start { attempt: 1, process: 1, from: "w" }, 3, at(1)), Verdict::Fine);
    assert_eq!(
        out.overdue(at(6), look(at(2))),
        [action(0), action(2)],
        "somebody is at work on the other one"
    );
    assert!(out.is_any_begun());
    for block in [0, 2] {
        out.on_given_up(key(block));
    }
    assert!(out.overdue(at(50), look(at(2))).is_empty());
    assert_eq!(out.overdue(at(51), look(at(2))), [action(1)], "whoever was at work on it is gone too");
    let mut unknown = InFlight::new(Duration::from_secs(5), [4, 4]);
    unknown.on_sent(action(0), start);
    assert_eq!(unknown.overdue(at(6), None), [action(0)], "a queue that does not tell is not trusted");
}

#[test]
fn what_was_begun_again_and_again_is_sent_to_be_worked_on_alone() {
    let start = Instant::now();
    let mut out = InFlight::new(Duration::from_secs(5), [4, 4]);
    for block in 0..3 {
        out.on_sent(action(block), start);
    }
    let begin = |out: &mut InFlight, block, from: &str| {
        let begins = Start { attempt: 1, process: from.as_bytes()[0].into(), from };
        out.on_begun(key(block), begins, 3, start)
    };
    begin(&mut out, 0, "a");
    begin(&mut out, 1, "a");
    begin(&mut out, 1, "b");
    begin(&mut out, 2, "b");
    assert_eq!(begin(&mut out, 1, "c"), Verdict::Suspect);
    assert_eq!(out.recall(true), [action(0), action(1), action(2)]);
    assert_eq!(out.tasks(), 0);
    for block in 0..3 {
        out.on_sent(action(block), start);
    }
    assert_eq!([0, 1, 2].map(|block| out.is_alone(key(block))), [false, true, false]);
    begin(&mut out, 1, "d");
    out.on_done(key(1), "d", start);
    assert!(!out.is_alone(key(1)) && out.tasks() == 2);
}

#[test]
fn what_takes_far_longer_than_usual_is_late_and_then_twice_as_patient() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let mut out = InFlight::new(Duration::from_secs(5), [4, 4]);
    for block in 0..21 {
        out.on_sent(action(block), start);
    }
    assert!(
        out.overdue(at(1000), Some(waiting(1000))).is_empty(),
        "nothing has come back: the workers may not be there yet"
    );
    for block in 0..20 {
        out.on_done(key(block), "w", at(10));
    }
    assert_eq!(out.tasks(), 1);
    assert!(out.overdue(at(40), Some(waiting(1000))).is_empty());
    assert_eq!(out.overdue(at(41), Some(waiting(1000))), [action(20)]);
    // Sent again at 41 s: patient for 80 s from then on.
    out.on_sent(action(20), at(41));
    assert!(out.overdue(at(120), Some(waiting(1000))).is_empty());
    assert_eq!(out.overdue(at(122), Some(waiting(1000))), [action(20)]);
    out.on_done(key(20), "w", at(123));
    assert!(out.overdue(at(100_000), Some(waiting(1000))).is_empty());
}

#[test]
fn what_was_sent_twice_is_out_in_both_places_until_it_is_back() {
    let start = Instant::now();
    let mut out = InFlight::new(Duration::from_secs(5), [3, 1]);
    let sent = |out: &mut InFlight, block| out.on_sent(action(block), start).unwrap();
    let (first, second) = (sent(&mut out, 0), sent(&mut out, 0));
    let third = sent(&mut out, 1);
    let mut all = [first, second, third];
    all.sort_unstable();
    assert_eq!(
        (all, out.tasks()),
        ([0, 1, 2], 2),
        "its second try went elsewhere, the next task to the third partition"
    );
    out.on_done(key(0), "w", start);
    let mut next = [sent(&mut out, 2), sent(&mut out, 3)];
    next.sort_unstable();
    let mut free = [first, second];
    free.sort_unstable();
    assert_eq!(next, free);
}

#[test]
fn short_tasks_are_not_late_at_once() {
    let start = Instant::now();
    let mut out = InFlight::new(Duration::from_mins(1), [4, 4]);
    out.on_sent(action(0), start);
    out.on_sent(action(1), start);
    out.on_done(key(0), "w", start + Duration::from_millis(1));
    assert!(out.overdue(start + Duration::from_secs(59), Some(waiting(1000))).is_empty());
    assert_eq!(out.overdue(start + Duration::from_secs(61), Some(waiting(1000))).len(), 1);
}

fn failed_by(from: &str, block: u32, attempt: u32) -> FailedTry<'_> {
    let (class, reason) = (FailureClass::Worker, "no device");
    FailedTry { key: key(block), attempt, from, class, reason, counts: true }
}

fn try_of(block: u32, attempt: u32) -> Action {
    Action::Compute { task: TaskPlace { image: 0, place: block }, attempt, replace: false }
}

#[test]
fn what_failed_goes_to_no_partition_of_the_worker_that_failed_it() {
    let start = Instant::now();
    let mut out = InFlight::new(Duration::from_secs(5), [3, 1]);
    // Everybody is known, and each partition is taken: `sick` reads two of the three.
    let names = ["sick", "sick", "well"];
    for block in 0..3 {
        let partition = out.on_sent(action(block), start).unwrap();
        out.on_done(key(block), names[partition as usize], start);
    }
    let placed: Vec<u32> = (10..13).map(|block| out.on_sent(action(block), start).unwrap()).collect();
    let block = 10 + placed.iter().position(|&partition| partition == 0).unwrap() as u32;
    out.on_failed(&failed_by("sick", block, 1), start);
    assert_eq!(out.tasks(), 2);
    let next = out.on_sent(try_of(block, 2), start).unwrap();
    assert_eq!(names[next as usize], "well", "though partition 0 was just vacated");
    out.on_failed(&failed_by("well", block, 2), start);
    out.on_given_up(key(block));
    assert!(out.histories.is_empty());
}

#[test]
fn a_sick_worker_gets_nothing_while_others_are_there() {
    let start = Instant::now();
    let mut out = InFlight::new(Duration::from_secs(5), [2, 1]);
    for block in 0..6 {
        let partition = out.on_sent(action(block), start).unwrap();
        if partition == 0 {
            out.on_failed(&failed_by("sick", block, 1), start);
        } else {
            out.on_done(key(block), "well", start);
        }
    }
    assert_eq!(out.sick_workers().len(), 1);
    let next: Vec<u32> = (10..20).map(|block| out.on_sent(action(block), start).unwrap()).collect();
    assert_eq!(next, [1; 10]);
    let later = start + Duration::from_hours(1);
    let next: Vec<u32> = (20..24).map(|block| out.on_sent(action(block), later).unwrap()).collect();
    assert_eq!(next, [0, 1, 1, 1], "after a while it is given one more chance");
    let mut alone = InFlight::new(Duration::from_secs(5), [1, 1]);
    for attempt in 1..9 {
        assert_eq!(alone.on_sent(try_of(0, attempt), start), Some(0), "there is nobody else");
        alone.on_failed(&failed_by("sick", 0, attempt), start);
    }
}

#[test]
fn an_old_failure_does_not_touch_what_is_out() {
    let start = Instant::now();
    let mut out = InFlight::new(Duration::from_secs(5), [2, 1]);
    out.on_sent(try_of(0, 1), start);
    out.on_sent(try_of(0, 2), start);
    out.on_failed(&FailedTry { counts: false, ..failed_by("w", 0, 1) }, start);
    assert_eq!(out.tasks(), 1);
}
