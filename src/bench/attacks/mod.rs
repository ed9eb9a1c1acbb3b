//! What others wait while somebody attacks: beside the same attacker aimed at a server that accepts and closes.

mod arsenal;
mod attacker;
pub mod http2;
mod measure;
mod null;

pub use measure::{AttackBench, AttackMeasured, measure as measure_attacks};
pub use null::serve as serve_nothing;
