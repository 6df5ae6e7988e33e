//! The contract suites: one for each trait, run on every body of it.

use crate::{Condition, Content, ObjectStore, Seen, StoreErrorKind, TaskQueue, Topic};
use bytes::Bytes;
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a message may take to come before the suite calls it lost.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(45);
/// How long nothing must come before the suite believes that nothing will.
const QUIET: Duration = Duration::from_millis(300);

/// What every queue must do. The queue must be new.
///
/// # Panics
/// When it does not.
pub async fn queue(queue: &dyn TaskQueue) {
    early_messages_reach_a_late_group(queue).await;
    unacknowledged_messages_come_again(queue).await;
    groups_are_independent(queue).await;
    a_feed_sees_what_comes_after_it(queue).await;
    leaving_gives_nothing_twice(queue).await;
    every_partition_is_read(queue).await;
}

async fn receive(subscription: &mut dyn crate::Subscription, n: usize) -> Vec<crate::Delivery> {
    let mut taken = Vec::new();
    for _ in 0..n {
        let delivery = tokio::time::timeout(RECEIVE_TIMEOUT, subscription.receive()).await;
        taken.push(delivery.expect("a message is lost").expect("the queue broke"));
    }
    taken
}

async fn early_messages_reach_a_late_group(queue: &dyn TaskQueue) {
    for i in 0..20_u8 {
        queue.publish(Topic::Tasks, &i.to_string(), Bytes::copy_from_slice(&[i])).await.expect("publish");
    }
    let mut subscription = queue.subscribe(Topic::Tasks, "workers").await.expect("subscribe");
    let taken = receive(&mut *subscription, 20).await;
    let seen: BTreeSet<u8> = taken.iter().map(|d| d.payload[0]).collect();
    assert_eq!(seen, (0..20).collect());
    // Out of order, and one of them twice.
    for delivery in taken.iter().rev().chain(&taken[..1]) {
        subscription.acknowledge(delivery.token).await.expect("acknowledge");
    }
    assert!(tokio::time::timeout(QUIET, subscription.receive()).await.is_err(), "a message came twice");
}

async fn unacknowledged_messages_come_again(queue: &dyn TaskQueue) {
    for i in 100..110_u8 {
        queue.publish(Topic::Tasks, "k", Bytes::copy_from_slice(&[i])).await.expect("publish");
    }
    let mut first = queue.subscribe(Topic::Tasks, "workers").await.expect("subscribe");
    let taken = receive(&mut *first, 10).await;
    for delivery in taken.iter().filter(|d| d.payload[0] < 104) {
        first.acknowledge(delivery.token).await.expect("acknowledge");
    }
    drop(first);
    let mut second = queue.subscribe(Topic::Tasks, "workers").await.expect("subscribe");
    let mut open: BTreeSet<u8> = (104..110).collect();
    // At least those six; a broker may give finished ones again after a crash, and that is allowed.
    while !open.is_empty() {
        let delivery = receive(&mut *second, 1).await.remove(0);
        open.remove(&delivery.payload[0]);
        second.acknowledge(delivery.token).await.expect("acknowledge");
    }
}

async fn groups_are_independent(queue: &dyn TaskQueue) {
    let mut one = queue.subscribe(Topic::Results, "one").await.expect("subscribe");
    let mut two = queue.subscribe(Topic::Results, "two").await.expect("subscribe");
    for i in 0..5_u8 {
        queue.publish(Topic::Results, "k", Bytes::copy_from_slice(&[i])).await.expect("publish");
    }
    for subscription in [&mut one, &mut two] {
        let taken = receive(&mut **subscription, 5).await;
        assert_eq!(taken.iter().map(|d| d.payload[0]).collect::<BTreeSet<_>>(), (0..5).collect());
        for delivery in taken {
            subscription.acknowledge(delivery.token).await.expect("acknowledge");
        }
    }
}

