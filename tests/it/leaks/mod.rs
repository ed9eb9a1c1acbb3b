//! Canary keys, passwords and tokens go through every face and every fault; then everything the
//! program printed or wrote is searched for them. A test that finds one names the place, never the
//! secret.

mod canaries;
mod command_line;
mod faces;
mod files;
mod requests;
mod tour;
