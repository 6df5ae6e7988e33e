//! Where files come from and stores lie: the options for S3 and for the cache of what is fetched.

use clap::{Args, ValueEnum};
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use marquetry_telemetry::Metrics;
use marquetry_transport::{CacheOptions, Files, S3, S3Options, Stores};
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Bytes of a GB, as disks are sold.
const GB: u64 = 1_000_000_000;

/// How S3 is reached. Keys come from where other S3 programs find them: `AWS_ACCESS_KEY_ID` and
/// `AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`, a web identity, the role of the container or machine.
#[derive(Args)]
#[command(next_help_heading = "Files and stores")]
pub(crate) struct StorageArgs {
    /// URL of the S3 server [default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's, or Amazon's].
    #[arg(long, value_name = "URL", value_parser = parse_url)]
    s3_endpoint: Option<String>,
    /// Region to sign requests for [default: `AWS_REGION`, the profile's, the machine's, or us-east-1].
    #[arg(long, value_name = "NAME")]
    s3_region: Option<String>,
    /// Whether buckets stand in the path of a URL rather than in its host name; `auto`: where an endpoint is given.
    #[arg(long, value_enum, default_value = "auto", env = "MARQUETRY_S3_PATH_STYLE", hide_env_values = true)]
    s3_path_style: PathStyle,
    /// Folder for copies of models and images from S3 [default: the user's cache folder].
    #[arg(long, value_name = "DIR", env = "MARQUETRY_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// Most GB that such copies take; those not used for longest go first.
    #[arg(long, value_name = "GB", default_value_t = 20, env = "MARQUETRY_CACHE_GB", hide_env_values = true)]
    cache_gb: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PathStyle {
    Auto,
    True,
    False,
}

fn parse_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !text.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err("a URL is wanted, such as http://127.0.0.1:9000 or https://s3.example.org".to_owned()),
    }
}

/// What reads files and opens stores.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) files: Files,
    pub(crate) stores: Stores,
    /// The folder for copies, for what is worth keeping besides.
    pub(crate) cache: PathBuf,
}

impl Storage {
    /// The same, for roles that are all in this process: its folders are written by nobody else while it runs.
    pub(crate) fn written_behind(self) -> Self {
        Self { stores: self.stores.writing_behind(), ..self }
    }
}

impl StorageArgs {
    /// Nothing is asked of the network yet. Requests will run on `runtime` and be counted in `metrics`; files in a bucket
    /// that is away are waited for as long as `retry_timeout`.
    pub(crate) fn open(&self, runtime: &Runtime, retry_timeout: Duration, metrics: &Metrics) -> Storage {
        let options = S3Options {
            endpoint: self.s3_endpoint.clone(),
            region: self.s3_region.clone(),
            path_style: match self.s3_path_style {
                PathStyle::Auto => None,
                PathStyle::True => Some(true),
                PathStyle::False => Some(false),
            },
            ..S3Options::default()
        };
        let s3 = S3::new(options);
        let cache = self.cache.clone().unwrap_or_else(default_cache);
        let copies = CacheOptions { folder: cache.clone(), bytes_max: self.cache_gb.saturating_mul(GB) };
        let files = Files::new(s3.clone(), copies, runtime.handle().clone(), retry_timeout, metrics.clone());
        Storage { files, stores: Stores::new(s3, metrics.clone()), cache }
    }
}

/// Where this system keeps what can be fetched again.
fn default_cache() -> PathBuf {
    let folder = choose_native_strategy().map_or_else(|_| std::env::temp_dir(), |dirs| dirs.cache_dir());
    folder.join("marquetry")
}
