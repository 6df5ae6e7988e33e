use super::double::{Asked, BUCKET, Double, Fault};
use super::{S3, S3Store};
use crate::uri::S3Uri;
use crate::{
    Condition, Content, ObjectStore, S3Credentials, S3Options, Seen, StoreErrorKind as Kind, contract,
};
use bytes::Bytes;

pub(crate) fn options(url: &str) -> S3Options {
    let keys = S3Credentials { access_key: "key".into(), secret_key: "secret".into() };
    S3Options {
        endpoint: Some(url.into()),
        region: Some("us-east-1".into()),
        credentials: Some(keys),
        parallel: 6,
        ..S3Options::default()
    }
}

fn place(key: &str) -> S3Uri {
    S3Uri { bucket: BUCKET.into(), key: key.into() }
}

fn store(double: &Double) -> S3Store {
    S3Store::new(S3::new(options(&double.url)), &place("some/prefix/"))
}

pub(crate) fn noise(length: usize) -> Bytes {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    (0..length).map(next).collect()
}

/// The store that tests of real services use, and a prefix of its own; `None`, and a line that says so, without one.
fn real() -> Option<(S3, S3Uri)> {
    let (Ok(endpoint), Ok(bucket)) =
        (std::env::var("MARQUETRY_TEST_S3"), std::env::var("MARQUETRY_TEST_BUCKET"))
    else {
        println!("skipped: MARQUETRY_TEST_S3 and MARQUETRY_TEST_BUCKET name no S3 server");
        return None;
    };
    let s3 = S3::new(S3Options { endpoint: Some(endpoint), ..S3Options::default() });
    let key = format!("transport/{:016x}/", fastrand::u64(..));
    Some((s3, S3Uri { bucket, key }))
}

#[tokio::test]
async fn keeps_the_contract_with_the_double() {
    let double = Double::start();
    contract::store(&store(&double)).await;
    assert!(
        double.log().iter().any(|l| l.contains("bucket/some/prefix/jobs/b/2.tile?")),
        "{:?}",
        double.log()
    );
    assert!(double.log().iter().any(|l| l.contains("continuation-token")), "the list has several pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract_with_a_real_server() {
    let Some((s3, place)) = real() else { return };
    let store = S3Store::new(s3, &place);
    contract::store(&store).await;
}

/// Multipart both ways, from memory and from a file, with a length that no part divides.
async fn large_objects_go_in_parts(store: &S3Store) {
    let value = noise(40_000_003);
    store.put("jobs/large", value.clone()).await.unwrap();
    assert!(store.get("jobs/large").await.unwrap() == value, "what comes back is what was put");
    let part = store.get_range("jobs/large", 8_388_600..25_165_901).await.unwrap();
    assert!(part == value.slice(8_388_600..25_165_901));
    assert!(store.get_range("jobs/large", 39_999_990..40_000_004).await.is_err());
    assert!(store.get_range("jobs/large", 5..5).await.unwrap().is_empty());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &value).unwrap();
    store.put_file("jobs/file", file.path()).await.unwrap();
    assert!(store.get("jobs/file").await.unwrap() == value);
    assert_eq!(store.head("jobs/file").await.unwrap().size_bytes, 40_000_003);
}

