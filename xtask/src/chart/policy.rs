//! What we want of manifests that Kubernetes would take.

use serde_json::Value;
use std::collections::BTreeSet;

/// How long a pod is given beyond what a role gives itself to end, s.
const GRACE_BEYOND: u64 = 15;

/// What is wrong with manifests, each with its object.
pub(super) fn faults(documents: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for object in documents {
        let mut note = |fault: String| faults.push(format!("{} {}: {fault}", kind(object), name(object)));
        if let Some(pod) = pod_of(object) {
            pod_faults(pod).into_iter().for_each(&mut note);
        }
        if let Some(job) = job_of(object) {
            job_faults(job).into_iter().for_each(&mut note);
        }
        let more = match kind(object) {
            "Deployment" => long_lived_faults(object),
            "ScaledObject" | "HorizontalPodAutoscaler" => scaler_faults(object, documents),
            "PodDisruptionBudget" => selector_faults(&object["spec"]["selector"]["matchLabels"], documents),
            "Service" => selector_faults(&object["spec"]["selector"], documents),
            "ServiceMonitor" => monitor_faults(object, documents),
            _ => Vec::new(),
        };
        more.into_iter().for_each(&mut note);
    }
    faults
}

fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The template of an object's pods, or the object where it is a pod itself.
pub(super) fn pod_of(object: &Value) -> Option<&Value> {
    match kind(object) {
        "Deployment" => Some(&object["spec"]["template"]),
        "Job" | "CronJob" => job_of(object).map(|job| &job["template"]),
        "Pod" => Some(object),
        _ => None,
    }
}

fn job_of(object: &Value) -> Option<&Value> {
    match kind(object) {
        "Job" => Some(&object["spec"]),
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]),
        _ => None,
    }
}

