#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod context;
mod error;
pub mod limits;
mod mutation;
pub mod progress;
mod query;
mod scalars;
mod schema;
pub mod secret_variables;
mod subscription;
mod types;

pub use schema::{ClavigerSchema, build, sdl};
