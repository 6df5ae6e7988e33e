use super::tests::{LABELS, feed, open, spec};
use marquetry_tuning::probes_from_bytes;

/// Six pixels, of which one has no scores and one no truth: the others, with what both members say of them.
#[test]
fn probes_are_what_members_say_where_something_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = "{probes: safetensors}]\ntruth: nowhere\ntiles: {per: member}\nallow: [purpose";
    let image = feed(open(&spec("background, b", false, outputs), &folder), LABELS, true);
    assert_eq!(image.files[0].place, "probes/x/1.safetensors");
    let probes = probes_from_bytes(&image.files[0].read().unwrap()).unwrap();
    assert_eq!((probes.classes, probes.members), (2, 2));
    assert_eq!(probes.places, [[0, 0], [0, 2], [1, 0], [1, 2]]);
    assert_eq!((probes.truth, probes.weights), (vec![0, 1, 1, 1], vec![1.0; 4]));
    let wanted = [0.9, 0.1, 0.6, 0.4, 0.6, 0.4, 0.1, 0.9, 0.3, 0.7, 0.7, 0.3, 0.0, 1.0, 0.0, 1.0];
    let found = probes.scores.iter().zip(wanted);
    assert!(
        found.clone().all(|(score, wanted): (_, f32)| (score.to_f32().exp() - wanted).abs() < 1e-3),
        "{:?}",
        probes.scores
    );
}
