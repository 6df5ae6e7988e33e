//! The client: credentials, retries, time limits.

use super::{Connected, S3Options};
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::service_config::ServiceConfigKey;
use std::time::Duration;

/// A host that does not answer by then is not there.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence of a store that was asked something.
const READ: Duration = Duration::from_secs(30);
/// For one try of one request: a part of 8 MiB at 70 kB/s.
pub(super) const ATTEMPT: Duration = Duration::from_mins(2);
/// For all tries of one request.
const OPERATION: Duration = Duration::from_mins(10);
/// How long a body may stand still.
const STALLED: Duration = Duration::from_secs(30);
/// The region that stores of one's own call themselves, and Amazon's oldest.
const REGION: &str = "us-east-1";

pub(super) async fn connect(options: &S3Options) -> Connected {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    // Back-off has full jitter in this mode.
    let retries = RetryConfig::standard()
        .with_max_attempts(options.attempts.max(1))
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(10));
    let http = http_client();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(regions(options, &http))
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(retries)
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALLED).build())
        // Checksums of the newer kind come as trailers, which many stores take for content or refuse.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(keys) = &options.credentials {
        let keys = Credentials::new(&keys.access_key, &keys.secret_key, None, None, "options");
        loader = loader.credentials_provider(keys);
    }
    let config = loader.load().await;
    let endpoint = endpoint(options, &config);
    // Stores of one's own seldom have a host name for every bucket.
    let path_style = options.path_style.unwrap_or(endpoint.is_some());
    let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(path_style).build();
    let region = config.region().map_or(REGION, Region::as_ref);
    let endpoint = endpoint.unwrap_or_else(|| format!("Amazon S3 in {region}"));
    tracing::debug!(endpoint, path_style, "S3 client");
    Connected { client: Client::from_conf(s3), endpoint }
}

/// The URL that was asked for, wherever that was said.
fn endpoint(options: &S3Options, config: &SdkConfig) -> Option<String> {
    if options.endpoint.is_some() {
        return options.endpoint.clone();
    }
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let own = key.build().ok().zip(config.service_config());
    own.and_then(|(key, settings)| settings.load_config(key))
        .or_else(|| config.endpoint_url().map(str::to_owned))
}

/// The machine's own region is only asked for where there is no other endpoint: elsewhere nobody would answer, and
/// waiting for that takes seconds.
fn regions(options: &S3Options, http: &SharedHttpClient) -> RegionProviderChain {
    let chain = RegionProviderChain::first_try(options.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let named = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().any(|v| std::env::var_os(v).is_some());
    let chain = if options.endpoint.is_some() || named {
        chain
    } else {
        let reached = ProviderConfig::without_region().with_http_client(http.clone());
        chain.or_else(ImdsRegionProvider::builder().configure(&reached).build())
    };
    chain.or_else(REGION)
}

/// Certificates of one's own come from the system's folder or the file that `SSL_CERT_FILE` names.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .pool_max_idle_per_host(64)
        .pool_idle_timeout(Duration::from_secs(20))
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}