async fn a_feed_sees_what_comes_after_it(queue: &dyn TaskQueue) {
    queue.publish(Topic::Dead, "k", Bytes::from_static(b"before")).await.expect("publish");
    let mut feeds =
        [queue.follow(Topic::Dead).await.expect("follow"), queue.follow(Topic::Dead).await.expect("follow")];
    for i in 0..50_u8 {
        queue.publish(Topic::Dead, &i.to_string(), Bytes::copy_from_slice(&[i])).await.expect("publish");
    }
    for feed in &mut feeds {
        let mut seen = BTreeSet::new();
        while seen.len() < 50 {
            let next = tokio::time::timeout(RECEIVE_TIMEOUT, feed.next()).await;
            let message = next.expect("a message is lost").expect("the queue broke");
            assert_eq!(message.len(), 1, "a feed begins where it was asked for");
            seen.insert(message[0]);
        }
    }
}

async fn leaving_gives_nothing_twice(queue: &dyn TaskQueue) {
    let mut first = queue.subscribe(Topic::Aggregate, "aggregators").await.expect("subscribe");
    for i in 0..6_u8 {
        queue.publish(Topic::Aggregate, "k", Bytes::copy_from_slice(&[i])).await.expect("publish");
    }
    for delivery in receive(&mut *first, 6).await {
        first.acknowledge(delivery.token).await.expect("acknowledge");
    }
    first.leave().await;
    assert_eq!(queue.lag(Topic::Aggregate, "aggregators").await.expect("lag"), 0);
    queue.publish(Topic::Aggregate, "k", Bytes::from_static(&[6])).await.expect("publish");
    let mut second = queue.subscribe(Topic::Aggregate, "aggregators").await.expect("subscribe");
    assert_eq!(receive(&mut *second, 1).await[0].payload[0], 6, "what was acknowledged came again");
    assert_eq!(queue.lag(Topic::Aggregate, "aggregators").await.expect("lag"), 1);
}

async fn every_partition_is_read(queue: &dyn TaskQueue) {
    let partitions = queue.partitions(Topic::Tasks).await.expect("partitions");
    assert!(partitions > 0);
    let mut reader = queue.subscribe(Topic::Tasks, "of partitions").await.expect("subscribe");
    // One too many: what cannot go where it should must not be lost.
    for partition in 0..=partitions {
        let payload = Bytes::from(format!("to {partition}"));
        queue.publish_to(Topic::Tasks, partition, payload).await.expect("publish");
    }
    let mut open: BTreeSet<String> = (0..=partitions).map(|partition| format!("to {partition}")).collect();
    while !open.is_empty() {
        let delivery = receive(&mut *reader, 1).await.remove(0);
        open.remove(&String::from_utf8_lossy(&delivery.payload).into_owned());
        reader.acknowledge(delivery.token).await.expect("acknowledge");
    }
}

