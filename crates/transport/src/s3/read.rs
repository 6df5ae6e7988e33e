//! Reading: what there is, and bytes of it, in parallel where there are many.

use super::S3;
use super::error::request_error;
use crate::StoreErrorKind as Kind;
use crate::error::RequestError;
use crate::retry::growing_pauses;
use crate::uri::S3Uri;
use backon::Retryable;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, TryStreamExt};
use std::ops::Range;

/// Bytes asked for at once: long enough that the store's answering time does not count.
pub(super) const SPAN_BYTES: u64 = 8 << 20;
/// Tries to get the body of an answer that began well; the client library itself only retries until then.
const BODY_TRIES: usize = 3;

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectFacts {
    pub(crate) size_bytes: u64,
    /// Names the object's content, without quotes; every store gives one.
    pub(crate) etag: Option<String>,
    /// When it was written, s since 1970.
    pub(crate) modified_seconds: i64,
}

/// An answer to a request for bytes.
struct Span {
    bytes: Bytes,
    /// Length of the whole object, if the answer says so.
    size_bytes: Option<u64>,
    etag: Option<String>,
}

impl S3 {
    pub(crate) async fn head(&self, place: &S3Uri) -> Result<ObjectFacts, RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected.client.head_object().bucket(&place.bucket).key(&place.key);
        let found = request.send().await.map_err(|error| request_error(&connected.endpoint, place, error))?;
        Ok(ObjectFacts {
            size_bytes: found.content_length.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            etag: found.e_tag.as_deref().map(unquoted),
            modified_seconds: found.last_modified.map_or(0, |t| t.secs()),
        })
    }

    /// The whole object.
    pub(crate) async fn get(&self, place: &S3Uri) -> Result<Bytes, RequestError> {
        Ok(self.get_tagged(place).await?.0)
    }

    /// The whole object and its `ETag`.
    pub(super) async fn get_tagged(&self, place: &S3Uri) -> Result<(Bytes, Option<String>), RequestError> {
        let first = match self.span(place, Some(0..SPAN_BYTES), None).await {
            // No range lies in an object without bytes.
            Err(error) if error.is_beyond_the_end() => self.span(place, None, None).await?,
            other => other?,
        };
        let (read, size) = (first.bytes.len() as u64, first.size_bytes);
        let Some(size) = size.filter(|size| *size > read) else { return Ok((first.bytes, first.etag)) };
        let rest = self.fetch(place, read..size, first.etag.as_deref()).await?;
        let mut all = BytesMut::with_capacity(size as usize);
        all.extend_from_slice(&first.bytes);
        all.extend_from_slice(&rest);
        Ok((all.freeze(), first.etag))
    }

    /// Bytes `range`, all of them or an error. With an `etag`, only of the object that has it.
    pub(crate) async fn fetch(
        &self,
        place: &S3Uri,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Bytes, RequestError> {
        let mut spans: Vec<Bytes> = self.spans(place, range, etag).try_collect().await?;
        if spans.len() == 1 {
            return Ok(spans.remove(0));
        }
        Ok(spans.concat().into())
    }

    /// Bytes `range` in pieces, in order; a few are on their way at any time.
    pub(crate) fn spans(
        &self,
        place: &S3Uri,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> impl Stream<Item = Result<Bytes, RequestError>> + Send + use<> {
        let starts = (range.start..range.end).step_by(SPAN_BYTES as usize);
        let (s3, place, etag) = (self.clone(), place.clone(), etag.map(str::to_owned));
        futures_util::stream::iter(starts)
            .map(move |start| {
                let wanted = start..range.end.min(start + SPAN_BYTES);
                let (s3, place, etag) = (s3.clone(), place.clone(), etag.clone());
                async move { s3.exact(&place, wanted, etag.as_deref()).await }
            })
            .buffered(self.width())
    }

    async fn exact(
        &self,
        place: &S3Uri,
        range: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Bytes, RequestError> {
        let wanted = (range.end - range.start) as usize;
        let start = range.start as usize;
        let span = self.span(place, Some(range), etag).await?;
        // A store that does not know ranges sends everything.
        let whole =
            span.size_bytes.is_none() && span.bytes.len() >= start + wanted && span.bytes.len() > wanted;
        let bytes = if whole { span.bytes.slice(start..start + wanted) } else { span.bytes };
        if bytes.len() == wanted {
            return Ok(bytes);
        }
        let reason = format!("{} of {wanted} bytes came: it is shorter than that", bytes.len());
        Err(RequestError::new(Kind::TooShort, reason))
    }

    /// One request for bytes, tried again when the body breaks off.
    async fn span(
        &self,
        place: &S3Uri,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Span, RequestError> {
        let pauses = growing_pauses().with_max_times(BODY_TRIES - 1);
        (|| self.span_once(place, range.clone(), etag))
            .retry(pauses)
            // Status 200 stands for an answer that began and broke off.
            .when(|error| error.status == 200)
            .notify(|error, _| tracing::debug!(%place, "{}; asking again", error.reason))
            .await
    }

    async fn span_once(
        &self,
        place: &S3Uri,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Span, RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected
            .client
            .get_object()
            .bucket(&place.bucket)
            .key(&place.key)
            .set_range(range.map(|r| format!("bytes={}-{}", r.start, r.end.saturating_sub(1))))
            .set_if_match(etag.map(|etag| format!("\"{etag}\"")));
        let answer =
            request.send().await.map_err(|error| request_error(&connected.endpoint, place, error))?;
        let found = answer.e_tag.as_deref().map(unquoted);
        // Not every store looks at If-Match.
        if etag.is_some() && found.as_deref() != etag {
            return Err(RequestError::new(Kind::Changed, "it was replaced while it was being read"));
        }
        let size_bytes = answer.content_range.as_deref().and_then(|r| r.rsplit('/').next()?.parse().ok());
        let broken = |what: String| {
            let reason = format!("the answer of {} broke off: {what}", connected.endpoint);
            RequestError::new(Kind::Unavailable, reason).with_status(200)
        };
        let body = tokio::time::timeout(super::connect::ATTEMPT, answer.body.collect()).await;
        let body = body.map_err(|_| broken("it took too long".to_owned()))?;
        let bytes = body.map_err(|error| broken(error.to_string()).caused_by(error))?.into_bytes();
        Ok(Span { bytes, size_bytes, etag: found })
    }

    /// All objects whose keys start with `place.key`, in ascending order of keys.
    pub(crate) async fn list(&self, place: &S3Uri) -> Result<Vec<(String, ObjectFacts)>, RequestError> {
        let mut found: Vec<_> = self.pages(place.clone()).try_collect::<Vec<_>>().await?.concat();
        // Some stores list in the order of their folders.
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// All objects whose keys start with `place.key`, a page at a time.
    pub(super) fn pages(
        &self,
        place: S3Uri,
    ) -> impl Stream<Item = Result<Vec<(String, ObjectFacts)>, RequestError>> + Send + use<'_> {
        let first = Some(None);
        futures_util::stream::try_unfold(first, move |token: Option<Option<String>>| {
            let place = place.clone();
            async move {
                let Some(token) = token else { return Ok(None) };
                let (page, next) = self.page(&place, token).await?;
                Ok(Some((page, next.map(Some))))
            }
        })
    }

    /// One page of a list, and where the next one begins if there is one.
    async fn page(
        &self,
        place: &S3Uri,
        token: Option<String>,
    ) -> Result<(Vec<(String, ObjectFacts)>, Option<String>), RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected.client.list_objects_v2().bucket(&place.bucket).prefix(&place.key);
        let request = request.set_continuation_token(token.clone());
        let page = request.send().await.map_err(|error| request_error(&connected.endpoint, place, error))?;
        let found = page.contents.unwrap_or_default().into_iter().filter_map(|object| {
            let facts = ObjectFacts {
                size_bytes: object.size.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
                etag: object.e_tag.as_deref().map(unquoted),
                modified_seconds: object.last_modified.map_or(0, |t| t.secs()),
            };
            Some((object.key?, facts))
        });
        let found = found.collect();
        if page.is_truncated != Some(true) {
            return Ok((found, None));
        }
        match page.next_continuation_token {
            Some(next) if token.as_ref() != Some(&next) => Ok((found, Some(next))),
            _ => {
                let reason = format!("{} breaks off its list and does not go on", connected.endpoint);
                Err(RequestError::new(Kind::Unavailable, reason))
            }
        }
    }

    /// Whether the bucket can be reached and looked into.
    pub(crate) async fn check(&self, place: &S3Uri) -> Result<(), RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected.client.list_objects_v2().bucket(&place.bucket).max_keys(1);
        let looked = request.prefix(&place.key).send().await;
        looked.map(|_| ()).map_err(|error| request_error(&connected.endpoint, place, error))
    }
}

pub(super) fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}
