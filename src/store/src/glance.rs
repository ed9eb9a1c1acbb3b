//! What a store that was not changed yet says of itself, for who decides whether it may be opened:
//! opening makes what is missing, and brings an older format to the newest.

use claviger_projections::ports::{KekId, StoreKeyRow};

/// A look at a store before it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// There is something at all.
    pub is_there: bool,
    /// The store's own keys, newest first.
    pub store_keys: Vec<StoreKeyRow>,
    /// The master keys that wrap users' keys.
    pub user_keks: Vec<KekId>,
    /// The position of the last event.
    pub position: u64,
}

impl Glance {
    /// Whether nothing was ever written to it but its own tables.
    pub const fn is_new(&self) -> bool {
        self.store_keys.is_empty() && self.user_keks.is_empty() && self.position == 0
    }
}
