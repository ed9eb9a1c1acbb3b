#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod leaf;
mod tree;

pub use leaf::{content_digest, leaf_hash};
pub use tree::{Frontier, Hash};
