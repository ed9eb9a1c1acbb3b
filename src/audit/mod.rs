//! Proofs over the log: leaves, and the RFC 6962 tree over them (`ops/docs/FORMATS.md`, section 2).

mod leaf;
mod runs;
mod tree;

pub use leaf::{content_digest, leaf_hash};
pub use tree::{Frontier, Hash};
pub mod verify;
