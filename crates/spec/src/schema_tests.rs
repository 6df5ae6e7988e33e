use super::super::broken_tests::{BROKEN, job};
use super::super::job::tests::EXAMPLES;
use super::super::{JobSpec, load};
use super::*;
use serde_json::Value;

fn value(text: &str) -> Value {
    serde_json::to_value(load::load(text).unwrap()).unwrap()
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::options().build(&schema()).unwrap()
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
}

/// Job files as users write them, and as they are printed with every field in them.
#[test]
fn examples_are_valid() {
    let validator = validator();
    for (name, text) in EXAMPLES {
        validator.validate(&value(text)).unwrap_or_else(|e| panic!("{name}: {} {e}", e.instance_path()));
        let printed = JobSpec::parse(text).unwrap().to_yaml();
        validator
            .validate(&value(&printed))
            .unwrap_or_else(|e| panic!("{name}, printed: {} {e}", e.instance_path()));
    }
}

/// What the parser refuses the schema refuses too, but for what hangs on several fields.
#[test]
fn broken_jobs_are_invalid() {
    let validator = validator();
    for broken in BROKEN {
        let text = job(broken.lines);
        assert_eq!(validator.is_valid(&value(&text)), !broken.seen_by_schema, "for:\n{text}");
    }
}

/// The defaults that the schema tells are those that the parser fills in.
#[test]
fn defaults_are_those_of_the_parser() {
    let schema = schema();
    let filled = serde_json::to_value(JobSpec::parse(&job("decide: {rule: threshold}")).unwrap()).unwrap();
    let member = &filled["members"][0];
    let mut compared = 0;
    for (name, values) in [
        ("input", &member["input"]),
        ("headOutput", &member["output"]),
        ("window", &member["window"]),
        ("tta", &filled["tta"]),
        ("merge", &filled["merge"]),
        ("decide", &filled["decide"]),
        ("tiles", &filled["tiles"]),
        ("limits", &filled["limits"]),
        ("failures", &filled["failures"]),
    ] {
        for (key, property) in schema["$defs"][name]["properties"].as_object().unwrap() {
            let Some(default) = property.get("default") else { continue };
            let given = match &values[key] {
                // One value stands for all bands and classes.
                Value::Array(all) if default.is_number() => all[0].clone(),
                Value::Object(classes) => classes["nucleus"].clone(),
                other => other.clone(),
            };
            assert_eq!(given.as_f64(), default.as_f64(), "{name}.{key}");
            assert!(given == *default || given.is_number(), "{name}.{key}: {given} and {default}");
            compared += 1;
        }
    }
    assert_eq!(compared, 38);
}
