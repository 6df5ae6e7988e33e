//! Maps of uncertainty, and what to label next: from what members say alone, computed again in another way.

use crate::decode::{csv, tiff_planes, zarr};
use crate::pictures::bmp;
use crate::training_labels::{Files, HEIGHT, IMAGES, WIDTH, ids, mask, members_alone, place};

/// The example with these outputs of uncertainty instead of its own.
fn job(store: &str, outputs: &str) -> String {
    let text = crate::training_labels::job(store, outputs);
    let own = [
        "  - {uncertainty: [entropy, mutual_information]}\n",
        "  - {ranking: mutual_information, of: windows, count: 50}\n",
    ];
    assert!(own.iter().all(|line| text.contains(line)), "the example has them");
    own.iter().fold(text, |text, line| text.replace(line, ""))
}

fn entropy(p: &[f64]) -> f64 {
    let sum: f64 = p.iter().sum();
    p.iter().filter(|p| **p > 0.0).map(|p| -(p / sum) * (p / sum).ln()).sum::<f64>() / 3.0_f64.ln()
}

/// Every measure, from what members say alone; mutual information by subtraction, which is another way.
#[test]
fn maps_of_uncertainty_are_those_of_the_members() {
    const MEASURES: &str = "[entropy, mutual_information, vote_share, margin]";
    let place = place();
    let more = format!(
        "  - {{probabilities: zarr}}\n  - {{uncertainty: {MEASURES}, format: zarr}}\n  - {{uncertainty: {MEASURES}, dtype: u8}}\n"
    );
    place.write("job.yaml", job("all", &more));
    place.run("job.yaml").ends_with(0);
    let (files, alone, area) = (place.outputs("all"), members_alone(&place), HEIGHT * WIDTH);
    let mut doubt = 0.0_f64;
    for id in ids() {
        let scores = |files: &Files| zarr(files, &format!("probabilities/{id}.zarr")).1;
        let (mean, members): (_, Vec<Vec<f32>>) = (scores(&files), alone.iter().map(scores).collect());
        let labels = mask(&files, "masks", &id);
        let votes: Vec<Vec<u8>> = alone.iter().map(|files| mask(files, "masks", &id)).collect();
        let (shape, maps) = zarr(&files, &format!("uncertainty/{id}.zarr"));
        assert_eq!(shape, [4, HEIGHT, WIDTH]);
        let bytes = tiff_planes(&files[&format!("uncertainty/{id}.tiff")], 4);
        for x in 0..area {
            let pixel =
                |scores: &Vec<f32>| (0..3).map(|c| f64::from(scores[c * area + x])).collect::<Vec<_>>();
            let mut merged = pixel(&mean);
            let each = members.iter().map(|m| entropy(&pixel(m))).sum::<f64>() / 5.0;
            let voted = votes.iter().filter(|votes| votes[x] == labels[x]).count() as f64 / 5.0;
            let h = entropy(&merged);
            merged.sort_by(|a, b| b.total_cmp(a));
            let wanted = [h, h - each, voted, merged[0] - merged[1]];
            doubt = doubt.max(wanted[1]);
            for (n, wanted) in wanted.iter().enumerate() {
                let found = maps[n * area + x];
                assert!((f64::from(found) - wanted).abs() < 3e-3, "{id} {x} measure {n}: {found} {wanted}");
                assert!((f32::from(bytes[n].labels[x]) - 255.0 * found).abs() < 0.7);
            }
        }
    }
    assert!(doubt > 0.05, "members disagree somewhere: {doubt}");
}

