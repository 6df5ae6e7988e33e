use marquetry_job::StageSeconds;

use super::*;

const HOSTILE: &str = r#"<script>alert("x")</script>'&"#;

fn empty() -> Report {
    Report {
        name: "nuclei".into(),
        job: "nuclei-0123456789ab".into(),
        version: "0.1.0".into(),
        outcome: "done".into(),
        whole: true,
        wall_seconds: 0.0,
        forwards: 0,
        tasks_computed: 0,
        tasks_found: 0,
        retries: 0,
        tile_bytes: 0,
        stages: StageSeconds::default(),
        aggregate_seconds: 0.0,
        peak_memory_bytes: None,
        machine: Vec::new(),
        settings: Vec::new(),
        classes: Vec::new(),
        groups: Vec::new(),
        image_kinds: Vec::new(),
        member_kinds: Vec::new(),
        warnings: Vec::new(),
        kept_labels: Vec::new(),
        region: None,
        cascade: None,
        gate: None,
        images: Vec::new(),
        failures: Vec::new(),
        files: Vec::new(),
    }
}

fn image(id: &str, confidence: f64) -> ReportImage {
    ReportImage {
        id: id.into(),
        size: "512 × 640".into(),
        confidence,
        shares: vec![0.75, 0.25],
        missing: 0.0,
        pictures: Some([b"image".to_vec(), b"mask".to_vec(), b"sure".to_vec()]),
        warnings: Vec::new(),
    }
}

fn member(name: &str) -> ReportMember {
    ReportMember {
        name: name.into(),
        tags: vec!["fold 0".into(), "seed 1".into()],
        weight: "0.5".into(),
        sha256: "9f31c2d4a7b0".into(),
    }
}

fn full() -> Report {
    let class = |name: &str, colour, share| ReportClass { name: name.into(), colour, share };
    Report {
        wall_seconds: 200.0,
        forwards: 1000,
        tasks_computed: 4,
        tile_bytes: 4_000_000,
        stages: StageSeconds { read: 10.0, prepare: 20.0, infer: 300.0, stitch: 40.0, store: 5.0 },
        aggregate_seconds: 25.0,
        peak_memory_bytes: Some(1_200_000_000),
        machine: vec![("Device".into(), "CPU".into())],
        settings: vec![("Decision".into(), "argmax".into())],
        classes: vec![class("background", [0, 0, 0], 0.75), class("nucleus", [230, 159, 0], 0.25)],
        groups: vec![ReportGroup {
            geometry: "512 × 512 px".into(),
            views: vec!["identity".into(), "hflip".into()],
            windows: 250,
            windows_per_pixel: 3.4,
            members: vec![member("a.onnx"), member("b.onnx")],
        }],
        images: vec![image("sure", 0.99), image("unsure", 0.61), image("between", 0.8)],
        files: vec![("Submission".into(), "out/submission.csv".into())],
        ..empty()
    }
}

/// The page with its unbreakable spaces made plain, so that expectations read well.
fn plain(report: &Report) -> String {
    render(report).replace('\u{a0}', " ")
}

#[track_caller]
fn position(page: &str, part: &str) -> usize {
    page.find(part).unwrap_or_else(|| panic!("{part:?} is not on the page"))
}

#[test]
fn the_page_shows_what_it_is_given() {
    let page = plain(&full());
    for part in [
        "<title>nuclei: Marquetry report</title>",
        "3 min 20 s",
        "5.00</dd>",
        "1.20 GB",
        "1.00 MB a block",
        "6 min 40 s of work, summed over threads: 2.00 times the wall time",
        "width:75%",
        ".c1{background:rgb(230,159,0)}",
        "<span class=\"chip\">seed 1</span>",
        "9f31c2d4a7b0",
        "a pixel lies in 3.40 of them",
        "data:image/png;base64,bWFzaw==",
        "out/submission.csv",
        "nuclei-0123456789ab",
        "argmax",
    ] {
        position(&page, part);
    }
}

#[test]
fn equal_reports_are_equal_bytes() {
    assert_eq!(render(&full()), render(&full()));
}

#[test]
fn nothing_is_asked_of_any_host() {
    let page = render(&full());
    for part in ["http:", "https:", "src=\"/", "<link", "@import", "url("] {
        assert!(!page.contains(part), "the page contains {part:?}");
    }
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let bad = || HOSTILE.to_owned();
    let mut report = full();
    report.name = bad();
    report.job = bad();
    report.version = bad();
    report.outcome = bad();
    report.machine = vec![(bad(), bad())];
    report.settings = vec![(bad(), bad())];
    report.files = vec![(bad(), bad())];
    report.classes[0].name = bad();
    report.groups[0].geometry = bad();
    report.groups[0].views = vec![bad()];
    let tags = vec![bad()];
    report.groups[0].members[0] = ReportMember { name: bad(), tags, weight: bad(), sha256: bad() };
    report.images[0].id = bad();
    report.images[0].size = bad();
    report.failures = vec![ReportFailure { image: bad(), what: bad(), attempts: 1, reason: bad() }];
    let (page, clean) = (render(&report), render(&full()));
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("alert(\""), "a quote would end an attribute");
    assert_eq!(page.matches("<script").count(), clean.matches("<script").count());
    // Every field above stands at least once in its escaped form; ids, sizes and names of classes more often.
    assert!(page.matches("&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62;&#39;&#38;").count() >= 20);
}

