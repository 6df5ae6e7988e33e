use super::*;
use marquetry_failure::{Classify, FailureClass};

#[tokio::test]
async fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    crate::contract::store(&FolderStore::open(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn lists_thousands_of_objects() {
    let folder = tempfile::tempdir().unwrap();
    crate::contract::store_of_many_objects(&FolderStore::open(folder.path()).unwrap()).await;
}

#[tokio::test]
async fn a_folder_that_is_gone_has_not_lost_its_objects() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("store");
    let store = FolderStore::open(&root).unwrap();
    store.put("a/b", Bytes::from_static(b"1")).await.unwrap();
    assert_eq!(store.get("a/c").await.unwrap_err().kind, StoreErrorKind::NotFound);
    std::fs::rename(&root, place.path().join("elsewhere")).unwrap();
    let errors = [
        store.get("a/b").await.unwrap_err(),
        store.head("a/b").await.unwrap_err(),
        store.get_range("a/b", 0..1).await.unwrap_err(),
        store.put("a/d", Bytes::new()).await.unwrap_err(),
        store.put_together(vec![("a/d".into(), Some(Bytes::new()))]).await.1.unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.kind, error.class()), (StoreErrorKind::NoStore, FailureClass::Config), "{error}");
        assert!(error.to_string().contains("moved or removed"), "{error}");
    }
    assert!(!root.exists(), "no new store in place of the one that may come back");
    std::fs::rename(place.path().join("elsewhere"), &root).unwrap();
    assert_eq!(store.get("a/b").await.unwrap(), "1");
}

#[tokio::test]
async fn a_killed_put_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    FolderStore::open(folder.path()).unwrap();
    std::fs::write(folder.path().join(UNFINISHED).join("half"), b"half").unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    store.clear_scratch().unwrap();
    assert!(store.list("").await.unwrap().is_empty());
    assert_eq!(std::fs::read_dir(folder.path().join(UNFINISHED)).unwrap().count(), 0);
}

#[test]
fn what_is_deleted_while_a_folder_is_listed_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tiles = folder.path().join("tiles");
    std::fs::create_dir(&tiles).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for n in 0..50 {
                    std::fs::write(tiles.join(n.to_string()), b"").unwrap();
                }
                for n in 0..50 {
                    std::fs::remove_file(tiles.join(n.to_string())).unwrap();
                }
            }
        });
        let (mut failed, mut seen) = (None, 0);
        // Each list that finds something has looked while files come and go.
        while failed.is_none() && seen < 500 {
            match runtime.block_on(store.list("tiles/")) {
                Ok(found) => seen += usize::from(!found.is_empty()),
                Err(error) => failed = Some(error),
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(failed.is_none(), "{failed:?}");
    });
}

/// A name of a file has at most 255 bytes: no wait and no other machine makes it shorter.
#[tokio::test]
async fn a_name_that_no_file_can_have_is_a_bad_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    let error = store.put(&"a".repeat(300), Bytes::new()).await.unwrap_err();
    assert_eq!((error.kind, error.class()), (StoreErrorKind::BadKey, FailureClass::Config), "{error}");
    store.put("a/b", Bytes::new()).await.unwrap();
    assert_eq!(store.get("a").await.unwrap_err().kind, StoreErrorKind::NotFound, "a folder is no object");
    for key in ["a", "a/b/c"] {
        let error = store.put(key, Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::BadKey, "{key}: {error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn objects_have_the_rights_of_any_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, b"x").unwrap();
    store.put("put", Bytes::new()).await.unwrap();
    store.put_file("file", &plain).await.unwrap();
    store.put_if("conditional", Bytes::new(), &Condition::Absent).await.unwrap();
    let rights = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for key in ["put", "file", "conditional"] {
        assert_eq!(rights(store.path(key)), rights(plain.clone()), "{key}");
    }
}

#[tokio::test]
async fn clearing_the_scratch_leaves_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    store.put_if("run", Bytes::new(), &Condition::Absent).await.unwrap();
    store.clear_scratch().unwrap();
    assert!(store.scratch().join(LOCK).exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let error = FolderStore::open(&file).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert!(std::error::Error::source(&error).is_some(), "what the disk said is kept");
}

/// By a process that is stopped, or one on a machine that went away.
#[tokio::test]
async fn a_lock_that_somebody_keeps_holds_nobody_up_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let store = FolderStore::open(folder.path()).unwrap();
    let kept = std::fs::File::create(store.scratch().join(LOCK)).unwrap();
    kept.lock().unwrap();
    store.put_over("a", &Content::Bytes(Bytes::from_static(b"1")), &Seen::Absent).await.unwrap();
    let error = store.put_if("a", Bytes::from_static(b"2"), &Condition::Absent).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Conflict);
    assert_eq!(store.get("a").await.unwrap(), "1");
    kept.unlock().unwrap();
}
