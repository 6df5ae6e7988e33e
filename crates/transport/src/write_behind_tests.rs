use super::*;

fn open(folder: &Path) -> WriteBehindStore {
    WriteBehindStore::new(FolderStore::open(folder).unwrap())
}

fn is_on_disk(folder: &Path, key: &str) -> bool {
    folder.join(key).is_file()
}

#[tokio::test]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    crate::contract::store(&open(folder.path())).await;
}

#[tokio::test]
async fn lists_thousands_of_objects() {
    let folder = tempfile::tempdir().unwrap();
    crate::contract::store_of_many_objects(&open(folder.path())).await;
}

#[tokio::test]
async fn what_is_deleted_in_time_never_reaches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert!(store.head("tiles/a").await.is_err());
    store.put("tiles/a", Bytes::from_static(b"scores")).await.unwrap();
    assert_eq!(store.get_range("tiles/a", 1..3).await.unwrap(), "co");
    assert_eq!(store.head("tiles/a").await.unwrap().size_bytes, 6);
    store.delete("tiles/a").await.unwrap();
    assert_eq!(store.get("tiles/a").await.unwrap_err().kind, StoreErrorKind::NotFound);
    store.settle().await.unwrap();
    assert!(!is_on_disk(folder.path(), "tiles/a") && !folder.path().join("tiles").exists());

    // One that is there already must go too.
    std::fs::create_dir_all(folder.path().join("tiles")).unwrap();
    std::fs::write(folder.path().join("tiles/b"), b"old").unwrap();
    let store = open(folder.path());
    store.put("tiles/b", Bytes::from_static(b"new")).await.unwrap();
    store.delete("tiles/b").await.unwrap();
    store.settle().await.unwrap();
    assert!(!is_on_disk(folder.path(), "tiles/b"));
}

#[tokio::test]
async fn what_is_deleted_leaves_the_disk_with_what_was_put_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for key in ["tiles/a", "tiles/b"] {
        store.put(key, Bytes::from_static(b"scores")).await.unwrap();
    }
    store.settle().await.unwrap();
    store.put("parts/a", Bytes::from_static(b"result")).await.unwrap();
    for key in ["tiles/a", "tiles/a", "tiles/none"] {
        store.delete(key).await.unwrap();
    }
    assert!(
        is_on_disk(folder.path(), "tiles/a"),
        "it goes with the others, and none of them is written for it alone"
    );
    let absent = Some(StoreErrorKind::NotFound);
    assert_eq!(store.get("tiles/a").await.err().map(|error| error.kind), absent);
    assert_eq!(store.get_range("tiles/a", 0..1).await.err().map(|error| error.kind), absent);
    assert_eq!(store.head("tiles/a").await.err().map(|error| error.kind), absent);
    assert_eq!(store.list("").await.unwrap().len(), 2, "a list knows of it");
    assert!(!is_on_disk(folder.path(), "tiles/a") && is_on_disk(folder.path(), "parts/a"));

    // One that is put again is there again, also where the deletion has not reached the disk.
    store.delete("tiles/b").await.unwrap();
    store.put("tiles/b", Bytes::from_static(b"other")).await.unwrap();
    assert_eq!(store.get("tiles/b").await.unwrap(), "other");
    store.settle().await.unwrap();
    assert_eq!(std::fs::read(folder.path().join("tiles/b")).unwrap(), b"other");
    assert!(store.waiting().objects.is_empty() && store.waiting().bytes == 0);
    assert!(store.delete("../a").await.is_err());
}