/// The condition of a write in parts is looked at last of all, after a request that may be long on its way.
async fn large_objects_are_not_written_over_newer_ones(store: &S3Store) {
    let (old, new) = (Content::Bytes(noise(20_000_000)), Content::Bytes(noise(20_000_001)));
    let nothing = store.look("out/large").await.unwrap();
    store.put_over("out/large", &new, &nothing).await.unwrap();
    for seen in [nothing, Seen::Stamp("of-before".into())] {
        let error = store.put_over("out/large", &old, &seen).await.unwrap_err();
        assert_eq!(error.kind, Kind::Conflict, "{seen:?}: {error}");
    }
    assert_eq!(store.head("out/large").await.unwrap().size_bytes, 20_000_001);
    let seen = store.look("out/large").await.unwrap();
    store.put_over("out/large", &old, &seen).await.unwrap();
    assert_eq!(store.head("out/large").await.unwrap().size_bytes, 20_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_not_written_over_newer_ones_in_the_double() {
    let double = Double::start();
    large_objects_are_not_written_over_newer_ones(&store(&double)).await;
    // What the server says, without a look before: here something comes between the two.
    let store = store(&double);
    let seen = store.look("out/large").await.unwrap();
    let other = store.clone();
    double.misbehave(|asked: &Asked, before| {
        (asked.query.contains("uploadId") && asked.method == "POST" && before == 0)
            .then_some(Fault::Refuse(503, "SlowDown"))
    });
    let large = Content::Bytes(noise(20_000_002));
    let (late, ()) = tokio::join!(store.put_over("out/large", &large, &seen), async {
        while double.open_uploads() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        other.put("out/large", noise(1000)).await.unwrap();
    });
    assert_eq!(late.unwrap_err().kind, Kind::Conflict, "{:?}", double.log());
    assert_eq!(store.get("out/large").await.unwrap(), noise(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_are_not_written_over_newer_ones_on_a_real_server() {
    let Some((s3, place)) = real() else { return };
    large_objects_are_not_written_over_newer_ones(&S3Store::new(s3, &place)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_go_in_parts_to_the_double() {
    let double = Double::start();
    large_objects_go_in_parts(&store(&double)).await;
    let parts = double.log().iter().filter(|l| l.contains("partNumber")).count();
    assert_eq!(parts, 2 * 5, "{:?}", double.log());
    assert!(double.at_once_max() <= 6, "{} requests at once", double.at_once_max());
    assert_eq!(double.open_uploads(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_go_in_parts_to_a_real_server() {
    let Some((s3, place)) = real() else { return };
    let store = S3Store::new(s3, &place);
    large_objects_go_in_parts(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_leaves_nothing() {
    let double = Double::start();
    double.misbehave(|asked: &Asked, _| {
        asked.query.contains("partNumber=3").then_some(Fault::Refuse(403, "AccessDenied"))
    });
    let error = store(&double).put("jobs/large", noise(40_000_003)).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied);
    for _ in 0..100 {
        if double.open_uploads() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the upload is still open: {:?}", double.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again() {
    let double = Double::start();
    let store = store(&double);
    store.put("jobs/a", noise(1000)).await.unwrap();
    // Twice busy, then a body that breaks off, then fine.
    double.misbehave(|asked: &Asked, before| match (asked.method.as_str(), before) {
        ("GET", 0 | 1) => Some(Fault::Refuse(503, "SlowDown")),
        ("GET", 2) => Some(Fault::BreakOff),
        _ => None,
    });
    assert_eq!(store.get("jobs/a").await.unwrap(), noise(1000));
    assert_eq!(double.log().iter().filter(|l| l.starts_with("GET")).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_knows_no_ranges_gives_the_right_bytes() {
    let double = Double::start();
    let store = store(&double);
    store.put("jobs/a", noise(1000)).await.unwrap();
    double.misbehave(|_, _| Some(Fault::IgnoreRange));
    assert_eq!(store.get("jobs/a").await.unwrap(), noise(1000));
    assert_eq!(store.get_range("jobs/a", 100..300).await.unwrap(), noise(1000).slice(100..300));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_object_is_noticed() {
    let double = Double::start();
    let s3 = S3::new(options(&double.url));
    double.put("a", &[1; 100]);
    let facts = s3.head(&place("a")).await.unwrap();
    assert_eq!((facts.size_bytes, facts.etag.is_some()), (100, true));
    s3.fetch(&place("a"), 0..10, facts.etag.as_deref()).await.unwrap();
    double.put("a", &[2; 100]);
    let error = s3.fetch(&place("a"), 0..10, facts.etag.as_deref()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_notices_a_replaced_object() {
    let Some((s3, mut place)) = real() else { return };
    let store = S3Store::new(s3.clone(), &place);
    store.put("a", Bytes::from_static(b"one")).await.unwrap();
    place.key += "a";
    let facts = s3.head(&place).await.unwrap();
    assert!(facts.etag.is_some() && facts.modified_seconds > 0, "{facts:?}");
    s3.fetch(&place, 0..3, facts.etag.as_deref()).await.unwrap();
    store.put("a", Bytes::from_static(b"two")).await.unwrap();
    let error = s3.fetch(&place, 0..3, facts.etag.as_deref()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Changed, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_go_with_one_request() {
    let double = Double::start();
    let store = store(&double);
    let keys: Vec<String> = (0..5).map(|i| format!("tiles/{i} & <{i}>")).collect();
    for key in &keys {
        store.put(key, Bytes::new()).await.unwrap();
    }
    double.forget_log();
    let with_others = [&keys[..], &["tiles/none".to_owned()]].concat();
    store.delete_many(&with_others).await.unwrap();
    assert_eq!(double.log(), ["POST bucket?delete"]);
    assert!(store.list("tiles/").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_removed_is_named_and_the_rest_goes() {
    let double = Double::start();
    let store = store(&double);
    let keys: Vec<String> = (0..5).map(|i| format!("tiles/{i}")).collect();
    for key in &keys {
        store.put(key, Bytes::new()).await.unwrap();
    }
    double.misbehave(|asked: &Asked, _| asked.query.contains("delete").then_some(Fault::Keep("tiles/3")));
    let error = store.delete_many(&keys).await.unwrap_err();
    assert_eq!((error.kind, error.key.as_str()), (Kind::Denied, "tiles/3"), "{error}");
    let left: Vec<_> = store.list("tiles/").await.unwrap().into_iter().map(|meta| meta.key).collect();
    assert_eq!(left, ["tiles/3"]);
    double.misbehave(|asked: &Asked, _| {
        asked.query.contains("delete").then_some(Fault::Refuse(403, "AccessDenied"))
    });
    let error = store.delete_many(&keys).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied);
    assert!(error.reason.ends_with("5 of 5 objects are left"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_removes_one_at_a_time_is_asked_once() {
    for fault in [Fault::Refuse(501, "NotImplemented"), Fault::Refuse(400, "MissingContentMD5")] {
        let double = Double::start();
        double.misbehave(move |asked: &Asked, _| asked.query.contains("delete").then_some(fault));
        let store = store(&double);
        for round in 0..2 {
            let keys: Vec<String> = (0..4).map(|i| format!("tiles/{round}/{i}")).collect();
            for key in &keys {
                store.put(key, Bytes::new()).await.unwrap();
            }
            store.delete_many(&keys).await.unwrap();
            assert!(store.list("tiles/").await.unwrap().is_empty());
        }
        assert_eq!(double.log().iter().filter(|line| line.starts_with("POST")).count(), 1);
    }
}

/// A store that ignores conditions, or refuses them, keeps the contract as long as nobody races.
#[tokio::test(flavor = "multi_thread")]
async fn stores_without_conditions_look_before_they_write() {
    for fault in [Fault::IgnoreConditions, Fault::Refuse(501, "NotImplemented"), Fault::Refuse(400, "X")] {
        let double = Double::start();
        double.misbehave(move |asked: &Asked, _| {
            asked.headers.keys().any(|name| name.starts_with("if-")).then_some(fault)
        });
        let store = store(&double);
        let first = store.put_if("run", Bytes::from_static(b"1"), &Condition::Absent).await.unwrap();
        let error = store.put_if("run", Bytes::from_static(b"2"), &Condition::Absent).await.unwrap_err();
        assert_eq!(error.kind, Kind::Conflict, "{fault:?}: {error}");
        let of_first = Condition::Version(first);
        store.put_if("run", Bytes::from_static(b"3"), &of_first).await.unwrap();
        let error = store.put_if("run", Bytes::from_static(b"4"), &of_first).await.unwrap_err();
        assert_eq!(error.kind, Kind::Conflict, "{fault:?}: {error}");
        assert_eq!(store.get("run").await.unwrap(), "3");
    }
}

/// The client sends a request again when no answer comes, and then finds its own object in the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_write_whose_answer_is_lost_has_happened() {
    let double = Double::start();
    double.misbehave(|asked: &Asked, before| {
        (asked.method == "PUT" && before == 0).then_some(Fault::LoseAnswer)
    });
    let store = store(&double);
    let version = store.put_if("run", Bytes::from_static(b"1"), &Condition::Absent).await.unwrap();
    assert_eq!(store.get_versioned("run").await.unwrap(), (Bytes::from_static(b"1"), version));
    let puts = double.log().iter().filter(|l| l.starts_with("PUT")).count();
    assert_eq!(puts, 2, "{:?}", double.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do() {
    let double = Double::start();
    let nowhere =
        S3Store::new(S3::new(options(&double.url)), &S3Uri { bucket: "absent".into(), key: String::new() });
    let error = nowhere.check().await.unwrap_err();
    assert_eq!(error.kind, Kind::NoStore);
    assert!(error.to_string().contains("no bucket `absent`"), "{error}");

    double.misbehave(|_, _| Some(Fault::Refuse(403, "SignatureDoesNotMatch")));
    let error = store(&double).put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied);
    let text = error.to_string();
    for word in
        ["`a`", "s3://bucket/some/prefix", &double.url, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"]
    {
        assert!(text.contains(word), "`{word}` is not in {text}");
    }

    let gone = S3::new(S3Options { attempts: 2, ..options("http://127.0.0.1:9") });
    let error = S3Store::new(gone, &place("")).get("a").await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(
        error.to_string().contains("cannot be reached") && error.to_string().contains("127.0.0.1:9"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_says_what_is_wrong() {
    let Some((s3, mut place)) = real() else { return };
    let url = std::env::var("MARQUETRY_TEST_S3").unwrap();
    let error = S3Store::new(S3::new(options(&url)), &place).put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Denied, "{error}");
    place.bucket = "no-such-bucket-here".into();
    let error = S3Store::new(s3, &place).check().await.unwrap_err();
    assert_eq!(error.kind, Kind::NoStore, "{error}");
}
