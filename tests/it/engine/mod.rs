//! Runs, from the request to the end: through the ports that every face uses, with the engine at
//! work and Anthropic simulated.
#![cfg(test)]

mod bad_day;
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
mod outages;
mod patterns;
mod pauses;
mod prefixes;
mod reactions;
mod record;
mod replies;
mod schedules;
mod stories;
mod subscriber;
mod verdicts;
mod world;
mod zombie;