#[test]
fn what_to_label_next_is_unsure_and_not_all_alike() {
    let place = place();
    // The same scene again, under other names.
    for copy in ["a", "b", "c"] {
        place.write(&format!("data/unlabelled/copies/{copy}.bmp"), bmp(HEIGHT, WIDTH, 2));
    }
    let table = |store: &str, keys: &str| {
        place.write(
            "job.yaml",
            job(store, &format!("  - {{uncertainty: entropy, format: zarr}}\n  - {{ranking: {keys}}}\n")),
        );
        place.run("job.yaml").ends_with(0);
        let files = place.outputs(store);
        let rows = csv(&files["label_next.csv"]);
        let header = "rank,image_id,path,top,left,height,width,uncertainty,similarity,most_like";
        assert_eq!(rows[0].join(","), header);
        (rows[1..].to_vec(), files)
    };
    let number = |row: &[String], at: usize| row[at].parse::<f64>().unwrap_or(f64::NAN);
    let (plain, files) = table("plain", "entropy, diversity: 0");
    assert_eq!(plain.len(), IMAGES as usize + 3);
    assert!(plain.windows(2).all(|rows| number(&rows[0], 7) >= number(&rows[1], 7)), "{plain:?}");
    let mean_of = |id: &str, top: usize, left: usize, height: usize, width: usize| {
        let (_, map) = zarr(&files, &format!("uncertainty/{id}.zarr"));
        let all = (top..top + height).flat_map(|y| (left..left + width).map(move |x| y * WIDTH + x));
        all.map(|at| f64::from(map[at])).sum::<f64>() / (height * width) as f64
    };
    for row in &plain {
        assert!((number(row, 7) - mean_of(&row[1], 0, 0, HEIGHT, WIDTH)).abs() < 1e-3, "{row:?}");
        assert!(std::path::Path::new(&row[2]).is_file());
    }
    // Four images are one scene: the plain ranking has them side by side, and the other not two of them among its first four.
    let same = |row: &&Vec<String>| row[1].starts_with("copies/") || row[1] == "site 0/2";
    let places: Vec<usize> = (0..plain.len()).filter(|n| same(&&plain[*n])).collect();
    assert_eq!(places[3] - places[0], 3, "{plain:?}");
    let (diverse, _) = table("diverse", "entropy, diversity: 0.7");
    assert_eq!(diverse[..4].iter().filter(same).count(), 1, "{diverse:?}");
    let copy = diverse[4..].iter().find(same).expect("a copy");
    assert!((number(copy, 8) - 1.0).abs() < 1e-6, "it is like one above it: {copy:?}");
    let above = &diverse[number(copy, 9) as usize - 1];
    assert!(same(&above), "{above:?}");
    // Windows of 30 × 28 px: two rows of three, in each image.
    let (windows, _) = table("windows", "entropy, of: windows, window: 30, count: 12, diversity: 0");
    assert_eq!(windows.len(), 12);
    for row in &windows {
        let [top, left, height, width] = [3, 4, 5, 6].map(|at| number(row, at) as usize);
        assert!(
            height == 30 && (27..=28).contains(&width) && top + height <= HEIGHT && left + width <= WIDTH
        );
        assert!((number(row, 7) - mean_of(&row[1], top, left, height, width)).abs() < 1e-3, "{row:?}");
    }
}

#[test]
fn a_member_alone_agrees_with_itself_which_is_said() {
    let place = place();
    let rows: String =
        ids().zip(0..).map(|(id, fold)| format!("{id},data/unlabelled/{id}.bmp,{fold}\n")).collect();
    place.write("images.csv", format!("image_id,path,fold\n{rows}"));
    let text = job("out", "  - {uncertainty: [mutual_information, vote_share], format: zarr}\n");
    let images = "images: data/unlabelled/**/*.bmp";
    let text = text.replace(images, "images: images.csv\nfolds: out_of_fold");
    place.write("job.yaml", text);
    let words =
        format!("{IMAGES} images (site 0/0, …) are scored by one member alone, which agrees with itself");
    place.run("job.yaml").ends_with(0).says(&[&words]);
    let files = place.outputs("out");
    for id in ids() {
        let (_, maps) = zarr(&files, &format!("uncertainty/{id}.zarr"));
        let (information, votes) = maps.split_at(HEIGHT * WIDTH);
        assert!(information.iter().all(|x| *x == 0.0) && votes.iter().all(|x| *x == 1.0), "{id}");
    }
}
