#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod accounts;
pub mod activity;
pub mod feed;
pub mod flusher;
pub mod follower;
pub mod keys;
pub mod ports;
pub mod run_feed;
pub mod runs;
pub mod usage;
