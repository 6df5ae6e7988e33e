use super::*;
use crate::rle::decode_rle;
use crate::write::fragment::FragmentText;
use crate::write::rle_tests::pixels;
use crate::write::rle_tests::{labels, push};
use crate::write::{RleOptions, RleSink, RleStyle};
use marquetry_geometry::Size;

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn classes(items: &[(u16, &str)]) -> Vec<SubmissionClass> {
    items.iter().map(|&(class, name)| SubmissionClass { class, name: name.to_owned() }).collect()
}

fn like(sample: &str, images: &[&str], some: &[(u16, &str)]) -> Result<Submission> {
    let columns = SubmissionColumns::default();
    Submission::like(sample.as_bytes(), &columns, "{image}", &texts(images), &classes(some))
}

/// A submission in which every text says what it stands for, and how often a fragment was fetched.
fn filled(submission: &Submission, some: &[Option<u16>]) -> (String, usize) {
    let (mut out, mut fetched, mut announced) = (Vec::new(), 0, submission.asks_for());
    let fragment = |id: &str| {
        fetched += 1;
        assert_eq!(announced.next(), Some(id));
        let text = |&class: &Option<u16>| FragmentText { class, text: format!("{id}/{class:?}") };
        Ok::<_, WriteError>(Fragment {
            version: 1,
            image_id: id.to_owned(),
            texts: some.iter().map(text).collect(),
        })
    };
    submission.write(&mut out, fragment).unwrap();
    assert_eq!(announced.next(), None);
    (String::from_utf8(out).unwrap(), fetched)
}

#[test]
fn one_row_for_each_image() {
    let submission = like("id,rle_mask\nb,1 1\na,\n", &["a", "b"], &[(1, "salt")]).unwrap();
    let (csv, _) = filled(&submission, &[Some(1)]);
    assert_eq!(csv, "id,rle_mask\nb,b/Some(1)\na,a/Some(1)\n");
    let submission = like("image_id,PredictionString\nbatch_01/x.jpg,0\n", &["batch_01/x.jpg"], &[]).unwrap();
    assert_eq!(
        filled(&submission, &[None]).0,
        "image_id,PredictionString\nbatch_01/x.jpg,batch_01/x.jpg/None\n"
    );
}

#[test]
fn one_row_for_each_image_and_class() {
    let some = [(1, "one"), (2, "two_ways")];
    let joined = "ImageId_ClassId,EncodedPixels\na_b.jpg_2,\nc.jpg_1,\nc.jpg_2,\na_b.jpg_1,1 1\n";
    let (csv, fetched) = filled(&like(joined, &["a_b.jpg", "c.jpg"], &some).unwrap(), &[Some(1), Some(2)]);
    assert_eq!(
        csv,
        "ImageId_ClassId,EncodedPixels\na_b.jpg_2,a_b.jpg/Some(2)\nc.jpg_1,c.jpg/Some(1)\nc.jpg_2,c.jpg/Some(2)\n\
         a_b.jpg_1,a_b.jpg/Some(1)\n"
    );
    assert_eq!(fetched, 3);
    let named = "id,rle\na_b_two_ways,\na_b_one,\n";
    assert_eq!(
        filled(&like(named, &["a_b"], &some).unwrap(), &[Some(1), Some(2)]).0,
        "id,rle\na_b_two_ways,a_b/Some(2)\na_b_one,a_b/Some(1)\n"
    );
    // The text stands in the middle, the class is an index, another column is carried along.
    let apart = "ImageId,EncodedPixels,ClassId,note\na,,2,\"x, y\"\na,,1,z\n";
    assert_eq!(
        filled(&like(apart, &["a"], &some).unwrap(), &[Some(1), Some(2)]).0,
        "ImageId,EncodedPixels,ClassId,note\na,a/Some(2),2,\"x, y\"\na,a/Some(1),1,z\n"
    );
    let madison = "id,class,predicted\na,one,\na,two_ways,\n";
    assert_eq!(
        filled(&like(madison, &["a"], &some).unwrap(), &[Some(1), Some(2)]).0,
        "id,class,predicted\na,one,a/Some(1)\na,two_ways,a/Some(2)\n"
    );
}

