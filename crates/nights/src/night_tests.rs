use super::*;

pub(crate) fn image(id: &str, key: &str, pixels: [u64; 2]) -> NightImage {
    NightImage {
        id: id.into(),
        uri: format!("{id}.png"),
        key: key.into(),
        truth: None,
        came: Came::Same,
        since: String::new(),
        class_pixels: pixels.into(),
        missing_pixels: 0,
        confidence: 0.5,
    }
}

pub(crate) fn night(at: &str, job: &str, images: Vec<NightImage>) -> Night {
    let class = |name: &str| NightClass { name: name.into(), colour: [1, 2, 3] };
    Night { classes: vec![class("a"), class("b")], images, ..Night::new("n", at, job, "0123") }
}

#[test]
fn it_says_why_each_image_has_its_result() {
    let mut first = night(
        "1",
        "j",
        ["same", "moved", "changed", "truth", "again", "gone"].map(|id| image(id, id, [1, 2])).into(),
    );
    first.follow(None);
    assert_eq!(first.counts, [(Came::New, 6)].into());
    let mut images: Vec<NightImage> = first.images[..5].to_vec();
    images[1].uri = "elsewhere.png".into();
    images[2].key = "other".into();
    images[3].truth = Some("t".into());
    images[4].missing_pixels = 1;
    images.insert(0, image("new", "n", [0, 3]));
    let mut second = night("2", "j", images);
    second.follow(Some(&first));
    let came: Vec<(Came, &str)> = second.images.iter().map(|i| (i.came, i.since.as_str())).collect();
    let all = [Came::New, Came::Same, Came::Moved, Came::Changed, Came::Truth, Came::Again];
    assert_eq!(
        came,
        all.map(|came| (came, if matches!(came, Came::Same | Came::Moved) { "1" } else { "2" }))
    );
    assert_eq!(second.gone, ["gone"]);
    assert_eq!(
        second.replaced,
        ["changed", "gone"].map(|key| format!("jobs/j/out/nights/0123-{key}.labels"))
    );

    let again = second.again("2b");
    let mut wanted = Night { at: "2b".into(), counts: BTreeMap::new(), gone: vec![], ..second.clone() };
    wanted.follow(Some(&second));
    assert_eq!(again, wanted);

    let mut third = night("3", "other", second.images.clone());
    third.follow(Some(&second));
    assert_eq!(third.counts, [(Came::Members, 6)].into());
    assert_eq!(third.replaced.len(), 6);
    let mut fourth = Night { outputs: "4567".into(), ..night("4", "other", third.images.clone()) };
    fourth.follow(Some(&third));
    assert_eq!(fourth.counts, [(Came::Decisions, 6)].into());
}

#[test]
fn it_is_stored_a_line_for_each_image_and_read_back() {
    for images in [vec![], vec![image("ä\"\n", "k", [1, 2]), image("b", "l", [3, 4])]] {
        let mut one = night("1", "j", images);
        one.gone = vec!["\"images\":[]".into()];
        one.lost = vec![LostImage { id: "x".into(), reason: "\"images\":[]".into() }];
        one.follow(None);
        let bytes = one.to_bytes();
        assert_eq!(Night::from_bytes(&bytes).unwrap(), one);
        let head =
            Night::head_in(&bytes).map(|head| head.map(|head| (head.at, head.added, head.images.len())).ok());
        if !one.images.is_empty() {
            assert_eq!(head, Some(Some(("1".into(), one.added.clone(), 0))));
            assert!(Night::head_in(&bytes[..20]).is_none());
        }
        let lines = String::from_utf8_lossy(&bytes).lines().count();
        assert_eq!(lines, one.images.len().max(1) + 2);
    }
    assert!(matches!(Night::from_bytes(b"{\"form\":9}"), Err(NightReadError::Form(9))));
    assert!(matches!(Night::from_bytes(b"{}"), Err(NightReadError::Json(_))));
}
