//! What a role tries before it takes work: its cache folder, and the stores that it was started for.

use crate::args::TrustArgs;
use crate::exit::{Exit, Fatal};
use crate::process::Process;
use bytes::Bytes;
use marquetry_failure::{Classify, FailureClass};
use marquetry_transport::{StoreError, StoreErrorKind, Stores};
use marquetry_worker::{Failure, SelfTest};
use std::time::Duration;

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stores that `process` opens, as it was told to trust.
pub(crate) fn trusted_stores(process: &Process, trust: &TrustArgs) -> Result<Stores, Fatal> {
    process.stores().clone().trusting(&trust.stores).map_err(|error| Fatal::new(Exit::BadConfig, error))
}

/// Tries the cache folder and the trusted stores of `process`.
pub(crate) fn self_test(process: &Process, trust: &TrustArgs, trusted: &Stores) -> SelfTest {
    let (files, runtime) = (process.files().clone(), process.runtime());
    let mut test = SelfTest::new().and("the cache folder", move || Ok(files.test_cache()?));
    for uri in trust.stores.clone() {
        let (stores, runtime, name) = (trusted.clone(), runtime.clone(), process.name().to_owned());
        test = test.and("the store", move || {
            let tried = async { tokio::time::timeout(PATIENCE, try_store(&stores, &uri, &name)).await };
            let Ok(tried) = runtime.block_on(tried) else {
                let reason = format!("{uri} did not answer within {} s", PATIENCE.as_secs());
                return Err(Failure::new(FailureClass::Passing, reason));
            };
            Ok(tried?)
        });
    }
    test
}

/// Fails with what does not work, and the exit code of its class.
pub(crate) fn require(test: &SelfTest) -> Result<(), Fatal> {
    test.run().map_err(|failure| {
        Fatal::new(Exit::from(failure.class), format!("this machine is not fit to work: {failure}"))
    })
}

/// Writes, reads and deletes a small object. Who may not delete leaves it there.
async fn try_store(stores: &Stores, uri: &str, name: &str) -> Result<(), StoreError> {
    let store = stores.open_now(uri).await?;
    let key = format!(".self-test/{}", hex_of(name));
    let written = Bytes::from(name.to_owned());
    store.put(&key, written.clone()).await?;
    let read = store.get(&key).await?;
    if read != written {
        let reason = "it gives back other bytes than were written: do two processes have one name?";
        return Err(StoreError::new(StoreErrorKind::Changed, "read", key, store.name(), reason));
    }
    match store.delete(&key).await {
        Err(error) if error.class() == FailureClass::Config => {
            tracing::warn!(%error, "what is not needed any more is left behind in this store");
            Ok(())
        }
        deleted => deleted,
    }
}

/// A name as a part of a key.
fn hex_of(name: &str) -> String {
    name.bytes().take(100).map(|byte| format!("{byte:02x}")).collect()
}
