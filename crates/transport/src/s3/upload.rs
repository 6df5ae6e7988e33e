//! Writing: whole, or in parts that are on their way at the same time.

use super::S3;
use super::error::request_error;
use super::read::unquoted;
use crate::error::RequestError;
use crate::uri::S3Uri;
use crate::{Condition, StoreErrorKind as Kind, Version};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// Parts of one object that are on their way at the same time.
pub(super) const PARTS_IN_FLIGHT: usize = 8;
/// Objects up to this go in one request.
const SINGLE_BYTES: u64 = 16 << 20;
/// A part, unless there would be too many of them. Stores want at least 5 MiB, and all but the last alike.
const PART_BYTES: u64 = 8 << 20;
/// Most parts that any store takes.
const PARTS_MAX: u64 = 10_000;

/// What is to be written.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Memory(Bytes),
    File { path: PathBuf, size_bytes: u64 },
}

impl Content {
    const fn size_bytes(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size_bytes, .. } => *size_bytes,
        }
    }

    /// Bytes `start..end`. A part of a file is read when it is its turn, so that memory holds the parts in flight alone.
    async fn part(&self, start: u64, end: u64) -> Result<Bytes, RequestError> {
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(start as usize..end as usize)),
            Self::File { path, .. } => {
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
    pub(super) async fn write(&self, place: &S3Uri, content: Content) -> Result<(), RequestError> {
        let size = content.size_bytes();
        if size > SINGLE_BYTES {
            return self.write_in_parts(place, content).await;
        }
        let body = content.part(0, size).await?;
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected.client.put_object().bucket(&place.bucket).key(&place.key);
        let sent = request.body(ByteStream::from(body)).send().await;
        sent.map(|_| ()).map_err(|error| request_error(&connected.endpoint, place, error))
    }

    /// Writes a small object if `condition` holds.
    ///
    /// Some stores do not look at conditions and some refuse requests that have one, so the object is looked at first in
    /// any case; for those stores that is all there is.
    pub(super) async fn write_if(
        &self,
        place: &S3Uri,
        value: Bytes,
        condition: &Condition,
    ) -> Result<Version, RequestError> {
        let found = match self.head(place).await {
            Ok(facts) => Some(version(facts.etag)?),
            Err(error) if error.kind == Kind::NotFound => None,
            Err(error) => return Err(error),
        };
        if !condition.holds(found.as_ref()) {
            return Err(RequestError::new(Kind::Conflict, condition.violation()));
        }
        match self.put_under(place, value.clone(), Some(condition)).await {
            // Not ours, or ours after all: written by a try whose answer was lost.
            Err(error) if matches!(error.status, 404 | 409 | 412) => match self.get_tagged(place).await {
                Ok((bytes, etag)) if bytes == value => version(etag),
                Err(error) if error.kind != Kind::NotFound => Err(error),
                _ if error.status == 404 && error.kind != Kind::NotFound => Err(error),
                _ => Err(RequestError::new(Kind::Conflict, condition.violation())),
            },
            Err(error) if matches!(error.status, 400 | 405 | 501) => {
                tracing::debug!(%place, "{}; writing without a condition", error.reason);
                self.put_under(place, value, None).await
            }
            other => other,
        }
    }

    async fn put_under(
        &self,
        place: &S3Uri,
        value: Bytes,
        condition: Option<&Condition>,
    ) -> Result<Version, RequestError> {
        let connected = self.connected().await;
        let permit = self.permit().await;
        let request = connected.client.put_object().bucket(&place.bucket).key(&place.key);
        let request = match condition {
            None => request,
            Some(Condition::Absent) => request.if_none_match("*"),
            Some(Condition::Version(version)) => request.if_match(format!("\"{}\"", version.as_str())),
        };
        let sent = request.body(ByteStream::from(value)).send().await;
        let sent = sent.map_err(|error| request_error(&connected.endpoint, place, error))?;
        drop(permit);
        match sent.e_tag {
            Some(etag) => version(Some(unquoted(&etag))),
            None => version(self.head(place).await?.etag),
        }
    }

    async fn write_in_parts(&self, place: &S3Uri, content: Content) -> Result<(), RequestError> {
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
        let size = content.size_bytes();
        let part_bytes = PART_BYTES.max(size.div_ceil(PARTS_MAX));
        let starts = (0..size).step_by(part_bytes as usize).zip(1_i32..);
        let parts = futures_util::stream::iter(starts)
            .map(|(start, number)| {
                let (id, content) = (&id, &content);
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