/// What every store must do. The store must be empty.
///
/// # Panics
/// When it does not.
pub async fn store(store: &dyn ObjectStore) {
    let kind = |result: Result<Bytes, crate::StoreError>| result.expect_err("there is no such object").kind;
    assert_eq!(kind(store.get("jobs/none").await), StoreErrorKind::NotFound);
    assert_eq!(store.head("jobs/none").await.expect_err("none").kind, StoreErrorKind::NotFound);
    store.delete("jobs/none").await.expect("deleting nothing is no error");
    assert!(store.list("jobs/").await.expect("list").is_empty());

    let value = Bytes::from((0..200_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
    for key in ["jobs/b/2.tile", "jobs/b/10.tile", "jobs/a.json", "other/%20x"] {
        store.put(key, value.clone()).await.expect("put");
    }
    assert_eq!(store.get("jobs/b/2.tile").await.expect("get"), value);
    assert_eq!(store.get_range("jobs/b/2.tile", 7..1003).await.expect("range"), value.slice(7..1003));
    for beyond in [799_999..800_001, 900_000..900_001] {
        let error = store.get_range("jobs/b/2.tile", beyond).await.expect_err("a short read must not pass");
        assert_eq!(error.kind, StoreErrorKind::TooShort, "{error}");
    }
    assert_eq!(store.head("jobs/a.json").await.expect("head").size_bytes, 800_000);

    let listed: Vec<String> = store.list("jobs/").await.expect("list").into_iter().map(|m| m.key).collect();
    assert_eq!(listed, ["jobs/a.json", "jobs/b/10.tile", "jobs/b/2.tile"]);

    store.put("jobs/a.json", Bytes::from_static(b"new")).await.expect("replace");
    assert_eq!(store.get("jobs/a.json").await.expect("get"), "new");
    store.put("jobs/empty", Bytes::new()).await.expect("put nothing");
    assert!(store.get("jobs/empty").await.expect("get").is_empty());

    let folder = tempfile::tempdir().expect("a folder for a file");
    let path = folder.path().join("mask");
    std::fs::write(&path, &value).expect("write a file");
    store.put_file("jobs/out/mask.tif", &path).await.expect("put_file");
    assert_eq!(store.get("jobs/out/mask.tif").await.expect("get"), value);

    store.delete("jobs/a.json").await.expect("delete");
    assert_eq!(kind(store.get("jobs/a.json").await), StoreErrorKind::NotFound);
    for key in ["", "../up", "a//b", "/a", "a/./b", "a\nb", "a\\b", "a\u{ffff}"] {
        assert_eq!(store.put(key, Bytes::new()).await.expect_err(key).kind, StoreErrorKind::BadKey, "{key}");
    }
    many_keys_are_removed_at_once(store).await;
    keys_are_kept_as_they_are(store).await;
    a_prefix_ends_at_a_slash(store).await;
    a_key_that_is_a_prefix_of_another_harms_nothing(store).await;
    conditional_writes(store).await;
    nothing_newer_than_what_was_seen_is_written_over(store).await;
    one_of_many_racing_writes_happens(store).await;
}

/// What a store must do with more keys than a page of any list holds. The store must be empty and not slow.
///
/// # Panics
/// When it does not.
pub async fn store_of_many_objects(store: &dyn ObjectStore) {
    // Written in an order of their own: 7919 and 2503 have no common divisor.
    let mut keys: Vec<String> =
        (0..2503).map(|i| i * 7919 % 2503).map(|i| format!("tiles/{:02x}/{i}", i % 16)).collect();
    for key in &keys {
        store.put(key, Bytes::copy_from_slice(key.as_bytes())).await.expect("put");
    }
    keys.sort();
    let listed = store.list("tiles/").await.expect("list");
    assert!(
        listed.iter().all(|meta| meta.size_bytes == meta.key.len() as u64),
        "lengths are those of the objects"
    );
    let listed: Vec<String> = listed.into_iter().map(|meta| meta.key).collect();
    assert!(listed == keys, "{} of {} keys are listed, or not in order", listed.len(), keys.len());
    let mut paged = Vec::new();
    let mut pages = store.pages("tiles/");
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        assert!(page.len() < keys.len(), "a page is not the whole list");
        paged.extend(page.into_iter().map(|meta| meta.key));
    }
    drop(pages);
    paged.sort();
    paged.dedup();
    assert!(paged == keys, "{} of {} keys came in pages", paged.len(), keys.len());
    let first = store.pages("tiles/").next().await.expect("a page").expect("a page");
    assert!(!first.is_empty(), "a list may be left after its first page");
    let of_one: Vec<&String> = keys.iter().filter(|key| key.starts_with("tiles/0a/")).collect();
    let listed = store.list("tiles/0a/").await.expect("list");
    assert!(listed.iter().map(|meta| &meta.key).eq(of_one), "those below one prefix");
    let (last, most) = keys.split_last().expect("keys");
    store.delete_many(most).await.expect("delete");
    let left = store.list("tiles/").await.expect("list");
    assert_eq!(left.iter().map(|meta| &meta.key).collect::<Vec<_>>(), [last]);
}

async fn many_keys_are_removed_at_once(store: &dyn ObjectStore) {
    store.delete_many(&[]).await.expect("nothing to remove is no error");
    for key in ["many/1", "many/2/3", "many/2/4", "many/a & <b>", "many/stays"] {
        store.put(key, Bytes::new()).await.expect("put");
    }
    // One of them twice, one that is a folder of others to some stores, and one that is not there.
    let keys = ["many/1", "many/2/3", "many/2", "many/none", "many/1", "many/a & <b>"].map(str::to_owned);
    store.delete_many(&keys).await.expect("delete");
    let left = store.list("many/").await.expect("list");
    assert_eq!(left.iter().map(|meta| meta.key.as_str()).collect::<Vec<_>>(), ["many/2/4", "many/stays"]);
    let keys = ["../up", "many/stays", "many/2/4"].map(str::to_owned);
    let error = store.delete_many(&keys).await.expect_err("a bad key");
    assert_eq!((error.kind, error.key.as_str()), (StoreErrorKind::BadKey, "../up"));
    assert!(store.list("many/").await.expect("list").is_empty(), "the others are tried all the same");
}

/// Names of people's files: nothing in them is written in another way, or read as one.
async fn keys_are_kept_as_they_are(store: &dyn ObjectStore) {
    let mut keys = [
        "named/plate 1 (left).png",
        "named/größe [2].png",
        "named/航空写真_東京都江東区_二〇二四年度_第三回撮影_左岸_オルソ補正済み_正式版.png",
        "named/50% + 1 & <2> 'x' \"y\" ~#?*:;=@!$,|^`{}.png",
        "named/a%20b.png",
        "named/a+b.png",
        "named/a b.png",
        "named/..png",
    ];
    for key in keys {
        store.put(key, Bytes::copy_from_slice(key.as_bytes())).await.expect("put");
    }
    keys.sort_unstable();
    let listed: Vec<String> =
        store.list("named/").await.expect("list").into_iter().map(|meta| meta.key).collect();
    assert_eq!(listed, keys);
    for key in keys {
        assert_eq!(store.get(key).await.expect("get"), key, "an object of its own");
        assert_eq!(store.head(key).await.expect("head").size_bytes, key.len() as u64);
        store.delete(key).await.expect("delete");
    }
    assert!(store.list("named/").await.expect("list").is_empty());
}

async fn a_prefix_ends_at_a_slash(store: &dyn ObjectStore) {
    for key in ["prefix/a/1", "prefix/ab/1", "prefix/a.b", "prefix/b"] {
        store.put(key, Bytes::new()).await.expect("put");
    }
    let keys = |listed: Vec<crate::ObjectMeta>| listed.into_iter().map(|m| m.key).collect::<Vec<_>>();
    assert_eq!(keys(store.list("prefix/a/").await.expect("list")), ["prefix/a/1"]);
    let all = keys(store.list("prefix/").await.expect("list"));
    assert_eq!(all, ["prefix/a.b", "prefix/a/1", "prefix/ab/1", "prefix/b"], "by the bytes of the whole key");
    for key in all {
        store.delete(&key).await.expect("delete");
    }
}

/// Stores may hold both or refuse the second one. None may lose the first.
async fn a_key_that_is_a_prefix_of_another_harms_nothing(store: &dyn ObjectStore) {
    for (first, second) in [("both/a", "both/a/b"), ("both/c/d", "both/c")] {
        store.put(first, Bytes::from_static(b"first")).await.expect("put");
        if let Err(error) = store.put(second, Bytes::from_static(b"second")).await {
            assert_ne!(error.kind, StoreErrorKind::Unavailable, "waiting does not help: {error}");
        }
        assert_eq!(store.get(first).await.expect("the first one is there"), "first");
        store.delete(second).await.expect("delete");
        assert_eq!(store.get(first).await.expect("the first one is there"), "first");
        store.delete(first).await.expect("delete");
    }
}

async fn conditional_writes(store: &dyn ObjectStore) {
    let conflict = |result: Result<crate::Version, crate::StoreError>| {
        assert_eq!(result.expect_err("the condition does not hold").kind, StoreErrorKind::Conflict);
    };
    let key = "jobs/lease/run";
    let write = |text: &'static str, condition: Condition| async move {
        store.put_if(key, Bytes::from_static(text.as_bytes()), &condition).await
    };
    let first = write("one", Condition::Absent).await.expect("nothing is there");
    let (value, version) = store.get_versioned(key).await.expect("get");
    assert_eq!((value.as_ref(), &version), (b"one".as_slice(), &first));
    conflict(write("two", Condition::Absent).await);
    let second = write("two", Condition::Version(first.clone())).await.expect("it is the one that was read");
    assert_ne!(first, second, "other bytes have another version");
    conflict(write("three", Condition::Version(first.clone())).await);
    assert_eq!(store.get(key).await.expect("get"), "two", "a refused write leaves what was there");
    store.put(key, Bytes::from_static(b"four")).await.expect("put");
    conflict(write("five", Condition::Version(second)).await);
    let (_, fourth) = store.get_versioned(key).await.expect("get");
    write("six", Condition::Version(fourth)).await.expect("plain writes have versions too");
    store.delete(key).await.expect("delete");
    conflict(write("seven", Condition::Version(first)).await);
    let gone = store.get_versioned(key).await.expect_err("nothing is there");
    assert_eq!(gone.kind, StoreErrorKind::NotFound);
    write("eight", Condition::Absent).await.expect("nothing is there any more");
    store.delete(key).await.expect("delete");
    let bad = store.put_if("../up", Bytes::new(), &Condition::Absent).await.expect_err("a bad key");
    assert_eq!(bad.kind, StoreErrorKind::BadKey);
}

