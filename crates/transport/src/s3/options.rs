//! How an S3 store is reached, as a caller says it: the same whether or not there is a client for it in the build.

/// What the client library may log if nobody asks for more: it warns of every place where it finds no keys.
pub const S3_LOG_FILTER: &str = "aws_config=error";

/// How a store is reached. What is not said here comes from the standard chain: environment, profile, the machine's
/// role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Options {
    /// URL of the store; Amazon's, unless the environment or the profile names one.
    pub endpoint: Option<String>,
    /// Region to sign for.
    pub region: Option<String>,
    /// Whether the bucket stands in the path rather than in the host name. If not given: wherever an endpoint is.
    pub path_style: Option<bool>,
    /// Most requests in flight at once.
    pub parallel: usize,
    /// Most tries of one request.
    pub attempts: u32,
    /// Keys to sign with, instead of those that the chain finds.
    pub credentials: Option<S3Credentials>,
}

impl Default for S3Options {
    fn default() -> Self {
        Self { endpoint: None, region: None, path_style: None, parallel: 64, attempts: 5, credentials: None }
    }
}

/// A pair of keys.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Credentials {
    /// Its public half.
    pub access_key: String,
    /// Its secret half.
    pub secret_key: String,
}

impl std::fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "S3Credentials({}, secret)", self.access_key)
    }
}
