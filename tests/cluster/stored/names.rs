//! Names under which things lie: hashes, keys, ids made safe. With another name, what is stored is not found.

use crate::Form;
use crate::plans::{plan, scored_by_some, tagged_image};
use marquetry_coordinator::outputs_hash;
use marquetry_job::{Merge, TaskKind, key};
use marquetry_spec::JobSpec;
use std::path::Path;

const IDS: [&str; 9] =
    ["plain", "two/parts", "with space", "ä", "..", "a/../b", "CON.png", "100%/very \"odd\"\n", "a%2Eb"];

pub(crate) fn all() -> Vec<Form> {
    let mut forms = vec![table("keys.txt", keys()), table("output-names.txt", output_names())];
    let jobs = ["kaggle", "landcover", "multilabel", "nnunet", "nuclei"].map(|name| (name, example(name)));
    let hashes = jobs.iter().map(|(name, job)| format!("{name} {}\n", outputs_hash(job, &merge()))).collect();
    forms.push(table("outputs-hashes.txt", hashes));
    forms.extend(jobs.map(|(name, job)| resolved(name, job)));
    forms
}

/// How members are merged is part of an outputs hash, beside the job file.
fn merge() -> Merge {
    plan().merge
}

/// A table of names. Nobody reads it but people, who see what has another name.
fn table(file: &str, rows: String) -> Form {
    let wanted = rows.clone();
    let read = move |stored: &[u8]| {
        let stored = String::from_utf8_lossy(stored);
        let differs = stored.lines().zip(wanted.lines()).find(|(stored, wanted)| stored != wanted);
        differs.map_or(Ok(()), |(stored, wanted)| Err(format!("`{stored}` is `{wanted}` now")))
    };
    Form { file: file.to_owned(), written: rows.into_bytes(), read: Box::new(read) }
}

/// A job file with every default filled in, as it lies beside its plan.
fn resolved(name: &str, job: JobSpec) -> Form {
    let written = job.to_yaml().into_bytes();
    let read = move |stored: &[u8]| {
        let text = std::str::from_utf8(stored).map_err(|error| error.to_string())?;
        let stored = JobSpec::parse(text).map_err(|errors| errors.to_string())?;
        if stored == job { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: format!("spec-{name}.yaml"), written, read: Box::new(read) }
}

fn example(name: &str) -> JobSpec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}.yaml"));
    let text = std::fs::read_to_string(path).expect("an example");
    JobSpec::parse(&text).expect("an example is a job")
}

fn keys() -> String {
    let plan = plan();
    let (job, outputs) = (plan.job.as_str(), "0123456789ab");
    let (image, scored_by_some) = (&tagged_image().key, scored_by_some().key);
    let mut rows = vec![
        ("inference hash", plan.inference.hash()),
        ("plan hash", plan.hash()),
        ("job", job.to_owned()),
        ("image", image.clone()),
        ("image scored by some members", scored_by_some),
        ("plan", key::plan(job, &plan.hash())),
        ("spec", key::spec(job, outputs)),
        ("statistics", key::statistics(job, image)),
        ("region", key::region(job, image)),
        ("gate", key::gate(job, image)),
        ("unsure", key::unsure(job, image)),
        ("image within a region", tagged_image().within("0123456789abcdef").key),
        ("part", key::part(job, outputs, image)),
        ("gaps", key::gaps(job, outputs, image)),
        ("run", key::run(job)),
        ("status", key::status(job)),
        ("rounds", key::rounds(job)),
        ("seconds", key::seconds(job)),
        ("out", key::out(job, "masks/plate 1/ä.png")),
    ];
    let images = [tagged_image(), crate::plans::scored_by_some()];
    for image in &images {
        let scores = plan.scores_of(image);
        rows.extend(scores.iter().map(|scores| ("scores", scores.clone())));
        let blocks = [0, 1, u32::MAX].map(|block| TaskKind::Block { group: 0, block });
        let tiles = blocks.iter().filter_map(|block| block.produces(job, image, &scores));
        rows.extend(tiles.map(|tile| ("tile", tile)));
    }
    rows.iter().map(|(what, name)| format!("{what}: {name}\n")).collect()
}

fn output_names() -> String {
    let long = "long ".repeat(60);
    let ids = IDS.iter().copied().chain([long.as_str()]);
    ids.map(|id| format!("{id:?} {}\n", key::output_name(id, ".png"))).collect()
}