/// Whether labels hold all that is wanted.
fn holds(labels: &Value, wanted: &Value) -> bool {
    wanted.as_object().is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

fn selects(wanted: &Value, object: &Value) -> bool {
    pod_of(object).is_some_and(|pod| holds(&pod["metadata"]["labels"], wanted))
}

/// Of what is for pods with these labels.
fn selector_faults(wanted: &Value, documents: &[Value]) -> Vec<String> {
    let there = documents.iter().any(|object| selects(wanted, object));
    if there { Vec::new() } else { vec!["it is of no pod".to_owned()] }
}

fn monitor_faults(monitor: &Value, documents: &[Value]) -> Vec<String> {
    let wanted = &monitor["spec"]["selector"]["matchLabels"];
    let is_meant =
        |object: &&Value| kind(object) == "Service" && holds(&object["metadata"]["labels"], wanted);
    let Some(service) = documents.iter().find(is_meant) else {
        return vec!["there is no Service for it".to_owned()];
    };
    let is_unknown = |endpoint: &&Value| {
        !list(&service["spec"]["ports"]).iter().any(|port| port["name"] == endpoint["port"])
    };
    let unknown = list(&monitor["spec"]["endpoints"]).iter().filter(is_unknown);
    unknown.map(|endpoint| format!("its Service has no port {}", endpoint["port"])).collect()
}

fn pod_faults(pod: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let spec = &pod["spec"];
    let security = &spec["securityContext"];
    if security["runAsNonRoot"] != true || security["runAsUser"].as_u64().is_none_or(|user| user < 1000) {
        faults.push("it may run as root".to_owned());
    }
    if security["seccompProfile"]["type"] != "RuntimeDefault" {
        faults.push("system calls are not limited to the runtime's default".to_owned());
    }
    if spec["automountServiceAccountToken"] != false {
        faults.push("it gets a token for the Kubernetes API".to_owned());
    }
    for container in list(&spec["containers"]) {
        faults.extend(container_faults(container));
        for mount in list(&container["volumeMounts"]) {
            if !list(&spec["volumes"]).iter().any(|volume| volume["name"] == mount["name"]) {
                faults.push(format!("there is no volume {} to mount", mount["name"]));
            }
        }
    }
    faults
}

fn container_faults(container: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    if !image.contains("@sha256:") && !tag.contains(|c: char| c.is_ascii_digit()) {
        faults.push(format!("the image `{image}` names no version"));
    }
    let security = &container["securityContext"];
    if security["readOnlyRootFilesystem"] != true
        || security["allowPrivilegeEscalation"] != false
        || security["capabilities"]["drop"] != serde_json::json!(["ALL"])
    {
        faults.push("it has more rights than it needs".to_owned());
    }
    if container["resources"]["limits"]["memory"].is_null()
        || container["resources"]["requests"]["cpu"].is_null()
    {
        faults.push("it does not say how much CPU and memory it takes".to_owned());
    }
    let mut names = BTreeSet::new();
    for variable in list(&container["env"]) {
        let name = variable["name"].as_str().unwrap_or_default();
        if !names.insert(name) {
            faults.push(format!("{name} is said twice, which no server-side apply takes"));
        }
        let secret = ["SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY"].iter().any(|word| name.contains(word));
        if secret && variable["valueFrom"]["secretKeyRef"].is_null() {
            faults.push(format!("{name} is no reference to a secret"));
        }
    }
    faults
}

fn job_faults(job: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if job["template"]["spec"]["restartPolicy"] != "Never" {
        faults.push("exit codes are not looked at where pods are started again in place".to_owned());
    }
    let rules = list(&job["podFailurePolicy"]["rules"]);
    if rules.first().is_none_or(|rule| rule["action"] != "Ignore") {
        faults.push("an eviction uses up a try".to_owned());
    }
    let containers = list(&job["template"]["spec"]["containers"]);
    for rule in rules.iter().filter(|rule| !rule["onExitCodes"].is_null()) {
        let container = &rule["onExitCodes"]["containerName"];
        if !containers.iter().any(|known| known["name"] == *container) {
            faults.push(format!("there is no container {container} whose exit code could be looked at"));
        }
    }
    faults
}

fn long_lived_faults(deployment: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let pod = &deployment["spec"]["template"]["spec"];
    if !holds(
        &deployment["spec"]["template"]["metadata"]["labels"],
        &deployment["spec"]["selector"]["matchLabels"],
    ) {
        faults.push("it does not select its own pods".to_owned());
    }
    for container in list(&pod["containers"]) {
        let grace =
            list(&container["env"]).iter().find(|variable| variable["name"] == "MARQUETRY_GRACE_SECONDS");
        let grace = grace.and_then(|v| v["value"].as_str()?.parse::<u64>().ok());
        let given = pod["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        if grace.is_none_or(|grace| given < grace + GRACE_BEYOND) {
            faults.push(format!("it is killed after {given} s, before it may have ended by itself"));
        }
        for (probe, path) in
            [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz"), ("startupProbe", "/healthz")]
        {
            if container[probe]["httpGet"]["path"] != path {
                faults.push(format!("its {probe} does not ask {path}"));
            }
            let port = &container[probe]["httpGet"]["port"];
            if !list(&container["ports"]).iter().any(|known| known["name"] == *port) {
                faults.push(format!("its {probe} asks the port {port}, which there is not"));
            }
        }
    }
    faults
}

/// Of a `ScaledObject` or an HPA.
fn scaler_faults(scaler: &Value, documents: &[Value]) -> Vec<String> {
    let target = &scaler["spec"]["scaleTargetRef"]["name"];
    let found = documents.iter().find(|o| kind(o) == "Deployment" && o["metadata"]["name"] == *target);
    match found {
        None => vec![format!("there is no Deployment {target} to scale")],
        Some(deployment) if !deployment["spec"]["replicas"].is_null() => {
            vec!["the Deployment says replicas too, and every upgrade would set them".to_owned()]
        }
        Some(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment() -> Value {
        let labels = json!({"app": "m"});
        let get = |path: &str| json!({"httpGet": {"path": path, "port": "metrics"}});
        json!({"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 75,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "image": "a/b:1.2",
                    "env": [{"name": "MARQUETRY_GRACE_SECONDS", "value": "60"}],
                    "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": 1}},
                    "securityContext": {"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]}},
                    "ports": [{"name": "metrics"}],
                    "readinessProbe": get("/readyz"), "livenessProbe": get("/healthz"), "startupProbe": get("/healthz"),
                }],
            },
        }}})
    }

    #[test]
    fn what_is_sound_has_no_faults_and_each_fault_is_named() {
        assert_eq!(faults(&[deployment()]), Vec::<String>::new());
        let pod = "/spec/template/spec";
        for (pointer, value, word) in [
            ("/securityContext/runAsNonRoot", json!(false), "root"),
            ("/securityContext/seccompProfile/type", json!("Unconfined"), "system calls"),
            ("/automountServiceAccountToken", json!(true), "token"),
            ("/terminationGracePeriodSeconds", json!(60), "killed after 60 s"),
            ("/containers/0/image", json!("a/b:latest"), "no version"),
            ("/containers/0/securityContext/capabilities/drop", json!([]), "more rights"),
            ("/containers/0/resources/limits", json!({}), "how much"),
            (
                "/containers/0/env",
                json!([{"name": "MARQUETRY_GRACE_SECONDS", "value": "60"}, {"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]),
                "no reference",
            ),
            (
                "/containers/0/env",
                json!([{"name": "MARQUETRY_GRACE_SECONDS", "value": "60"}, {"name": "A"}, {"name": "A"}]),
                "A is said twice",
            ),
            (
                "/containers/0/readinessProbe/httpGet/path",
                json!("/ready"),
                "readinessProbe does not ask /readyz",
            ),
            ("/containers/0/ports", json!([]), "the port"),
        ] {
            let mut object = deployment();
            *object.pointer_mut(&format!("{pod}{pointer}")).unwrap() = value;
            let faults = faults(&[object]);
            assert!(!faults.is_empty() && faults.iter().all(|f| f.contains(word)), "{pointer}: {faults:?}");
        }
    }

    #[test]
    fn what_scales_and_selects_has_something_to_scale_and_select() {
        let scaler = json!({"kind": "ScaledObject", "metadata": {"name": "s"}, "spec": {"scaleTargetRef": {"name": "d"}}});
        assert!(faults(std::slice::from_ref(&scaler))[0].contains("no Deployment"));
        assert_eq!(faults(&[deployment(), scaler.clone()]), Vec::<String>::new());
        let mut fixed = deployment();
        fixed["spec"]["replicas"] = json!(2);
        assert!(faults(&[fixed, scaler])[0].contains("replicas"));
        let budget = json!({"kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "x"}}}});
        assert!(faults(&[deployment(), budget])[0].contains("of no pod"));
    }

    #[test]
    fn a_job_looks_at_exit_codes() {
        let mut pod = deployment()["spec"]["template"].clone();
        pod["spec"]["restartPolicy"] = json!("Never");
        pod["spec"]["containers"][0]["name"] = json!("coordinator");
        let rules = json!([{"action": "Ignore"}, {"action": "FailJob", "onExitCodes": {"containerName": "coordinator"}}]);
        let job = json!({"kind": "Job", "metadata": {"name": "j"}, "spec": {"podFailurePolicy": {"rules": rules}, "template": pod}});
        assert_eq!(faults(std::slice::from_ref(&job)), Vec::<String>::new());
        for (pointer, value, word) in [
            ("/spec/template/spec/restartPolicy", json!("OnFailure"), "exit codes"),
            ("/spec/podFailurePolicy/rules", json!([]), "eviction"),
            ("/spec/podFailurePolicy/rules/1/onExitCodes/containerName", json!("x"), "no container"),
        ] {
            let mut changed = job.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(faults(&[changed])[0].contains(word), "{pointer}");
        }
    }
}
