//! A broker that is slow, cut off, killed, stopped.

use crate::cluster::listen::Listener;
use crate::cluster::own_kafka::{OwnKafka, USER};
use crate::cluster::proxies::Toxic;
use crate::cluster::role::Role;
use crate::cluster::services::free_port;
use crate::cluster::setup::{Cluster, Kept, delete_topics};
use marquetry_transport::Topic;

/// One job during which `trouble` happens to the broker, once some of it is done.
fn a_job_with(cluster: &mut Cluster, store: &str, trouble: impl FnOnce(&mut Role)) {
    cluster.move_to(store);
    let heard = Listener::new(cluster);
    let mut job = cluster.coordinator("job.yaml");
    heard.until_tiles(8);
    trouble(&mut job);
    job.end().ends_with(0);
    cluster.has_the_same_bytes();
}

#[test]
fn a_broker_may_be_slow_cut_off_killed_and_stopped() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let port = free_port();
    let proxy = Toxic::new(&cluster.services.toxiproxy, &cluster.prefix, &format!("127.0.0.1:{port}"));
    let Some(mut kafka) = OwnKafka::new(port, proxy.port) else { return };
    cluster.brokers = format!("127.0.0.1:{}", proxy.port);

    // Roles may be there before their broker is.
    let mut roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    roles.iter_mut().for_each(|role| role.until_it_says("no Kafka broker answers"));
    kafka.start();

    a_job_with(&mut cluster, "slow", |_| proxy.delay(150, 100));
    proxy.heal();
    a_job_with(&mut cluster, "cut", |job| {
        proxy.enable(false);
        job.until_it_says("is away");
        proxy.enable(true);
    });
    a_job_with(&mut cluster, "killed", |job| {
        kafka.kill9();
        job.until_it_says("is away");
        kafka.start();
    });
    a_job_with(&mut cluster, "stopped", |job| {
        kafka.stop();
        job.until_it_says("is away");
        kafka.start();
    });
    assert!(roles.iter_mut().all(Role::is_running), "nobody has given up");
}

/// Topics that somebody has deleted in mid-job are made again, and what was in them is sent again.
#[test]
fn topics_that_are_deleted_are_made_again() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let mut roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    let (prefix, brokers) = (cluster.prefix.clone(), cluster.brokers.clone());
    for topic in [Topic::Tasks, Topic::Results, Topic::Aggregate] {
        a_job_with(&mut cluster, topic.name(), |_| delete_topics(&brokers, &prefix, &[topic]));
    }
    assert!(roles.iter_mut().all(Role::is_running), "nobody has given up");
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    cluster.brokers = format!("127.0.0.1:{}", free_port());
    let (worker, brokers) = (cluster.worker_with(&["--connect-seconds", "1"]), cluster.brokers.clone());
    let job = cluster.coordinator_with("job.yaml", &["--connect-seconds", "1"]);
    let told = job.end().ends_with(69).says(&[&brokers, "--brokers"]).json();
    assert_eq!((&told["state"], &told["exit"]["retry"]), (&"failed".into(), &true.into()), "{told}");
    assert!(told["reason"].as_str().is_some_and(|why| why.contains(&brokers)), "{told}");
    worker.end().ends_with(69).says(&[&brokers, "--brokers"]);
}

#[test]
fn a_broker_may_ask_for_a_password_and_show_a_certificate() {
    let Some(mut cluster) = Cluster::start(Kept::InFolder) else { return };
    let Some((mut kafka, certificate, port)) = OwnKafka::guarded() else { return };
    kafka.start();
    cluster.brokers = format!("127.0.0.1:{port}");
    let (user, password) = USER;
    let settings = |password: &str| {
        let certificate = certificate.display();
        format!(
            "security.protocol=SASL_SSL\nssl.ca.location={certificate}\nsasl.mechanism=SCRAM-SHA-512\n\
             sasl.username={user}\nsasl.password={password}\n"
        )
    };
    cluster
        .place
        .write("right.properties", settings(password))
        .write("wrong.properties", settings("a guess"));
    let file = |cluster: &Cluster, name: &str| cluster.place.path(name).display().to_string();

    let right = file(&cluster, "right.properties");
    let with = ["--kafka-config", right.as_str()];
    let _roles = [cluster.worker_with(&with), cluster.role("aggregate", &with)];
    cluster.coordinator_with("job.yaml", &with).end().ends_with(0);
    cluster.has_the_same_bytes();

    // Wrong passwords are named, and never shown; so are certificates that nobody vouches for.
    let wrong = file(&cluster, "wrong.properties");
    let denied = cluster.coordinator_with("job.yaml", &["--kafka-config", &wrong]).end().ends_with(78);
    assert!(!denied.stderr.contains("a guess"), "{}", denied.stderr);
    denied.says(&[&cluster.brokers, "does not let us in", "uthentication", "sasl."]);
    let stranger = ["--kafka", "security.protocol=SSL", "--connect-seconds", "1"];
    let denied = cluster.worker_with(&stranger).end().ends_with(78);
    denied.says(&[&cluster.brokers, "does not let us in", "certificate", "ssl."]);
}
