//! The layer that all faces share: peers, origins, bodies, problems and their formats, health.

pub mod assets;
pub mod body;
pub mod envelope;
pub mod health;
pub mod hosts;
pub mod json_size;
pub mod metrics;
pub mod origins;
pub mod peer;
pub mod problem;
pub mod renderers;
pub mod sender;
