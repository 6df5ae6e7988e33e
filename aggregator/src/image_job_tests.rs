use super::*;
use marquetry_ensemble::Sureness;
use marquetry_failure::{Classify, FailureClass};
use marquetry_geometry::Size;
use marquetry_scores::toy::{SIZE, TestImage, block};
use marquetry_telemetry::Metrics;
use marquetry_transport::Files;

const OUTPUTS: &str = "o";

/// Puts the image together for masks and a report.
fn make(image: &TestImage, partial: bool) -> Result<ImageFate, AggregateError> {
    let text = "version: 1\nimages: nowhere\nclasses: [a, b, c]\nmembers: [{onnx: none.onnx}]\n\
                outputs: [{masks: tiff}, {report: html}]\n";
    let spec = JobSpec::parse(text).unwrap();
    let options = AggregatorOptions {
        images: 1,
        temp_dir: image.path().to_path_buf(),
        files: Files::local_only(),
        metrics: Metrics::new(),
        planned_here: false,
    };
    let run = RunId { job: image.plan.job.clone(), store: String::new(), run: "r1".into() };
    let job = ImageJob {
        run: &run,
        store: &image.store,
        runtime: image.runtime.handle(),
        plan: &image.plan,
        known: &Arc::default(),
        spec: &spec,
        outputs: OUTPUTS,
        image: &image.image,
        picture: true,
        partial,
        options: &options,
        counted_at: Instant::now(),
    };
    job.run()
}

fn image() -> TestImage {
    let image = TestImage::two_scales();
    image.put(&key::run(&image.plan.job), b"r1".to_vec());
    image
}

fn result(image: &TestImage) -> ImageResult {
    ImageResult::from_bytes(&image.get(&key::part(&image.plan.job, OUTPUTS, &image.image.key))).unwrap()
}

fn mask(image: &TestImage) -> Vec<u8> {
    image.get(&key::out(&image.plan.job, "masks/plate/1.tiff"))
}

