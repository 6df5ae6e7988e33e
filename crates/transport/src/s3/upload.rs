//! Writing: whole, or in parts that are on their way at the same time.

use super::S3;
use super::error::request_error;
use super::read::unquoted;
use crate::error::RequestError;
use crate::uri::S3Uri;
use crate::{Condition, Content, Seen, StoreErrorKind as Kind, Version};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use std::io::{Read, Seek, SeekFrom};

/// Parts of one object that are on their way at the same time.
pub(super) const PARTS_IN_FLIGHT: usize = 8;
/// Objects up to this go in one request.
const SINGLE_BYTES: u64 = 16 << 20;
/// A part, unless there would be too many of them. Stores want at least 5 MiB, and all but the last alike.
const PART_BYTES: u64 = 8 << 20;
/// Most parts that any store takes.
const PARTS_MAX: u64 = 10_000;

impl Content {
    /// Bytes `start..end`. A part of a file is read when it is its turn, so that memory holds the parts in flight alone.
    async fn part(&self, start: u64, end: u64) -> Result<Bytes, RequestError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Self::File(path) => {
                let path = path.clone();
                let read = move || -> std::io::Result<Bytes> {
                    let mut file = std::fs::File::open(path)?;
                    file.seek(SeekFrom::Start(start))?;
                    let mut bytes = vec![0; (end - start) as usize];
                    file.read_exact(&mut bytes)?;
                    Ok(bytes.into())
                };
                let read = tokio::task::spawn_blocking(read).await;
                read.map_err(RequestError::lost)?.map_err(RequestError::disk)
            }
        }
    }
}

impl S3 {
    /// Writes an object, if `condition` holds; the version that it has then, where it is known.
    async fn send(
        &self,
        place: &S3Uri,
        content: &Content,
        condition: Option<&Condition>,
    ) -> Result<Option<Version>, RequestError> {
        let size = content.size_bytes().map_err(RequestError::disk)?;
        if size > SINGLE_BYTES {
            return self.write_in_parts(place, content, size, condition).await.map(|()| None);
        }
        let body = content.part(0, size).await?;
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let (absent, same) = headers(condition);
        let request = connected.client.put_object().bucket(&place.bucket).key(&place.key);
        let request = request.set_if_none_match(absent).set_if_match(same);
        let sent = request.body(ByteStream::from(body)).send().await;
        let sent = sent.map_err(|error| request_error(&connected.endpoint, place, error))?;
        Ok(sent.e_tag.map(|etag| Version::new(unquoted(&etag))))
    }

    pub(super) async fn write(&self, place: &S3Uri, content: &Content) -> Result<(), RequestError> {
        self.send(place, content, None).await.map(|_| ())
    }

    /// Writes a small object if `condition` holds.
    pub(super) async fn write_if(
        &self,
        place: &S3Uri,
        value: Bytes,
        condition: &Condition,
    ) -> Result<Version, RequestError> {
        match self.send_if(place, &Content::Bytes(value.clone()), condition).await {
            Ok(Some(version)) => Ok(version),
            Ok(None) => version(self.head(place).await?.etag),
            // Not ours, or ours after all: written by a try whose answer was lost.
            Err(conflict) if conflict.kind == Kind::Conflict => match self.get_tagged(place).await {
                Ok((bytes, etag)) if bytes == value => version(etag),
                Err(error) if error.kind != Kind::NotFound => Err(error),
                _ => Err(conflict),
            },
            Err(error) => Err(error),
        }
    }

    /// Writes an object unless something was written there since it was `seen`.
    pub(super) async fn write_over(
        &self,
        place: &S3Uri,
        content: &Content,
        seen: &Seen,
    ) -> Result<(), RequestError> {
        let condition = match seen {
            Seen::Absent => Condition::Absent,
            Seen::Stamp(etag) => Condition::Version(Version::new(etag)),
            Seen::Untold => return self.write(place, content).await,
        };
        self.send_if(place, content, &condition).await.map(|_| ())
    }

