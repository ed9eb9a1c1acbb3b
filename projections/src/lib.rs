#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod activity;
pub mod feed;
pub mod flusher;
pub mod follower;
pub mod keys;
pub mod ports;
pub mod run_feed;
pub mod runs;
pub mod suite;
pub mod usage;
