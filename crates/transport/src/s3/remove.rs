//! Removing: one object, or many with one request where the store knows how.

use super::S3;
use super::error::{refused, request_error};
use crate::StoreErrorKind as Kind;
use crate::error::RequestError;
use crate::uri::S3Uri;
use aws_sdk_s3::error::BuildError;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures_util::{StreamExt, stream};
use std::sync::atomic::Ordering;

/// Most keys that any store takes in one request.
const KEYS_MAX: usize = 1000;
/// Stands for a key's own status, which an answer about many does not give.
const STATUS: u16 = 400;

impl S3 {
    /// Removes an object; one that is not there is no error.
    pub(super) async fn remove(&self, place: &S3Uri) -> Result<(), RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let request = connected.client.delete_object().bucket(&place.bucket).key(&place.key);
        match request.send().await.map_err(|error| request_error(&connected.endpoint, place, error)) {
            Err(error) if error.kind == Kind::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Removes objects of a bucket; the keys that are left, with the reason of each.
    pub(super) async fn remove_many(&self, bucket: &str, keys: Vec<String>) -> Vec<(String, RequestError)> {
        let batches: Vec<Vec<String>> = keys.chunks(KEYS_MAX).map(<[String]>::to_vec).collect();
        let batches = stream::iter(batches).map(|batch| self.remove_batch(bucket, batch));
        let left: Vec<_> = batches.buffer_unordered(self.width()).collect().await;
        left.concat()
    }

    async fn remove_batch(&self, bucket: &str, keys: Vec<String>) -> Vec<(String, RequestError)> {
        if self.shared.removes_many.load(Ordering::Relaxed) {
            match self.remove_with_one_request(bucket, &keys).await {
                Ok(left) => return left,
                // Some stores do not know the request, or want a checksum for it that is out of use.
                Err(error) if error.kind == Kind::Refused => {
                    if self.shared.removes_many.swap(false, Ordering::Relaxed) {
                        tracing::debug!("{}; objects are removed one by one from now on", error.reason);
                    }
                }
                Err(error) => return keys.into_iter().map(|key| (key, error.clone())).collect(),
            }
        }
        let removed = stream::iter(keys).map(|key| async move {
            let place = S3Uri { bucket: bucket.to_owned(), key };
            let error = self.remove(&place).await.err()?;
            Some((place.key, error))
        });
        // How many are on their way is decided where requests are let out.
        removed.buffer_unordered(KEYS_MAX).filter_map(std::future::ready).collect().await
    }

    async fn remove_with_one_request(
        &self,
        bucket: &str,
        keys: &[String],
    ) -> Result<Vec<(String, RequestError)>, RequestError> {
        let connected = self.connected().await;
        let _permit = self.permit().await;
        let bad = |error: BuildError| RequestError::new(Kind::Refused, error.to_string());
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build());
        let objects = objects.collect::<Result<Vec<_>, _>>().map_err(bad)?;
        // Quiet: only what is left is told.
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(bad)?;
        let place = S3Uri { bucket: bucket.to_owned(), key: String::new() };
        let answer = connected.client.delete_objects().bucket(bucket).delete(delete).send().await;
        let answer = answer.map_err(|error| request_error(&connected.endpoint, &place, error))?;
        let left =
            answer.errors.unwrap_or_default().into_iter().filter(|left| left.code() != Some("NoSuchKey"));
        let left = left.map(|left| {
            let error = refused(&connected.endpoint, &place, STATUS, left.code(), left.message());
            (left.key.unwrap_or_default(), error)
        });
        Ok(left.collect())
    }
}
