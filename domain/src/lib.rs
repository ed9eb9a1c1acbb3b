#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod account;
pub mod actor;
pub mod api_key;
pub mod catalogue;
pub mod code;
mod commands;
pub mod event;
pub mod failure;
pub mod id;
mod joiners;
pub mod key_ring;
pub mod key_test;
pub mod orchestration;
pub mod pattern;
pub mod secret;
pub mod stream;
pub mod system;
pub mod text;
pub mod timestamp;

/// For crates that fold events and decide nothing.
pub use cqrs_es::Aggregate;
