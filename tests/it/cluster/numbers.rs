//! What roles tell Prometheus and whoever asks whether they are well.

use crate::cluster::role::until;
use crate::cluster::services::free_port;
use crate::cluster::setup::{Cluster, Kept, tally};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The answer to `GET path`, head and all; empty while nobody listens.
fn ask(port: u16, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        // Whoever ends once its last numbers were read may cut the connection off: what was read counts.
        let _ = stream.read_to_end(&mut answer);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    ask().unwrap_or_default()
}

/// The value of a series, written as Prometheus writes it.
#[track_caller]
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{series} is not in\n{page}"))
}

#[test]
fn every_role_serves_what_it_counts() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let ports = [free_port(), free_port(), free_port()];
    let at = ports.map(|port| format!("127.0.0.1:{port}"));
    let _worker = cluster.worker_with(&["--metrics", &at[0]]);
    let _aggregator = cluster.role("aggregate", &["--metrics", &at[1]]);
    for port in &ports[..2] {
        until("a role is ready", || ask(*port, "/readyz").starts_with("HTTP/1.1 200"));
    }
    let mut job = cluster.coordinator_with("job.yaml", &["--metrics", &at[2], "--linger-seconds", "600"]);
    let success = "marquetry_job_last_success_timestamp_seconds";
    // It stays until its last numbers were read, and no longer: they may be read once before they are the last ones.
    let mut last = String::new();
    until("the coordinator tells of the job's success, and ends", || {
        let page = ask(ports[2], "/metrics");
        if page.contains(success) && value(&page, success) > 0.0 {
            last = page;
        }
        !job.is_running()
    });
    let summary = job.end().ends_with(0).json();
    let tasks = tally(&summary, "tasks_computed") as f64;
    assert_eq!(value(&last, r#"marquetry_job_tasks{state="done"}"#), tasks);
    assert_eq!(value(&last, r#"marquetry_job_tasks{state="all"}"#), tasks);
    assert_eq!(value(&last, r#"marquetry_job_images{state="failed"}"#), 0.0);

    let worker = ask(ports[0], "/metrics");
    assert_eq!(value(&worker, r#"marquetry_tasks_total{outcome="stored"}"#), tasks);
    assert_eq!(value(&worker, r#"marquetry_tiles_total{outcome="stored"}"#), tasks);
    let written = value(&worker, "marquetry_tile_bytes_total");
    assert_eq!(value(&worker, r#"marquetry_store_bytes_total{direction="written"}"#), written);
    assert!(value(&worker, "marquetry_inference_duration_seconds_count") > tasks);
    assert!(value(&worker, "marquetry_model_load_duration_seconds_count") >= 2.0);
    assert!(value(&worker, r#"marquetry_task_stage_seconds_total{stage="infer"}"#) > 0.0);

    let aggregator = ask(ports[1], "/metrics");
    let images = summary["tally"]["progress"]["images_done"].as_f64().expect("a number");
    assert_eq!(value(&aggregator, r#"marquetry_images_total{outcome="done"}"#), images);
    assert!(value(&aggregator, r#"marquetry_store_bytes_total{direction="read"}"#) >= written);
    assert!(ask(ports[1], "/healthz").starts_with("HTTP/1.1 200"));
}
