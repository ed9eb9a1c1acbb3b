//! The whole program seen from outside: real HTTP against the real server in this process, on every
//! store there is. Only the clock and Anthropic are the tests' own.
#![cfg(test)]

mod activity;
mod administration;
mod clients;
mod crash;
mod expiry;
mod external;
mod foreign;
mod hostile_tokens;
mod idempotency;
mod inputs;
mod issuers;
mod lists;
mod live;
mod often;
mod secrets;
mod sessions;
mod sign_in;
mod stage;
mod tokens;
mod tour;
mod verdicts;
mod versions;
