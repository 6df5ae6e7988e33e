use super::*;
use marquetry_label_quality::LabelledScores;

const SIDE: usize = 32;

/// An image with a square of class 1 in which the ensemble believes, and a label that has it or not.
fn findings(seed: usize, has_label: bool) -> String {
    let mut scores = LabelledScores::new(Size::square(SIDE as u32), 2);
    for y in 0..SIDE {
        let inside = |x: usize| (8..20).contains(&y) && (8..20).contains(&x);
        // Members waver a little everywhere, so that something is usual.
        let p = |x: usize| {
            let noise = ((x * 31 + y * 17 + seed * 7) % 23) as f32 / 100.0;
            if inside(x) { 0.95 - noise } else { 0.05 + noise }
        };
        let object: Vec<f32> = (0..SIDE).map(p).collect();
        let shares: Vec<f32> = object.iter().map(|p| 1.0 - p).chain(object.iter().copied()).collect();
        let labels: Vec<u16> = (0..SIDE).map(|x| u16::from(inside(x) && has_label)).collect();
        scores.push_row(&shares, &labels);
    }
    serde_json::to_string(&Findings::new(&scores, Some(0))).unwrap()
}

#[test]
fn what_is_wrong_stands_first_in_tables_and_page() {
    let ids: Vec<String> = (0..40).map(|n| format!("set/{n}")).collect();
    let rows: HashMap<String, String> =
        ids.iter().enumerate().map(|(n, id)| (id.clone(), findings(n, n != 17))).collect();
    let images = ids.iter().map(|id| (id.clone(), (id.clone(), Size::square(SIDE as u32)))).collect();
    let labelled = Labelled {
        classes: vec!["ground".into(), "a<b".into()],
        labels: [("set/17".to_owned(), "masks/17.png".to_owned())].into(),
        colours: vec![[0; 3], [9, 8, 7]],
        shown: 3,
    };
    let made = labelled.files("job-1", &ids, &images, |id| Ok(rows.get(id).cloned())).unwrap();
    assert!(made.told.contains("of 40 labels 1 seem to need mending and 0"), "{}", made.told);
    let text = |name: &str| {
        let (_, bytes) = made.files.iter().find(|(place, _)| place.ends_with(name)).unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    };
    let labels = text("/labels.csv");
    let lines: Vec<&str> = labels.lines().collect();
    assert_eq!(lines.len(), 41);
    assert!(lines[1].starts_with("1,set/17,masks/17.png,0.0"), "{}", lines[1]);
    assert!(lines[1].contains(",relabel,1 area not labelled,1,"), "{}", lines[1]);
    assert!(lines[2].contains(",keep,differs from the prediction no more than is usual,"), "{}", lines[2]);
    let doubts = text("/doubts.csv");
    let first = doubts.lines().nth(1).unwrap();
    assert!(
        first.starts_with("set/17,missing,ground,a<b,0.6") && first.ends_with(",144,8,8,12,12"),
        "{first}"
    );
    let page = text("/index.html");
    assert!(page.contains("pictures/set/17.png") && page.contains("a&#60;b"), "{page}");
    // The second of four panels, 32 px further right.
    assert!(page.contains(r#"<rect class="likely" x="40" y="8" width="12" height="12"/>"#), "{page}");
    assert_eq!(page.matches("<article").count(), 3);
    assert!(!page.contains("class=\"warn\"") && page.contains("rgb(9,8,7)"), "{page}");
}

#[test]
fn of_few_images_it_is_told_that_they_are_few() {
    let ids = ["a".to_owned(), "b".to_owned()];
    let images = ids.iter().map(|id| (id.clone(), (id.clone(), Size::square(SIDE as u32)))).collect();
    let labelled = Labelled {
        classes: vec!["x".into(), "y".into()],
        labels: BTreeMap::new(),
        colours: Vec::new(),
        shown: 9,
    };
    let made = labelled.files("j", &ids, &images, |id| Ok((id == "a").then(|| findings(0, true)))).unwrap();
    assert!(made.told.contains("judged by 1 labels"), "{}", made.told);
    assert!(made.told.contains("of 1 labels 0 seem"), "{}", made.told);
}

#[test]
fn reasons_in_words() {
    let words = |reason: Reason| reason_words(&reason);
    assert_eq!(
        words(Reason::Components { missing: 2, extra: 0, swapped: 1, boundary: 0 }),
        "2 areas not labelled, 1 area of another class"
    );
    assert_eq!(
        words(Reason::Boundaries { shift_px: Some([-2, 1]) }),
        "outlines would fit better moved 2 px up and 1 px right"
    );
    assert!(words(Reason::AgreesByChance { kappa: 0.04 }).contains("kappa 0.04"));
}
