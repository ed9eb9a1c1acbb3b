#![doc = include_str!("../README.md")]

pub mod anthropic;
pub mod audit;
pub mod auth;
pub mod bus;
pub mod effects;
pub mod http;
pub mod reads;
pub mod simulator;
pub mod store;
