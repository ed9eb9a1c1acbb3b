//! What every face has in common: who the peer is, which origins may call, how a refusal looks, health.

pub mod envelope;
pub mod health;
pub mod origins;
pub mod peer;
pub mod problem;
