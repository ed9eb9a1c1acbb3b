#![doc = include_str!("../README.md")]

mod leaf;
mod tree;

pub use leaf::{content_digest, leaf_hash};
pub use tree::{Frontier, Hash};
