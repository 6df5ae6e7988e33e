//! Where things are: paths of this machine and `s3://bucket/key`, in one notation.

use std::path::{Path, PathBuf};

/// An object of a bucket, or everything below a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct S3Uri {
    /// The bucket.
    pub bucket: String,
    /// The key, without a slash at its start. Empty, or ending in a slash, for a folder.
    pub key: String,
}

impl std::fmt::Display for S3Uri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A path of this machine.
    Local(PathBuf),
    /// In a bucket.
    S3(S3Uri),
}

impl Location {
    /// Reads a path or a URI.
    ///
    /// # Errors
    /// What is wrong with it: a scheme that nothing here can read, or an impossible bucket.
    pub fn parse(uri: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = uri.split_once("://") else { return Ok(Self::Local(PathBuf::from(uri))) };
        if !scheme.eq_ignore_ascii_case("s3") {
            return Err(format!(
                "`{scheme}://` is nothing that can be read here; give a path or s3://bucket/key"
            ));
        }
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(sound) {
            return Err(format!(
                "`{bucket}` is no bucket: 3 to 63 of the characters a-z 0-9 . - are, as in s3://bucket/key"
            ));
        }
        if key.len() > 1024 || key.chars().any(char::is_control) {
            return Err("its key is no key: at most 1024 bytes without control characters are".to_owned());
        }
        Ok(Self::S3(S3Uri { bucket: bucket.to_owned(), key: key.trim_start_matches('/').to_owned() }))
    }
}

impl Location {
    /// Whether `other` is this place or lies below it. What climbs by `..` lies nowhere.
    pub fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local(place), Self::Local(other)) => {
                let climbs = other.components().any(|part| part == std::path::Component::ParentDir);
                let lies_below =
                    |place: &Path| std::path::absolute(other).is_ok_and(|other| other.starts_with(place));
                // A store is named by its whole path, in which links are resolved.
                let whole = [std::path::absolute(place), place.canonicalize()];
                !climbs && whole.iter().flatten().any(|place| lies_below(place))
            }
            (Self::S3(place), Self::S3(other)) => {
                let parts = |key: &str| -> Vec<String> {
                    key.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
                };
                let (place_parts, other_parts) = (parts(&place.key), parts(&other.key));
                let climbs = other_parts.iter().any(|part| part == "." || part == "..");
                !climbs && place.bucket == other.bucket && other_parts.starts_with(&place_parts)
            }
            _ => false,
        }
    }
}

/// Whether a text is a URI rather than a path of this machine.
pub fn is_uri(text: &str) -> bool {
    text.contains("://")
}

/// `path` as seen from the folder `base`: a URI or an absolute path stays what it is, anything else lies below `base`.
///
/// In a bucket `.` and `..` are resolved here, since keys know nothing of them; they do not lead out of the bucket.
///
/// ```
/// use marquetry_transport::uri::join;
/// assert_eq!(join("s3://bucket/jobs", "../data/a.png"), "s3://bucket/data/a.png");
/// assert_eq!(join("jobs", "s3://bucket/a.png"), "s3://bucket/a.png");
/// assert_eq!(join("s3://bucket/jobs", "/data/a.png"), "/data/a.png");
/// ```
pub fn join(base: &str, path: &str) -> String {
    if is_uri(path) || Path::new(path).is_absolute() {
        return path.to_owned();
    }
    let Some((scheme, rest)) = base.split_once("://") else {
        return Path::new(base).join(path).to_string_lossy().into_owned();
    };
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let is_folder = !parts.is_empty() && (path.is_empty() || path.ends_with('/') || path.ends_with("/."));
    format!("{scheme}://{bucket}/{}{}", parts.join("/"), if is_folder { "/" } else { "" })
}

/// The folder in which a path or URI lies; a URI's ends in a slash.
pub fn parent(uri: &str) -> String {
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            let folder = rest.rfind('/').map_or(rest, |slash| &rest[..slash]);
            format!("{scheme}://{folder}/")
        }
        None => Path::new(uri).parent().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        let s3 = |bucket: &str, key: &str| Location::S3(S3Uri { bucket: bucket.into(), key: key.into() });
        assert_eq!(Location::parse("data/a b.png"), Ok(Location::Local("data/a b.png".into())));
        assert_eq!(Location::parse("s3://my-bucket/a b/ü.png"), Ok(s3("my-bucket", "a b/ü.png")));
        assert_eq!(Location::parse("S3://my-bucket"), Ok(s3("my-bucket", "")));
        assert_eq!(Location::parse("s3://my-bucket//a/"), Ok(s3("my-bucket", "a/")));
        for (bad, word) in [
            ("gs://bucket/a", "`gs://`"),
            ("s3://", "no bucket"),
            ("s3:///a", "no bucket"),
            ("s3://no bucket/a", "`no bucket`"),
            ("s3://bucket/a\nb", "no key"),
        ] {
            let message = Location::parse(bad).unwrap_err();
            assert!(message.contains(word), "{bad}: {message}");
        }
    }

    #[test]
    fn relative_places_lie_below_their_folder() {
        for (base, path, whole) in [
            ("", "a.png", "a.png"),
            ("jobs", "../a.png", "jobs/../a.png"),
            ("s3://b/x/", "a.png", "s3://b/x/a.png"),
            ("s3://b", "./a/../c/", "s3://b/c/"),
            ("s3://b/x", "../../../a", "s3://b/a"),
            ("s3://b/x", "", "s3://b/x/"),
            ("s3://b", ".", "s3://b/"),
        ] {
            assert_eq!(join(base, path), whole, "{base} + {path}");
        }
        assert_eq!(parent("s3://b/x/job.yaml"), "s3://b/x/");
        assert_eq!(parent("s3://b/job.yaml"), "s3://b/");
        assert_eq!(parent("x/job.yaml"), "x");
        assert_eq!(parent("job.yaml"), "");
    }
}
