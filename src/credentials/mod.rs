//! Which credential a run uses and why, and which models there are.

mod models;
mod resolution;

pub use models::ModelList;
pub(crate) use resolution::recorded;
pub use resolution::{CredentialPolicy, Resolver, Sharing};
