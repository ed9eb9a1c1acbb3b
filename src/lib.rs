#![doc = include_str!("../README.md")]

pub mod anthropic;
pub mod audit;
pub mod auth;
pub mod bench;
pub mod bus;
pub mod cli;
pub mod config;
pub mod effects;
pub mod engine;
pub mod followers;
pub mod http;
pub mod key_files;
pub mod lifecycle;
pub mod limiter;
mod lines;
pub mod live;
pub mod metrics;
pub mod open_files;
pub mod reads;
pub mod replay;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod tenure;
pub mod timers;
pub mod wiring;
