//! What names the results of a job's images.

use marquetry_job::{Merge, hash};
use marquetry_spec::JobSpec;

/// Names how members are merged, the decisions and the outputs of a job: tables and masks made for others are not used.
pub fn outputs_hash(spec: &JobSpec, merge: &Merge) -> String {
    let outside = spec.outside_class();
    let gate = spec.gate.as_ref().map(|gate| gate.thresholds.clone());
    let spec = serde_json::to_value(spec).unwrap_or_default();
    let mut what = serde_json::json!([
        spec["classes"],
        spec["decide"],
        spec["outputs"],
        spec["failures"]["ignore"],
        merge
    ]);
    // Where every class has its place there is nothing to tell, and what was made before is still found.
    if let (Some(labels), Some(what)) = (spec.get("labels"), what.as_array_mut()) {
        what.push(labels.clone());
    }
    if let (Some(class), Some(what)) = (outside, what.as_array_mut()) {
        what.push(serde_json::json!({ "outside": class }));
    }
    if let (Some(gate), Some(what)) = (&gate, what.as_array_mut()) {
        what.push(serde_json::json!({ "gate": gate }));
    }
    hash(&[what.to_string().as_bytes()])[..12].to_owned()
}
