#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod feed;
pub mod keys;
pub mod ports;
pub mod suite;
