//! What a store answered, in words that say what to do.

use crate::StoreErrorKind as Kind;
use crate::uri::S3Uri;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// What went wrong, before it is known for whom.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) kind: Kind,
    /// What was found and what to do, with the endpoint.
    pub(crate) reason: String,
    /// The HTTP status, if the store answered at all.
    pub(super) status: u16,
}

impl Trouble {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), status: 0 }
    }

    /// A failure of this machine's disk.
    pub(crate) fn disk(error: &std::io::Error) -> Self {
        Self::new(crate::folder::kind(error), error.to_string())
    }

    /// Whether bytes were asked for that the object does not have.
    pub(super) const fn is_beyond_the_end(&self) -> bool {
        self.status == 416
    }
}

/// Reads an answer of the client library to a request about `place`.
pub(super) fn trouble<E>(endpoint: &str, place: &S3Uri, error: &SdkError<E>) -> Trouble
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code(), answer.err().message());
            refused(endpoint, place, answer.raw().status().as_u16(), code, message)
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let kind = if status == 404 { Kind::NotFound } else { Kind::Unavailable };
            let reason = format!("{endpoint} gave an answer that makes no sense: {}", cause(error));
            Trouble { kind, reason, status }
        }
        SdkError::TimeoutError(_) => {
            Trouble::new(Kind::Unavailable, format!("{endpoint} did not answer in time"))
        }
        _ => not_sent(endpoint, error),
    }
}

/// The request did not get out, for lack of credentials or of a way to the store.
fn not_sent(endpoint: &str, error: &(dyn Error + 'static)) -> Trouble {
    let all = chain(error);
    if all.iter().any(|text| text.to_ascii_lowercase().contains("credential")) {
        let advice =
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is given";
        let reason = format!("no credentials for {endpoint} ({}); {advice}", cause(error));
        return Trouble::new(Kind::Denied, reason);
    }
    Trouble::new(
        Kind::Unavailable,
        format!("{endpoint} cannot be reached: {}; is it running, and is the endpoint right?", cause(error)),
    )
}

fn refused(endpoint: &str, place: &S3Uri, status: u16, code: Option<&str>, message: Option<&str>) -> Trouble {
    let bucket = &place.bucket;
    let said = match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => format!("status {status}"),
    };
    let (kind, reason) = match (code.unwrap_or_default(), status) {
        ("NoSuchBucket", _) => (
            Kind::NoStore,
            format!("there is no bucket `{bucket}` at {endpoint}; make it, or correct the URI"),
        ),
        ("InvalidBucketName", _) => (Kind::NoStore, format!("`{bucket}` is no name of a bucket ({said})")),
        ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _)
        | (_, 301 | 307) => (
            Kind::Denied,
            format!("bucket `{bucket}` is in another region than {endpoint} ({said}); set AWS_REGION"),
        ),
        ("RequestTimeTooSkewed", _) => {
            (Kind::Denied, format!("{endpoint} finds this machine's clock wrong ({said}); set it"))
        }
        (
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "XAdminUserNotFound",
            _,
        )
        | (_, 401) => (
            Kind::Denied,
            format!(
                "{endpoint} does not accept the credentials ({said}); check AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, the profile or the role"
            ),
        ),
        ("AccessDenied", _) | (_, 403) => (
            Kind::Denied,
            format!("{endpoint} refuses ({said}); check the credentials and what they may do in `{bucket}`"),
        ),
        ("PreconditionFailed", _) | (_, 412) => {
            (Kind::Changed, "it was replaced while it was being read".to_owned())
        }
        ("QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull" | "StorageFull", _) | (_, 507) => (
            Kind::Full,
            format!("{endpoint} has no room left ({said}); make room and run the same command again"),
        ),
        (_, 416) => (Kind::TooShort, "it is shorter than that".to_owned()),
        // An answer to a question for facts has no code.
        ("NoSuchKey" | "NotFound" | "", 404) => {
            (Kind::NotFound, format!("there is no such object (or no bucket `{bucket}`) at {endpoint}"))
        }
        _ => (Kind::Unavailable, format!("{endpoint} answered {status} ({said})")),
    };
    Trouble { kind, reason, status }
}

/// The errors behind an error, the outermost first.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut found = vec![error.to_string()];
    let mut inner = error.source();
    while let Some(error) = inner {
        found.push(error.to_string());
        inner = error.source();
    }
    found
}

/// The innermost error: what the system or the store said.
fn cause(error: &(dyn Error + 'static)) -> String {
    chain(error).pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let place = S3Uri { bucket: "data".into(), key: "a".into() };
        let of = |status, code, message| refused("http://store", &place, status, code, message);
        for (status, code, kind, word) in [
            (404, Some("NoSuchKey"), Kind::NotFound, "no such object"),
            (404, None, Kind::NotFound, "no such object"),
            (404, Some("NoSuchBucket"), Kind::NoStore, "no bucket `data`"),
            (403, Some("SignatureDoesNotMatch"), Kind::Denied, "AWS_SECRET_ACCESS_KEY"),
            (403, None, Kind::Denied, "credentials"),
            (301, Some("PermanentRedirect"), Kind::Denied, "AWS_REGION"),
            (412, None, Kind::Changed, "replaced"),
            (507, None, Kind::Full, "room"),
            (503, Some("SlowDown"), Kind::Unavailable, "SlowDown"),
        ] {
            let found = of(status, code, None);
            assert_eq!(found.kind, kind, "{status} {code:?}");
            assert!(found.reason.contains(word), "{}", found.reason);
        }
    }
}
