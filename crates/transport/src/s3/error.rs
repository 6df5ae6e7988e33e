//! What a store answered, in words that say what to do, and whether it is worth asking again.

use crate::StoreErrorKind as Kind;
use crate::error::RequestError;
use crate::uri::S3Uri;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// Reads what the client library made of a request about `place`.
pub(super) fn request_error<E>(endpoint: &str, place: &S3Uri, error: SdkError<E>) -> RequestError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let found = match &error {
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code(), answer.err().message());
            refused(endpoint, place, answer.raw().status().as_u16(), code, message)
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let kind = if status == 404 { Kind::NotFound } else { Kind::Unavailable };
            let reason = format!("{endpoint} gave an answer that makes no sense: {}", innermost(&error));
            RequestError::new(kind, reason).with_status(status)
        }
        SdkError::TimeoutError(_) => {
            RequestError::new(Kind::Unavailable, format!("{endpoint} did not answer in time"))
        }
        _ => not_sent(endpoint, &error),
    };
    found.caused_by(error)
}

/// The request did not get out, for lack of credentials or of a way to the store.
fn not_sent(endpoint: &str, error: &(dyn Error + 'static)) -> RequestError {
    let all = chain(error);
    if all.iter().any(|text| text.to_ascii_lowercase().contains("credential")) {
        let advice =
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is given";
        let reason = format!("no credentials for {endpoint} ({}); {advice}", innermost(error));
        return RequestError::new(Kind::Denied, reason);
    }
    RequestError::new(
        Kind::Unavailable,
        format!(
            "{endpoint} cannot be reached: {}; is it running, and is the endpoint right?",
            innermost(error)
        ),
    )
}

/// Reads what a store said: a status, and a code and words if there were any.
pub(super) fn refused(
    endpoint: &str,
    place: &S3Uri,
    status: u16,
    code: Option<&str>,
    message: Option<&str>,
) -> RequestError {
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
        (code, status) => (unknown(code, status), format!("{endpoint} answered {status} ({said})")),
    };
    RequestError::new(kind, reason).with_status(status)
}

/// Whether an answer that says nothing in particular may be another one the next time.
fn unknown(code: &str, status: u16) -> Kind {
    match (code, status) {
        ("KeyTooLongError" | "InvalidObjectName" | "XMinioInvalidObjectName", _) => Kind::BadKey,
        // Refusals by their status, but of what went wrong on the way or is going on at this moment.
        (
            "SlowDown"
            | "RequestTimeout"
            | "InternalError"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "BadDigest"
            | "IncompleteBody"
            | "XAmzContentSHA256Mismatch"
            | "NoSuchUpload"
            | "InvalidPart",
            _,
        )
        | (_, 408 | 425 | 429) => Kind::Unavailable,
        // Nothing that is not known to pass is waited for: it would take half an hour, and say the same again.
        (_, 400..=499 | 501 | 505) => Kind::Refused,
        _ => Kind::Unavailable,
    }
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
fn innermost(error: &(dyn Error + 'static)) -> String {
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
            (500, Some("InternalError"), Kind::Unavailable, "500"),
            (502, None, Kind::Unavailable, "502"),
            (400, Some("RequestTimeout"), Kind::Unavailable, "RequestTimeout"),
            (400, Some("BadDigest"), Kind::Unavailable, "BadDigest"),
            (400, Some("KeyTooLongError"), Kind::BadKey, "KeyTooLongError"),
            (400, Some("InvalidArgument"), Kind::Refused, "InvalidArgument"),
            (400, None, Kind::Refused, "400"),
            (501, Some("NotImplemented"), Kind::Refused, "NotImplemented"),
        ] {
            let found = of(status, code, None);
            assert_eq!(found.kind, kind, "{status} {code:?}");
            assert!(found.reason.contains(word), "{}", found.reason);
        }
    }
}
