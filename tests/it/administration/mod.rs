//! Accounts and their administrators.
#![cfg(test)]

mod accounts;
mod command_line;
mod faces;
mod last_administrator;
mod matrix;
mod resets;
mod stage;
mod stolen;
mod story;
