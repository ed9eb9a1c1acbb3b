//! Runs, from the request to the end: through the ports that every face uses, with the engine at work and Anthropic simulated.
#![cfg(test)]

mod boundaries;
mod evidence;
mod ground;
mod patterns;
mod world;
