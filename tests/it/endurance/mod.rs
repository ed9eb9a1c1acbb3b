//! The real program: many clients at once, killed, stopped, started in the wrong place, and typed
//! at.
//!
//! Two tests have a long form. `CLAVIGER_TEST_SECONDS=60` lets the concurrent clients go on for a
//! minute instead of a bounded number of operations, `CLAVIGER_TEST_KILLS=50` kills the server
//! fifty times instead of five; `CLAVIGER_TEST_SEED` changes the course of both. The servers on one
//! MongoDB (`servers.rs`) go on for `CLAVIGER_TEST_SECONDS` too, then with 200 users instead of 16.
//! `cargo test --test it endurance:: -- --nocapture` prints what they did.

mod backup;
mod command_line;
mod concurrency;
mod disk;
mod earlier;
mod kill;
mod model;
mod orders;
mod replay;
mod servers;
mod shutdown;
mod startup;