fn write_png(image: &TestImage, size: Size) {
    let file = std::fs::File::create(&image.image.uri).unwrap();
    let mut encoder = png::Encoder::new(file, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    let bytes = vec![200; size.area() as usize * 3];
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}

/// What is done to an image, and the warnings that follow.
type Spoil = (&'static str, fn(&TestImage), &'static [&'static str]);

#[test]
fn an_image_that_cannot_be_read_again_costs_its_picture_and_nothing_else() {
    let whole = image();
    write_png(&whole, SIZE);
    assert_eq!(make(&whole, false).unwrap(), ImageFate::Whole);
    assert!(result(&whole).warnings.is_empty() && result(&whole).pictures().is_some());
    let spoil: [Spoil; 3] = [
        ("gone", |_| {}, &["no georeference: cannot read", "no picture: "]),
        (
            "of another size",
            |image| write_png(image, Size::new(SIZE.height, SIZE.width + 1)),
            &["no picture: "],
        ),
        (
            "a TIFF that ends at once",
            |image| std::fs::write(&image.image.uri, b"II*\0\x08\0\0\0").unwrap(),
            &["no georeference: ", "no picture: "],
        ),
    ];
    for (how, spoil, warnings) in spoil {
        let image = image();
        spoil(&image);
        assert_eq!(make(&image, false).unwrap(), ImageFate::Whole, "{how}");
        let result = result(&image);
        assert_eq!(result.warnings.len(), warnings.len(), "{how}: {:?}", result.warnings);
        for (found, begin) in result.warnings.iter().zip(warnings) {
            assert!(found.starts_with(begin) && found.len() > begin.len(), "{how}: {found}");
        }
        assert!(result.pictures().is_none());
        assert_eq!(mask(&image), mask(&whole), "{how}");
    }
}

#[test]
fn what_is_incomplete_is_marked_until_it_is_completed() {
    let image = image();
    write_png(&image, SIZE);
    let task = block(0, 0);
    image.delete(&image.key_of(task));
    let error = make(&image, false).unwrap_err();
    assert_eq!((error.damaged(), error.class()), (vec![image.id(task)], FailureClass::Passing));
    let stored = |key: &str| image.runtime.block_on(image.store.head(key)).is_ok();
    let mark = key::gaps(&image.plan.job, OUTPUTS, &image.image.key);
    assert_eq!(make(&image, true).unwrap(), ImageFate::Incomplete { unread: None });
    assert!(stored(&mark) && result(&image).missing_pixels > 0);
    image.put(&image.key_of(task), image.tile(task));
    assert_eq!(make(&image, false).unwrap(), ImageFate::Whole);
    assert!(!stored(&mark) && result(&image).missing_pixels == 0);
    // Finished: its tiles may go, and nothing is made again.
    image.tasks().into_iter().for_each(|task| image.delete(&image.key_of(task)));
    assert_eq!(make(&image, true).unwrap(), ImageFate::Whole);
    assert!(!stored(&mark));
}

#[test]
fn nothing_is_stored_for_a_run_that_does_not_count() {
    let image = image();
    image.put(&key::run(&image.plan.job), b"r2".to_vec());
    assert_eq!(make(&image, false).unwrap(), ImageFate::Abandoned);
    let out = image.runtime.block_on(image.store.list(&key::out(&image.plan.job, ""))).unwrap();
    assert!(out.is_empty());
    // Where nobody is named, nobody else has the job, and whoever asked waits for it.
    image.runtime.block_on(image.store.delete(&key::run(&image.plan.job))).unwrap();
    assert_eq!(make(&image, false).unwrap(), ImageFate::Whole);
}

/// A job in rounds, of which half of the pixels or so are unsure.
fn in_rounds() -> TestImage {
    let image = TestImage::two_scales().in_rounds(Sureness { margin: 0.2, agreement: None });
    image.put(&key::run(&image.plan.job), b"r1".to_vec());
    write_png(&image, SIZE);
    image
}

#[test]
fn what_is_unsure_is_found_again_where_it_is_gone_or_damaged() {
    let image = in_rounds();
    assert_eq!(make(&image, false).unwrap(), ImageFate::Whole);
    let counts = result(&image).cascade.unwrap();
    let pixels = counts.unsure_pixels;
    assert!((SIZE.area() / 10..SIZE.area()).contains(&pixels) && !counts.left_out, "{pixels}");
    assert!(counts.forwards.inside <= counts.forwards.all);
    let key = key::unsure(&image.plan.job, &image.image.key);
    for stored in ["half a region", "mqregin1 and nothing else that is known"] {
        let again = in_rounds();
        again.put(&key, stored.into());
        assert_eq!(make(&again, false).unwrap(), ImageFate::Whole);
        assert_eq!((mask(&again), result(&again).cascade), (mask(&image), Some(counts)));
    }
    // A tile that tells it is wanted again, and one of those who were to look too.
    for task in [block(0, 1), block(1, 1)] {
        let image = in_rounds();
        image.delete(&image.key_of(task));
        assert_eq!(make(&image, false).unwrap_err().damaged(), [image.id(task)]);
    }
}

#[test]
fn an_image_with_a_gap_in_its_first_round_has_that_alone() {
    let image = in_rounds();
    let first = TestImage { plan: image.plan.first_round().unwrap(), ..in_rounds() };
    for image in [&image, &first] {
        image.delete(&image.key_of(block(0, 0)));
        assert_eq!(make(image, true).unwrap(), ImageFate::Incomplete { unread: None });
    }
    let counts = result(&image).cascade.unwrap();
    assert!(counts.left_out && counts.unsure_pixels == 0 && counts.forwards.inside == counts.forwards.all);
    assert!(result(&image).missing_pixels > 0);
    assert_eq!(mask(&image), mask(&first));
    // With all of the first round, but not all of the other, the first one stands where others have not looked.
    let image = in_rounds();
    image.delete(&image.key_of(block(1, 0)));
    assert_eq!(make(&image, true).unwrap(), ImageFate::Incomplete { unread: None });
    let found = result(&image);
    let counts = found.cascade.unwrap();
    assert!(found.missing_pixels == 0 && !counts.left_out);
    assert!((1..counts.unsure_pixels).contains(&counts.first_alone), "{counts:?}");
}
