//! The embedded store.

use claviger::store::sqlite::{OpenError, SqliteConfig, SqliteStore};
use claviger_domain::timestamp::Timestamp;
use claviger_projections::ports::Log;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_store_is_empty_and_refuses_a_second_opener() {
    let dir = tempfile::tempdir().unwrap();
    let config = SqliteConfig::new(dir.path().join("data"), "claviger serve", Timestamp(0));
    let store = SqliteStore::open(&config).unwrap();
    assert_eq!(store.head().await.unwrap().position, 0);
    let refused = SqliteStore::open(&config).unwrap_err();
    assert!(matches!(&refused, OpenError::InUse { holder, .. } if holder.contains("claviger serve")), "{refused}");
}
