use super::*;
use crate::s3::double::{Asked, BUCKET, Double, Fault};
use crate::s3::tests::{noise, options};
use marquetry_failure::{Classify, FailureClass};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::AtomicU32;

struct Setup {
    double: Double,
    files: Files,
    folder: tempfile::TempDir,
}

fn setup(bytes_max: u64) -> Setup {
    let (double, folder) = (Double::start(), tempfile::tempdir().unwrap());
    let cache = CacheOptions { folder: folder.path().join("cache"), bytes_max };
    let files =
        Files::new(S3::new(options(&double.url)), cache, Handle::current(), Duration::ZERO, Metrics::new());
    Setup { double, files, folder }
}

fn uri(key: &str) -> String {
    format!("s3://{BUCKET}/{key}")
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_objects_are_looked_at_alike() {
    let Setup { double, files, folder } = setup(1 << 30);
    for name in ["a.png", "sub/b.png", ".hidden/c.png", "sub/.d"] {
        double.put(&format!("set/{name}"), name.as_bytes());
        let path = folder.path().join("set").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    double.put("set/", b"");
    double.put("settle/no.png", b"");
    let local = folder.path().join("set").display().to_string();
    for folder in [local.clone(), uri("set/"), uri("set")] {
        let listed = files.list(&folder).unwrap();
        let names: Vec<_> = listed.iter().map(|l| l.relative.as_str()).collect();
        assert_eq!(names, ["a.png", "sub/b.png"], "{folder}");
        let a = crate::uri::join(&folder, "a.png");
        let stat = files.stat(&a).unwrap();
        assert!(listed[0].stat.as_ref().is_none_or(|listed| *listed == stat), "{listed:?} {stat:?}");
        assert_eq!((stat.size_bytes, files.read(&a).unwrap()), (5, Bytes::from_static(b"a.png")));
        assert!(files.is_folder(&folder).unwrap() && !files.is_folder(&a).unwrap());
        let missing = files.stat(&crate::uri::join(&folder, "z.png")).unwrap_err();
        assert_eq!(missing.kind, StoreErrorKind::NotFound, "{missing}");
    }
    assert!(files.stat(&local).is_err(), "a folder is no file");
    let error = files.read("gs://bucket/a").unwrap_err();
    assert!(error.to_string().contains("`gs://`"), "{error}");
    assert_eq!(error.class(), FailureClass::Input, "the name is the job's");
    let error = files.stat("s3://absent/a").unwrap_err();
    assert_eq!((error.kind, error.class()), (StoreErrorKind::NoStore, FailureClass::Config), "{error}");
    assert!(Files::local_only().read(&uri("set/a.png")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_kept_by_content() {
    let Setup { double, files, .. } = setup(1 << 30);
    let content = noise(20_000_003);
    double.put("a", &content);
    double.put("b", &content);
    let first = files.local(&uri("a"), None, None).unwrap();
    assert!(std::fs::read(first.path()).unwrap() == content);
    let sent = double.bytes_sent();
    // Again, by its hash under another name, and under the name that another process used.
    let again = files.local(&uri("a"), None, None).unwrap();
    let by_hash = files.local(&uri("b"), None, Some(&hash(&content))).unwrap();
    assert_eq!((again.path(), by_hash.path()), (first.path(), first.path()));
    assert_eq!(double.bytes_sent(), sent, "nothing was fetched twice");
    double.forget_log();
    files.local(&uri("gone"), None, Some(&hash(&content))).unwrap();
    assert!(double.log().is_empty(), "what the cache has is not asked for: {:?}", double.log());

    double.put("a", b"another");
    let other = files.local(&uri("a"), None, None).unwrap();
    assert_eq!(std::fs::read(other.path()).unwrap(), b"another");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_than_was_asked_for_is_refused() {
    let Setup { double, files, .. } = setup(1 << 30);
    double.put("m.onnx", b"another model");
    let error = files.local(&uri("m.onnx"), None, Some(&hash(b"the model"))).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Changed);
    assert!(error.to_string().contains("m.onnx") && error.to_string().contains("replaced"), "{error}");

    let stat = files.stat(&uri("m.onnx")).unwrap();
    double.put("m.onnx", b"a third model");
    let error = files.local(&uri("m.onnx"), Some(&stat), None).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Changed, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_is_gone_on_with_by_the_next_process() {
    let Setup { double, files, folder } = setup(1 << 30);
    let content = noise(40_000_003);
    double.put("m", &content);
    let beyond = |asked: &Asked| {
        let range = asked.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
        let start = range.and_then(|range| range.split('-').next()?.parse::<u64>().ok());
        start.is_some_and(|start| start >= 16 << 20)
    };
    double.misbehave(move |asked, _| beyond(asked).then_some(Fault::Refuse(403, "AccessDenied")));
    let wanted = hash(&content);
    files.local(&uri("m"), None, Some(&wanted)).unwrap_err();
    double.misbehave(|_, _| None);
    let cache = || CacheOptions { folder: folder.path().join("cache"), bytes_max: 1 << 30 };
    let next = || {
        Files::new(S3::new(options(&double.url)), cache(), Handle::current(), Duration::ZERO, Metrics::new())
    };
    let sent = double.bytes_sent();
    let file = next().local(&uri("m"), None, Some(&wanted)).unwrap();
    assert!(std::fs::read(file.path()).unwrap() == content);
    let more = double.bytes_sent() - sent;
    assert!(more < content.len() - (15 << 20), "{more} bytes were fetched again");

    // What was left is damaged, as after a power cut: it is noticed, and all of it is fetched.
    double.put("n", &content[1..]);
    let wanted = hash(&content[1..]);
    double.misbehave(move |asked, _| beyond(asked).then_some(Fault::Refuse(403, "AccessDenied")));
    next().local(&uri("n"), None, Some(&wanted)).unwrap_err();
    double.misbehave(|_, _| None);
    let left = std::fs::read_dir(folder.path().join("cache/unfinished")).unwrap();
    let part = left
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "part"));
    let part = part.expect("what was fetched of it is kept");
    let length = part.metadata().unwrap().len();
    std::fs::write(&part, vec![0; length as usize]).unwrap();
    let file = next().local(&uri("n"), None, Some(&wanted)).unwrap();
    assert!(std::fs::read(file.path()).unwrap() == content[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_fetched_anew() {
    let Setup { double, files, .. } = setup(1 << 30);
    double.put("m", b"the model");
    let wanted = hash(b"the model");
    let path = files.local(&uri("m"), None, Some(&wanted)).unwrap().path().to_path_buf();
    for damage in [&b"THE model"[..], b"the"] {
        std::fs::write(&path, damage).unwrap();
        let file = files.local(&uri("m"), None, Some(&wanted)).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"the model");
    }
    std::fs::write(&path, b"the").unwrap();
    let file = files.local(&uri("m"), None, None).unwrap();
    assert_eq!(std::fs::read(file.path()).unwrap(), b"the model");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_stays_within_its_limit() {
    let Setup { double, files, folder } = setup(5000);
    for key in ["a", "b", "c", "d", "e", "f"] {
        double.put(key, &[key.as_bytes()[0]; 1500]);
        assert_eq!(std::fs::read(files.local(&uri(key), None, None).unwrap().path()).unwrap().len(), 1500);
    }
    let kept: u64 = walk(&folder.path().join("cache/content"));
    assert!((3000..=5000).contains(&kept), "{kept} bytes are kept");
}

fn walk(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.map(|e| if e.path().is_dir() { walk(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_want_the_same_fetch_it_once() {
    let Setup { double, files, .. } = setup(1 << 30);
    double.put("m", &noise(3_000_000));
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let files = files.clone();
            std::thread::spawn(move || files.local(&uri("m"), None, None).unwrap().path().to_path_buf())
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(double.bytes_sent(), 3_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_read_through_blocks() {
    let Setup { double, files, .. } = setup(1 << 30);
    let content = noise(1_000_003);
    double.put("t.tif", &content);
    let stat = files.stat(&uri("t.tif")).unwrap();
    double.forget_log();
    let file = files.remote(&uri("t.tif"), &stat, 10_000).unwrap().unwrap();
    let read = |at: usize, length: usize| {
        let mut out = vec![0; length];
        let count = file.read_at(at as u64, &mut out).unwrap();
        let want = &content[at.min(content.len())..(at + length).min(content.len())];
        assert!(count == want.len() && out[..count] == *want, "{length} bytes from {at} on");
    };
    let requests = || double.log().len();
    read(5, 100);
    read(9_000, 900);
    assert_eq!(requests(), 1, "one block serves both");
    read(9_500, 21_000);
    assert_eq!(requests(), 2, "what is missing comes in one request");
    read(100_000, 60_000);
    assert_eq!(
        (requests(), double.bytes_sent()),
        (3, 10_000 + 30_000 + 60_000),
        "long ones come as they are"
    );
    read(999_990, 100);
    read(1_000_003, 10);
    read(2_000_000, 10);
    assert_eq!(requests(), 4);
    for i in 0..40 {
        read(i * 24_001, 11);
    }
    let threads = 8;
    let wrong = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (file, content, wrong) = (&file, &content, &wrong);
            scope.spawn(move || {
                for i in 0..200_usize {
                    let at = (i * 7919 + thread * 104_729) % 990_000;
                    let mut out = [0; 3000];
                    file.read_at(at as u64, &mut out).unwrap();
                    wrong.fetch_add(u32::from(out[..] != content[at..at + 3000]), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(wrong.into_inner(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_file_tells_refusal_from_replacement() {
    let Setup { double, files, .. } = setup(1 << 30);
    double.put("t", &noise(5000));
    let stat = files.stat(&uri("t")).unwrap();
    let file = files.remote(&uri("t"), &stat, 1000).unwrap().unwrap();
    double.misbehave(|_, _| Some(Fault::Refuse(403, "AccessDenied")));
    let error = file.read_at(0, &mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    double.misbehave(|_, _| None);
    file.read_at(0, &mut [0; 10]).unwrap();
    double.put("t", &noise(5001));
    let error = file.read_at(3000, &mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StaleNetworkFileHandle);
    assert!(error.to_string().contains("s3://bucket/t") && error.to_string().contains("replaced"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_asked_again_and_the_error_says_how_often() {
    let (double, folder) = (Double::start(), tempfile::tempdir().unwrap());
    let cache = CacheOptions { folder: folder.path().join("cache"), bytes_max: 1 << 30 };
    let s3 = S3::new(crate::S3Options { attempts: 1, ..options(&double.url) });
    let files = Files::new(s3, cache, Handle::current(), Duration::from_secs(1), Metrics::new());
    double.put("a", b"content");
    double.misbehave(|_, before| (before < 2).then_some(Fault::Refuse(503, "SlowDown")));
    assert_eq!(files.read(&uri("a")).unwrap(), "content");
    double.misbehave(|_, _| Some(Fault::Refuse(503, "SlowDown")));
    let error = files.read(&uri("a")).unwrap_err();
    assert_eq!((error.kind, error.class()), (StoreErrorKind::Unavailable, FailureClass::Passing));
    assert!(error.reason.contains("; tried ") && error.reason.contains(" times within "), "{error}");
    assert!(std::error::Error::source(&error).is_some(), "what the client library said is kept");
    double.misbehave(|_, _| Some(Fault::Refuse(400, "InvalidArgument")));
    let before = double.log().len();
    let error = files.read(&uri("a")).unwrap_err();
    assert_eq!((error.kind, error.class()), (StoreErrorKind::Refused, FailureClass::Config));
    assert_eq!(double.log().len(), before + 1, "what would be refused again is asked once");
}
