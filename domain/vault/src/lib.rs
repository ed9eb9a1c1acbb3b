#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod content;
mod entropy;
mod error;
mod hashes;
mod keys;
mod rewrap;
mod sealed_box;
mod secret;
mod wrap;

pub use content::{
    ContentAd, DeltaAd, PIECE_LEN, ViewAd, open_content, open_delta, open_view, seal_content,
    seal_delta, seal_view,
};
pub use entropy::Entropy;
pub use error::VaultError;
pub use keys::{ContentKey, DataKey, IndexKey, KEY_LEN, Kek, KekSet, StoreIndexKey, UserKey};
pub use rewrap::{
    UserKeyChange, rewrap_content_key, rewrap_credential, rewrap_data_key, rewrap_index_key,
    rewrap_user_key,
};
pub use sealed_box::OVERHEAD;
pub use secret::{CredentialAd, open_credential, open_secret, seal_credential, seal_secret};
pub use wrap::{
    DataKeyAd, StoreKey, open_canary, seal_canary, unwrap_content_key, unwrap_data_key,
    unwrap_index_key, unwrap_store_index_key, unwrap_user_key, wrap_content_key, wrap_data_key,
    wrap_index_key, wrap_store_index_key, wrap_user_key,
};
