#![doc = include_str!("../README.md")]

pub mod anthropic;
pub mod simulator;
