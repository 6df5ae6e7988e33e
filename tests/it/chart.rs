//! The Helm chart says nothing to the binary that the binary does not know, and its own test expects what comes out.

use crate::fixture::{Place, binary};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use marquetry_transport::Topic;
use marquetry_transport::lag::{AGGREGATORS, WORKERS};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/marquetry")
}

fn text(path: impl AsRef<Path>) -> String {
    let path = chart().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn help(command: &[&str]) -> String {
    let output = Command::new(binary()).args(command).arg("--help").output().expect("the binary runs");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

/// Everything that the chart was rendered to, a manifest each; `cargo xtask chart` sees that it is up to date.
fn manifests() -> Vec<String> {
    let files =
        fs::read_dir(chart().join("ci")).expect("the folder").map(|entry| entry.expect("an entry").path());
    let golden = files.filter(|path| path.to_string_lossy().ends_with(".golden.yaml"));
    let found: Vec<String> = golden
        .flat_map(|path| text(path).split("---\n").map(str::to_owned).collect::<Vec<_>>())
        .filter(|manifest| !manifest.is_empty())
        .collect();
    assert!(found.len() > 20, "{}", found.len());
    found
}

/// What stands behind `mark` in each line that has it, up to a quote or the line's end.
fn after<'a>(manifest: &'a str, mark: &str) -> Vec<&'a str> {
    let rest = manifest.lines().filter_map(|line| line.trim_start().strip_prefix(mark));
    rest.map(|rest| rest.trim_matches(['"', ' '])).collect()
}

/// The subcommand that a manifest's container runs, if it is ours.
fn role(manifest: &str) -> Option<&str> {
    let (_, args) = manifest.split_once("args:\n")?;
    args.lines().next()?.trim().strip_prefix("- ")
}

/// Whether help names an environment variable: `[env: NAME=]` or `[env: NAME]`.
fn has_variable(help: &str, name: &str) -> bool {
    help.contains(&format!("[env: {name}=")) || help.contains(&format!("[env: {name}]"))
}

#[test]
fn the_chart_uses_options_and_variables_that_there_are() {
    let mut roles = BTreeSet::new();
    let readme = text("../../README.md");
    for manifest in manifests() {
        if let Some(role) = role(&manifest) {
            roles.insert(role.to_owned());
            let help = help(&[role]);
            for name in after(&manifest, "- name: ").into_iter().filter(|name| name.starts_with("MARQUETRY_"))
            {
                assert!(has_variable(&help, name), "`marquetry {role}` knows no {name}");
            }
            for option in after(&manifest, "- \"--") {
                let option = option.split('=').next().unwrap_or_default();
                assert!(help.contains(&format!("--{option} <")), "`marquetry {role}` knows no --{option}");
            }
            for probe in after(&manifest, "httpGet: {path: ") {
                let path = probe.split(',').next().unwrap_or_default();
                let served = help.split([' ', ',', '\n']).any(|word| word == path);
                assert!(served, "`marquetry {role}` serves no {path}");
            }
        }
        if manifest.contains("kind: ConfigMap") && manifest.contains("-settings\n") {
            let all = [help(&["worker"]), help(&["aggregate"]), help(&["coordinate"])].concat();
            let names =
                manifest.lines().filter_map(|line| line.trim().split_once(": ")).map(|(name, _)| name);
            for name in names.filter(|name| name.starts_with("MARQUETRY_") || name.starts_with("AWS_")) {
                assert!(has_variable(&all, name) || all.contains(name), "no role knows {name}");
                assert!(!name.starts_with("AWS_") || readme.contains(name), "{name} stands in no README");
            }
        }
    }
    assert_eq!(roles.into_iter().collect::<Vec<_>>(), ["aggregate", "coordinate", "worker"]);
}

/// Each exit code is either tried again or fails the job at once, as the table of codes has it.
#[test]
fn a_job_is_tried_again_by_the_codes_that_are_worth_it() {
    let codes: Vec<u8> = help(&[])
        .lines()
        .skip_while(|line| !line.starts_with("Exit codes:"))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert!(codes.len() >= 9, "{codes:?}");
    let again = [69, 75];
    let last: Vec<u8> = codes.into_iter().filter(|code| *code != 0 && !again.contains(code)).collect();
    let jobs: Vec<String> = manifests()
        .into_iter()
        .filter(|m| m.contains("\nkind: Job\n") || m.contains("\nkind: CronJob\n"))
        .collect();
    assert!(jobs.len() >= 4, "{}", jobs.len());
    for job in jobs {
        let rules = after(&job, "onExitCodes: {containerName: coordinator, operator: In, values: ");
        assert_eq!(rules, [format!("{last:?}}}")]);
    }
}

#[test]
fn scaling_looks_at_the_topics_and_groups_of_the_queue() {
    let mut pairs = BTreeSet::new();
    for manifest in manifests().iter().filter(|m| m.contains("- type: kafka\n")) {
        for (topic, group) in after(manifest, "topic: ").into_iter().zip(after(manifest, "consumerGroup: ")) {
            let last = |name: &str| name.rsplit('.').next().map(str::to_owned);
            pairs.insert((last(topic), last(group)));
            assert_eq!(
                topic.rsplit_once('.').map(|(prefix, _)| prefix),
                group.rsplit_once('.').map(|(prefix, _)| prefix)
            );
        }
    }
    let expected = [(Topic::Aggregate, AGGREGATORS), (Topic::Tasks, WORKERS)];
    let expected = expected.map(|(topic, group)| (Some(topic.name().to_owned()), Some(group.to_owned())));
    assert_eq!(pairs, BTreeSet::from(expected));
}

/// The files of `helm test`: a picture, a model, and the mask that `marquetry run` makes of them. `MARQUETRY_GOLDEN=write`
/// writes them anew.
#[test]
fn the_charts_own_test_expects_what_run_writes() {
    // Light is where the three channels together are more than half of what they can be, and nowhere nearly so.
    let light = Toy {
        classes: 2,
        weights: Weights::Linear(vec![vec![0.0, 0.0, 0.0, 0.0], vec![4.0, 4.0, 4.0, -6.0]]),
        ..Toy::default()
    };
    let place = Place::new();
    place.write("in/pictures/picture.bmp", bmp(48, 40, 7)).write("in/model.onnx", light.bytes());
    let job = text("files/test/job.yaml").replace("STORE", &place.path("").to_string_lossy());
    place.write("job.yaml", job);
    let ran = place.run("job.yaml");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let masks: Vec<(String, Vec<u8>)> = place
        .files("jobs")
        .into_iter()
        .filter(|(name, _)| name.ends_with("/out/masks/picture.png"))
        .collect();
    assert_eq!(masks.len(), 1);
    for (name, found) in [
        ("picture.bmp", fs::read(place.path("in/pictures/picture.bmp")).expect("the picture")),
        ("model.onnx", light.bytes()),
        ("mask.png", masks[0].1.clone()),
    ] {
        let file = chart().join("files/test").join(name);
        if std::env::var_os("MARQUETRY_GOLDEN").is_some() {
            fs::write(&file, &found).expect("it can be written");
        }
        let kept = fs::read(&file).unwrap_or_default();
        assert!(kept == found, "{name} is not what is made here: MARQUETRY_GOLDEN=write, and look why");
    }
}
