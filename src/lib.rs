#![doc = include_str!("../README.md")]

pub mod anthropic;
pub mod audit;
pub mod auth;
pub mod bus;
pub mod cli;
pub mod config;
pub mod effects;
pub mod http;
pub mod key_files;
pub mod lifecycle;
pub mod reads;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod timers;
pub mod wiring;