    /// Writes an object if `condition` holds, and else fails with a conflict.
    ///
    /// Some stores do not look at conditions and some refuse requests that have one, so the object is looked at first in
    /// any case; for those stores that is all there is.
    async fn send_if(
        &self,
        place: &S3Uri,
        content: &Content,
        condition: &Condition,
    ) -> Result<Option<Version>, RequestError> {
        let conflict = || RequestError::new(Kind::Conflict, condition.violation());
        let found = match self.head(place).await {
            Ok(facts) => Some(version(facts.etag)?),
            Err(error) if error.kind == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        if !condition.holds(found.as_ref()) {
            return Err(conflict());
        }
        match self.send(place, content, Some(condition)).await {
            Err(error) if matches!(error.status, 409 | 412) => Err(conflict()),
            // There is no such object any more, though there is its bucket.
            Err(error) if error.kind == Kind::NotFound => Err(conflict()),
            Err(error) if error.kind == Kind::Refused && matches!(error.status, 400 | 405 | 501) => {
                tracing::debug!(%place, "{}; writing without a condition", error.reason);
                self.send(place, content, None).await
            }
            sent => sent,
        }
    }

    /// The condition is looked at when the parts become an object.
    async fn write_in_parts(
        &self,
        place: &S3Uri,
        content: &Content,
        size: u64,
        condition: Option<&Condition>,
    ) -> Result<(), RequestError> {
        let connected = self.connected().await;
        let begun = {
            let _permit = self.permit().await;
            let request = connected.client.create_multipart_upload().bucket(&place.bucket).key(&place.key);
            request.send().await.map_err(|error| request_error(&connected.endpoint, place, error))?
        };
        let id = begun.upload_id.ok_or_else(|| {
            RequestError::new(Kind::Unavailable, format!("{} gave no upload id", connected.endpoint))
        })?;
        // From here on whatever ends this, a cancelled task too, takes the parts away again: stores keep and charge them.
        let mut upload = OpenUpload { s3: self.clone(), place: place.clone(), id: Some(id.clone()) };
        let part_bytes = PART_BYTES.max(size.div_ceil(PARTS_MAX));
        let starts = (0..size).step_by(part_bytes as usize).zip(1_i32..);
        let parts = futures_util::stream::iter(starts)
            .map(|(start, number)| {
                let id = &id;
                async move {
                    let bytes = content.part(start, size.min(start + part_bytes)).await?;
                    self.write_part(place, id, number, bytes).await
                }
            })
            .buffered(self.width())
            .try_collect::<Vec<CompletedPart>>()
            .await?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let _permit = self.permit().await;
        let request = connected.client.complete_multipart_upload().bucket(&place.bucket).key(&place.key);
        let (absent, same) = headers(condition);
        let request = request.set_if_none_match(absent).set_if_match(same);
        let sent = request.upload_id(&id).multipart_upload(parts).send().await;
        sent.map_err(|error| request_error(&connected.endpoint, place, error))?;
        upload.id = None;
        Ok(())
    }

    async fn write_part(
        &self,
        place: &S3Uri,
        id: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<CompletedPart, RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected.client.upload_part().bucket(&place.bucket).key(&place.key);
        let request = request.upload_id(id).part_number(number).body(ByteStream::from(bytes));
        let sent = request.send().await.map_err(|error| request_error(&connected.endpoint, place, error))?;
        Ok(CompletedPart::builder().set_e_tag(sent.e_tag).part_number(number).build())
    }
}

/// What `If-None-Match` and `If-Match` say of a condition.
fn headers(condition: Option<&Condition>) -> (Option<String>, Option<String>) {
    match condition {
        None => (None, None),
        Some(Condition::Absent) => (Some("*".to_owned()), None),
        Some(Condition::Version(version)) => (None, Some(format!("\"{}\"", version.as_str()))),
    }
}

pub(super) fn version(etag: Option<String>) -> Result<Version, RequestError> {
    let missing =
        || RequestError::new(Kind::Refused, "the store gives no ETag, so its objects have no versions");
    etag.map(Version::new).ok_or_else(missing)
}

/// An upload that is taken back unless it was finished.
struct OpenUpload {
    s3: S3,
    place: S3Uri,
    id: Option<String>,
}

impl Drop for OpenUpload {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let (s3, place) = (self.s3.clone(), self.place.clone());
        let abort = async move {
            let client = &s3.connected().await.client;
            let request = client.abort_multipart_upload().bucket(&place.bucket).key(&place.key);
            if request.upload_id(&id).send().await.is_err() {
                tracing::warn!(%place, id, "an unfinished upload could not be taken back; the store may keep its parts");
            }
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(abort);
        }
    }
}
