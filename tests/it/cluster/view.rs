//! Looking into stores and queues from a test, with the code that the roles use.

use crate::cluster::services::Services;
use marquetry_transport::uri::Location;
use marquetry_transport::{FolderStore, KafkaOptions, KafkaQueue, ObjectStore, S3, S3Options, S3Store};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("threads"));

/// Runs a future to its end.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Runs a future beside the test.
pub(crate) fn spawn<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    RUNTIME.spawn(future)
}

/// The store at `uri`.
pub(crate) fn store(services: &Services, uri: &str) -> Arc<dyn ObjectStore> {
    match Location::parse(uri).expect("a folder or s3://bucket/prefix") {
        Location::Local(folder) => Arc::new(FolderStore::open(&folder).expect("a folder")),
        Location::S3(place) => {
            let options = S3Options { endpoint: Some(services.s3.clone()), ..S3Options::default() };
            Arc::new(S3Store::new(S3::new(options), &place))
        }
    }
}

/// The queue of the cluster whose topics begin with `prefix`.
pub(crate) fn queue(brokers: &str, prefix: &str) -> KafkaQueue {
    let options = KafkaOptions { prefix: prefix.to_owned(), partitions: 8, ..KafkaOptions::new(brokers) };
    wait(KafkaQueue::connect(options)).expect("a broker")
}

/// Keys and bytes of all objects below `prefix`, the prefix cut off.
pub(crate) fn objects(store: &dyn ObjectStore, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    wait(async {
        let mut found = BTreeMap::new();
        for meta in store.list(prefix).await.expect("a list") {
            let bytes = store.get(&meta.key).await.expect("an object");
            found.insert(meta.key[prefix.len()..].to_owned(), bytes.to_vec());
        }
        found
    })
}