#[test]
fn rows_that_would_be_called_the_same_are_refused() {
    let (images, some) = (texts(&["a", "x", "a_b"]), classes(&[(1, "b_c"), (2, "c")]));
    let columns = SubmissionColumns::default();
    let plain = |layout, id: &str| Submission::plain(layout, &columns, id, &images, &some);
    let error = plain(SubmissionLayout::Joined, "{image}_{class}").unwrap_err().to_string();
    for words in [
        "image `a`, class `b_c`",
        "image `a_b`, class `c`",
        "`a_b_c`",
        "`id: \"{image}_{class}\"`",
        "columns",
    ] {
        assert!(error.contains(words), "{error}");
    }
    let keys = |submission: Submission| {
        let (csv, _) = filled(&submission, &[Some(1), Some(2)]);
        csv.lines().skip(1).map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let apart = plain(SubmissionLayout::Joined, "{image}:{class}").unwrap();
    assert_eq!(keys(apart), ["a:b_c", "a:c", "x:b_c", "x:c", "a_b:b_c", "a_b:c"]);
    let columned = plain(SubmissionLayout::ImageAndClass, "{image}").unwrap();
    assert_eq!(keys(columned), ["a,b_c", "a,c", "x,b_c", "x,c", "a_b,b_c", "a_b,c"]);
    let numbered = plain(SubmissionLayout::Joined, "{image}_{index}").unwrap();
    assert_eq!(keys(numbered), ["a_1", "a_2", "x_1", "x_2", "a_b_1", "a_b_2"]);
    let error = plain(SubmissionLayout::Joined, "{image}").unwrap_err().to_string();
    assert!(error.contains("image `a`, class `b_c` and of image `a`, class `c`"), "{error}");
    // A name is no pattern.
    let strange = (texts(&["{class}", "c"]), classes(&[(1, "c"), (2, "{index}")]));
    let strange =
        Submission::plain(SubmissionLayout::Joined, &columns, "{image}/{class}", &strange.0, &strange.1)
            .unwrap();
    assert_eq!(keys(strange), ["{class}/c", "{class}/{index}", "c/c", "c/{index}"]);
}

#[test]
fn columns_by_name() {
    let columns = SubmissionColumns {
        id: Some("image".to_owned()),
        class: Some("kind".to_owned()),
        text: Some("out".to_owned()),
    };
    let sample = "out,mask_kind,kind,image\n,0,1,a\n";
    let some = classes(&[(1, "x")]);
    let submission = Submission::like(sample.as_bytes(), &columns, "{image}", &texts(&["a"]), &some).unwrap();
    assert_eq!(filled(&submission, &[Some(1)]).0, "out,mask_kind,kind,image\na/Some(1),0,1,a\n");
    let wrong = SubmissionColumns { text: Some("rle".to_owned()), ..columns };
    let error = Submission::like(sample.as_bytes(), &wrong, "{image}", &texts(&["a"]), &[]).unwrap_err();
    assert!(error.to_string().contains("no column \"rle\", but out, mask_kind"), "{error}");
}

/// Ids of samples have the endings of files, those of a folder's images have none; rows and their order stay the sample's.
#[test]
fn ids_with_the_ending_of_a_file_are_the_same_image() {
    let one = [(1, "x")];
    for (sample, ids) in
        [("id,rle\nb.jpg,1 1\na.PNG,\n", ["a", "b"]), ("id,rle\nb,1 1\na,\n", ["a.jpg", "b.tif"])]
    {
        let rows: Vec<String> =
            filled(&like(sample, &ids, &one).unwrap(), &[Some(1)]).0.lines().map(str::to_owned).collect();
        let cells = |at: usize| sample.lines().nth(at).unwrap().split(',').next().unwrap().to_owned();
        assert_eq!(rows[1], format!("{},{}/Some(1)", cells(1), ids[1]));
        assert_eq!(rows[2], format!("{},{}/Some(1)", cells(2), ids[0]));
    }
    let joined = "Image_Label,EncodedPixels\nx_1.jpg_Fish,\nx_1.jpg_Flower,\n";
    let some = [(1, "Flower"), (2, "Fish")];
    let (csv, _) = filled(&like(joined, &["x_1"], &some).unwrap(), &[Some(1), Some(2)]);
    assert_eq!(csv, "Image_Label,EncodedPixels\nx_1.jpg_Fish,x_1/Some(2)\nx_1.jpg_Flower,x_1/Some(1)\n");
    // An id of its own comes first, and a name that two images have is none.
    let (csv, _) = filled(&like("id,rle\na.jpg,\na,\n", &["a", "a.jpg"], &one).unwrap(), &[Some(1)]);
    assert_eq!(csv, "id,rle\na.jpg,a.jpg/Some(1)\na,a/Some(1)\n");
    assert!(like("id,rle\na,\n", &["a.jpg", "a.png"], &one).is_err());
}

#[test]
fn the_job_may_say_what_stands_in_a_samples_first_column() {
    let said = |sample: &str, id: &str, some: &[(u16, &str)]| {
        Submission::like(
            sample.as_bytes(),
            &SubmissionColumns::default(),
            id,
            &texts(&["a", "b"]),
            &classes(some),
        )
    };
    let submission = said("k,rle\nimg-b.scan,\nimg-a.scan,\n", "img-{image}.scan", &[(1, "x")]).unwrap();
    assert_eq!(filled(&submission, &[Some(1)]).0, "k,rle\nimg-b.scan,b/Some(1)\nimg-a.scan,a/Some(1)\n");
    let some = [(1, "x"), (2, "y")];
    let sample = "k,rle\ny:a,\nx:a,\nx:b,\ny:b,\n";
    let (csv, _) = filled(&said(sample, "{class}:{image}", &some).unwrap(), &[Some(1), Some(2)]);
    assert_eq!(csv, "k,rle\ny:a,a/Some(2)\nx:a,a/Some(1)\nx:b,b/Some(1)\ny:b,b/Some(2)\n");
}

#[test]
fn samples_that_do_not_fit_are_refused() {
    let refused =
        |sample, images: &[&str], some: &[(u16, &str)]| like(sample, images, some).unwrap_err().to_string();
    let one = [(1, "x")];
    assert!(
        refused("id,rle\na,\nq,\n", &["a"], &one)
            .contains("1 of its rows are of no image and class of the job: q")
    );
    assert!(
        refused("id,rle\na,\n", &["a", "b"], &one)
            .contains("no row for 1 images or classes of the job: b (class 1)")
    );
    assert!(refused("id,rle\na,\na,\n", &["a"], &one).contains("twice"));
    assert!(refused("id,rle\nq,\n", &["a"], &one).contains("the job's ids are like `a`"));
    assert!(refused("id,rle\na.png,\n", &["test/a"], &one).contains("paths below the folder"));
    let kinds = [(1, "cat"), (2, "dog")];
    let message = refused("id,class,rle\na,Cat,\na,Dog,\n", &["a"], &kinds);
    assert!(
        message.contains("column class tells them apart (Cat, Dog)") && message.contains("cat, dog"),
        "{message}"
    );
    let columns = SubmissionColumns { class: Some("class".to_owned()), ..SubmissionColumns::default() };
    let sample = "id,class,rle\na,Cat,\na,Dog,\n";
    let error = Submission::like(sample.as_bytes(), &columns, "{image}", &texts(&["a"]), &classes(&kinds))
        .unwrap_err();
    assert!(error.to_string().contains("its class `Cat` is `cat` in the job"), "{error}");
    let message = refused("id,rle\na_Cat,\na_Dog,\n", &["a"], &kinds);
    assert!(message.contains("its class `Cat` is `cat` in the job"), "{message}");
    let message = refused("id,rle\na_cow,\n", &["a"], &kinds);
    assert!(message.contains("no class `cow`, but cat, dog"), "{message}");
    assert!(refused("id,rle\na_x,\n", &["a"], &[(1, "x"), (2, "y")]).contains("a (class 2)"));
    assert!(refused("id,rle\na,\n", &["a"], &[(1, "x"), (2, "y")]).contains("no row for 2"));
    assert!(refused("id,rle\na,\na_x,\na_y,\n", &["a"], &[(1, "x"), (2, "y")]).contains("images alone"));
    assert!(refused("id,rle\na,b,c\n", &["a"], &one).contains("sample"));
    assert!(refused("id\na\n", &["a"], &one).contains("no two"));
    assert!(refused("", &["a"], &one).contains("no two"));
    assert!(refused("id,rle\na,\n", &["a", "a"], &one).contains("two images"));
    assert!(
        refused("id,rle\nq0,\nq1,\nq2,\nq3,\nq4,\nq5,\n", &["a"], &one).contains("q0, q1, q2, q3, q4, …")
    );
}

#[test]
fn without_a_sample() {
    let plain = |layout, some: &[(u16, &str)]| {
        let id = if layout == SubmissionLayout::Joined { "{image}_{class}" } else { "{image}" };
        Submission::plain(layout, &SubmissionColumns::default(), id, &texts(&["a,1", "b"]), &classes(some))
    };
    let two = [(1, "x"), (2, "y")];
    let all = [None, Some(1), Some(2)];
    assert_eq!(
        filled(&plain(SubmissionLayout::ImageAndClass, &two).unwrap(), &all).0,
        "image_id,class,rle\n\"a,1\",x,\"a,1/Some(1)\"\n\"a,1\",y,\"a,1/Some(2)\"\nb,x,b/Some(1)\nb,y,b/Some(2)\n"
    );
    assert_eq!(
        filled(&plain(SubmissionLayout::Joined, &two[..1]).unwrap(), &all).0,
        "image_id,rle\n\"a,1_x\",\"a,1/Some(1)\"\nb_x,b/Some(1)\n"
    );
    assert_eq!(
        filled(&plain(SubmissionLayout::Image, &[]).unwrap(), &all).0,
        "image_id,PredictionString\n\"a,1\",\"a,1/None\"\nb,b/None\n"
    );
    assert!(plain(SubmissionLayout::Image, &two).is_err() && plain(SubmissionLayout::Joined, &[]).is_err());
}

#[test]
fn fragments_of_another_image_are_refused() {
    let submission = like("id,rle\na,\n", &["a"], &[(1, "x")]).unwrap();
    for (id, class) in [("b", Some(1)), ("a", None)] {
        let texts = vec![FragmentText { class, text: String::new() }];
        let fragment = Fragment { version: 1, image_id: id.to_owned(), texts };
        let error = submission.write(Vec::new(), |_| Ok::<_, WriteError>(fragment.clone())).unwrap_err();
        assert!(error.to_string().contains("a (class 1) lacks it"), "{error}");
    }
}

#[test]
fn masks_come_back_from_a_written_submission() {
    let size = Size::new(5, 4);
    let image = |seed: u16| (0..20).map(|k| (k * k + seed) % 7 % 3).collect::<Vec<u16>>();
    let images = [("a", image(0)), ("b", image(3)), ("c", vec![0; 20])];
    let fragment = |id: &str| {
        let values = &images.iter().find(|(name, _)| *name == id).unwrap().1;
        let options = RleOptions { style: RleStyle::Absolute, empty: "-1".to_owned() };
        let mut bytes = Vec::new();
        push(Box::new(RleSink::new(&mut bytes, id, size, &labels(3), &[1, 2], options)?), values, 5)?;
        Fragment::from_json(&bytes)
    };
    let sample = "image,kind,rle\nc,2,\nc,1,\nb,1,\nb,2,\na,1,\na,2,\n";
    let mut csv = Vec::new();
    let submission = like(sample, &["a", "b", "c"], &[(1, "x"), (2, "y")]).unwrap();
    assert_eq!(submission.len(), 6);
    submission.write(&mut csv, fragment).unwrap();
    let mut seen = 0;
    for record in csv::Reader::from_reader(&csv[..]).records() {
        let record = record.unwrap();
        let values = &images.iter().find(|(name, _)| *name == &record[0]).unwrap().1;
        let class: u16 = record[1].parse().unwrap();
        let mask = pixels(&decode_rle(&record[2], size, RleStyle::Absolute).unwrap());
        assert_eq!(mask, values.iter().map(|&value| u8::from(value == class)).collect::<Vec<_>>());
        seen += mask.len();
    }
    assert_eq!(seen, 6 * 20);
}