#[test]
fn an_empty_report_has_neither_odd_numbers_nor_empty_sections() {
    let page = render(&empty());
    let page = &page[position(&page, "<body>")..];
    for part in
        ["NaN", "inf", "<table", "<script", "id=\"time\"", "id=\"sheet\"", "id=\"failures\"", "id=\"images\""]
    {
        assert!(!page.contains(part), "the page contains {part:?}");
    }
    position(page, "id=\"provenance\"");
}

#[test]
fn numbers_that_are_none_become_dashes() {
    let mut report = full();
    report.wall_seconds = 0.0;
    report.stages.read = f64::NAN;
    report.aggregate_seconds = f64::INFINITY;
    report.classes[0].share = f64::NAN;
    report.groups[0].windows_per_pixel = f64::NAN;
    report.images[0].confidence = f64::NAN;
    report.images[1].shares = vec![f64::NAN];
    let page = plain(&report);
    let body = &page[position(&page, "<body>")..position(&page, "<script>")];
    for part in ["NaN", "inf<", "inf ", "inf%"] {
        assert!(!body.contains(part), "the page contains {part:?}");
    }
    position(body, "summed over threads: – times the wall time");
}

#[test]
fn a_run_that_found_everything_says_so() {
    let page = plain(&Report { forwards: 0, tasks_computed: 0, tasks_found: 12, ..full() });
    position(&page, "every block was in the store");
    position(&page, "12 from an earlier run");
}

#[test]
fn the_contact_sheet_begins_with_the_least_confident() {
    let mut report = full();
    report.images.push(ReportImage { pictures: None, ..image("without pictures", 0.1) });
    report.images.push(ReportImage { missing: 1.0, ..image("without scores", 0.2) });
    let page = plain(&report);
    let sheet = &page[position(&page, "id=\"sheet\"")..position(&page, "id=\"members\"")];
    position(sheet, "4 of 5 images, least confident first");
    let order = ["unsure", "between", "sure", "without scores"]
        .map(|id| position(sheet, &format!("<bdi>{id}</bdi>")));
    assert!(order.is_sorted(), "{order:?}");
    assert!(!sheet.contains("without pictures"));
}

#[test]
fn failures_stand_before_the_numbers() {
    let mut report = full();
    report.whole = false;
    let failure = |what: &str| ReportFailure {
        image: "unsure".into(),
        what: what.into(),
        attempts: 3,
        reason: "the file ends early".into(),
    };
    report.failures = vec![failure("block 3"), failure("block 4")];
    let page = plain(&report);
    assert!(position(&page, "the file ends early") < position(&page, "class=\"numbers\""));
    position(&page, "2 pieces of work were given up");
    position(&page, "1 with failures");
    position(&page, "run the same command again: finished work is kept");
}

#[test]
fn the_table_has_every_image_in_the_order_of_the_plan() {
    let mut report = full();
    report.images =
        (0..1234).map(|i| ReportImage { pictures: None, ..image(&format!("id {i:04}"), 0.9) }).collect();
    let page = plain(&report);
    let places: Vec<usize> = (0..1234).map(|i| position(&page, &format!("<bdi>id {i:04}</bdi>"))).collect();
    assert!(places.is_sorted());
    assert_eq!(page.matches("<tbody style=").count(), 13);
    assert!(!page.contains(">Missing<"), "no pixel is missing");
    report.images[7].missing = 0.031;
    let page = plain(&report);
    position(&page, ">Missing<");
    position(&page, "<td>3.1 %");
}

#[test]
fn many_classes_have_a_bar_and_no_columns() {
    let mut report = full();
    let head = |report: &Report| {
        let page = plain(report);
        let table = &page[position(&page, "<table class=\"images\"")..];
        table[..position(table, "</thead>")].to_owned()
    };
    assert!(head(&report).contains("nucleus"));
    report.classes.extend(vec![report.classes[1].clone(); 3]);
    assert!(!head(&report).contains("nucleus"));
    assert!(head(&report).contains("Shares"));
}

#[test]
fn the_histogram_counts_every_image_once() {
    let images: Vec<ReportImage> = (0..20).map(|i| image("a", if i < 5 { 0.55 } else { 1.0 })).collect();
    let histogram = parts::histogram(&images).unwrap();
    assert_eq!(histogram.from, 0.5);
    let mut expected = vec![0; parts::HISTOGRAM_BINS];
    (expected[2], expected[19]) = (34, 100);
    assert_eq!(histogram.bars, expected);
    assert!(parts::histogram(&images[..11]).is_none());
}

#[test]
fn warnings_are_named_and_only_where_there_are_any() {
    let mut report = full();
    assert!(!plain(&report).contains("id=\"warnings\""));
    report.images[1].pictures = None;
    report.warnings = vec![("fold0".into(), format!("activation: {HOSTILE}"))];
    report.images[1].warnings = vec![format!("no picture: {HOSTILE}")];
    report.images[2].warnings = vec!["no georeference: its tags are damaged".into(); 150];
    let page = plain(&report);
    let begin = position(&page, "id=\"warnings\"");
    assert!(page[begin..].contains("152 things are not as they should be"));
    assert!(page[begin..].contains("The first 100:"));
    assert!(page[begin..].contains("activation: &#60;script&#62;") && !page.contains(HOSTILE));
    assert_eq!(page.matches("no georeference").count(), 98);
}
