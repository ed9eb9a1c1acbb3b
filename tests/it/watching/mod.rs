//! `claviger run` as a person or a script types it: its own process against a server's, with the
//! simulated Anthropic behind.

mod interruptions;
mod patterns;
mod refusals;
mod relay;
mod stage;
