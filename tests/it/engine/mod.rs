//! Runs, from the request to the end: through the ports that every face uses, with the engine at
//! work and Anthropic simulated.
#![cfg(test)]

mod boundaries;
mod controls;
mod differential;
mod errors;
mod evidence;
mod farm;
mod halting;
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
mod stories;
mod subscriber;
mod verdicts;
mod world;
mod zombie;
