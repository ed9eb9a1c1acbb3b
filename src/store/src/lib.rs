#![doc = include_str!("../README.md")]

pub mod mongo;
pub mod sqlite;