async fn nothing_newer_than_what_was_seen_is_written_over(store: &dyn ObjectStore) {
    let key = "jobs/fence/out/mask.png";
    let bytes = |text: &'static str| Content::Bytes(Bytes::from_static(text.as_bytes()));
    let seen = || async { store.look(key).await.expect("look") };
    let write = |content: Content, seen: Seen| async move { store.put_over(key, &content, &seen).await };
    let conflict = |result: Result<(), crate::StoreError>| {
        assert_eq!(result.expect_err("something newer is there").kind, StoreErrorKind::Conflict);
    };
    let is = async |text: &str| assert_eq!(store.get(key).await.expect("get"), text.to_owned());

    let nothing = seen().await;
    write(bytes("one"), nothing.clone()).await.expect("nothing is there");
    is("one").await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, "of a file").expect("a file");
    let first = seen().await;
    if first != Seen::Untold {
        conflict(write(bytes("two"), nothing.clone()).await);
        is("one").await;
    }
    write(Content::File(path.clone()), first.clone()).await.expect("it is what was seen");
    is("of a file").await;
    if first == Seen::Untold {
        return store.delete(key).await.expect("delete");
    }
    conflict(write(bytes("three"), first.clone()).await);
    let second = seen().await;
    store.put(key, Bytes::from_static(b"a plain write")).await.expect("put");
    conflict(write(Content::File(path), second).await);
    is("a plain write").await;
    let third = seen().await;
    write(bytes("four"), Seen::Untold).await.expect("whoever saw nothing minds nothing");
    conflict(write(bytes("five"), third.clone()).await);
    store.delete(key).await.expect("delete");
    assert_eq!(seen().await, Seen::Absent);
    for gone in [first, third] {
        conflict(write(bytes("six"), gone).await);
    }
    write(bytes("seven"), nothing).await.expect("nothing is there any more");
    store.delete(key).await.expect("delete");
    let bad = store.put_over("../up", &bytes("eight"), &Seen::Absent).await.expect_err("a bad key");
    assert_eq!(bad.kind, StoreErrorKind::BadKey);
}

async fn one_of_many_racing_writes_happens(store: &dyn ObjectStore) {
    let key = "jobs/race/run";
    let mut condition = Condition::Absent;
    for round in 0..5_u8 {
        let racing = (0..8_u8).map(|racer| {
            let condition = &condition;
            async move { store.put_if(key, Bytes::copy_from_slice(&[round, racer]), condition).await }
        });
        let results = futures_util::future::join_all(racing).await;
        let mut won = None;
        for (racer, result) in (0..8_u8).zip(results) {
            match result {
                Ok(version) => assert!(won.replace((racer, version)).is_none(), "two writes have happened"),
                Err(error) => assert_eq!(error.kind, StoreErrorKind::Conflict, "{error}"),
            }
        }
        let (winner, version) = won.expect("no write has happened");
        let (value, read) = store.get_versioned(key).await.expect("get");
        assert_eq!((value.as_ref(), &read), ([round, winner].as_slice(), &version));
        condition = Condition::Version(version);
    }
    store.delete(key).await.expect("delete");
}
