//! Runs, from the request to the end: through the ports that every face uses, with the engine at work and Anthropic simulated.
#![cfg(test)]

mod boundaries;
mod controls;
mod evidence;
mod farm;
mod ground;
mod kill;
mod patterns;
mod pauses;
mod prefixes;
mod world;
mod zombie;
