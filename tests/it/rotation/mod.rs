//! Rotation of the master key: under load, cut short and run again, without the old key, and
//! against an attacker who kept every row.
//!
//! `CLAVIGER_TEST_USERS=2000` sets how many users the load tests have; without it 2,000 on the
//! embedded store and fewer on MongoDB. `cargo test --test it rotation:: -- --nocapture` prints
//! what they did.

mod attacker;
mod between;
mod load;
mod process;
mod world;
