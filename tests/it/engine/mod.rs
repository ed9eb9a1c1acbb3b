//! Runs, from the request to the end: through the ports that every face uses, with the engine at work and Anthropic simulated.
#![cfg(test)]

mod boundaries;
mod calm;
mod client;
mod controls;
mod differential;
mod errors;
mod evidence;
mod farm;
mod ground;
mod inputs;
mod kill;
mod malformed;
mod oracle;
mod patterns;
mod pauses;
mod prefixes;
mod reactions;
mod record;
mod schedules;
mod world;
mod zombie;
