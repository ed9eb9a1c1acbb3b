#![doc = include_str!("../README.md")]

pub mod anthropic;
pub mod app;
pub mod audit;
pub mod auth;
pub mod background;
pub mod bus;
pub mod cli;
pub mod engine;
pub mod http;
pub mod limits;
pub mod live;
pub mod reads;
pub mod replay;
pub mod simulator;
pub mod sse;
pub mod system;
