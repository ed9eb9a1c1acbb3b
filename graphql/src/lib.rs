#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod answer;
mod context;
mod error;
mod kinds;
pub mod limits;
mod loads;
mod mutation;
pub mod progress;
mod query;
mod scalars;
mod schema;
pub mod secret_variables;
mod subscription;
mod types;

pub use schema::{ClavigerSchema, build, sdl};