/// Each key is, in the end, what was done with it last; and a list at any time says what was done so far.
#[tokio::test]
async fn any_course_of_puts_and_deletions_ends_as_it_would_at_once() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let (store, mut wanted) = (open(folder.path()), BTreeMap::new());
        for step in 0..30_u8 {
            let key = format!("tiles/{}", rng.u8(0..4));
            match rng.u8(0..6) {
                0..=2 => {
                    store.put(&key, Bytes::from(vec![step])).await.unwrap();
                    wanted.insert(key.clone(), vec![step]);
                }
                3 | 4 => {
                    store.delete(&key).await.unwrap();
                    wanted.remove(&key);
                }
                _ if rng.bool() => store.settle().await.unwrap(),
                _ => assert_eq!(store.head(&key).await.is_ok(), wanted.contains_key(&key)),
            }
            assert_eq!(store.get(&key).await.ok().map(|b| b.to_vec()), wanted.get(&key).cloned());
        }
        store.settle().await.unwrap();
        let mut found = BTreeMap::new();
        for object in store.list("").await.unwrap() {
            found.insert(object.key.clone(), std::fs::read(folder.path().join(object.key)).unwrap());
        }
        assert_eq!(found, wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for round in 0..3 {
        let key = format!("out/{round}");
        store.put(&key, Bytes::from_static(b"mask")).await.unwrap();
        assert!(!is_on_disk(folder.path(), &key));
        tokio::time::sleep(WAIT_MAX + Duration::from_millis(1)).await;
        // Writing is real work on another thread.
        store.settle().await.unwrap();
        let _written = store.writing.lock().await;
        assert!(is_on_disk(folder.path(), &key), "round {round}");
    }
    assert_eq!(store.waiting().bytes, 0);
}

#[tokio::test]
async fn objects_arrive_in_the_order_in_which_they_were_put() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for key in ["out/mask", "parts/a"] {
        store.put(key, Bytes::from_static(b"1")).await.unwrap();
    }
    // A large object, and another version of one that waits, come after all of them.
    store.put("tiles/large", Bytes::from(vec![0; OBJECT_BYTES_MAX + 1])).await.unwrap();
    assert!(is_on_disk(folder.path(), "out/mask") && is_on_disk(folder.path(), "parts/a"));
    store.put("parts/b", Bytes::from_static(b"1")).await.unwrap();
    store.put("tiles/large", Bytes::from(vec![1; OBJECT_BYTES_MAX + 1])).await.unwrap();
    assert!(is_on_disk(folder.path(), "parts/b"));
    store.put("gaps/c", Bytes::new()).await.unwrap();
    store.put("parts/c", Bytes::from_static(b"1")).await.unwrap();
    store.put("gaps/c", Bytes::new()).await.unwrap();
    assert!(is_on_disk(folder.path(), "gaps/c") && is_on_disk(folder.path(), "parts/c"));
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.put("out/1", Bytes::from_static(b"1")).await.unwrap();
    // The place for unfinished files is gone: nothing can be written.
    std::fs::remove_dir_all(folder.path().join(".unfinished")).unwrap();
    store.put("out/2", Bytes::from_static(b"2")).await.unwrap();
    assert!(store.settle().await.is_err());
    assert!(store.list("out/").await.is_err(), "a list that lacks what was put would be a lie");
    assert!(store.put("out/3", Bytes::new()).await.is_err(), "nothing more is taken");
    assert_eq!(store.get("out/2").await.unwrap(), "2");
    std::fs::create_dir(folder.path().join(".unfinished")).unwrap();
    assert_eq!(store.list("out/").await.unwrap().len(), 2);
    assert!(is_on_disk(folder.path(), "out/1") && is_on_disk(folder.path(), "out/2"));
}

#[tokio::test]
async fn a_key_that_can_be_no_object_beside_others_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (first, second) in [("a", "a/b"), ("c/d/e", "c/d")] {
        store.put(first, Bytes::from_static(b"1")).await.unwrap();
        assert!(store.put(second, Bytes::from_static(b"2")).await.is_err(), "{second}");
        assert_eq!(store.get(first).await.unwrap(), "1");
    }
    store.settle().await.unwrap();
}

#[tokio::test]
async fn a_look_that_a_write_overtook_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let early = store.waiting().look("a").unwrap();
    store.put("a", Bytes::from_static(b"1")).await.unwrap();
    store.settle().await.unwrap();
    let late = store.waiting().look("a").unwrap();
    store.waiting().looked("a", early, true);
    store.waiting().looked("a", late, false);
    assert_eq!(store.head("a").await.unwrap().size_bytes, 1);
    // One that is known to be absent is not looked for again, until it is written.
    assert!(store.head("b").await.is_err() && store.waiting().look("b").is_none());
    store.put_if("b", Bytes::from_static(b"2"), &Condition::Absent).await.unwrap();
    assert_eq!(store.head("b").await.unwrap().size_bytes, 1);
}
