#![doc = include_str!("../README.md")]

mod cursor;
#[expect(
    dead_code,
    reason = "the derive makes a method of each field, for interfaces that have it"
)]
mod error;
pub mod ids;
mod mutation;
pub mod ports;
mod query;
mod run_ports;
mod scalars;
mod schema;
mod subscription;
mod types;

pub use cursor::{of_run_feed, to_run_feed};
pub use schema::{ClavigerSchema, build, sdl};
pub mod limits;
pub mod secret_variables;
