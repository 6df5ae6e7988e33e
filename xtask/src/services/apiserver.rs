//! A Kubernetes API server with its etcd, on loopback. It stores and refuses objects as a cluster's does; there are no
//! controllers and no nodes, so nothing of what is stored ever runs.

use super::fetch::{go_build, go_module, install_once};
use super::ports::Ports;
use super::process::Running;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ETCD: &str = "v3.7.0";
/// Who may do everything, as the API server's list of tokens has it.
const TOKEN: &str = "checks";
const LIMIT: Duration = Duration::from_mins(1);

/// The server, running. It stops when this is dropped.
pub(crate) struct ApiServer {
    port: u16,
    // Dropped in this order.
    _running: [Running; 2],
}

impl ApiServer {
    /// Builds what is missing of Kubernetes `version` (`v1.2.3`, its module's sum `sum`), and starts it with its files in
    /// `folder`. It is there when `answers` says so of it.
    pub(crate) fn start(
        folder: &Path,
        (version, sum): (&str, &str),
        answers: impl Fn(&[String]) -> bool,
    ) -> Result<Self> {
        let programs = programs(version, sum)?;
        let key = folder.join("service-accounts.key");
        make_key(&key)?;
        let tokens = folder.join("tokens.csv");
        fs::write(&tokens, format!("{TOKEN},admin,1,\"system:masters\"\n"))?;
        let mut ports = Ports::default();
        let (client, peer, port) = (ports.take()?, ports.take()?, ports.take()?);

        let mut command = Command::new(programs.join("etcd"));
        command.arg("--data-dir").arg(folder.join("etcd")).arg("--unsafe-no-fsync");
        for (options, port) in [
            (["listen-client-urls", "advertise-client-urls"].as_slice(), client),
            (&["listen-peer-urls"], peer),
        ] {
            command.args(options.iter().map(|option| format!("--{option}=http://127.0.0.1:{port}")));
        }
        let etcd =
            Running::start(format!("etcd on 127.0.0.1:{client}"), &mut command, &folder.join("etcd.log"))?;

        let mut command = Command::new(programs.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{client}"))
            .arg(format!("--secure-port={port}"))
            .args([
                "--bind-address=127.0.0.1",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--authorization-mode=RBAC",
            ])
            // Pods are refused where there is no controller to make a namespace's account.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--service-account-issuer=https://localhost");
        for (option, file) in [
            ("cert-dir", folder.join("certificates")),
            ("token-auth-file", tokens),
            ("service-account-key-file", key.clone()),
            ("service-account-signing-key-file", key),
        ] {
            command.arg(format!("--{option}={}", file.display()));
        }
        let what = format!("a Kubernetes API server {version} on 127.0.0.1:{port}");
        let server = Running::start(what, &mut command, &folder.join("apiserver.log"))?;
        let server = server.wait_until(LIMIT, || answers(&reach(port)))?;
        Ok(Self { port, _running: [server, etcd] })
    }

    /// What Helm is told to reach it.
    pub(crate) fn options(&self) -> Vec<String> {
        reach(self.port)
    }
}

fn reach(port: u16) -> Vec<String> {
    // Its certificate is one that it made for itself a moment ago.
    [
        format!("--kube-apiserver=https://127.0.0.1:{port}"),
        format!("--kube-token={TOKEN}"),
        "--kube-insecure-skip-tls-verify".into(),
    ]
    .into()
}

/// The key with which tokens of service accounts are signed; none is ever asked for.
fn make_key(path: &Path) -> Result<()> {
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(path).arg("2048").output();
    if !made.is_ok_and(|output| output.status.success()) {
        bail!("openssl is needed to make a key (Debian: apt-get install openssl)");
    }
    Ok(())
}

/// The folder of both programs. Neither is a module's main package that could be installed by itself: both ask for parts that
/// lie in their own repositories, which a module around them names.
fn programs(version: &str, sum: &str) -> Result<PathBuf> {
    install_once(&format!("kube-apiserver-{version}-etcd-{ETCD}"), "kube-apiserver", |folder| {
        let kubernetes = go_module("k8s.io/kubernetes", version, sum)?;
        let wanted =
            fs::read_to_string(kubernetes.join("go.mod")).context("cannot read Kubernetes' go.mod")?;
        fs::write(folder.join("go.mod"), module(version, &wanted))?;
        let imports = ["go.etcd.io/etcd/server/v3", "k8s.io/kubernetes/cmd/kube-apiserver"];
        let tools: String = imports.map(|path| format!("import _ \"{path}\"\n")).concat();
        fs::write(folder.join("tools.go"), format!("//go:build tools\n\npackage tools\n\n{tools}"))?;
        eprintln!(
            "building etcd {ETCD} and the API server of Kubernetes {version} with Go (once, up to a quarter of an hour)"
        );
        // A server that is not told what it is says that it is nothing.
        let number = version.trim_start_matches('v');
        let names = ["Version", "Major", "Minor"].iter().zip([version].into_iter().chain(number.split('.')));
        let stamps: String = names
            .map(|(name, value)| format!("-X k8s.io/component-base/version.git{name}={value} "))
            .collect();
        go_build(folder, imports[0], "etcd", "")?;
        go_build(folder, imports[1], "kube-apiserver", &stamps)
    })
}

/// The `go.mod` around both. Kubernetes' parts are published under v0 of the same numbers; in its own repository they
/// are the folders beside it.
fn module(version: &str, kubernetes: &str) -> String {
    let parts = version.replacen("v1.", "v0.", 1);
    let own = kubernetes.lines().filter_map(|line| line.trim().strip_suffix(" v0.0.0"));
    let replaced: String = own
        .filter(|path| path.starts_with("k8s.io/"))
        .map(|path| format!("replace {path} => {path} {parts}\n"))
        .collect();
    let required = [("go.etcd.io/etcd/server/v3", ETCD), ("k8s.io/kubernetes", version)];
    let required: String = required.map(|(path, version)| format!("require {path} {version}\n")).concat();
    format!("module marquetry.test/apiserver\n\ngo 1.26\n\n{required}\n{replaced}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_kubernetes_come_in_the_version_of_the_whole() {
        let text = module(
            "v1.37.2",
            "require (\n\tk8s.io/api v0.0.0\n\tk8s.io/utils v0.0.0-2026\n\texample.org/x v0.0.0\n)\n",
        );
        assert!(
            text.ends_with("require k8s.io/kubernetes v1.37.2\n\nreplace k8s.io/api => k8s.io/api v0.37.2\n"),
            "{text}"
        );
    }
}
