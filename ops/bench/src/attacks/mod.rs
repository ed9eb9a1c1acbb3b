//! Measures what other clients wait during an attack, compared with the same attack on a server
//! that accepts and closes.

mod arsenal;
mod attacker;
pub mod http2;
mod measure;
mod null;

pub use measure::{AttackBench, AttackMeasured, measure as measure_attacks};
pub use null::serve as serve_nothing;
