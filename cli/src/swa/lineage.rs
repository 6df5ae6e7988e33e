//! Whether files come from one training: told from their names.

use marquetry_coordinator::tags_from_paths;
use std::collections::{BTreeMap, BTreeSet};

/// Tags that tell how far a training was, or how good it was then, and not which one it is.
const PROGRESS: [&str; 26] = [
    "acc",
    "accuracy",
    "auc",
    "best",
    "checkpoint",
    "ckpt",
    "cycle",
    "dice",
    "e",
    "ema",
    "ep",
    "epoch",
    "epochs",
    "it",
    "iter",
    "iteration",
    "iters",
    "iou",
    "last",
    "loss",
    "miou",
    "score",
    "snapshot",
    "step",
    "steps",
    "top",
];

/// Why these files are probably not of one training: the tags, such as `fold` and `seed`, in which their names differ. None
/// where nothing says so.
pub(crate) fn several_trainings(uris: &[&str]) -> Option<String> {
    let mut values: BTreeMap<String, BTreeMap<String, &str>> = BTreeMap::new();
    for (uri, tags) in uris.iter().zip(tags_from_paths(uris)) {
        for (key, value) in tags.into_iter().filter(|(key, _)| !PROGRESS.contains(&key.as_str())) {
            values.entry(key).or_default().entry(value).or_insert(uri);
        }
    }
    let differing = values.into_iter().filter(|(_, values)| values.len() > 1);
    let said = differing.map(|(key, values)| {
        let all = values.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let files: BTreeSet<&str> = values.into_values().take(2).collect();
        format!("`{key}` is {all} ({})", files.into_iter().collect::<Vec<_>>().join(", "))
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| {
        format!(
            "by their names these files are of several trainings: {}. The mean of the weights of different seeds or folds is \
             worse than each of them; give them as members of a job, which averages what they predict. Checkpoints of one \
             training differ in `epoch` or `step` alone. If the names mean something else, --force averages the files",
            said.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::several_trainings;

    #[test]
    fn epochs_and_scores_are_of_one_training() {
        for files in [
            &["a_epoch1.onnx", "a_epoch2.onnx"][..],
            &["epoch=12-step=3400.onnx", "epoch=13-step=3700.onnx"],
            &["fold0_e10.onnx", "fold0_e20.onnx"],
            &["net_miou81.2.onnx", "net_miou80.9.onnx"],
            &["x.onnx", "y.onnx"],
            &["run/ep1/m.onnx", "run/ep2/m.onnx"],
            &["fold0.onnx", "last.onnx"],
        ] {
            assert_eq!(several_trainings(files), None, "{files:?}");
        }
    }

    #[test]
    fn folds_and_seeds_are_of_several() {
        for (files, words) in [
            (&["m_fold0.onnx", "m_fold1.onnx"][..], "`fold` is 0, 1 (m_fold0.onnx, m_fold1.onnx)"),
            (
                &["seed1/e.onnx", "seed2/e.onnx", "seed2/f.onnx"],
                "`seed` is 1, 2 (seed1/e.onnx, seed2/e.onnx)",
            ),
            (&["run3/a_epoch1.onnx", "run4/a_epoch1.onnx"], "`run` is 3, 4"),
            (&["f0s1.onnx", "f1s2.onnx"], "`f` is 0, 1 (f0s1.onnx, f1s2.onnx); `s` is 1, 2"),
        ] {
            let said = several_trainings(files).unwrap();
            assert!(said.contains(words) && said.contains("--force"), "{said}");
        }
    }
}
